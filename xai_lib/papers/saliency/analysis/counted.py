"""Claims about how many of several comparisons come out one way: pairs told apart, methods that a map beats."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd

from xai_lib import statistics
from xai_lib.papers.saliency.analysis.found import families
from xai_lib.statistics import Comparison, holm
from xai_lib.statistics.estimate import LEVEL


@dataclass(frozen=True, eq=False)
class HowMany:
    """How many of m comparisons come out one way, less a number asked for; its interval counts what is certain.

    Certain at a level is what Holm's method decides at it over the m comparisons, so the number of those is a lower end
    for how many truly come out so, and m less the number of the opposite ones an upper end (the partial conjunction of
    Benjamini and Heller 2008).
    """

    yes: np.ndarray  # which of them come out so, bool [m]
    p_values: np.ndarray  # of each coming out as it does, [m]; NaN where it cannot be told
    asked: float

    @property
    def value(self) -> float:
        """How many come out so, less the number asked for."""
        return float(self.yes.sum() - self.asked)

    def opposite(self) -> "HowMany":
        """The same of how many do not, so that above zero means below before."""
        return HowMany(~self.yes, self.p_values, len(self.yes) - self.asked)

    def interval(self, level: float = LEVEL) -> tuple[float, float]:
        """The two ends at a level in (0, 1)."""
        certain = holm(self.p_values) < 1 - level
        low, high = (certain & self.yes).sum(), len(self.yes) - (certain & ~self.yes).sum()
        return float(low - self.asked), float(high - self.asked)

    def p_value(self, null: float = 0.0) -> float:
        """Two-sided: one minus the level at which the interval first touches ``null``."""
        corrected, least = holm(self.p_values), 1.0
        beyond = self.asked + null
        for side, needed in ((self.yes, beyond), (~self.yes, len(self.yes) - beyond)):
            ordered, place = np.sort(corrected[side & ~np.isnan(corrected)]), math.floor(needed)
            least = min(least, float(ordered[place])) if 0 <= place < len(ordered) else least
        return least


def pairs(rows: pd.DataFrame, metric: str, methods: Sequence[str], relevant: float) -> tuple[HowMany, int]:
    """How many pairs of methods differ under a metric by what matters, less half of them; and the number of images.

    A pair differs with certainty where the interval of its mean difference lies beyond ``relevant`` (0: beyond zero),
    and does not where it lies within. All pairs are compared on the images where every method has a value.
    """
    wide, p_values, yes = _by_image(rows, metric, methods), [], []
    for a, b in combinations(wide.columns, 2):
        one = _compared(wide, a, b)
        mean, estimate = one.difference, one.estimate
        differs = abs(mean) > relevant
        ends = (math.copysign(relevant, mean),) if differs else (-relevant, relevant)
        yes.append(differs)
        p_values.append(max(estimate.p_value(end) for end in ends) if one.trusted else math.nan)
    return HowMany(np.array(yes, dtype=bool), np.array(p_values), asked=len(yes) / 2), len(wide)


def beaten(rows: pd.DataFrame, metric: str, one: str, others: Sequence[str], better: str) -> tuple[HowMany, int]:
    """How many of the others a method beats, less what the top two asks for: all but one and a half of them."""
    wide, sign = _by_image(rows, metric, (one, *others)), 1 if better == "higher" else -1
    found = [_compared(wide, one, other) for other in wide.columns.drop(one)]
    p_values = np.array([each.p_value if each.trusted else math.nan for each in found])
    yes = np.array([sign * each.difference > 0 for each in found])
    return HowMany(yes, p_values, asked=len(found) - 1.5), len(wide)


def _by_image(rows: pd.DataFrame, metric: str, methods: Sequence[str]) -> pd.DataFrame:
    """Scores averaged over seeds: a row an image on which every method has a value, a column a method."""
    of_each = families(rows, metric, {name: (name,) for name in methods}).dropna()
    return of_each.pivot_table(index="index", columns="method", values="value", sort=False)


def _compared(wide: pd.DataFrame, a: str, b: str) -> Comparison:
    return statistics.compare_differences((wide[a] - wide[b]).to_numpy(), a=a, b=b, unit="image")
