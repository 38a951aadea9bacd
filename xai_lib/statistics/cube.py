"""Scores of many methods by many metrics, laid out side by side, and their means over resampled images."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from xai_lib.statistics.intervals import check_columns, check_scores, resampled_counts

_BITS = 40  # means equal to 40 binary digits (1e-12) are tied: they differ by the order of summation only


@dataclass(frozen=True)
class Cube:
    """Scores laid out, turned so that higher is better everywhere."""

    metrics: tuple[str, ...]
    seeds: tuple  # sorted
    methods: tuple[str, ...]
    images: np.ndarray  # sorted, all that any metric was scored on
    values: np.ndarray  # float64 [T metrics, S seeds, M methods, n images]; NaN where undefined or absent


def cube_of(scores: pd.DataFrame, better: Mapping[str, str], methods: Sequence[str] | None = None) -> Cube:
    """Lay tidy scores out.

    Of columns ``seed, index, metric, method, value``, NaN an undefined score; of the metrics in ``better``, metric ->
    "higher" or "lower"; and of the methods wanted, in this order; None for all, sorted. ValueError on an unknown
    direction, a metric or method without a row, a method named twice, an infinite value, or an image scored twice.
    """
    check_columns(scores, ["seed", "index", "metric", "method", "value"])
    if wrong := {metric: way for metric, way in better.items() if way not in ("higher", "lower")}:
        raise ValueError(f"Expected better to be 'higher' or 'lower'. Got {wrong}.")
    rows = scores[scores["metric"].isin(list(better))]
    methods = tuple(sorted(rows["method"].unique()) if methods is None else methods)
    if len(set(methods)) != len(methods):
        raise ValueError(f"Expected each method once. Got {list(methods)}.")
    rows = rows[rows["method"].isin(methods)]
    for column, wanted in (("metric", better), ("method", methods)):
        found = set(rows[column].unique())
        if missing := [name for name in wanted if name not in found]:
            raise ValueError(f"Expected scores for every {column}. Got none for {missing}.")
    check_scores(rows, ["metric", "method"])
    (seed, seeds), (image, images) = (pd.factorize(rows[column], sort=True) for column in ("seed", "index"))
    values = np.full((len(better), len(seeds), len(methods), len(images)), math.nan)
    metric, method = pd.Index(list(better)).get_indexer(rows["metric"]), pd.Index(methods).get_indexer(rows["method"])
    values[metric, seed, method, image] = rows["value"].to_numpy(float)
    values[[way == "lower" for way in better.values()]] *= -1
    return Cube(tuple(better), tuple(seeds), methods, np.asarray(images), values)


def by_image(values: np.ndarray) -> np.ndarray:
    """Scores [..., S, M, n] averaged over the seeds that define them: [..., M, n]."""
    return _rounded(defined_mean(values, axis=-3))


def complete_images(table: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The methods of ``table`` [M, n] that have a value at all, bool [M], and the images on which all these do [n]."""
    present = ~np.isnan(table)
    methods = present.any(axis=1)
    return methods, present[methods].all(axis=0) & methods.any()


def ranks_by_image(table: np.ndarray) -> np.ndarray:
    """Ranks of the methods (1 is best, ties share the middle) on their complete images, from scores [M, n]; else NaN.

    See :func:`complete_images`; all NaN below two such images or three methods.
    """
    methods, images = complete_images(table)
    ranks = np.full(table.shape, math.nan)
    if methods.sum() >= 3 and images.sum() >= 2:
        ranks[np.ix_(methods, images)] = stats.rankdata(-table[np.ix_(methods, images)], axis=0)
    return ranks


def weighted_means(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Means of ``values`` [..., n] over images weighted by each row of ``weights`` [r, n]: [r, ...].

    Undefined scores are left out; NaN where nothing is left.
    """
    rows = values.reshape(-1, values.shape[-1])
    present = ~np.isnan(rows)
    with np.errstate(invalid="ignore"):
        means = weights @ np.where(present, rows, 0).T / (weights @ present.T.astype(float))
    return _rounded(means.reshape(len(weights), *values.shape[:-1]))


def resampled_means(values: np.ndarray) -> np.ndarray:
    """Means of ``values`` [..., n] over the images, then over every bootstrap resample of them: [1 + R, ...]."""
    n = values.shape[-1]
    observed = weighted_means(values, np.ones((1, n)))
    return np.concatenate([observed, *(weighted_means(values, counts) for counts in resampled_counts(n))])


def defined_mean(values: np.ndarray, axis: int) -> np.ndarray:
    """Mean along ``axis`` of the values that are not NaN; NaN where there are none."""
    present = ~np.isnan(values)
    with np.errstate(invalid="ignore"):
        return np.where(present, values, 0).sum(axis=axis) / present.sum(axis=axis)


def _rounded(values: np.ndarray) -> np.ndarray:
    mantissa, exponent = np.frexp(values)
    return np.ldexp(np.round(np.ldexp(mantissa, _BITS)), exponent - _BITS)
