"""A mean over images and seeds with the sizes of its errors: an interval at any level, and the p-value that agrees.

Scores are averaged per image -> per seed -> over seeds, never all at once. The error has two sources:

- images: Student's t on the means of the images, and Hall's transformation of it, which takes the skewness of the
  scores into account (Hall 1992, "On the removal of skewness by transformation"); on each side the farther limit
  counts. Every seed is scored on the same images, so images are crossed with seeds, not nested in them.
- seeds: Student's t on the means of the seeds; where two conditions are networks trained apart, Welch's.

The two half-widths are added in squares, on each side by itself (the MOVER rule: Zou & Donner 2008). With one seed only
the images remain, and the interval speaks about that one network.

How likely a comparison was to decide, and how much more data would make it so, is shown beside what is undecided.

An interval never leaves the range that a score has: that of a mean between two finite ends is taken on the scale of the
logit, any other is cut there.
"""

import math
from bisect import bisect_left
from dataclasses import dataclass, replace

import numpy as np
from scipy import optimize, special, stats

LEVEL = 0.95  # of every interval in the book that is not corrected for a family of claims
UNBOUNDED = (-math.inf, math.inf)
POWER = 0.8  # what is asked of a comparison that is to decide
MOST = {"seed": 1000, "image": 1_000_000}  # units beyond which no number is given
_ONE_SIGMA = float(2 * stats.norm.cdf(1) - 1)
_LEAST = -15.0  # decimal logarithm of the smallest p-value that is told from 0
_ROUNDING = 1e-12  # standard deviations this small, as a share of the values, come from rounding


@dataclass(frozen=True)
class Estimate:
    """A mean, and what its interval of any level depends on."""

    value: float  # the mean
    image_error: float = 0.0  # standard error over images
    skewness: float = 0.0  # of the images' means
    n_images: int = 0
    seed_error: float = 0.0  # standard error over seeds; 0 where there is one seed
    seed_degrees: float = math.inf  # of freedom, of that error
    n_seeds: int = 0
    range: tuple[float, float] = UNBOUNDED  # what the mean can be
    logit: bool = False  # whether the interval is taken on the scale of the logit, or cut where the range ends

    @property
    def defined(self) -> bool:
        """Whether there is an interval: from two images on, or two seeds where images were not sampled (none)."""
        sampled = self.n_images > 1 or (self.n_images == 0 and self.n_seeds > 1)
        return sampled and not math.isnan(self.value)

    def interval(self, level: float = LEVEL) -> tuple[float, float]:
        """The two ends at a level in (0, 1); NaN below two images."""
        return self._interval(1 - level)

    def p_value(self, null: float = 0.0) -> float:
        """The level (as 1 - level) at which the interval first touches ``null``: two-sided, NaN below two images."""
        if not self.defined:
            return math.nan
        if null == self.value:
            return 1.0
        side = int(null > self.value)

        def beyond(logarithm: float) -> float:
            return (self._interval(10.0**logarithm)[side] - null) * (1 if side else -1)

        if beyond(_LEAST) < 0:
            return 0.0
        return 1.0 if beyond(-_ROUNDING) >= 0 else 10.0 ** optimize.brentq(beyond, _LEAST, -_ROUNDING)

    def with_units(self, unit: str, n: float) -> "Estimate":
        """The same mean and spread as if there were ``n`` of the unit "image" or "seed": what more data would give."""
        if unit == "image":
            shrunk = self.image_error * math.sqrt(self.n_images / n)
            return replace(self, image_error=shrunk, n_images=n)
        degrees = self.seed_degrees * (n - 1) / max(self.n_seeds - 1, 1)
        return replace(self, seed_error=self.seed_error * math.sqrt(self.n_seeds / n), seed_degrees=degrees, n_seeds=n)

    def _interval(self, alpha: float) -> tuple[float, float]:
        if not self.defined:
            return math.nan, math.nan
        below, above = self._half_widths(alpha)
        low, high = self.range
        if not self.logit:
            return max(self.value - below, low), min(self.value + above, high)
        share, width = (self.value - low) / (high - low), high - low
        if not 0 < share < 1:  # every score is at an end: as of so many trials without a failure
            rare = (alpha / 2) ** (1 / max(self.n_images, 1))
            return (low + width * rare, high) if share >= 1 else (low, high - width * rare)
        slope = 1 / (width * share * (1 - share))
        ends = special.expit(special.logit(share) + slope * np.array([-below, above]))
        return float(low + width * ends[0]), float(low + width * ends[1])

    def _half_widths(self, alpha: float) -> tuple[float, float]:
        below = above = 0.0
        if self.image_error:
            t = stats.t.isf(alpha / 2, self.n_images - 1)
            below, above = (self.image_error * max(t, side * self._hall(side * t)) for side in (1, -1))
        seeds = self.seed_error * stats.t.isf(alpha / 2, self.seed_degrees) if self.seed_error else 0.0
        return math.hypot(below, seeds), math.hypot(above, seeds)

    def _hall(self, t: float) -> float:
        """The quantile that Hall's transformation gives for a quantile of t."""
        skew = self.skewness / math.sqrt(self.n_images)
        return t if abs(skew) < _ROUNDING else 3 / skew * (np.cbrt(1 + skew * (t - skew / 6)) - 1)


def estimate_of(table: np.ndarray, *, range: tuple[float, float] = UNBOUNDED) -> Estimate:
    """The estimate of a table [S seeds, n images] or of images [n]; NaN is left out.

    Images or seeds without any value do not count; the mean is over seeds, of their means over images.
    """
    table = defined_part(table)
    if not table.size:
        return Estimate(math.nan, range=range)
    by_seed, by_image = np.nanmean(table, axis=1), np.nanmean(table, axis=0)
    (n_seeds, n_images), error = table.shape, _error(by_image)
    skewness = float(stats.skew(by_image, bias=False)) if error and n_images > 2 else 0.0
    sizes = (n_images, _error(by_seed), max(n_seeds - 1, 1), n_seeds)
    return Estimate(float(by_seed.mean()), error, skewness, *sizes, range, logit=bool(np.isfinite(range).all()))


def of_trainings(values: np.ndarray, *, range: tuple[float, float] = UNBOUNDED) -> Estimate:
    """The estimate of one value a training, [S], where nothing else was sampled; NaN is left out."""
    values = np.asarray(values, dtype=float)
    values = values[~np.isnan(values)]
    if not len(values):
        return Estimate(math.nan, range=range)
    known = {"seed_error": _error(values), "seed_degrees": max(len(values) - 1, 1), "n_seeds": len(values)}
    return Estimate(float(values.mean()), **known, range=range)


def welch(estimate: Estimate, first: np.ndarray, second: np.ndarray) -> Estimate:
    """The estimate of a difference with the seed error of networks trained apart: means [S1] and [S2] of their seeds.

    The seeds of two losses have nothing in common but their number, so they are not paired (Welch 1947).
    """
    parts = [(_error(means) ** 2, len(means)) for means in (first, second)]
    variance = sum(part for part, _ in parts)
    if not variance or min(n for _, n in parts) < 2:
        return estimate
    degrees = variance**2 / sum(part**2 / (n - 1) for part, n in parts)
    return replace(estimate, seed_error=math.sqrt(variance), seed_degrees=degrees)


def power(estimate: object, unit: str, difference: float, level: float) -> float:
    """The chance that an interval of this level excludes zero, if the true difference is ``difference``.

    In [0, 1]; NaN where the estimate has no size of errors (correlations, bootstrapped statistics), no interval, or
    where ``unit`` is not one of which there can be more.

    Example:
        >>> round(power(Estimate(0.0, image_error=1.0, n_images=1000), "image", 1.96, 0.95), 2)
        0.5
    """
    if not isinstance(estimate, Estimate) or not estimate.defined or unit not in MOST:
        return math.nan
    centred = Estimate(**vars(estimate) | {"value": 0.0, "logit": False, "range": UNBOUNDED})
    reach, error = (max(abs(end) for end in centred.interval(at)) for at in (level, _ONE_SIGMA))
    return float(stats.norm.sf((reach - abs(difference)) / error)) if error else 1.0


def units_needed(estimate: object, unit: str, difference: float, level: float) -> float:
    """The smallest number of units ("seed" or "image") at which :func:`power` is 0.8; NaN as there, inf beyond `MOST`.

    More trainings on the same images do not shrink the error over images, so no number of them may be enough.
    """

    def reached(n: int) -> float:
        return power(estimate.with_units(unit, n), unit, difference, level)

    if math.isnan(power(estimate, unit, difference, level)):
        return math.nan
    most = MOST[unit]
    return math.inf if reached(most) < POWER else float(2 + bisect_left(range(2, most), POWER, key=reached))


def defined_part(table: np.ndarray) -> np.ndarray:
    """The table [S, n], or [n] as [1, n], without seeds and images that have no value at all."""
    table = np.atleast_2d(np.asarray(table, dtype=float))
    present = ~np.isnan(table)
    return table[present.any(axis=1)][:, present.any(axis=0)]


def _error(values: np.ndarray) -> float:
    """Standard error of a mean of values [n]; 0 for one value, or where they differ by rounding only."""
    if len(values) < 2 or np.ptp(values) <= _ROUNDING * np.abs(values).max():
        return 0.0
    return float(values.std(ddof=1) / math.sqrt(len(values)))
