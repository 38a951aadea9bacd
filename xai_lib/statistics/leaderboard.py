"""Which meaningless maps a metric prefers to explanations, and ranks of methods over images and over metrics.

``scores``, ``better`` and errors are everywhere those of :func:`xai_lib.statistics.cube.cube_of`; an image's scores are
averaged over seeds first. Intervals are of 95 %, over images.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from scipy import stats

from xai_lib.statistics import cube as cubes
from xai_lib.statistics.comparison import SIGNIFICANCE, holm, holm_levels
from xai_lib.statistics.estimate import estimate_of

MEAN_RANK = "mean rank"  # the metric's name in overall_ranks; lower is better
CHANCE = 0.5  # superiority of a control that cannot be told from the methods


def fooled(
    scores: pd.DataFrame, better: Mapping[str, str], controls: Sequence[str], informed: Sequence[str]
) -> pd.DataFrame:
    """Does a metric score a map that explains nothing above the explanations? One family of claims, under Holm.

    ``controls`` are methods that know nothing of the network, ``informed`` those that they are held against.

    Returns columns ``metric, control, superiority, low, high, p_holm, rank, n_methods, n_images, verdict``.
    ``superiority``: how often the control scores better than an informed method on an image, ties counting half, mean
    over methods and then images (``n_images`` with a defined pair), in [0, 1], with its interval at the level that
    Holm's method decides by. ``rank``: place of the control's mean score among the ``n_methods`` defined informed
    methods and itself, 1 best; tied means share the better place. ``verdict``: "fooled" if ``low`` > 0.5, "not fooled"
    if ``high`` < 0.5, else "undecided".
    """
    cube = cubes.cube_of(scores, better, [*controls, *informed])
    seeds_first = cubes.by_image(cube.values)  # [T, M, n]
    means = cubes.defined_mean(cubes.weighted_means(cube.values, np.ones((1, len(cube.images))))[0], axis=1)  # [T, M]
    first = len(controls)  # of the informed
    cells = [(t, c) for t in range(len(cube.metrics)) for c in range(first)]
    found = [estimate_of(superior(seeds_first[t][c], seeds_first[t][first:]), range=(0.0, 1.0)) for t, c in cells]
    p_values = [one.p_value(CHANCE) for one in found]
    rows = []
    for (t, c), one, level, p in zip(cells, found, holm_levels(p_values), holm(p_values)):
        rivals, (low, high) = means[t, first:], one.interval(level)
        ranked = not math.isnan(means[t, c])
        rank = 1 + int((rivals > means[t, c]).sum()) if ranked else math.nan
        n_methods = int((~np.isnan(rivals)).sum()) + ranked
        verdict = "fooled" if low > CHANCE else "not fooled" if high < CHANCE else "undecided"
        rows.append((cube.metrics[t], controls[c], one.value, low, high, p, rank, n_methods, one.n_images, verdict))
    columns = ["metric", "control", "superiority", "low", "high", "p_holm", "rank", "n_methods", "n_images", "verdict"]
    return pd.DataFrame(rows, columns=columns)


def superior(control: np.ndarray, informed: np.ndarray) -> np.ndarray:
    """Share [n] of the methods' scores [M, n] that ``control`` [n] beats on an image; NaN where no pair is defined."""
    return cubes.defined_mean((np.sign(control - informed) + 1) / 2, axis=0)


def mean_ranks(
    scores: pd.DataFrame, better: Mapping[str, str], methods: Sequence[str], metric: str
) -> tuple[pd.DataFrame, float]:
    """What a critical-difference diagram shows of one ``metric`` of ``better`` (Demšar 2006, Figure 1).

    Returns columns ``method, mean_rank`` (over images, 1 is best), best first; and the critical difference, as of
    :func:`nemenyi`, which says what methods and images are in it.
    """
    table = cubes.by_image(cubes.cube_of(scores, {metric: better[metric]}, methods).values)[0]
    defined, _ = cubes.complete_images(table)
    means = cubes.weighted_means(cubes.ranks_by_image(table)[defined], np.ones((1, table.shape[1])))[0]
    frame = pd.DataFrame({"method": np.array(methods)[defined], "mean_rank": means})
    return frame.sort_values(["mean_rank", "method"], ignore_index=True), nemenyi(table)


def nemenyi(table: np.ndarray) -> float:
    """Nemenyi's critical difference of mean ranks at 0.05 (Demšar 2006, 3.2.2 to 3.2.4).

    Of scores [M methods, n images], where higher is better; images are the blocks. ``CD = q / sqrt(2) * sqrt(k (k + 1)
    / (6 N))``, for k methods with any value on the N images on which these are all defined, q the studentised range for
    k and infinitely many degrees of freedom. NaN below two such images or three methods.
    """
    methods, images = cubes.complete_images(table)
    n, k = int(images.sum()), int(methods.sum())
    if n < 2 or k < 3:
        return math.nan
    q = stats.studentized_range.ppf(1 - SIGNIFICANCE, k, np.inf)
    return float(q / math.sqrt(2) * math.sqrt(k * (k + 1) / (6 * n)))


def overall_ranks(scores: pd.DataFrame, better: Mapping[str, str], methods: Sequence[str]) -> pd.DataFrame:
    """A method's rank on an image, averaged over the metrics: scores of the metric "mean rank", lower better.

    Nothing is averaged over seeds. ``methods`` are ranked among each other (1 is best, ties share the middle). Returns
    columns ``seed, index, metric, method, value``, ready for :func:`xai_lib.statistics.paired_comparison`; a seed's
    images on which every method is defined under every metric. ValueError also where no image is left, naming what is
    undefined most often.
    """
    cube = cubes.cube_of(scores, better, methods)
    undefined = np.isnan(cube.values)  # [T, S, M, n]
    complete = ~undefined.any(axis=(0, 2))  # [S, n]
    if not complete.any():
        share = undefined.mean(axis=(1, 3))  # [T, M]
        t, m = np.unravel_index(share.argmax(), share.shape)
        raise ValueError(
            "Expected images on which every method is defined under every metric. Got none: most often undefined is "
            f"{cube.methods[m]!r} under {cube.metrics[t]!r}, on {share[t, m]:.0%} of the images. Leave one of them out."
        )
    ranks = stats.rankdata(-cube.values, axis=2).mean(axis=0)  # [S, M, n]
    seed, image = np.nonzero(complete)
    blocks = pd.DataFrame({"seed": np.array(cube.seeds)[seed], "index": cube.images[image], "metric": MEAN_RANK})
    tables = [blocks.assign(method=name, value=ranks[seed, m, image]) for m, name in enumerate(cube.methods)]
    return pd.concat(tables, ignore_index=True)
