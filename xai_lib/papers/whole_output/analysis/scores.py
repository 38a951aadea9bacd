"""Scores of whole-output explanations as tidy frames: of pairs, averaged image by image, and beside print."""

import itertools
from collections.abc import Collection, Iterator
from functools import cache

import pandas as pd

from xai_lib import published
from xai_lib.papers.whole_output import experiment
from xai_lib.papers.whole_output.method import evaluation
from xai_lib.papers.whole_output.method.base_maps import BASES, Variant
from xai_lib.papers.whole_output.method.evaluation import COARSE, CONTRASTIVE, FINE, METHODS, SCORED
from xai_lib.run.settings import Study
from xai_lib.statistics import paired_comparison
from xai_lib.statistics.intervals import summary

BETTER = dict.fromkeys(("cauc", "cauc-bases", "salient-share", "overlap"), "lower")
BETTER |= dict.fromkeys(("cdrop", "part-energy", "own-object", "matching-accuracy", "matching-margin"), "higher")
RANGES = dict.fromkeys(BETTER, (0.0, 1.0)) | {"cdrop": (-1.0, 1.0)}
EPSILONS = (0.0, 0.1, 0.25, 0.5)  # shares of the cluster map's maximum
TABLES = {"cauc": 1, "cdrop": 2}  # of the paper
STEPS = {  # of the design of two by two: what is gained, by which method over which
    "two stages, with first-stage maps": (COARSE, "cwox-1sa"),
    "two stages, with second-stage maps": (CONTRASTIVE, FINE),
    "second-stage maps, in one stage": (FINE, "cwox-1sa"),
    "second-stage maps, in two stages": (CONTRASTIVE, COARSE),
}
_PRINTED_PIXELS = 224 * 224  # of the paper's images
_TABLE_3 = {"cauc-bases": "cauc", "cdrop": "cdrop", "salient-share": "salient-share"}
_IMAGE = ["model", "seed", "index"]
_GROUP = ["metric", "model", "base", "method"]
_ORDER = dict(zip(_GROUP, (dict.fromkeys(("salient-share", *BETTER)), ("", "resnet50", "googlenet"), BASES, SCORED)))


@cache
def of_pairs(study: Study, variant: Variant = "paper") -> pd.DataFrame:
    """One row a pair, base, method and metric; ``model`` is "" for networks of our own. ValueError without a pair."""
    found = experiment.whole_output_scores(study, variant)
    if found.empty:
        raise ValueError("Expected an output with two classes of one cluster at its top. Got none: take more images.")
    return found.drop(columns="network")


def of_images(found: pd.DataFrame) -> pd.DataFrame:
    """The mean over an image's pairs, as far as they have a value: model, seed, index, base, method, metric, value."""
    return found.groupby([*_IMAGE, "base", "method", "metric"], as_index=False, sort=False)["value"].mean()


def paired(found: pd.DataFrame, metric: str, between: str, a: str, b: str) -> pd.DataFrame:
    """Two methods (or bases) on pairs where both have a value, averaged by image; NaN for an image without one."""
    rows = found[(found["metric"] == metric) & found[between].isin((a, b))]
    keys = [name for name in (*_IMAGE, "class", "rivals", "base", "method") if name != between]
    table = rows.pivot(index=keys, columns=between, values="value")
    table.loc[table.isna().any(axis=1)] = float("nan")
    means = table.groupby(level=_IMAGE)[[a, b]].mean()
    return means.melt(var_name=between, ignore_index=False).reset_index().assign(metric=metric)


def outputs(study: Study) -> pd.DataFrame:
    """How many classes outputs have at the top, network by network: mean number ``top_classes``, shares of images with
    ``one`` and in ``several_clusters``, number of images with a pair (``explained``), and of pairs.
    """
    found = experiment.whole_outputs(study)
    tops, clusters = found["top"].str.split(" "), found["clusters"].str.split(" | ", regex=False)
    confusing = clusters.map(lambda of_image: sum(len(one.split(" ")) for one in of_image if " " in one))
    known = {"accuracy": tops.str[0].astype(int) == found["label"], "top_classes": tops.map(len)}
    known |= {"one": tops.map(len) == 1, "several_clusters": clusters.map(len) > 1}
    counts = {"explained": confusing > 0, "pairs": confusing}
    grouped = found.assign(**known, **counts).groupby("network", sort=False)
    parts = [grouped.size().rename("images"), grouped[list(known)].mean(), grouped[list(counts)].sum()]
    return pd.concat(parts, axis=1).reset_index()


def methods(study: Study, metric: str) -> pd.DataFrame:
    """Tables 1 ("cauc") and 2 ("cdrop"), for all four base explainers and with our three further rows.

    As :func:`published.compare` gives; ``order`` and ``printed_order`` are ranks, the best is 1, of what print has
    (Grad-CAM and RISE). ``n_undefined`` counts images whose every pair has a degenerate map.
    """
    return _beside(TABLES[metric], summary(of_images(_some(study, [metric])), by=_GROUP, ranges=RANGES), "base")


def bases(study: Study) -> pd.DataFrame:
    """Table 3: CWOX-2s by base explainer; one row a metric, model and base, n_δ as a share of the image."""
    ours = summary(of_images(_some(study, _TABLE_3, [CONTRASTIVE])), by=_GROUP, ranges=RANGES)
    return _beside(3, ours.assign(metric=ours["metric"].map(_TABLE_3)), "metric")


def matching(study: Study) -> pd.DataFrame:
    """The simulated observer's accuracy, and how far the maps of two classes overlap; people's is in :func:`people`."""
    found = _some(study, ["matching-accuracy", "overlap"], METHODS)
    return in_order(summary(of_images(found), by=_GROUP, ranges=RANGES))


def people() -> pd.DataFrame:
    """Tables 4 and 5, the user study: group, metric, method, value, spread, printed."""
    rows = pd.concat([published.table("whole_output", number) for number in (4, 5)], ignore_index=True)
    return rows[["group", "metric", "method", "value", "spread", "printed"]]


def degenerate(study: Study, variant: Variant = "paper") -> pd.DataFrame:
    """How many maps have no salient pixel, which CAUC would reward with 0: base, method, maps, degenerate."""
    found = _some(study, ["degenerate"], variant=variant).astype({"value": int}).groupby(["base", "method"])["value"]
    return in_order(found.agg(maps="size", degenerate="sum").reset_index())


def shares_of_the_gain(study: Study) -> pd.DataFrame:
    """Is it two stages, or finer maps? The :func:`gain` by each of :data:`STEPS`, of bases that have finer maps."""
    rows = []
    for metric, (model, base) in itertools.product(("cauc", "cdrop"), of_two_settings(study)):
        group = of_pairs(study).query("model == @model and base == @base")
        for step, (a, b) in STEPS.items():
            row = {"metric": metric, "model": model, "base": base, "step": step}
            rows.append(row | gain(group, metric, a, b, "method"))
    return in_order(pd.DataFrame(rows))


def of_two_settings(study: Study) -> Iterator[tuple[str, str]]:
    """Models and bases whose maps have other settings in the second stage than in the first."""
    explained = {one.model: one for one in study.networks}
    for (model, network), base in itertools.product(explained.items(), BASES):
        settings = experiment.base_of(study, network, base)
        if settings.first != settings.second:
            yield model, base


def gain(found: pd.DataFrame, metric: str, a: str, b: str, between: str) -> dict[str, float]:
    """How much better ``a`` is than ``b`` on the same pairs, above 0 is better: difference, 95 % interval, images."""
    both, how = paired(found, metric, between, a, b), {"between": between, "unit": "image", "range": RANGES[metric]}
    one = paired_comparison(both, metric=metric, a=a, b=b, **how)
    sign = -1 if BETTER[metric] == "lower" else 1
    low, high = sorted(sign * end for end in one.estimate.interval())
    return {"difference": sign * one.difference, "low": low, "high": high, "n_images": one.n_images}


def variants(study: Study) -> pd.DataFrame:
    """The paper's equations and the released code on the same images: metric, model, base, method, paper, released."""
    found = {variant: of_images(_some(study, TABLES, METHODS, variant)) for variant in ("paper", "released")}
    columns = {variant: rows.groupby(_GROUP)["value"].mean() for variant, rows in found.items()}
    return in_order(pd.DataFrame(columns).reset_index())


def epsilons(study: Study, base: str, n: int) -> pd.DataFrame:
    """:func:`compare_epsilons` on the first network's first ``n`` images: epsilon, maps, degenerate, salient (mean)."""
    explained, run = study.networks[0], study.run
    subject, settings = explained.subject, experiment.base_of(study, explained, base)
    images = subject.images.subset(list(range(min(n, len(subject.images)))))
    outputs = evaluation.outputs_of(subject.network, images, experiment.partition(explained.corpus), run.device)
    rows = evaluation.compare_epsilons(outputs, settings, EPSILONS).groupby("epsilon", as_index=False)
    return rows.agg(maps=("salient", "size"), degenerate=("degenerate", "sum"), salient=("salient", "mean"))


def planted(study: Study, metric: str) -> pd.DataFrame:
    """Share of a map's energy in the part that differs ("part-energy") or the class's own object ("own-object")."""
    found = of_images(_some(study, [metric]).dropna(subset="value"))
    return in_order(summary(found, by=["base", "method"], ranges=(0.0, 1.0)))


def in_order(frame: pd.DataFrame) -> pd.DataFrame:
    """Rows in the order of the pages: metrics, models, bases, methods."""

    def key(values: pd.Series) -> pd.Categorical:  # networks that are not in print come last
        return pd.Categorical(values, [*dict.fromkeys((*_ORDER[values.name], *values))])

    return frame.sort_values([name for name in _GROUP if name in frame], key=key, kind="stable", ignore_index=True)


def _some(study: Study, metrics: Collection, methods: Collection = SCORED, variant: Variant = "paper") -> pd.DataFrame:
    """The rows of :func:`of_pairs` with some metrics and methods."""
    found = of_pairs(study, variant)
    return found[found["metric"].isin(metrics) & found["method"].isin(methods)]


def _beside(number: int, ours: pd.DataFrame, within: str) -> pd.DataFrame:
    """Beside the printed values (of ResNet-50 where print has nothing of a network), with both orders."""
    rows = published.table("whole_output", number)
    pixels = rows["metric"] == "salient-pixels"
    rows.loc[pixels, "value"] /= _PRINTED_PIXELS
    rows.loc[pixels, "metric"] = "salient-share"
    parts = []
    for model, group in ours.groupby("model", sort=False):
        of_model = published.of_network(rows, model, "resnet50")
        both = published.compare(of_model, group.drop(columns="model")).assign(model=model)
        sign = both["metric"].map({name: 1 if way == "lower" else -1 for name, way in BETTER.items()})
        ours_printed = both["mean"].where(both["published"].notna())
        for column, values in (("order", ours_printed), ("printed_order", both["published"])):
            both[column] = (sign * values).groupby(both[within]).rank(method="min")
        parts.append(both)
    return in_order(pd.concat(parts, ignore_index=True))
