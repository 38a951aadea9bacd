"""Paired comparison of two conditions on the same images, clustered by seed, and Holm's correction."""

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from xai_lib.statistics.estimate import UNBOUNDED, defined_part, estimate_of, welch
from xai_lib.statistics.intervals import check_columns, check_scores, seed_by_image

SIGNIFICANCE = 0.05
ADJUSTMENTS = frozenset({"accuracy", "confidence"})
TRAINED_APART = ("loss", "model")  # conditions that are different networks
_FEW_IMAGES, _SKEWED = 128, 2.0  # below so many images an interval of so skewed differences is too short


@dataclass(frozen=True)
class Comparison:
    """Condition ``a`` minus condition ``b``, in the metric's own units (no direction is "better" here)."""

    a: str
    b: str
    # the difference: a `value` with an `interval` of any level, NaN where there is none, and the `p_value` that agrees
    estimate: Any
    unit: str  # of replication: "seed", "image" or "class"
    test: str  # what interval and p-value come from
    n_seeds: int = 0
    n_images: int = 0
    n_classes: int = 0  # classes with a value, where the unit is the class
    n_undefined: int = 0  # pairs left out as a score is NaN
    adjusted_for: frozenset[str] = frozenset()  # which of `ADJUSTMENTS` cannot explain the difference, by construction
    trusted: bool = True  # False where differences are too few and too skewed for an interval to cover as it says

    @property
    def difference(self) -> float:
        """``a`` minus ``b``."""
        return self.estimate.value

    @property
    def p_value(self) -> float:
        """Two-sided p-value of no difference."""
        return self.estimate.p_value()


def paired_comparison(
    scores: pd.DataFrame, *, metric: str, a: str, b: str, between: str = "loss", method: str | None = None,
    unit: str = "seed", adjusted_for: Collection[str] = (), range: tuple[float, float] = UNBOUNDED,
) -> Comparison:  # fmt: skip
    """Compare ``a`` with ``b`` on the same images.

    Scores are paired by image within a seed, and seeds by their label; seeds that only one condition has are left out.
    Where ``a`` and ``b`` are networks trained apart (losses, models), the error over seeds is Welch's: see
    :func:`~xai_lib.statistics.estimate.welch`.

    Of columns ``seed, index, metric, value``, ``between``, in which the conditions differ, and ``method`` where that is
    given: None where methods are what is compared. The unit is "seed" to speak about trainings, "image" to speak about
    these networks on new images. ``adjusted_for`` holds "confidence" for a metric that confidence cannot change,
    "accuracy" where networks of one accuracy were chosen. The interval stays within what the metric's ``range`` allows.
    ValueError on a missing column, a condition without scores, no image in common, or an image scored twice.

    Example:
        >>> scores = pd.DataFrame({"seed": 0, "index": [0, 1, 2] * 2, "value": [0.5, 0.7, 0.9, 0.4, 0.4, 0.4]})
        >>> scores = scores.assign(metric="insertion", method=["rise"] * 3 + ["lime"] * 3)
        >>> found = paired_comparison(scores, metric="insertion", a="rise", b="lime", between="method", unit="image")
        >>> round(found.difference, 3), found.n_images
        (0.3, 3)
    """
    rows_a, rows_b = (_condition(scores, metric, method, between, name) for name in (a, b))
    pairs = rows_a.merge(rows_b, on=["seed", "index"], suffixes=("_a", "_b"))
    if pairs.empty:
        seeds = " and ".join(str(sorted(rows["seed"].unique())) for rows in (rows_a, rows_b))
        expected = f"Expected images that {a!r} and {b!r} share within a seed."
        raise ValueError(f"{expected} Got seeds {seeds} with none in common.")
    pairs["value"] = pairs["value_a"] - pairs["value_b"]
    table = seed_by_image(pairs).to_numpy()  # NaN also stands for absent pairs
    width = range[1] - range[0]
    found = compare_differences(table, a=a, b=b, unit=unit, adjusted_for=adjusted_for, range=(-width, width))
    if unit == "seed" and between in TRAINED_APART:
        both = pairs.dropna(subset="value").groupby("seed")[["value_a", "value_b"]].mean()
        apart = welch(found.estimate, *both.to_numpy().T)
        found = replace(found, estimate=apart, test="Welch's t over trainings, crossed with images")
    return replace(found, n_undefined=int(pairs["value"].isna().sum()))


def compare_differences(
    differences: np.ndarray, *, a: str, b: str, unit: str = "seed", adjusted_for: Collection[str] = (),
    range: tuple[float, float] = UNBOUNDED,
) -> Comparison:  # fmt: skip
    """The comparison from paired differences [S seeds, n images] or [n images], ``a`` minus ``b``, within a ``range``.

    NaN is left out and counted. With ``unit="image"`` an image's differences are averaged over its seeds first.
    ValueError on an unknown unit or adjustment.
    """
    if unit not in ("seed", "image"):
        raise ValueError(f"Expected unit 'seed' or 'image' (classes: compare_over_classes). Got {unit!r}.")
    if not set(adjusted_for) <= ADJUSTMENTS:
        raise ValueError(f"Expected adjusted_for within {sorted(ADJUSTMENTS)}. Got {sorted(adjusted_for)}.")
    table = defined_part(differences)
    by_image = np.nanmean(table, axis=0) if table.size else np.empty(0)
    estimate = replace(estimate_of(table if unit == "seed" else by_image), range=range)
    over = {"seed": "t over trainings, crossed with images", "image": "t over images, corrected for skewness"}
    n, n_undefined = len(by_image), int(np.isnan(np.asarray(differences, dtype=float)).sum())
    skewed = abs(estimate.skewness) > _SKEWED or ((by_image == 0).sum() > n / 2 and by_image.any())
    counts = {"n_seeds": len(table) if table.size else 0, "n_images": n, "n_undefined": n_undefined}
    known = {"adjusted_for": frozenset(adjusted_for), "trusted": not (n < _FEW_IMAGES and skewed)}
    return Comparison(a, b, estimate, unit, over[unit], **counts, **known)


def holm(p_values: Sequence[float]) -> np.ndarray:
    """Holm's step-down corrected p-values [m] of one family of claims; NaN stays NaN and is not in the family.

    Example:
        >>> holm([0.01, 0.04, 0.03]).tolist()
        [0.03, 0.06, 0.06]
    """
    p, order = _ordered(p_values)
    corrected = np.full(p.shape, math.nan)
    corrected[order] = np.maximum.accumulate(np.minimum(1, p[order] * np.arange(len(order), 0, -1)))
    return corrected


def holm_levels(p_values: Sequence[float]) -> np.ndarray:
    """The level [m] at which each claim's interval is the one that Holm's method decides by.

    The claim with the k-th smallest of m p-values is decided at 1 - 0.05 / (m - k + 1); from the first that is not
    significant on, all are undecided, and their intervals are of that one's level. An interval of this level excludes 0
    exactly where :func:`holm` is below 0.05. The level of a claim without a p-value is that of the smallest one.

    Example:
        >>> holm_levels([0.001, 0.5, 0.04]).round(4).tolist()
        [0.9833, 0.975, 0.975]
    """
    p, order = _ordered(p_values)
    m = len(order)
    levels = np.full(p.shape, 1 - SIGNIFICANCE / max(m, 1))
    significant = np.minimum.accumulate(p[order] * np.arange(m, 0, -1) < SIGNIFICANCE)
    place = np.minimum(np.arange(m), int(significant.sum()))
    levels[order] = 1 - SIGNIFICANCE / (m - place)
    return levels


def t_p(differences: np.ndarray) -> float:
    """Two-sided p-value of Student's t for a mean of 0 of ``differences`` [n] without NaN; NaN below two of them.

    0 where all are one other number (the limit of t), 1 where all are 0.
    """
    if len(differences) < 2:
        return math.nan
    if np.ptp(differences) <= 1e-12 * np.abs(differences).max():  # all equal, up to rounding
        return 0.0 if differences.any() else 1.0
    return float(stats.ttest_1samp(differences, 0).pvalue)


def _ordered(p_values: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    """The p-values, and the places of those that are not NaN from the smallest on."""
    p = np.asarray(p_values, dtype=float)
    tested = np.flatnonzero(~np.isnan(p))
    return p, tested[p[tested].argsort(kind="stable")]


def _condition(scores: pd.DataFrame, metric: str, method: str | None, between: str, name: str) -> pd.DataFrame:
    """One condition's scores, one row for each seed and image."""
    check_columns(scores, ["metric", between] + ([] if method is None else ["method"]))
    chosen, of_method = scores[scores["metric"] == metric], ""
    if method is not None:
        chosen, of_method = chosen[chosen["method"] == method], f" and method {method!r}"
    rows = chosen[chosen[between] == name]
    if rows.empty:
        got = sorted(map(str, chosen[between].unique()))
        raise ValueError(f"Expected scores of {metric!r} with {between} {name!r}{of_method}. Got {got}.")
    check_scores(rows, [])
    return rows[["seed", "index", "value"]]
