"""Do two rankings agree? Rank correlations, and the bootstrap of Spearman's over items."""

import math
from typing import Literal

import numpy as np
from scipy import stats

from xai_lib.statistics.intervals import resampled_counts


def rank_agreement(x: np.ndarray, y: np.ndarray, *, kind: Literal["kendall", "spearman"] = "kendall") -> float:
    """Rank correlation in [-1, 1] of paired values [n]: "kendall" (tau-b, ties allowed for) or "spearman" (mid-ranks).

    A pair with a NaN is left out; NaN where fewer than two pairs remain or one side is constant. ValueError on unequal
    shapes or an unknown kind.

    Example:
        >>> round(rank_agreement([1, 2, 3, 4, 5], [1, 2, 3, 5, 4]), 3)
        0.8
    """
    x, y = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    if x.ndim != 1 or x.shape != y.shape:
        raise ValueError(f"Expected two vectors of one length. Got shapes {x.shape} and {y.shape}.")
    if kind not in ("kendall", "spearman"):
        raise ValueError(f"Expected kind 'kendall' or 'spearman'. Got {kind!r}.")
    defined = ~(np.isnan(x) | np.isnan(y))
    x, y = x[defined], y[defined]
    if len(x) < 2 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return math.nan
    return float((stats.kendalltau if kind == "kendall" else stats.spearmanr)(x, y).statistic)


def spearman_draws(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Spearman's rho of every resample [R]: Pearson's of the mid-ranks, with items weighted by their counts."""
    draws = []
    for w in resampled_counts(len(x)):
        ranks = (_weighted_ranks(v, w) for v in (x, y))  # [r, n]
        cx, cy = (r - (w * r).sum(axis=1, keepdims=True) / len(x) for r in ranks)  # centred
        covariance, of_x, of_y = (w * cx * cy).sum(axis=1), (w * cx**2).sum(axis=1), (w * cy**2).sum(axis=1)
        with np.errstate(invalid="ignore"):
            draws.append(covariance / np.sqrt(of_x * of_y))
    return np.concatenate(draws)


def _weighted_ranks(values: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Mid-ranks [r, n] of ``values`` [n] where item i occurs ``counts[:, i]`` times."""
    _, group, occurrences = np.unique(values, return_inverse=True, return_counts=True)
    starts = np.cumsum(occurrences) - occurrences
    sizes = np.add.reduceat(counts[:, np.argsort(values)], starts, axis=1)  # [r, distinct values]
    return (np.cumsum(sizes, axis=1) - sizes + (sizes + 1) / 2)[:, group]
