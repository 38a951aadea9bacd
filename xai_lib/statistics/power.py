"""How likely a comparison was to decide, and how much more data would make it so: shown beside what is undecided."""

import math
from bisect import bisect_left

from scipy import stats

from xai_lib.statistics.estimate import Estimate

POWER = 0.8  # what is asked of a comparison that is to decide
_ONE_SIGMA = float(2 * stats.norm.cdf(1) - 1)
MOST = {"seed": 1000, "image": 1_000_000}  # units beyond which no number is given


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
    centred = Estimate(**vars(estimate) | {"value": 0.0, "logit": False, "range": (-math.inf, math.inf)})
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
