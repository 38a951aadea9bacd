"""Which clusters of a class should one look at first, and do they hold the images of the mode that is rare in training?
The paper's suggestion for finding "sample imbalance bias" (§5), put to the test where modes are planted.
"""

import math
from collections.abc import Mapping

import numpy as np
import pandas as pd
from scipy import stats
from sklearn.metrics import roc_auc_score

from xai_lib.data.planted import CLASSES
from xai_lib.papers.dominance.method.training_share import by_class
from xai_lib.statistics.estimate import of_trainings
from xai_lib.statistics.intervals import check_columns

# Score -> what makes a cluster suspect: 1 a high value, -1 a low one, 0 nothing (the control).
SCORES = {"dominance": -1, "logit": -1, "probability": -1, "training distance": 1, "representation": -1, "random": 0}
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
    """How well each score tells the images of a class's rare mode from its others, and what the first suspect holds.

    Of one row a cluster: label (the class), seed (of the training), cluster, evaluation (number of images), rare_share
    (of these, in [0, 1]), accuracy (on these), and a column for each of :data:`SCORES` but "random".

    Returns one row a class, seed and score: label, seed, score; auc (area under the ROC curve of the clusters' scores
    over the images, in [0, 1]: how often an image of the rare mode is in a more suspect cluster than another image, one
    in the same cluster counting half; 0.5 for "random"; NaN without images of the rare mode, or without others); share
    (of the rare mode in the most suspect cluster, the mean of equally suspect ones), accuracy (there), base (share of
    the rare mode in the class). A cluster whose score is NaN is suspected last. ValueError on a missing column, a
    cluster that is there twice, or a rare_share that is not in [0, 1].
    """
    scores = [score for score, sign in SCORES.items() if sign]
    rows = []
    for label, seed, group in by_class(clusters, [*scores, "evaluation", "rare_share", "accuracy"]):
        if not group["rare_share"].between(0, 1).all():
            raise ValueError("Expected rare_share in [0, 1]. Got other numbers or NaN.")
        n, share, accuracy = (group[name].to_numpy(float) for name in ("evaluation", "rare_share", "accuracy"))
        base = (n * share).sum() / n.sum()
        for score, sign in SCORES.items():
            numbers = sign * group[score].to_numpy(float) if sign else np.zeros(len(group))
            suspicion = stats.rankdata(np.nan_to_num(numbers, nan=-math.inf, posinf=math.inf, neginf=-math.inf))
            first = suspicion == suspicion.max()
            images = {"y_score": np.tile(suspicion, 2), "sample_weight": np.r_[n * share, n * (1 - share)]}
            auc = math.nan if base in (0, 1) else float(roc_auc_score(np.repeat([1, 0], len(group)), **images))
            found = (np.average(values[first], weights=n[first]) for values in (share, accuracy))
            rows.append((label, seed, score, auc, *found, base))
    return pd.DataFrame(rows, columns=["label", "seed", "score", "auc", "share", "accuracy", "base"])


def power(found: pd.DataFrame) -> pd.DataFrame:
    """How well each score finds the rare mode, by its ``rarity`` (share in training): of rows of :func:`suspects`.

    Returns one row a score and rarity, in the order of :data:`SCORES`: score, rarity, auc (mean over classes, then over
    trainings), low, high (95 % by t over trainings, within [0, 1]; NaN with one training; "random" is known without
    error), share, accuracy, base (means of these), trials (classes with a value), trainings, n_undefined. ValueError on
    a missing column or an unknown score.
    """
    check_columns(found, ["score", "rarity", "seed", "auc", "share", "accuracy", "base"])
    if unknown := sorted(set(found["score"]) - set(SCORES)):
        raise ValueError(f"Expected scores out of {', '.join(SCORES)}. Got {unknown}.")
    rows = []
    for score in SCORES:
        for rarity, group in found[found["score"] == score].groupby("rarity", sort=True):
            known = of_trainings(group.groupby("seed")["auc"].mean().to_numpy(), range=(0.0, 1.0))
            ends = known.interval() if SCORES[score] else (known.value, known.value)
            counts = group["auc"].count(), group["seed"].nunique(), group["auc"].isna().sum()
            rows.append((score, rarity, known.value, *ends, *group[["share", "accuracy", "base"]].mean(), *counts))
    columns = ["auc", "low", "high", "share", "accuracy", "base", "trials", "trainings", "n_undefined"]
    return pd.DataFrame(rows, columns=["score", "rarity", *columns])


def areas(found: pd.DataFrame, score: str, *, rare: bool) -> pd.Series:
    """The mean area under a score's curve in each training, by seed: for modes that are rare, or for the others."""
    chosen = (found["score"] == score) & ((found["rarity"] < max(SHARES)) == rare)
    return found[chosen].groupby("seed")["auc"].mean()
