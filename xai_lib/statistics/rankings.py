"""Do metrics agree on which explanation method is best, and does a metric agree with itself over images and seeds?

Every interval resamples images, the same ones for all metrics and seeds. Resampling adds noise to a ranking: an
interval around a tau near 1 or -1 lies mostly on the inner side of it, and one around a W near 0 lies above it,
by about 1 / n images.
"""

import math
from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np
import pandas as pd
from scipy import stats

from xai_lib.statistics.cube import (
    Cube,
    by_image,
    complete_images,
    cube_of,
    defined_mean,
    interval_of,
    resampled_means,
    weighted_means,
    with_resamples,
)

SPLITS = 100  # random halvings of the images


def metric_agreement(scores: pd.DataFrame, better: Mapping[str, str]) -> pd.DataFrame:
    """Kendall's tau-b between every two metrics' rankings of the methods by mean score.

    A method's score is its mean over the images that define it, then over seeds. +1: both metrics have the same
    order from best to worst, whatever their directions; -1: the opposite one.

    Args:
        scores: columns ``seed, index, metric, method, value``; NaN is an undefined score.
        better: metric -> "higher" or "lower".

    Returns:
        Columns ``metric_a, metric_b, tau, low, high, n_methods, n_images``, one row a pair in the order of
        ``better``. Methods that either metric leaves undefined are not in ``n_methods``; ``n_images`` is the smaller
        number of images of the two. Tau is NaN where a metric ties all methods.

    Raises:
        ValueError: as :func:`xai_lib.statistics.cube.cube_of`.
    """
    cube = cube_of(scores, better)
    means = defined_mean(resampled_means(cube.values), axis=2)  # [1 + R, T, M]
    orders, defined = _orders(means), ~np.isnan(means[0])
    n_images = (~np.isnan(cube.values)).any(axis=(1, 2)).sum(axis=1)
    rows = []
    for a, b in combinations(range(len(cube.metrics)), 2):
        n = int(min(n_images[a], n_images[b]))
        tau = _tau(orders[:, a], orders[:, b], defined[a] & defined[b])
        low, high = interval_of(tau[1:], n)
        n_methods = int((defined[a] & defined[b]).sum())
        rows.append((cube.metrics[a], cube.metrics[b], tau[0], low, high, n_methods, n))
    return pd.DataFrame(rows, columns=["metric_a", "metric_b", "tau", "low", "high", "n_methods", "n_images"])


def rank_stability(scores: pd.DataFrame, better: Mapping[str, str]) -> pd.DataFrame:
    """How far images, halves of the images, and seeds agree on a metric's order of the methods.

    Args:
        scores: columns ``seed, index, metric, method, value``; NaN is an undefined score.
        better: metric -> "higher" or "lower".

    Returns:
        One row a metric, in the order of ``better``, with columns

        - ``metric``
        - ``w_images, low, high``: Kendall's W over ``n_images`` images, each ranking the methods by its scores
          averaged over seeds: 0 no agreement, 1 one order. Only images on which all ``n_methods`` methods (those with
          any value) are defined are in it. NaN below two images or three methods.
        - ``tau_seeds, tau_seeds_low, tau_seeds_high``: Kendall's tau-b between the rankings by mean score of two
          seeds, mean over pairs of the ``n_seeds`` seeds; its interval is over images. NaN with one seed.
        - ``tau_halves``: tau-b between the rankings by mean score of two random halves of the images, mean over 100
          halvings. It is itself a measure of spread and has no interval.
        - ``n_images, n_seeds, n_methods``

    Raises:
        ValueError: as :func:`xai_lib.statistics.cube.cube_of`.
    """
    cube = cube_of(scores, better)
    means = resampled_means(cube.values)  # [1 + R, T, S, M]
    rows = []
    for t, metric in enumerate(cube.metrics):
        values = cube.values[t]
        methods, images = complete_images(by_image(values))
        w = _w(by_image(values))
        tau = _tau_of_seeds(means[:, t])
        w_low, w_high = interval_of(w[1:], int(images.sum()))
        tau_low, tau_high = interval_of(tau[1:], int((~np.isnan(values)).any(axis=(0, 1)).sum()))
        rows.append(
            {
                "metric": metric,
                "w_images": w[0],
                "low": w_low,
                "high": w_high,
                "tau_seeds": tau[0],
                "tau_seeds_low": tau_low,
                "tau_seeds_high": tau_high,
                "tau_halves": _tau_of_halves(values),
                "n_images": int(images.sum()),
                "n_seeds": int((~np.isnan(values)).any(axis=(1, 2)).sum()),
                "n_methods": int(methods.sum()),
            }
        )
    return pd.DataFrame(rows)


def w_draws(scores: pd.DataFrame, metric: str, methods: Sequence[str]) -> tuple[float, np.ndarray]:
    """Kendall's W over images, as in :func:`rank_stability`, and its bootstrap draws [R], in [0, 1].

    Args:
        scores: columns ``seed, index, metric, method, value``; NaN is an undefined score.
        metric: the metric whose scores rank the methods; its direction does not matter to W.
        methods: the methods ranked; one without any value is left out.

    Raises:
        ValueError: as :func:`xai_lib.statistics.cube.cube_of`.
    """
    cube = _of_metric(scores, metric, methods)
    w = _w(by_image(cube.values[0]))
    return float(w[0]), w[1:]


def _of_metric(scores: pd.DataFrame, metric: str, methods: Sequence[str]) -> Cube:
    return cube_of(scores, {metric: "higher"}, methods)


def _w(table: np.ndarray) -> np.ndarray:
    """Kendall's W [1 + R] of images as judges, scores ``table`` [M, n]: observed, then of every resample.

    With ranks centred within an image, c [n, k], it is ``sum_j (sum_i c_ij)^2 / (n sum_ij c_ij^2)``, ties corrected.
    """
    methods, images = complete_images(table)
    k, n = int(methods.sum()), int(images.sum())
    if n < 2 or k < 3:
        return np.full(1 + sum(map(len, with_resamples(1)[1:])), math.nan)
    centred = stats.rankdata(table[methods][:, images].T, axis=1) - (k + 1) / 2  # [n, k]
    draws = []
    for weights in with_resamples(table.shape[1]):
        w = weights[:, images]
        with np.errstate(invalid="ignore"):
            draws.append(((w @ centred) ** 2).sum(axis=1) / (w.sum(axis=1) * (w @ (centred**2).sum(axis=1))))
    return np.concatenate(draws)


def _tau_of_seeds(means: np.ndarray) -> np.ndarray:
    """Mean tau-b [r] over pairs of seeds, from mean scores [r, S, M]; row 0 says which methods a seed defines."""
    orders, defined = _orders(means), ~np.isnan(means[0])
    pairs = combinations(np.flatnonzero(defined.any(axis=1)), 2)
    taus = [_tau(orders[:, a], orders[:, b], defined[a] & defined[b]) for a, b in pairs]
    return defined_mean(np.array(taus), axis=0) if taus else np.full(len(means), math.nan)


def _tau_of_halves(values: np.ndarray) -> float:
    """Mean tau-b between rankings from two halves of the images, from scores [S, M, n]."""
    values = values[..., (~np.isnan(values)).any(axis=(0, 1))]
    n = values.shape[-1]
    if n < 2:
        return math.nan
    rng = np.random.default_rng([n, SPLITS])
    first = rng.permuted(np.tile(np.arange(n) < n // 2, (SPLITS, 1)), axis=1).astype(float)
    a, b = (_orders(defined_mean(weighted_means(values, half), axis=1)) for half in (first, 1 - first))
    return float(defined_mean(_tau(a, b, (~np.isnan(values)).any(axis=(0, 2))), axis=0))


def _orders(means: np.ndarray) -> np.ndarray:
    """Which of every two methods is better: -1, 0 or 1, float32 [..., M (M - 1) / 2], from means [..., M]."""
    first, second = np.triu_indices(means.shape[-1], 1)
    return np.sign(means[..., first] - means[..., second]).astype(np.float32)


def _tau(a: np.ndarray, b: np.ndarray, methods: np.ndarray) -> np.ndarray:
    """Tau-b [r] of two rankings given as orders [r, P], over ``methods`` bool [M]; NaN where one of these is NaN."""
    first, second = np.triu_indices(len(methods), 1)
    both = methods[first] & methods[second]
    if not both.all():
        a, b = a[:, both], b[:, both]
    agreed, untied_a, untied_b = (table.sum(axis=1, dtype=float) for table in (a * b, np.abs(a), np.abs(b)))
    with np.errstate(invalid="ignore"):
        return agreed / np.sqrt(untied_a * untied_b)
