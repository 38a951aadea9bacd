"""Scores of whole-output explanations as tidy frames: of pairs, averaged image by image, and beside print."""

from collections.abc import Collection
from functools import cache

import pandas as pd

from xai_lib import published
from xai_lib.papers.whole_output import experiment
from xai_lib.papers.whole_output.method.base_maps import BASES, Variant
from xai_lib.papers.whole_output.method.contrastive_maps import FINE, METHODS
from xai_lib.papers.whole_output.method.evaluation import CONTRASTIVE, SCORED, compare_epsilons
from xai_lib.papers.whole_output.method.outputs import outputs_of
from xai_lib.run.study import Study
from xai_lib.statistics import paired_comparison
from xai_lib.statistics.over_images import summary

BETTER = dict.fromkeys(("cauc", "cauc-bases"), "lower")
BETTER |= dict.fromkeys(("cdrop", "part-energy", "matching-accuracy", "matching-margin"), "higher")
RANGES = dict.fromkeys(("cauc", "cauc-bases", "part-energy", "matching-accuracy"), (0.0, 1.0)) | {"cdrop": (-1.0, 1.0)}
EPSILONS = (0.0, 0.1, 0.25, 0.5)  # shares of the cluster map's maximum
TABLES = {"cauc": 1, "cdrop": 2}  # of the paper
_TABLE_3 = {"cauc-bases": "cauc", "cdrop": "cdrop", "salient-pixels": "salient-pixels"}
_IMAGE = ["model", "seed", "index"]
_GROUP = ["metric", "model", "base", "method"]
_ORDER = dict(zip(_GROUP, (("salient-pixels", *BETTER), ("", "resnet50", "googlenet"), BASES, SCORED)))


@cache
def of_pairs(study: Study, variant: Variant = "paper") -> pd.DataFrame:
    """One row a pair, base, method and metric: model, seed, index, class, rivals, base, method, metric, value.

    ``model`` is "" for networks of our own, which differ in the seed. ValueError if no output of the run has a pair.
    """
    models = {explained.name: explained.model for explained in study.networks}
    found = experiment.whole_output_scores(study, variant)
    if found.empty:
        raise ValueError("Expected an output with two classes of one cluster at its top. Got none: take more images.")
    return found.assign(model=found["network"].map(models)).drop(columns="network")


def of_images(found: pd.DataFrame) -> pd.DataFrame:
    """The mean over an image's pairs, as far as they have a value: model, seed, index, base, method, metric, value."""
    return found.groupby([*_IMAGE, "base", "method", "metric"], as_index=False, sort=False)["value"].mean()


def paired(found: pd.DataFrame, metric: str, between: str, a: str, b: str) -> pd.DataFrame:
    """Two methods (or bases) on the same pairs, those left out where one has no value, averaged image by image.

    Rows have model, seed, index, ``between``, metric, value: NaN for both where an image has no pair left.
    """
    rows = found[(found["metric"] == metric) & found[between].isin((a, b))]
    keys = [name for name in (*_IMAGE, "class", "rivals", "base", "method") if name != between]
    table = rows.pivot(index=keys, columns=between, values="value")
    table.loc[table.isna().any(axis=1)] = float("nan")
    means = table.groupby(level=_IMAGE)[[a, b]].mean()
    return means.melt(var_name=between, ignore_index=False).reset_index().assign(metric=metric)


def outputs(study: Study) -> pd.DataFrame:
    """How many classes outputs have at the top, network by network.

    Rows have network, images, accuracy, top_classes (mean number), one (share of images with a single top class),
    several_clusters (share whose top classes are in more than one cluster), explained (images with a pair), pairs.
    """
    rows = []
    for network, found in experiment.whole_outputs(study).groupby("network", sort=False):
        tops = found["top"].str.split(" ")
        clusters = found["clusters"].str.split(" | ", regex=False)
        sizes = clusters.map(lambda of_image: [len(cluster.split(" ")) for cluster in of_image])
        confusing = sizes.map(lambda of_image: sum(size for size in of_image if size > 1))
        row = {
            "network": network,
            "images": len(found),
            "accuracy": (tops.str[0].astype(int) == found["label"]).mean(),
            "top_classes": tops.map(len).mean(),
            "one": (tops.map(len) == 1).mean(),
            "several_clusters": (clusters.map(len) > 1).mean(),
        }
        rows.append(row | {"explained": int((confusing > 0).sum()), "pairs": int(confusing.sum())})
    return pd.DataFrame(rows)


def methods(study: Study, metric: str) -> pd.DataFrame:
    """Tables 1 ("cauc") and 2 ("cdrop"), for all four base explainers and with our two further rows.

    One row a model, base and method, as :func:`published.compare` gives; print has values for Grad-CAM and RISE.
    ``n_undefined`` counts images whose every pair has a degenerate map.
    """
    return _beside(TABLES[metric], summary(of_images(_some(study, [metric])), by=_GROUP, ranges=RANGES))


def bases(study: Study) -> pd.DataFrame:
    """Table 3: CWOX-2s by base explainer; one row a metric, model and base."""
    ours = summary(of_images(_some(study, _TABLE_3, [CONTRASTIVE])), by=_GROUP, ranges=RANGES)
    return _beside(3, ours.assign(metric=ours["metric"].map(_TABLE_3)))


def matching(study: Study) -> pd.DataFrame:
    """The simulated observer's accuracy: model, base, method, and means over images; people's is in :func:`people`."""
    return in_order(summary(of_images(_some(study, ["matching-accuracy"], METHODS)), by=_GROUP, ranges=RANGES))


def people() -> pd.DataFrame:
    """Tables 4 and 5, the user study: group, metric, method, value, spread, printed."""
    rows = pd.concat([published.table("whole_output", number) for number in (4, 5)], ignore_index=True)
    return rows[["group", "metric", "method", "value", "spread", "printed"]]


def degenerate(study: Study, variant: Variant = "paper") -> pd.DataFrame:
    """How many maps have no salient pixel, which CAUC would reward with 0: base, method, maps, degenerate."""
    counted = (
        _some(study, ["degenerate"], variant=variant)
        .groupby(["base", "method"])["value"]
        .agg(maps="size", degenerate="sum")
        .reset_index()
    )
    return in_order(counted.assign(degenerate=counted["degenerate"].astype(int)))


def shares_of_the_gain(study: Study) -> pd.DataFrame:
    """Is it two stages, or finer maps? CWOX-2s against 1sA, and what 1sA gains by the second stage's maps alone.

    Rows have metric, model, base, step ("finer maps": 1sA-fine less 1sA; "own rivals and region": 2s less 1sA-fine),
    and difference, low, high (95 %, over images; above 0 is better), n_images.
    """
    steps = (("finer maps", FINE, "cwox-1sa"), ("own rivals and region", CONTRASTIVE, FINE))
    rows = []
    for metric, sign in (("cauc", -1), ("cdrop", 1)):
        for (model, base), group in of_pairs(study).groupby(["model", "base"], sort=False):
            for step, a, b in steps:
                both = paired(group, metric, "method", a, b)
                one = paired_comparison(both, metric=metric, a=a, b=b, between="method", unit="image")
                low, high = sorted(sign * end for end in one.estimate.interval())
                numbers = {"difference": sign * one.difference, "low": low, "high": high, "n_images": one.n_images}
                rows.append({"metric": metric, "model": model, "base": base, "step": step, **numbers})
    return in_order(pd.DataFrame(rows))


def variants(study: Study) -> pd.DataFrame:
    """The paper's equations and the released code on the same images: metric, model, base, method, paper, released."""
    found = {variant: of_images(_some(study, TABLES, METHODS, variant)) for variant in ("paper", "released")}
    columns = {variant: rows.groupby(_GROUP)["value"].mean() for variant, rows in found.items()}
    return in_order(pd.DataFrame(columns).reset_index())


def epsilons(study: Study, base: str, n: int) -> pd.DataFrame:
    """What ε in Equation 2 does to CWOX-2s, on the first ``n`` images of the first network; computed when asked for.

    Rows have epsilon, degenerate (maps without a positive value), maps, and means of CDROP over images.
    """
    explained, run = study.networks[0], study.run
    subject, settings = explained.subject, experiment.base_of(study, explained, base)
    images = subject.images.subset(list(range(min(n, len(subject.images)))))
    outputs = outputs_of(subject.network, images, experiment.partition(explained.corpus), run.device)
    found = compare_epsilons(outputs, settings, EPSILONS, steps=run.whole_output.contrast_steps)
    empty = found[found["metric"] == "degenerate"].groupby("epsilon")["value"].agg(degenerate="sum", maps="size")
    means = found[found["metric"] == "cdrop"].groupby(["epsilon", "index"], as_index=False)["value"].mean()
    return summary(means.assign(seed=0), by=["epsilon"], ranges=RANGES["cdrop"]).merge(
        empty.astype(int).reset_index(), on="epsilon"
    )


def part_energy(study: Study) -> pd.DataFrame:
    """Share of a map's energy in the planted part that tells look-alikes apart: base, method, and means over images."""
    found = _some(study, ["part-energy"]).dropna(subset="value")
    if found.empty:
        return pd.DataFrame(columns=["base", "method", "mean", "low", "high", "n_images"])
    return in_order(summary(of_images(found), by=["base", "method"], ranges=(0.0, 1.0)))


def in_order(frame: pd.DataFrame) -> pd.DataFrame:
    """Rows in the order of the pages: metrics, models, bases, methods."""
    places = {column: {name: place for place, name in enumerate(names)} for column, names in _ORDER.items()}
    keys = [name for name in _GROUP if name in frame]
    return frame.sort_values(keys, key=lambda names: names.map(places[names.name]), kind="stable", ignore_index=True)


def _some(study: Study, metrics: Collection, methods: Collection = SCORED, variant: Variant = "paper") -> pd.DataFrame:
    """The rows of :func:`of_pairs` with some metrics and methods."""
    found = of_pairs(study, variant)
    return found[found["metric"].isin(metrics) & found["method"].isin(methods)]


def _beside(number: int, ours: pd.DataFrame) -> pd.DataFrame:
    """Beside the printed values: those of ResNet-50 for networks of our own, where ``model`` is ""."""
    rows = published.table("whole_output", number)
    parts = []
    for model, group in ours.groupby("model", sort=False):
        of_model = rows[rows["model"] == (model or "resnet50")]
        parts.append(published.compare(of_model, group.drop(columns="model")).assign(model=model))
    return in_order(pd.concat(parts, ignore_index=True))
