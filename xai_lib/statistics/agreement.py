"""Do several rankings agree? Rank correlation, Kendall's W, and Friedman's test with Nemenyi's critical difference."""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import stats

from xai_lib.statistics.comparison import SIGNIFICANCE
from xai_lib.statistics.intervals import percentile_interval, resampled_counts

MAX_KENDALL = 5000  # Kendall's bootstrap holds three [n, n] tables


@dataclass(frozen=True)
class Agreement:
    """A rank correlation in [-1, 1] with its 95 % interval over items; ``n_undefined`` pairs held a NaN."""

    value: float
    low: float
    high: float
    n: int
    n_undefined: int


@dataclass(frozen=True)
class Ranking:
    """Mean ranks [k] (1 is best) of k conditions over ``n_blocks`` blocks, and how far apart they must lie to differ.

    ``statistic`` and ``p_value`` are Friedman's; two mean ranks differ at 0.05 if they are more than
    ``critical_difference`` apart. ``n_undefined`` blocks held a NaN and were left out.
    """

    mean_ranks: np.ndarray
    statistic: float
    p_value: float
    critical_difference: float
    n_blocks: int
    n_undefined: int


def rank_agreement(x: np.ndarray, y: np.ndarray, *, kind: Literal["kendall", "spearman"] = "kendall") -> Agreement:
    """Rank correlation of paired values ``x`` [n] and ``y`` [n] with a percentile bootstrap over items.

    Args:
        x, y: paired values; a pair with a NaN is left out and counted.
        kind: "kendall" (tau-b, ties allowed for; n at most 5,000) or "spearman" (mid-ranks).

    Returns:
        The correlation, NaN where fewer than two pairs remain or one side is constant.

    Raises:
        ValueError: on unequal shapes, an unknown kind, or too many items for Kendall.
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
        return Agreement(math.nan, math.nan, math.nan, n, n_undefined)
    if kind == "kendall" and n > MAX_KENDALL:
        raise ValueError(f"Expected at most {MAX_KENDALL} items for 'kendall'. Got {n}: use kind='spearman'.")
    if kind == "kendall":
        value, draws = stats.kendalltau(x, y).statistic, _kendall_draws(x, y)
    else:
        value, draws = stats.spearmanr(x, y).statistic, spearman_draws(x, y)
    low, high = percentile_interval(draws)
    return Agreement(float(value), low, high, n, n_undefined)


def kendalls_w(values: np.ndarray) -> float:
    """Kendall's W of m judges over k items, ``values`` [m, k], ties corrected: 0 no agreement, 1 one ranking.

    Judges with a NaN are left out. NaN where fewer than two judges remain or all their items are tied.

    Raises:
        ValueError: below three items.
    """
    values, _ = _complete(values)
    n_judges, n_items = values.shape
    if n_judges < 2 or (np.ptp(values, axis=1) == 0).all():
        return math.nan
    return float(stats.friedmanchisquare(*values.T).statistic / (n_judges * (n_items - 1)))


def nemenyi(values: np.ndarray, *, better: Literal["higher", "lower"]) -> Ranking:
    """Friedman's test and Nemenyi's critical difference (Demšar 2006, sections 3.2.2 to 3.2.4).

    Args:
        values: scores [N blocks, k conditions]; a block is an image or a data set. Blocks with a NaN are left out.
        better: which scores get rank 1.

    Returns:
        The mean ranks and ``CD = q / sqrt(2) * sqrt(k (k + 1) / (6 N))``, q the studentised range for k and
        infinitely many degrees of freedom. With fewer than two blocks all numbers are NaN.

    Raises:
        ValueError: below three conditions (compare two with ``paired_comparison``) or on an unknown direction.
    """
    if better not in ("higher", "lower"):
        raise ValueError(f"Expected better to be 'higher' or 'lower'. Got {better!r}.")
    values, n_undefined = _complete(values)
    n, k = values.shape
    if n < 2:
        return Ranking(np.full(k, math.nan), math.nan, math.nan, math.nan, n, n_undefined)
    ranks = stats.rankdata(-values if better == "higher" else values, axis=1)
    tied = (np.ptp(values, axis=1) == 0).all()
    statistic, p_value = (0.0, 1.0) if tied else stats.friedmanchisquare(*values.T)
    q = stats.studentized_range.ppf(1 - SIGNIFICANCE, k, np.inf)
    critical = q / math.sqrt(2) * math.sqrt(k * (k + 1) / (6 * n))
    return Ranking(ranks.mean(axis=0), float(statistic), float(p_value), float(critical), n, n_undefined)


def _complete(values: np.ndarray) -> tuple[np.ndarray, int]:
    """Rows without NaN, and how many had one."""
    values = np.asarray(values, dtype=float)
    if values.ndim != 2 or values.shape[1] < 3:
        raise ValueError(f"Expected a table [rows, at least 3 columns]. Got shape {values.shape}.")
    complete = ~np.isnan(values).any(axis=1)
    return values[complete], int((~complete).sum())


def _kendall_draws(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Tau-b of every resample [R]: with counts w it is wᵀAw / sqrt(wᵀBw · wᵀCw), A the table of concordances."""
    order_x, order_y = (np.sign(v[:, None] - v[None, :]) for v in (x, y))  # [n, n]
    draws = []
    for w in resampled_counts(len(x)):
        concordant, untied_x, untied_y = (
            ((w @ table) * w).sum(axis=1) for table in (order_x * order_y, np.abs(order_x), np.abs(order_y))
        )
        with np.errstate(invalid="ignore"):
            draws.append(concordant / np.sqrt(untied_x * untied_y))
    return np.concatenate(draws)


def spearman_draws(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Spearman's rho of every resample [R]: Pearson's of the mid-ranks, with items weighted by their counts."""
    draws = []
    for w in resampled_counts(len(x)):
        ranks_x, ranks_y = (_weighted_ranks(v, w) for v in (x, y))  # [r, n]
        centred_x, centred_y = (ranks - (w * ranks).sum(axis=1, keepdims=True) / len(x) for ranks in (ranks_x, ranks_y))
        covariance = (w * centred_x * centred_y).sum(axis=1)
        with np.errstate(invalid="ignore"):
            draws.append(covariance / np.sqrt((w * centred_x**2).sum(axis=1) * (w * centred_y**2).sum(axis=1)))
    return np.concatenate(draws)


def _weighted_ranks(values: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Mid-ranks [r, n] of ``values`` [n] where item i occurs ``counts[:, i]`` times."""
    _, group, occurrences = np.unique(values, return_inverse=True, return_counts=True)
    starts = np.cumsum(occurrences) - occurrences
    sizes = np.add.reduceat(counts[:, np.argsort(values)], starts, axis=1)  # [r, distinct values]
    return (np.cumsum(sizes, axis=1) - sizes + (sizes + 1) / 2)[:, group]
