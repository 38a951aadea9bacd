"""Scores of whole-output explanations as tidy frames: of pairs, and averaged image by image."""

from functools import cache

import pandas as pd

from xai_lib.papers.whole_output import experiment
from xai_lib.papers.whole_output.experiment.explanations import Study
from xai_lib.papers.whole_output.method.base_maps import BASES
from xai_lib.papers.whole_output.method.explanation import FINE, METHODS

CONTRASTIVE = "cwox-2s"
BETTER = {
    "cauc": "lower",
    "cauc-bases": "lower",
    "cdrop": "higher",
    "part-energy": "higher",
    "matching-accuracy": "higher",
    "matching-margin": "higher",
}
_PAIR = ["model", "seed", "index", "class", "rivals", "base"]


@cache
def of_pairs(study: Study, variant: str = "paper") -> pd.DataFrame:
    """One row a pair, base, method and metric: model, seed, index, class, rivals, base, method, metric, value.

    ``model`` is "" for networks of our own, which differ in the seed.

    Raises:
        ValueError: if no output of the run has two classes of a cluster at its top.
    """
    models = {explained.name: explained.model for explained in study.networks}
    found = experiment.whole_output_scores(study, variant)
    if found.empty:
        raise ValueError("Expected an output with two classes of one cluster at its top. Got none: take more images.")
    return found.assign(model=found["network"].map(models)).drop(columns="network")


def of_images(found: pd.DataFrame) -> pd.DataFrame:
    """The mean over an image's pairs, as far as they have a value: model, seed, index, base, method, metric, value."""
    keys = ["model", "seed", "index", "base", "method", "metric"]
    return found.groupby(keys, as_index=False, sort=False)["value"].mean()


def paired(found: pd.DataFrame, metric: str, between: str, a: str, b: str) -> pd.DataFrame:
    """Two methods (or bases) on the same pairs, those left out where one has no value, averaged image by image.

    Returns:
        Rows model, seed, index, ``between``, metric, value: NaN for both where an image has no pair left.
    """
    rows = found[(found["metric"] == metric) & found[between].isin((a, b))]
    keys = [name for name in (*_PAIR, "method") if name != between]
    table = rows.pivot(index=keys, columns=between, values="value")
    table.loc[table.isna().any(axis=1)] = float("nan")
    means = table.groupby(level=["model", "seed", "index"])[[a, b]].mean()
    return means.melt(var_name=between, ignore_index=False).reset_index().assign(metric=metric)


def degenerate(study: Study, variant: str = "paper") -> pd.DataFrame:
    """How many maps have no salient pixel, which CAUC would reward with 0: base, method, maps, degenerate."""
    rows = of_pairs(study, variant)
    rows = rows[rows["metric"] == "degenerate"]
    counted = rows.groupby(["base", "method"])["value"].agg(maps="size", degenerate="sum").reset_index()
    return in_order(counted.assign(degenerate=counted["degenerate"].astype(int)))


def outputs(study: Study) -> pd.DataFrame:
    """How many classes outputs have at the top, network by network.

    Returns:
        Rows network, images, accuracy, top_classes (mean number), one (share of images with a single top class),
        several_clusters (share whose top classes are in more than one cluster), explained (images with a pair), pairs.
    """
    rows = []
    for network, found in experiment.whole_outputs(study).groupby("network", sort=False):
        tops = found["top"].astype(str).str.split(" ")  # a number where all outputs of a file have one top class
        clusters = found["clusters"].astype(str).str.split(" | ", regex=False)
        sizes = clusters.map(lambda of_image: [len(cluster.split(" ")) for cluster in of_image])
        confusing = sizes.map(lambda of_image: sum(size for size in of_image if size > 1))
        rows.append(
            {
                "network": network,
                "images": len(found),
                "accuracy": (tops.str[0].astype(int) == found["label"]).mean(),
                "top_classes": tops.map(len).mean(),
                "one": (tops.map(len) == 1).mean(),
                "several_clusters": (clusters.map(len) > 1).mean(),
                "explained": int((confusing > 0).sum()),
                "pairs": int(confusing.sum()),
            }
        )
    return pd.DataFrame(rows)


def in_order(frame: pd.DataFrame) -> pd.DataFrame:
    """Rows in the order of the pages: metrics, models, bases, methods."""
    ranks = {
        "metric": ("salient-pixels", *BETTER),
        "model": ("", "resnet50", "googlenet"),
        "base": ("grad-cam", "excitation-backprop", "lime", "rise"),
        "method": (*METHODS, FINE, "random"),
    }
    assert set(ranks["base"]) == set(BASES)
    keys = [name for name in ("metric", "model", "base", "method") if name in frame]
    return frame.sort_values(
        keys, key=lambda names: names.map({name: place for place, name in enumerate(ranks[names.name])}), kind="stable"
    ).reset_index(drop=True)
