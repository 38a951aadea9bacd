"""Which cluster of a class should one look at first, and does it hold the mode that is rare in training?

The dominance paper suggests dominance for finding "sample imbalance bias" (§5). Planted images have modes whose share
in training is known, so the suggestion can be put to the test beside plainer scores.
"""

import math
from collections.abc import Mapping

import numpy as np
import pandas as pd
from scipy import stats

from xai_lib.data.planted import CLASSES
from xai_lib.papers.dominance.method.training_share import by_class
from xai_lib.statistics.intervals import LEVEL, check_columns

# Score -> what makes a cluster suspect: 1 a high value, -1 a low one, 0 nothing (the control).
SCORES: dict[str, int] = {
    "dominance": -1,
    "logit": -1,
    "probability": -1,
    "training distance": 1,
    "representation": -1,  # needs the training images
    "random": 0,
}
SHARES = (0.01, 0.02, 0.05, 0.1, 0.2)  # of five modes, one with a share of 0.2 is not rare: the control


def rarities_of(training: int) -> Mapping[str, float]:
    """How rare the rare mode of each planted class is in a training: class -> share, each of :data:`SHARES` twice.

    In trainings 0 to 4 every class has every share once, always beside another class; so it has in 5 to 9, beside still
    other classes, and so on. That is what ``planted.Parameters(rarities=…)`` takes. ValueError for a negative number.

    Example:
        >>> sorted(rarities_of(3).values())
        [0.01, 0.01, 0.02, 0.02, 0.05, 0.05, 0.1, 0.1, 0.2, 0.2]
    """
    if training < 0:
        raise ValueError(f"Expected the number of a training, 0 or more. Got {training}.")
    n = len(SHARES)
    # One half of the classes goes up the shares, the other half down, so those with one share meet but once.
    up = [(place + training) % n for place in range(n)]
    down = [(place - training + training // n) % n for place in range(len(CLASSES) - n)]
    return {name: SHARES[share] for name, share in zip(CLASSES, up + down)}


def suspects(clusters: pd.DataFrame) -> pd.DataFrame:
    """The most suspect cluster of each class by each score, and whether the rare mode is in it.

    Args:
        clusters: one row a cluster: label (the class), seed (of the training), cluster, a column for each of
            :data:`SCORES` but "random", and rare_mode_in (share of the rare mode's images that the cluster holds). The
            cluster with the largest rare_mode_in is the rare cluster.

    Returns:
        One row a class, seed and score: label, seed, score, cluster (the most suspect; of several, the first number),
        hit (1 if it is the rare cluster, else 0; the expected value of a random choice among equally suspect clusters,
        and among several that could be the rare one, so 1 / P for "random"), rank (of the rare cluster, 1 is the most
        suspect; the middle of equally suspect ones), n_clusters. A cluster whose score is NaN is suspected last.

    ValueError on a missing column, a cluster that is there twice, or a rare_mode_in that is not in [0, 1].
    """
    scores = [score for score, sign in SCORES.items() if sign]
    rows = []
    for label, seed, group in by_class(clusters, [*scores, "rare_mode_in"]):
        held = group["rare_mode_in"]
        if not held.between(0, 1).all():
            raise ValueError(
                "Expected rare_mode_in in [0, 1]. Got other numbers or NaN: is a class without a rare mode in?"
            )
        rare = (held == held.max()).to_numpy()
        for score in SCORES:
            numbers = SCORES[score] * group[score].to_numpy(float) if SCORES[score] else np.zeros(len(group))
            suspicion = np.nan_to_num(numbers, nan=-math.inf, posinf=math.inf, neginf=-math.inf)  # highest first
            first = suspicion == suspicion.max()
            cluster = int(group["cluster"].to_numpy()[first.argmax()])
            hit = (first & rare).sum() / (first.sum() * rare.sum())
            rank = stats.rankdata(-suspicion)[rare].mean()
            rows.append((label, seed, score, cluster, float(hit), float(rank), len(group)))
    return pd.DataFrame(rows, columns=["label", "seed", "score", "cluster", "hit", "rank", "n_clusters"])


def power(hits: pd.DataFrame) -> pd.DataFrame:
    """How often each score finds the rare cluster, by how rare the mode is in training.

    The interval is exact for a proportion (Clopper & Pearson) at the number of independent trials that is worth as much
    as the trainings are, at most the number of trials (Korn & Graubard 1998, Survey Methodology 24). Where all trials
    hit, or none does, each training counts as one trial, for its classes could have hit together. Student's t over the
    trainings would have no width there, and reach beyond 1 elsewhere. "random" is known without error.

    Args:
        hits: a row a class: score, rarity (share of the mode in training), seed (the training), hit (in [0, 1]).

    Returns:
        One row a score and rarity, in the order of :data:`SCORES`: score, rarity, hit (mean over classes, then over
        trainings), low, high (95 %; NaN with one training), trials, trainings.

    ValueError on a missing column, an unknown score or a hit that is not in [0, 1].
    """
    check_columns(hits, ["score", "rarity", "seed", "hit"])
    unknown = sorted(set(hits["score"]) - set(SCORES))
    if unknown:
        raise ValueError(f"Expected scores out of {', '.join(SCORES)}. Got {unknown}.")
    if not hits["hit"].between(0, 1).all():
        raise ValueError("Expected hits in [0, 1]. Got other numbers or NaN.")
    rows = []
    for score in [score for score in SCORES if score in set(hits["score"])]:
        for rarity, group in hits[hits["score"] == score].groupby("rarity", sort=True):
            by_training = group.groupby("seed")["hit"].mean().to_numpy()
            low, high = _interval(by_training, len(group)) if SCORES[score] else (by_training.mean(),) * 2
            rows.append((score, rarity, by_training.mean(), low, high, len(group), len(by_training)))
    return pd.DataFrame(rows, columns=["score", "rarity", "hit", "low", "high", "trials", "trainings"])


def _interval(by_training: np.ndarray, trials: int) -> tuple[float, float]:
    """The interval of the mean of hit rates [T] of trainings with ``trials`` trials in all."""
    n_trainings = len(by_training)
    if n_trainings < 2:
        return math.nan, math.nan
    mean, upper = by_training.mean(), (1 + LEVEL) / 2
    if mean in (0, 1):
        n = n_trainings
    else:
        stretch = stats.t.ppf(upper, n_trainings - 1) / stats.t.ppf(upper, trials - 1)
        variance = by_training.var(ddof=1) / n_trainings * stretch**2
        n = min(mean * (1 - mean) / variance, trials) if variance else trials
    low = stats.beta.ppf(1 - upper, mean * n, (1 - mean) * n + 1) if mean > 0 else 0.0
    high = stats.beta.ppf(upper, mean * n + 1, (1 - mean) * n) if mean < 1 else 1.0
    return float(low), float(high)
