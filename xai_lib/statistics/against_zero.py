"""Claims about one statistic, such as a correlation or Kendall's W, rather than about a difference of two means."""

import math
from dataclasses import dataclass

import numpy as np
from scipy import stats

from xai_lib.statistics.agreement import rank_agreement
from xai_lib.statistics.comparison import Comparison
from xai_lib.statistics.estimate import LEVEL, UNBOUNDED, defined_part, of_trainings
from xai_lib.statistics.intervals import percentile_interval


@dataclass(frozen=True)
class Correlation:
    """Spearman's correlation of ``n`` pairs; its interval is on Fisher's scale (Bonett & Wright 2000)."""

    value: float
    n: int

    def interval(self, level: float = LEVEL) -> tuple[float, float]:
        """The two ends in [-1, 1]; NaN below five pairs or without a correlation."""
        centre, error = self._on_fishers_scale()
        low, high = np.tanh(centre + stats.norm.isf((1 - level) / 2) * error * np.array([-1, 1]))
        return float(low), float(high)

    def p_value(self, null: float = 0.0) -> float:
        """Two-sided: one minus the level at which the interval first touches ``null``."""
        centre, error = self._on_fishers_scale()
        return float(2 * stats.norm.sf(abs(centre - math.atanh(null)) / error))

    def _on_fishers_scale(self) -> tuple[float, float]:
        if self.n < 5:
            return math.nan, math.nan
        centre = math.atanh(np.clip(self.value, -1 + 1e-12, 1 - 1e-12))
        return centre, math.sqrt((1 + self.value**2 / 2) / (self.n - 3))


@dataclass(frozen=True, eq=False)
class Resampled:
    """A statistic and the same of every bootstrap resample [R], NaN draws left out; its interval is of percentiles.

    No p-value is below 1 / R, so more than 0.05 R claims in one table can never hold.
    """

    value: float
    draws: np.ndarray

    def interval(self, level: float = LEVEL) -> tuple[float, float]:
        """The two ends; NaN without a value or draws."""
        return percentile_interval(self.draws, 0 if math.isnan(self.value) else 2, level)

    def p_value(self, null: float = 0.0) -> float:
        """Two-sided: twice the smaller share of draws on one side of ``null``, itself included."""
        draws = self.draws[~np.isnan(self.draws)]
        if math.isnan(self.value) or not len(draws):
            return math.nan
        return float(min(1.0, max(2 * min((draws <= null).mean(), (draws >= null).mean()), 1 / len(draws))))


@dataclass(frozen=True, eq=False)
class Permuted:
    """A statistic and the same under every one of R random permutations, where 0 is what chance gives.

    The interval is the value with the quantile of the permuted statistics on either side: it touches zero where the
    permutation test does. It speaks about what was permuted, not about other classes or networks.
    """

    value: float
    draws: np.ndarray
    range: tuple[float, float] = UNBOUNDED

    def interval(self, level: float = LEVEL) -> tuple[float, float]:
        """The two ends, cut where the statistic ends; NaN without a value."""
        if math.isnan(self.value):
            return math.nan, math.nan
        reach = float(np.quantile(np.abs(self.draws), level, method="higher"))
        return max(self.value - reach, self.range[0]), min(self.value + reach, self.range[1])

    def p_value(self, null: float = 0.0) -> float:
        """Two-sided: (1 + permutations as far from 0 as the value is from ``null``) / (R + 1)."""
        far = np.abs(self.draws) >= abs(self.value - null) - 1e-9
        return math.nan if math.isnan(self.value) else float((1 + far.sum()) / (len(self.draws) + 1))


def compare_correlation(x: np.ndarray, y: np.ndarray, *, a: str, b: str) -> Comparison:
    """The comparison behind "``a`` and ``b`` rise together": Spearman's correlation over images against 0.

    ``x``, ``y`` and errors are those of :func:`xai_lib.statistics.rank_agreement`, with one value an image.
    """
    rho, n = rank_agreement(x, y, kind="spearman"), int((~(np.isnan(x) | np.isnan(y))).sum())
    how = {"test": "Spearman over images, Fisher's scale", "n_images": n, "n_undefined": len(x) - n}
    return Comparison(a, b, Correlation(rho, n), "image", **how)


def compare_statistic(value: float, draws: np.ndarray, *, a: str, b: str, n_images: int, test: str) -> Comparison:
    """The comparison behind a claim about any statistic bootstrapped over images, against 0.

    ``value`` is above 0 where ``a`` is higher than ``b``, the names of the claim's sides. ``draws`` are the same of
    each resample [R] of ``n_images``, NaN left out; below two images there is no interval.
    """
    estimate = Resampled(float(value) if n_images > 1 else math.nan, np.asarray(draws, dtype=float))
    return Comparison(a, b, estimate, "image", test, n_images=n_images)


def compare_trainings(values: np.ndarray, *, a: str, b: str, range: tuple[float, float] = UNBOUNDED) -> Comparison:
    """The comparison behind a claim about one number a training, [S], against 0: a t test over trainings alone."""
    estimate = of_trainings(values, range=range)
    return Comparison(a, b, estimate, "seed", "t over trainings", n_seeds=estimate.n_seeds)


def compare_over_classes(
    values: np.ndarray, *, a: str, b: str, permuted: np.ndarray, range: tuple[float, float] = UNBOUNDED
) -> Comparison:
    """The comparison behind a claim about one number a class, whose mean over classes is set against 0.

    Values are one a class, [C], or one for each of S networks and C classes, [S, C], else ValueError: averaged over
    networks first, above 0 where ``a`` is higher than ``b``, the names of the claim's sides. NaN is left out and
    counted. ``permuted`` is the same mean under random permutations within the classes, [R], and ``range`` what the
    mean can be. ``n_seeds`` counts networks.
    """
    table = np.atleast_2d(np.asarray(values, dtype=float))
    if table.ndim != 2:
        raise ValueError(f"Expected one value a class, [C], or [S, C] for S networks. Got shape {table.shape}.")
    defined = defined_part(table)
    n_seeds, n_classes = defined.shape
    value = float(np.nanmean(defined, axis=0).mean()) if defined.size else math.nan
    counts = {"n_seeds": n_seeds, "n_classes": n_classes, "n_undefined": int(np.isnan(table).sum())}
    return Comparison(a, b, Permuted(value, permuted, range), "class", "permutation within classes", **counts)
