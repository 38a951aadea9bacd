"""Do metrics agree on which explanation method is best, and does a metric agree with itself over images and seeds?

Every interval resamples images, the same ones for all metrics and seeds. Resampling adds noise to a ranking, so the
interval of a tau near 1 or -1 lies on the inner side of it and may even miss it, where methods are nearly tied: it
says "no less sure than this". W is corrected for its bias, 1 / n images where images agree on nothing, and its
resamples for that and for the bias that resampling adds.

``scores``, ``better`` and errors are everywhere those of :func:`xai_lib.statistics.cube.cube_of`.
"""

import math
from collections.abc import Mapping
from itertools import combinations

import numpy as np
import pandas as pd

from xai_lib.statistics import cube as cubes
from xai_lib.statistics.intervals import percentile_interval

SPLITS = 100  # random halvings of the images


def metric_agreement(scores: pd.DataFrame, better: Mapping[str, str]) -> pd.DataFrame:
    """Kendall's tau-b between every two metrics' rankings of the methods by mean score.

    A method's score is its mean over the images that define it, then over seeds. +1: both metrics have the same
    order from best to worst, whatever their directions; -1: the opposite one.

    Returns columns ``metric_a, metric_b, tau, low, high, n_methods, n_images``, one row a pair in the order of
    ``better``. Methods that either metric leaves undefined are not in ``n_methods``; ``n_images`` is the smaller number
    of images of the two. Tau is NaN where a metric ties all methods.
    """
    cube = cubes.cube_of(scores, better)
    means = cubes.defined_mean(cubes.resampled_means(cube.values), axis=2)  # [1 + R, T, M]
    orders, defined = _orders(means), ~np.isnan(means[0])
    n_images = (~np.isnan(cube.values)).any(axis=(1, 2)).sum(axis=1)
    rows = []
    for a, b in combinations(range(len(cube.metrics)), 2):
        n, both = int(min(n_images[a], n_images[b])), defined[a] & defined[b]
        tau = _tau(orders[:, a], orders[:, b], both)
        ends = percentile_interval(tau[1:], n)
        rows.append((cube.metrics[a], cube.metrics[b], tau[0], *ends, int(both.sum()), n))
    return pd.DataFrame(rows, columns=["metric_a", "metric_b", "tau", "low", "high", "n_methods", "n_images"])


def rank_stability(scores: pd.DataFrame, better: Mapping[str, str]) -> pd.DataFrame:
    """How far images, halves of the images, and seeds agree on a metric's order of the methods.

    Returns one row a metric, in the order of ``better``, with columns ``metric, n_images, n_seeds, n_methods``, and

    - ``w_images, low, high``: Kendall's W over ``n_images`` images, each ranking the methods by its scores averaged
      over seeds: 0 no agreement (slightly below, by chance), 1 one order. Only images on which all ``n_methods``
      methods (those with any value) are defined are in it. NaN below two images or three methods.
    - ``tau_seeds``: Kendall's tau-b between the rankings by mean score of two seeds, mean over pairs of the ``n_seeds``
      seeds. NaN with one seed.
    - ``tau_halves``: the same between two random halves of the images, mean over 100 halvings.
    """
    cube = cubes.cube_of(scores, better)
    tables = cubes.by_image(cube.values)  # [T, M, n]
    means = cubes.weighted_means(cube.values, np.ones((1, len(cube.images))))[0]  # [T, S, M]
    w = _w(tables)  # [1 + R, T]
    rows = []
    for t, (metric, values) in enumerate(zip(cube.metrics, cube.values)):
        methods, images = (int(found.sum()) for found in cubes.complete_images(tables[t]))
        taus, n_seeds = (_tau_of_seeds(means[t]), _tau_of_halves(values)), int((~np.isnan(means[t])).any(axis=1).sum())
        rows.append((metric, w[0, t], *percentile_interval(w[1:, t], images), *taus, images, n_seeds, methods))
    columns = ("metric", "w_images", "low", "high", "tau_seeds", "tau_halves", "n_images", "n_seeds", "n_methods")
    return pd.DataFrame(rows, columns=columns)


def _w(tables: np.ndarray) -> np.ndarray:
    """Kendall's W [1 + R, T] of images as judges, scores [T, M, n]: observed, then of every resample, without bias.

    With c_ij the rank of method j on image i less the image's mean rank, it is ``sum_j mean_i(c_ij)^2`` over
    ``mean_i(sum_j c_ij^2)``: the usual formula, ties corrected. Of n images that agree on nothing it is 1 / n on
    average; (n W - 1) / (n - 1) is 0 there and 1 where all agree. Of resamples, which repeat images, that correction is
    due twice.
    """
    ranks = np.stack([cubes.ranks_by_image(table) for table in tables])
    centred = ranks - cubes.defined_mean(ranks, axis=1)[:, None]
    squares = np.where(np.isnan(ranks).all(axis=1), math.nan, np.nansum(centred**2, axis=1))  # [T, n]
    means = cubes.resampled_means(np.concatenate([centred, squares[:, None]], axis=1))  # [1 + R, T, M + 1]
    with np.errstate(invalid="ignore"):
        w = np.nansum(means[..., :-1] ** 2, axis=-1) / means[..., -1]
        n = (~np.isnan(squares)).sum(axis=1)
        w = (n * w - 1) / (n - 1)
        w[1:] = (n * w[1:] - 1) / (n - 1)
    return w


def _tau_of_seeds(means: np.ndarray) -> float:
    """Mean tau-b over pairs of seeds, from mean scores [S, M]."""
    orders, defined = _orders(means), ~np.isnan(means)
    pairs = combinations(np.flatnonzero(defined.any(axis=1)), 2)
    taus = [_tau(orders[[a]], orders[[b]], defined[a] & defined[b]) for a, b in pairs]
    return float(cubes.defined_mean(np.array(taus), axis=None)) if taus else math.nan


def _tau_of_halves(values: np.ndarray) -> float:
    """Mean tau-b between rankings from two halves of the images, from scores [S, M, n]."""
    values = values[..., (~np.isnan(values)).any(axis=(0, 1))]
    n = values.shape[-1]
    if n < 2:
        return math.nan
    rng = np.random.default_rng([n, SPLITS])
    first = rng.permuted(np.tile(np.arange(n) < n // 2, (SPLITS, 1)), axis=1).astype(float)
    a, b = (_orders(cubes.defined_mean(cubes.weighted_means(values, half), axis=1)) for half in (first, 1 - first))
    return float(cubes.defined_mean(_tau(a, b, (~np.isnan(values)).any(axis=(0, 2))), axis=0))


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
    agreed, untied_a, untied_b = (np.einsum("rp,rp->r", *two).astype(float) for two in ((a, b), (a, a), (b, b)))
    with np.errstate(invalid="ignore"):
        return agreed / np.sqrt(untied_a * untied_b)
