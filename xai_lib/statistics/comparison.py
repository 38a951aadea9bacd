"""Paired comparison of two conditions on the same images, clustered by seed, and Holm's correction."""

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy import stats

from xai_lib.statistics.intervals import check_columns, check_scores, mean_interval, seed_by_image

SIGNIFICANCE = 0.05
MIN_SEEDS = 5  # as many trainings as the papers report; below, no p-value over seeds is given
UNITS = ("seed", "image", "class")  # of replication; "class": :func:`xai_lib.statistics.compare_over_classes`
ADJUSTMENTS = frozenset({"accuracy", "confidence"})


@dataclass(frozen=True)
class Comparison:
    """Condition ``a`` minus condition ``b``, in the metric's own units (no direction is "better" here)."""

    a: str
    b: str
    difference: float
    low: float  # of the 95 % interval of the difference, over what `interval_over` says
    high: float
    interval_over: str
    unit: str  # of replication, one of `UNITS`
    test: str
    p_value: float  # two-sided, of `test`; NaN where the unit is the seed and there are fewer than five
    p_images: float = math.nan  # Wilcoxon signed-rank over images, whose n says nothing about new trainings
    d_images: float = math.nan  # paired Cohen's d (mean / standard deviation of the differences) on images
    d_seeds: float = math.nan  # the same on seeds
    superiority: float = math.nan  # how often `a` scores higher than `b` on an image, ties counting half, in [0, 1]
    n_seeds: int = 0
    n_images: int = 0
    n_undefined: int = 0  # pairs left out as a score is NaN
    n_unpaired: int = 0  # scores without a partner in the other condition
    adjusted_for: frozenset[str] = frozenset()  # which of `ADJUSTMENTS` cannot explain the difference, by construction
    n_classes: int = 0  # classes with a value, where the unit is the class

    @property
    def n(self) -> int:
        """How many units of replication there are."""
        return dict(zip(UNITS, (self.n_seeds, self.n_images, self.n_classes)))[self.unit]


def paired_comparison(
    scores: pd.DataFrame, *, metric: str, a: str, b: str, between: str = "loss", method: str | None = None,
    unit: str = "seed", adjusted_for: Collection[str] = (),
) -> Comparison:  # fmt: skip
    """Compare ``a`` with ``b`` on the same images.

    Scores are paired by image within a seed, and seeds by their label. Where ``a`` and ``b`` are two trainings, a label
    stands for the same initial weights and batches but not the same network: pairing by it is arbitrary, costs degrees
    of freedom and stays valid. Seeds that only one condition has are left out.

    Args:
        scores: columns ``seed, index, metric, value``, ``between``, and ``method`` where that is given.
        metric: the metric compared.
        a, b: two entries of the column ``between``; the difference is ``a`` minus ``b``.
        between: the column in which the conditions differ.
        method: the explanation method; None where methods are what is compared.
        unit: "seed" to speak about trainings, "image" to speak about these networks on new images.
        adjusted_for: "confidence" for a metric normalised by confidence, "accuracy" where only images that both
            networks classify correctly were kept (:func:`xai_lib.statistics.both_correct`).

    ValueError on a missing column, a condition without scores, no image in common, or an image scored twice.

    Example:
        >>> scores = pd.DataFrame({"seed": 0, "index": [0, 1, 2] * 2, "value": [0.5, 0.7, 0.9, 0.4, 0.4, 0.4]})
        >>> scores = scores.assign(metric="insertion", method=["rise"] * 3 + ["lime"] * 3)
        >>> found = paired_comparison(scores, metric="insertion", a="rise", b="lime", between="method", unit="image")
        >>> round(found.difference, 3), found.n_images, found.superiority
        (0.3, 3, 1.0)
    """
    rows_a, rows_b = (_condition(scores, metric, method, between, name) for name in (a, b))
    pairs = rows_a.merge(rows_b, on=["seed", "index"], suffixes=("_a", "_b"))
    if pairs.empty:
        raise ValueError(
            f"Expected images that {a!r} and {b!r} share within a seed. Got seeds "
            f"{sorted(rows_a['seed'].unique())} and {sorted(rows_b['seed'].unique())} with none in common."
        )
    pairs["value"] = pairs["value_a"] - pairs["value_b"]
    table = seed_by_image(pairs).to_numpy()  # NaN also stands for absent pairs
    found = compare_differences(table, a=a, b=b, unit=unit, adjusted_for=adjusted_for)
    n_unpaired = len(rows_a) + len(rows_b) - 2 * len(pairs)
    return replace(found, n_undefined=int(pairs["value"].isna().sum()), n_unpaired=n_unpaired)


def compare_differences(
    differences: np.ndarray, *, a: str, b: str, unit: str = "seed", adjusted_for: Collection[str] = ()
) -> Comparison:
    """The comparison from paired differences [S seeds, n images] or [n images], ``a`` minus ``b``.

    A one-sample question (dominance against 0.5) is this with ``values - 0.5``. NaN is left out and counted. With
    ``unit="image"`` an image's differences are averaged over its seeds first. ValueError on an unknown unit or
    adjustment.
    """
    if unit not in ("seed", "image"):
        raise ValueError(f"Expected unit 'seed' or 'image' (classes: compare_over_classes). Got {unit!r}.")
    if not set(adjusted_for) <= ADJUSTMENTS:
        raise ValueError(f"Expected adjusted_for within {sorted(ADJUSTMENTS)}. Got {sorted(adjusted_for)}.")
    table = np.atleast_2d(np.asarray(differences, dtype=float))
    n_undefined = int(np.isnan(table).sum())
    table = table[~np.isnan(table).all(axis=1)][:, ~np.isnan(table).all(axis=0)]
    by_seed, by_image = _means(table, 1), _means(table, 0)
    interval = mean_interval(table if unit == "seed" else by_image)
    p_images, few = signed_rank_p(by_image), len(by_seed) < MIN_SEEDS
    test, p_value = "Wilcoxon signed-rank over images", p_images
    if unit == "seed":
        test, p_value = (f"none (fewer than {MIN_SEEDS} seeds)", math.nan) if few else ("t over seeds", t_p(by_seed))
    return Comparison(
        a, b, interval.mean, interval.low, interval.high, interval.interval_over, unit, test, p_value,
        p_images=p_images, d_images=_cohens_d(by_image), d_seeds=_cohens_d(by_seed), superiority=_superiority(table),
        n_seeds=len(by_seed), n_images=len(by_image), n_undefined=n_undefined, adjusted_for=frozenset(adjusted_for),
    )  # fmt: skip


def holm(p_values: Sequence[float]) -> np.ndarray:
    """Holm's step-down corrected p-values [m] of one family of claims; NaN stays NaN and is not in the family.

    Example:
        >>> holm([0.01, 0.04, 0.03]).tolist()
        [0.03, 0.06, 0.06]
    """
    p = np.asarray(p_values, dtype=float)
    tested = np.flatnonzero(~np.isnan(p))
    order = tested[p[tested].argsort(kind="stable")]
    corrected = np.full(p.shape, math.nan)
    corrected[order] = np.maximum.accumulate(np.minimum(1, p[order] * np.arange(len(order), 0, -1)))
    return corrected


def t_p(differences: np.ndarray) -> float:
    """Two-sided p-value of Student's t for a mean of 0 of ``differences`` [n] without NaN.

    0 where all are one other number (the limit of t); see :func:`_p_or_one`.
    """
    return _p_or_one(differences, lambda d: 0.0 if _constant(d) else stats.ttest_1samp(d, 0).pvalue)


def signed_rank_p(differences: np.ndarray) -> float:
    """Two-sided p-value of Wilcoxon's signed-rank test of ``differences`` [n] without NaN; zeros are left out."""
    return _p_or_one(differences, lambda d: stats.wilcoxon(d).pvalue)


def _condition(scores: pd.DataFrame, metric: str, method: str | None, between: str, name: str) -> pd.DataFrame:
    """One condition's scores, one row for each seed and image."""
    check_columns(scores, ["metric", between] + ([] if method is None else ["method"]))
    chosen = scores[scores["metric"] == metric]
    if method is not None:
        chosen = chosen[chosen["method"] == method]
    rows = chosen[chosen[between] == name]
    if rows.empty:
        of_method = "" if method is None else f" and method {method!r}"
        raise ValueError(
            f"Expected scores of {metric!r} with {between} {name!r}{of_method}. "
            f"Got {sorted(map(str, chosen[between].unique()))}."
        )
    check_scores(rows, [])
    return rows[["seed", "index", "value"]]


def _means(table: np.ndarray, axis: int) -> np.ndarray:
    """Means along ``axis`` of a table with a value in every row and column; empty for an empty table."""
    return np.nanmean(table, axis=axis) if table.size else np.empty(0)


def _p_or_one(differences: np.ndarray, test: Callable[[np.ndarray], float]) -> float:
    """A test's p-value; 1 where every difference is 0 (tests leave it undefined), NaN below two differences."""
    if len(differences) < 2:
        return math.nan
    return float(test(differences)) if differences.any() else 1.0


def _constant(differences: np.ndarray) -> bool:
    """Whether all differences are equal up to rounding."""
    return bool(np.ptp(differences) <= 1e-12 * np.abs(differences).max())


def _cohens_d(differences: np.ndarray) -> float:
    """Mean over standard deviation (ddof 1); NaN where there are fewer than two or all are equal."""
    if len(differences) < 2 or _constant(differences):
        return math.nan
    return float(differences.mean() / differences.std(ddof=1))


def _superiority(table: np.ndarray) -> float:
    """Share of differences above 0, ties counting half: per seed, then over seeds."""
    if not table.size:
        return math.nan
    return float(_means(np.where(np.isnan(table), math.nan, (np.sign(table) + 1) / 2), 1).mean())
