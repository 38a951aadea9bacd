"""Relative dominance of a class's clusters: their hierarchy, and how well one order tells all pairs (paper §3.4)."""

import itertools
import math

import numpy as np
import pandas as pd

from xai_lib.papers.dominance.method.dominance import NO_DOMINANCE, oriented
from xai_lib.statistics.cube import defined_mean
from xai_lib.statistics.intervals import RESAMPLES, percentile_interval


def relative(matrix: np.ndarray) -> np.ndarray:
    """The mean D of each cluster over the others in [0, 1], of a matrix [P,P]; NaN is left out, NaN if all are."""
    return defined_mean(np.where(np.eye(len(matrix), dtype=bool), np.nan, matrix), axis=1)


def hierarchy(values: pd.DataFrame) -> pd.DataFrame:
    """The clusters of one class, each with its place in the hierarchy: the order of relative dominance. Arguments and
    errors are those of :func:`xai_lib.papers.dominance.method.dominance.pairs`.

    Returns a row a cluster, in the order of their numbers: dominance (the mean of its D over the others, in [0, 1]);
    low, high (95 % bootstrap interval, mosaics resampled within pairs; NaN where one of its pairs has one value); rank
    (1 is the most dominant; equal ones in the order of their numbers, one without a value last); first, last (share of
    the resamples in which it has the highest or lowest relative dominance, ties shared; NaN where a cluster has no
    value or a pair only one).

    Example:
        >>> values = pd.DataFrame({"first": 0, "second": 1, "mosaic": [0, 1, 2], "value": [0.5, 0.75, 1.0]})
        >>> hierarchy(values)[["cluster", "dominance", "rank"]].to_numpy().tolist()
        [[0.0, 0.75, 1.0], [1.0, 0.25, 2.0]]
    """
    frame = oriented(values)
    clusters = np.unique(frame[["first", "second"]])
    observed, *draws = _resampled(frame, len(clusters))  # [P], R times [P]
    draws = np.array(draws)
    low, high = np.transpose([percentile_interval(of_cluster) for of_cluster in draws.T])
    found = {"cluster": clusters, "dominance": observed, "low": low, "high": high, "rank": ranks(observed)}
    return pd.DataFrame(found | {"first": _share_highest(draws), "last": _share_highest(-draws)})


def cyclic_triples(matrix: np.ndarray) -> tuple[int, int]:
    """How many triples of clusters have no order: i dominates j, j dominates k, and k dominates i.

    Of a matrix [P,P], the triples that go round, and all that have a dominant cluster in each of their three pairs, as
    NaN and 0.5 have not; of tournaments drawn at random a quarter goes round.

    Example:
        >>> cyclic_triples(np.array([[0.5, 0.6, 0.4], [0.4, 0.5, 0.6], [0.6, 0.4, 0.5]]))
        (1, 1)
    """
    wins = matrix > NO_DOMINANCE
    decided = wins | wins.T
    upper = itertools.combinations(range(len(matrix)), 3)
    whole = [(i, j, k) for i, j, k in upper if decided[i, j] and decided[j, k] and decided[i, k]]
    return sum(bool(wins[i, j] == wins[j, k] == wins[k, i]) for i, j, k in whole), len(whole)


def _resampled(values: pd.DataFrame, n_clusters: int) -> np.ndarray:
    """Relative dominance [1 + R,P]: as it is, then of R resamples, mosaics drawn anew within each pair and stretched by
    sqrt(n / (n - 1)), which makes their variance that of a mean of n values.
    """
    total, n_pairs = np.zeros((1 + RESAMPLES, n_clusters)), np.zeros(n_clusters)
    upper = itertools.combinations(range(n_clusters), 2)
    for (i, j), (_, shares) in zip(upper, values.groupby(["first", "second"])["value"]):
        shares = shares.dropna().to_numpy()
        n = len(shares)
        if n == 0:
            continue
        drawn = np.random.default_rng([i, j, n, RESAMPLES]).integers(n, size=(RESAMPLES, n))
        stretch = math.sqrt(n / (n - 1)) if n > 1 else math.nan
        dominance = shares.mean() + np.r_[0, stretch * (shares[drawn].mean(axis=1) - shares.mean())]
        total[:, i] += dominance
        total[:, j] += 1 - dominance
        n_pairs[[i, j]] += 1
    with np.errstate(invalid="ignore"):
        return total / n_pairs


def ranks(numbers: np.ndarray) -> np.ndarray:
    """1 for the highest of ``numbers`` [P], equal ones (to 9 decimals) in their order, NaN last: int64 [P]."""
    return np.argsort(np.argsort(-np.round(numbers, 9), kind="stable")) + 1


def _share_highest(draws: np.ndarray) -> np.ndarray:
    """How often each of P columns of ``draws`` [R,P] is the highest, ties shared; NaN where a draw is NaN."""
    highest = np.where(np.isnan(draws).any(axis=1, keepdims=True), np.nan, draws == draws.max(axis=1, keepdims=True))
    return (highest / highest.sum(axis=1, keepdims=True)).mean(axis=0)
