"""Claims about one statistic, such as a correlation or Kendall's W, rather than about a difference of two means."""

import math
from typing import Any

import numpy as np

from xai_lib.statistics.agreement import rank_agreement
from xai_lib.statistics.comparison import Comparison, t_p
from xai_lib.statistics.intervals import mean_interval, percentile_interval


def compare_correlation(x: np.ndarray, y: np.ndarray, *, a: str, b: str) -> Comparison:
    """The comparison behind "``a`` and ``b`` rise together": Spearman's correlation over images against 0.

    ``x``, ``y`` and errors are those of :func:`xai_lib.statistics.rank_agreement`, with one value an image; ``a`` and
    ``b`` name the two as the claim does. ``difference`` is the correlation in [-1, 1] with its bootstrap interval over
    images, ``p_value`` two-sided. Effect sizes are NaN, ``n_seeds`` is 0.
    """
    found = rank_agreement(x, y, kind="spearman")
    counts = {"n_images": found.n, "n_undefined": found.n_undefined}
    statistic = (found.value, found.low, found.high, found.p_value)
    return _of_statistic(*statistic, a=a, b=b, unit="image", test="Spearman over images", **counts)


def compare_statistic(value: float, draws: np.ndarray, *, a: str, b: str, n_images: int, test: str) -> Comparison:
    """The comparison behind a claim about any statistic bootstrapped over images, against 0.

    Args:
        value: the statistic; above 0 where ``a`` is higher than ``b``. "W is below one half" is ``0.5 - W``.
        draws: the same statistic on each resample [R]; NaN draws are left out.
        a, b: names of the claim's two sides.
        n_images: how many images were resampled.
        test: what the column ``test`` says.

    Returns:
        ``low`` and ``high`` are percentiles; ``p_value`` is two-sided, twice the smaller share of draws on one side
        of 0 (0 included) and at least 1 / R: more than 0.05 R claims in one table can then never hold. It is NaN,
        as the interval is, without a value, without draws, or below two images.
    """
    draws = np.asarray(draws, dtype=float)
    draws = draws[~np.isnan(draws)]
    interval, p_value = percentile_interval(draws, 0 if math.isnan(value) else n_images), math.nan
    if not math.isnan(interval[0]):
        p_value = min(1.0, max(2 * min((draws <= 0).mean(), (draws >= 0).mean()), 1 / len(draws)))
    return _of_statistic(float(value), *interval, float(p_value), a=a, b=b, unit="image", test=test, n_images=n_images)


def compare_over_classes(
    values: np.ndarray, *, a: str, b: str, p_value: float | None = None, test: str = "t over classes"
) -> Comparison:
    """The comparison behind a claim about one number a class, whose mean over classes is set against 0.

    Args:
        values: one a class, [C], or one for each of S networks and C classes, [S, C], else ValueError: averaged over
            networks first. Above 0 where ``a`` is higher than ``b``. NaN is left out and counted.
        a, b: names of the claim's two sides.
        p_value: a two-sided p-value of another test, such as a permutation test; None for a t test over classes.
        test: what the column ``test`` says.

    Returns:
        ``difference`` is the mean over classes, with its bootstrap interval over classes: it speaks about these
        networks and other classes. ``n_seeds`` counts networks. The interval and the t test are NaN below two classes;
        effect sizes are NaN, ``n_images`` is 0.
    """
    values = np.asarray(values, dtype=float)
    if values.ndim not in (1, 2):
        raise ValueError(f"Expected one value a class, [C], or [S, C] for S networks. Got shape {values.shape}.")
    table = np.atleast_2d(values)
    defined = ~np.isnan(table)
    by_class = np.array([column[present].mean() for column, present in zip(table.T, defined.T) if present.any()])
    found = mean_interval(by_class)
    statistic = (found.mean, found.low, found.high, t_p(by_class) if p_value is None else float(p_value))
    n_seeds, n_undefined = int(defined.any(axis=1).sum()), int((~defined).sum())
    counts = {"n_seeds": n_seeds, "n_classes": len(by_class), "n_undefined": n_undefined}
    return _of_statistic(*statistic, a=a, b=b, unit="class", test=test, **counts)


def _of_statistic(value: float, low: float, high: float, p_value: float, **fields: Any) -> Comparison:
    over = "none" if math.isnan(low) else {"image": "images", "class": "classes"}[fields["unit"]]
    return Comparison(difference=value, low=low, high=high, interval_over=over, p_value=p_value, **fields)
