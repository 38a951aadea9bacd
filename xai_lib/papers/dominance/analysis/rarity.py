"""On planted images: does the least dominant cluster hold the mode that is rare in training?"""

from functools import cache

import pandas as pd

from xai_lib import statistics
from xai_lib.papers.dominance import experiment
from xai_lib.papers.dominance.experiment import K_MEANS
from xai_lib.papers.dominance.method import rare_modes
from xai_lib.run.settings import Settings
from xai_lib.statistics import Comparison

RARE = tuple(rarity for rarity in rare_modes.SHARES if rarity < 0.2)  # one of five modes with 0.2 is not rare


@cache
def hits(run: Settings, clustering: str) -> pd.DataFrame:
    """Every trial: a class of a training. The columns of :func:`rare_modes.suspects`, with rarity."""
    rows = _clusters(run, clustering).rename(columns={"training_distance": "training distance"})
    rarity = rows[["label", "seed", "rarity"]].drop_duplicates()
    return rare_modes.suspects(rows).merge(rarity, on=["label", "seed"])


def power(run: Settings, clustering: str) -> pd.DataFrame:
    """How often each score finds the rare cluster, by rarity: see :func:`rare_modes.power`."""
    return rare_modes.power(hits(run, clustering))


def purity(run: Settings) -> pd.DataFrame:
    """How well K-means isolates the rare mode: the share of its images in the cluster that has most of them (held), and
    of that cluster's images (pure); means over classes and trainings.
    """
    rows = _clusters(run, K_MEANS)
    best = rows.loc[rows.groupby(["seed", "label"])["rare_mode_in"].idxmax()]
    grouped = best.groupby("rarity")
    return pd.DataFrame(
        {"held": grouped["rare_mode_in"].mean(), "pure": grouped["rare_share"].mean(), "trials": grouped.size()}
    ).reset_index()


def suspected(run: Settings, clustering: str) -> pd.DataFrame:
    """The share of the rare mode in the most suspect cluster, for "random" that in any, and the mean rank of the rare
    cluster; 1 is the most suspect.
    """
    rows, by = _clusters(run, clustering), ["label", "seed", "cluster"]
    found = hits(run, clustering).merge(rows[[*by, "rare_share"]], on=by)
    of_any = rows.groupby(["label", "seed"])["rare_share"].mean().rename("of_any").reset_index()
    found = found.merge(of_any, on=["label", "seed"])
    found["share"] = found["rare_share"].where(found["score"] != "random", found["of_any"])
    grouped = found.groupby(["score", "rarity"])
    means = grouped[["share", "rank"]].mean().assign(trials=grouped.size()).reset_index()
    return means.sort_values("score", key=lambda names: names.map(list(rare_modes.SCORES).index), kind="stable")


def against(run: Settings, clustering: str, other: str) -> Comparison:
    """Hit rate of dominance minus that of another score of :data:`rare_modes.SCORES`, over rare modes, with an
    interval over trainings.
    """
    found = hits(run, clustering)
    found = found[found["rarity"].isin(RARE)]
    table = found.pivot(index=["seed", "label"], columns="score", values="hit")
    difference = table["dominance"] - table[other]
    by_training = difference.groupby("seed").mean().to_numpy()
    return statistics.compare_trainings(by_training, a="dominance", b=other, range=(-1.0, 1.0))


def _clusters(run: Settings, clustering: str) -> pd.DataFrame:
    rows = experiment.rare_clusters(run)
    return rows[rows["clustering"] == clustering]
