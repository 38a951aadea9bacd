"""The control of every claim about clusters: the same clusters once a class's images were dealt to them at random.

Mosaics of a small cluster show the same few images again and again, so small clusters are further from 0.5 and more
often first or last, whatever they contain. Dealt clusters have the same sizes, and a test over mosaics would not know
that mosaics share images. So a number of a class is set against the same number of each of its R deals.
"""

import math
from functools import cache

import numpy as np
import pandas as pd

from xai_lib import statistics
from xai_lib.papers.dominance.analysis import hierarchies
from xai_lib.papers.dominance.experiment import K_MEANS
from xai_lib.papers.dominance.method import dominance, relative_dominance
from xai_lib.run.settings import Study
from xai_lib.statistics.cube import defined_mean

BY = ["kind", "seed", "label", "deal"]
_COMBINED = 10_000


@cache
def relative(study: Study) -> pd.DataFrame:
    """Every cluster, real and dealt: kind, seed, label, deal, cluster, relative dominance and rank, 1 the highest."""
    rows = []
    for key, here in real_and_dealt(hierarchies.pairs(study)).groupby(BY, sort=False):
        values = relative_dominance.relative(dominance.matrix(here))
        found = {"cluster": np.unique(here[["first", "second"]]), "dominance": values}
        rows.append(pd.DataFrame(found | {"rank": relative_dominance.ranks(values)} | dict(zip(BY, key))))
    return pd.concat(rows, ignore_index=True)


def real_and_dealt(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows of the clusters of K-means, and of their deals."""
    return rows[rows["clustering"].isin((K_MEANS, hierarchies.DEALT))]


def table(rows: pd.DataFrame, column: str) -> np.ndarray:
    """Values [S networks, C classes, 1 + R], real ones first, of rows of one kind with seed, label and deal."""
    of = {"seed": sorted({*rows["seed"]}), "label": sorted({*rows["label"]})}
    of["deal"] = [hierarchies.REAL, *sorted({*rows["deal"]} - {hierarchies.REAL})]
    values = rows.set_index(list(of))[column].reindex(pd.MultiIndex.from_product(of.values()))
    return values.to_numpy(float).reshape([len(names) for names in of.values()])


def against_dealt(values: np.ndarray, *, a: str, range: tuple[float, float]) -> statistics.Comparison:
    """The comparison of clusters with dealt ones, class by class: the mean of the real value minus the mean dealt one.

    If clusters are dealt too, any of a class's 1 + R values may be the real one. So the value is set against the same
    number with one of the 1 + R drawn at random in each class in the place of the real one: an exact test, however few
    deals. Networks of a seed have the same deals and are averaged first. ``values`` are those of :func:`table`, NaN
    left out, and ``range`` that of one. ValueError without a deal.
    """
    if values.ndim != 3 or (values.size and values.shape[2] < 2):
        raise ValueError(f"Expected values [S,C,1 + R] with a deal or more. Got shape {list(values.shape)}.")
    defined = ~np.isnan(values)
    total, n = np.nansum(values, axis=2, keepdims=True), defined.sum(axis=2, keepdims=True)
    with np.errstate(invalid="ignore"):
        excess = np.where(defined & (n > 1), values - (total - values) / np.maximum(n - 1, 1), math.nan)
    by_class = defined_mean(excess, axis=0)  # [C, 1 + R]
    by_class = by_class[~np.isnan(by_class[:, 0])]
    rng = np.random.default_rng([*by_class.shape, _COMBINED])
    chosen = rng.integers(values.shape[2], size=(_COMBINED, len(by_class)))
    draws = np.nan_to_num(by_class)[np.arange(len(by_class)), chosen].mean(axis=1) if len(by_class) else np.empty(0)
    width = range[1] - range[0]
    return statistics.compare_over_classes(excess[..., 0], a=a, b="dealt", permuted=draws, range=(-width, width))
