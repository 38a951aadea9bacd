"""Do two rankings agree? Rank correlations, with intervals over items."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import stats

from xai_lib.statistics.intervals import percentile_interval, resampled_counts

MAX_KENDALL = 5000  # Kendall's bootstrap holds three [n, n] tables


@dataclass(frozen=True)
class Agreement:
    """A rank correlation in [-1, 1], its 95 % interval over items, and its two-sided p-value against 0.

    ``n_undefined`` pairs held a NaN.
    """

    value: float
    low: float
    high: float
    p_value: float
    n: int
    n_undefined: int


def rank_agreement(x: np.ndarray, y: np.ndarray, *, kind: Literal["kendall", "spearman"] = "kendall") -> Agreement:
    """Rank correlation of paired values ``x`` [n] and ``y`` [n] with a percentile bootstrap over items.

    Args:
        x, y: paired values; a pair with a NaN is left out and counted.
        kind: "kendall" (tau-b, ties allowed for; n at most 5,000) or "spearman" (mid-ranks).

    Returns the correlation, NaN where fewer than two pairs remain or one side is constant. ValueError on unequal
    shapes, an unknown kind, or too many items for Kendall.

    Example:
        >>> round(rank_agreement([1, 2, 3, 4, 5], [1, 2, 3, 5, 4]).value, 3)
        0.8
    """
    x, y = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    if x.ndim != 1 or x.shape != y.shape:
        raise ValueError(f"Expected two vectors of one length. Got shapes {x.shape} and {y.shape}.")
    if kind not in ("kendall", "spearman"):
        raise ValueError(f"Expected kind 'kendall' or 'spearman'. Got {kind!r}.")
    defined = ~(np.isnan(x) | np.isnan(y))
    x, y, n_undefined = x[defined], y[defined], int((~defined).sum())
    n = len(x)
    if n < 2 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return Agreement(math.nan, math.nan, math.nan, math.nan, n, n_undefined)
    if kind == "kendall" and n > MAX_KENDALL:
        raise ValueError(f"Expected at most {MAX_KENDALL} items for 'kendall'. Got {n}: use kind='spearman'.")
    correlate, draws = (stats.kendalltau, _kendall_draws) if kind == "kendall" else (stats.spearmanr, spearman_draws)
    found, (low, high) = correlate(x, y), percentile_interval(draws(x, y))
    return Agreement(float(found.statistic), low, high, float(found.pvalue), n, n_undefined)


def _kendall_draws(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Tau-b of every resample [R]: with counts w it is wᵀAw / sqrt(wᵀBw · wᵀCw), A the table of concordances."""
    order_x, order_y = (np.sign(v[:, None] - v[None, :]) for v in (x, y))  # [n, n]
    tables = (order_x * order_y, np.abs(order_x), np.abs(order_y))
    return _draws(len(x), lambda w: tuple(((w @ table) * w).sum(axis=1) for table in tables))


def spearman_draws(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Spearman's rho of every resample [R]: Pearson's of the mid-ranks, with items weighted by their counts."""

    def moments(w: np.ndarray) -> tuple[np.ndarray, ...]:
        ranks = (_weighted_ranks(v, w) for v in (x, y))  # [r, n]
        cx, cy = (r - (w * r).sum(axis=1, keepdims=True) / len(x) for r in ranks)  # centred
        return (w * cx * cy).sum(axis=1), (w * cx**2).sum(axis=1), (w * cy**2).sum(axis=1)

    return _draws(len(x), moments)


def _draws(n: int, moments: Callable[[np.ndarray], tuple[np.ndarray, ...]]) -> np.ndarray:
    """Covariance over the root of the variances' product, for every resample of ``n`` items: [R]."""
    draws = []
    for w in resampled_counts(n):
        covariance, of_x, of_y = moments(w)
        with np.errstate(invalid="ignore"):
            draws.append(covariance / np.sqrt(of_x * of_y))
    return np.concatenate(draws)


def _weighted_ranks(values: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Mid-ranks [r, n] of ``values`` [n] where item i occurs ``counts[:, i]`` times."""
    _, group, occurrences = np.unique(values, return_inverse=True, return_counts=True)
    starts = np.cumsum(occurrences) - occurrences
    sizes = np.add.reduceat(counts[:, np.argsort(values)], starts, axis=1)  # [r, distinct values]
    return (np.cumsum(sizes, axis=1) - sizes + (sizes + 1) / 2)[:, group]
