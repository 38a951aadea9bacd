"""What the claims of the saliency paper are decided by: scores under one reading, means of families, and counts.

A family stands for the mean of its methods, image by image. An image counts where every method of all families that are
compared has a value; a method without any value is in no mean.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd

from xai_lib import explainers
from xai_lib.papers.saliency import experiment
from xai_lib.papers.saliency.analysis.scores import directions, scores, under
from xai_lib.papers.saliency.method import TARGETS
from xai_lib.papers.saliency.method.lineup import FIDELITY, INFORMED, PAPER
from xai_lib.run.settings import Study
from xai_lib.statistics import Comparison, compare_differences, cube, holm, overall_ranks
from xai_lib.statistics.estimate import LEVEL
from xai_lib.statistics.leaderboard import superior

FAMILIES = {
    name: tuple(method for method in PAPER if explainers.about(method).family == name)
    for name in ("gradient", "cam", "occlusion", "learning")
} | {"fake-cam": ("fake-cam",), "informed": INFORMED}
FAMILIES["others"] = tuple(name for name in INFORMED if name not in FAMILIES["cam"])


@dataclass(frozen=True, eq=False)
class Found:
    """Scores under one reading: frames with seed, method, index, metric, value, every method once."""

    plain: pd.DataFrame  # for the true class, with the metric "class-similarity"
    by_target: pd.DataFrame  # the same with `target`, and for the predicted and the least probable class
    as_ranks: pd.DataFrame  # of maps replaced by their ranks, on the images that are scored in other readings
    moved: pd.DataFrame  # with `transform`: the mean change (`shift`) and absolute change (`change`) over settings

    @property
    def ranks(self) -> pd.DataFrame:
        """A method's rank on an image, 1 best, averaged over the five fidelity metrics: the metric "mean rank"."""
        return overall_ranks(self.plain, directions(FIDELITY), PAPER)


def found(study: Study, reading: str) -> Found:
    """The scores of a benchmark under one of :data:`lineup.READINGS`."""
    fidelity, plain = experiment.scores(study, "fidelity"), scores(study, reading)
    as_ranks = fidelity[(fidelity["reading"] == "ranks") & (fidelity["target"] == TARGETS[0])]
    moved, keys = under(experiment.scores(study, "transformed"), reading), ["seed", "method", "index", "metric"]
    both = moved.merge(plain, on=keys, suffixes=("", "_untouched"))
    shift = both["value"] - both["value_untouched"]
    both = both.assign(shift=shift, change=shift.abs()).groupby([*keys, "transform"], as_index=False)
    plain = pd.concat([plain, under(experiment.class_similarity(study), reading)], ignore_index=True)
    return Found(plain, under(fidelity, reading), as_ranks, both[["shift", "change"]].mean())


def families(rows: pd.DataFrame, metric: str, groups: Mapping[str, Sequence[str]]) -> pd.DataFrame:
    """Means over the methods of each group on the images where all have a value: seed, index, method, value, metric."""
    every = {one for methods in groups.values() for one in methods}
    rows = rows[(rows["metric"] == metric) & rows["method"].isin(every)]
    wide = rows.pivot(index=["seed", "index"], columns="method", values="value").dropna(axis="columns", how="all")
    wide = wide.dropna().reindex(wide.index)
    means = {name: wide.reindex(columns=list(methods)).mean(axis=1) for name, methods in groups.items()}
    return pd.DataFrame(means).melt(var_name="method", ignore_index=False).reset_index().assign(metric=metric)


def by_group(rows: pd.DataFrame, metric: str, groups: Mapping[str, Sequence[str]]) -> pd.DataFrame:
    """:func:`families` averaged over seeds: a row an image on which every method has a value, a column a group."""
    return families(rows, metric, groups).pivot_table(index="index", columns="method", values="value", sort=False)


def by_image(rows: pd.DataFrame, metric: str, methods: Sequence[str]) -> pd.Series:
    """The mean over methods and then seeds, by image, where all methods have a value."""
    return families(rows, metric, {"all": methods}).groupby("index")["value"].mean()


def superiority(rows: pd.DataFrame, metric: str, control: str) -> np.ndarray:
    """Share [n images] of the nine informed methods that a control scores better than: what `fooled` decides by."""
    table = cube.by_image(cube.cube_of(rows, directions((metric,)), [control, *INFORMED]).values)[0]
    return superior(table[0], table[1:])


def alike(rows: pd.DataFrame, first: Mapping[str, str], second: Mapping[str, str]) -> np.ndarray:
    """Spearman's correlation of two orders of the nine methods, image by image: [n], NaN where one is not defined. An
    order is by the mean of the ranks under some metrics, each with the direction that counts as high.
    """
    laid = cube.cube_of(rows, {**first, **second}, INFORMED)
    ranks = dict(zip(laid.metrics, map(cube.ranks_by_image, cube.by_image(laid.values))))  # each [M, n]
    means = [pd.DataFrame(np.mean([ranks[name] for name in metrics], axis=0)) for metrics in (first, second)]
    one, other = (mean.loc[:, mean.notna().all()].rank() for mean in means)
    return one.corrwith(other).reindex(means[0].columns).to_numpy()


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

    def p_value(self) -> float:
        """Two-sided: one minus the level at which the interval first touches zero."""
        corrected, least = holm(self.p_values), 1.0
        for side, needed in ((self.yes, self.asked), (~self.yes, len(self.yes) - self.asked)):
            ordered, place = np.sort(corrected[side & ~np.isnan(corrected)]), math.floor(needed)
            least = min(least, float(ordered[place])) if 0 <= place < len(ordered) else least
        return least


def pairs(rows: pd.DataFrame, metric: str, methods: Sequence[str], relevant: float) -> tuple[HowMany, int]:
    """How many pairs of methods differ under a metric by what matters, less half of them; and the number of images.

    A pair differs with certainty where the interval of its mean difference lies beyond ``relevant`` (0: beyond zero),
    and does not where it lies within. All pairs are compared on the images where every method has a value.
    """
    wide, p_values, yes = by_group(rows, metric, {name: (name,) for name in methods}), [], []
    for a, b in combinations(wide.columns, 2):
        one = _compared(wide, a, b)
        yes.append(abs(one.difference) > relevant)
        ends = (math.copysign(relevant, one.difference),) if yes[-1] else (-relevant, relevant)
        p_values.append(max(map(one.estimate.p_value, ends)) if one.trusted else math.nan)
    return HowMany(np.array(yes, dtype=bool), np.array(p_values), asked=len(yes) / 2), len(wide)


def beaten(rows: pd.DataFrame, metric: str, one: str, others: Sequence[str], better: str) -> tuple[HowMany, int]:
    """How many of the others a method beats, less what the top two asks for: all but one and a half of them."""
    wide, sign = by_group(rows, metric, {name: (name,) for name in (one, *others)}), 1 if better == "higher" else -1
    found = [_compared(wide, one, other) for other in wide.columns.drop(one)]
    p_values = np.array([each.p_value if each.trusted else math.nan for each in found])
    yes = np.array([sign * each.difference > 0 for each in found])
    return HowMany(yes, p_values, asked=len(found) - 1.5), len(wide)


def _compared(wide: pd.DataFrame, a: str, b: str) -> Comparison:
    return compare_differences((wide[a] - wide[b]).to_numpy(), a=a, b=b, unit="image")
