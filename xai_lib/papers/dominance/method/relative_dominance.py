"""Relative dominance of a class's clusters: their hierarchy, and how well one order tells all pairs (paper §3.4)."""

import itertools
import math

import numpy as np
import pandas as pd
from scipy import sparse, special

from xai_lib.papers.dominance.method.dominance import NO_DOMINANCE, matrix, oriented
from xai_lib.statistics.cube import defined_mean
from xai_lib.statistics.intervals import RESAMPLES, percentile_interval

_STEPS, _TOLERANCE = 200, 1e-12  # of Newton's method; 5 to 15 steps are common


def relative(matrix: np.ndarray) -> np.ndarray:
    """Relative dominance: the mean D of each cluster over the others, of a matrix [P,P] whose diagonal is not read. In
    [0, 1]; a pair without a value is NaN, and so is a cluster without any.
    """
    return defined_mean(np.where(np.eye(len(matrix), dtype=bool), np.nan, matrix), axis=1)


def hierarchy(values: pd.DataFrame) -> pd.DataFrame:
    """The clusters of one class, each with its place in the hierarchy: the order of relative dominance.

    Arguments and errors are those of :func:`xai_lib.papers.dominance.method.dominance.pairs`.

    Returns a row a cluster, in the order of their numbers: dominance (the mean of its D over the others, in [0, 1]);
    low, high (95 % bootstrap interval, mosaics resampled within pairs; NaN where one of its pairs has one value); rank
    (1 is the most dominant; equal ones in the order of their numbers, one without a value last); first, last (share of
    the resamples in which it has the highest or lowest relative dominance, ties shared; NaN where a cluster has no
    value or a pair only one); strength (of :func:`bradley_terry`, pairs weighted by their mosaics; mean 0);
    strength_rank (1 is the highest).

    Example:
        >>> values = pd.DataFrame({"first": 0, "second": 1, "mosaic": [0, 1, 2], "value": [0.5, 0.75, 1.0]})
        >>> hierarchy(values)[["cluster", "dominance", "rank"]].to_numpy().tolist()
        [[0.0, 0.75, 1.0], [1.0, 0.25, 2.0]]
    """
    frame = oriented(values)
    of_pairs = frame.groupby(["first", "second"])["value"].agg(dominance="mean", n="count").reset_index()
    dominance = matrix(of_pairs)
    strengths = bradley_terry(dominance, matrix(of_pairs, "n"))
    observed, draws = np.split(_resampled(frame, len(dominance)), [1])  # [1,P], [R,P]
    intervals = np.array([percentile_interval(of_cluster) for of_cluster in draws.T])
    return pd.DataFrame(
        {
            "cluster": np.unique(of_pairs[["first", "second"]]),
            "dominance": observed[0],
            "low": intervals[:, 0],
            "high": intervals[:, 1],
            "rank": ranks(observed[0]),
            "first": _share_highest(draws),
            "last": _share_highest(-draws),
            "strength": strengths,
            "strength_rank": ranks(strengths),
        }
    )


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


def bradley_terry(matrix: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """Strengths s under which D_ij is close to sigma(s_i - s_j): maximum quasi-likelihood of fractional wins.

    With equal weights of all pairs their order is that of the row means: at the maximum, the sum over j of
    sigma(s_i - s_j) is that of D_ij, and it rises with s_i. What strengths add is distances, and :func:`misfit`.

    Args:
        matrix: dominance [P,P] in [0, 1], D_ji = 1 - D_ij; NaN is a pair without a value.
        weights: how many mosaics each pair stands for, symmetric [P,P]; None is 1 each. The diagonal is not read.

    Returns float64 [P] with mean 0; NaN for a cluster without any pair. Where some clusters have all the energy against
    the others, or never met them, the maximum is at infinity: half a win is then added to either side of every pair, as
    if it had one more mosaic that nobody dominates.

    Example:
        >>> bradley_terry(special.expit(np.array([[0.0, 1.0], [-1.0, 0.0]]))).round(6)
        array([ 0.5, -0.5])
    """
    weight = np.where(np.isnan(matrix), 0, 1 if weights is None else weights).astype(float)
    np.fill_diagonal(weight, 0)
    met = weight.any(axis=1)
    strengths = np.full(len(matrix), np.nan)
    if met.any():
        among = np.ix_(met, met)
        strengths[met] = _fit(np.nan_to_num(weight * matrix)[among])
    return strengths


def misfit(matrix: np.ndarray, strengths: np.ndarray) -> float:
    """The largest |D_ij - sigma(s_i - s_j)| over all pairs with a value, in [0, 1]: 0 if strengths say it all. NaN
    without.
    """
    gaps = np.abs(matrix - special.expit(strengths[:, None] - strengths))
    return float(np.nanmax(gaps)) if np.isfinite(gaps).any() else math.nan


def _fit(wins: np.ndarray) -> np.ndarray:
    """Strengths with mean 0 that maximise the quasi-likelihood of ``wins`` [P,P] (of row over column)."""
    n_parts, _ = sparse.csgraph.connected_components(sparse.csr_array(wins), directed=True, connection="strong")
    if n_parts > 1:
        wins = wins + (1 - np.eye(len(wins))) / 2
    met, strengths = wins + wins.T, np.zeros(len(wins))
    for _ in range(_STEPS):
        gaps = strengths[:, None] - strengths
        gradient = (wins - met * special.expit(gaps)).sum(axis=1)
        slopes = met * special.expit(gaps) * special.expit(-gaps)
        curvature = np.diag(slopes.sum(axis=1)) - slopes
        step = np.linalg.lstsq(curvature, gradient)[0]  # the shortest: its mean is 0
        size = np.ptp(step)
        if size < _TOLERANCE:
            break
        strengths += step * math.log1p(size) / size  # a step so damped always rises (Sun & Tran-Dinh 2019, nu = 2)
    return strengths - strengths.mean()


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
