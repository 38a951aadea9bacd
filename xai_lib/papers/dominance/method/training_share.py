"""Is a cluster that dominates little also one that has few training images? (Dominance paper §4, Figures 4-5.)

A ``table`` here has one row a cluster: ``label`` (the class), ``seed`` (of the training), ``cluster``, ``dominance``
and at least one column of shares, whose name is the argument ``share``. A cluster without a dominance or a share (NaN)
is left out. A missing column, a cluster that is there twice, or an infinite number raises a ValueError.
"""

import math
from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
import torch
from scipy import stats

from xai_lib import randomness
from xai_lib.statistics.against_zero import Permuted
from xai_lib.statistics.intervals import check_columns


def shares(assigned_training: Sequence[int], assigned_evaluation: Sequence[int], n_clusters: int) -> pd.DataFrame:
    """How large the clusters of one class are among its training and its evaluation images (§4).

    The paper gives the raw share of the training images, which also says how small a cluster is: where both parts are
    drawn alike, it is small in both. ``representation`` does not.

    Of the nearest cluster of each image, int [Nt] and [Ne], P rows: numbers of images, their shares, each adding up to
    1, and ``representation``, the training share / evaluation share: less than 1 is rarer in training. ValueError
    without training images, for a cluster without an evaluation image, or one not in 0 to P - 1.

    Example:
        >>> shares([0, 0, 0, 1], [0, 1], 2)["representation"].tolist()
        [1.5, 0.5]
    """
    training = _sizes(assigned_training, n_clusters, "assigned_training")
    evaluation = _sizes(assigned_evaluation, n_clusters, "assigned_evaluation")
    if not training.sum():
        raise ValueError("Expected at least one training image. Got none: a share of none is undefined.")
    if not evaluation.all():
        got = f"none in cluster {np.flatnonzero(evaluation == 0)[0]}: cluster these, then assign the training images"
        raise ValueError(f"Expected evaluation images in each of {n_clusters} clusters. Got {got}.")
    frame = pd.DataFrame({"cluster": np.arange(n_clusters), "training": training, "evaluation": evaluation})
    for part in ("training", "evaluation"):
        frame[f"{part}_share"] = frame[part] / frame[part].sum()
    return frame.assign(representation=frame["training_share"] / frame["evaluation_share"])


def correlations(table: pd.DataFrame, share: str) -> pd.DataFrame:
    """Spearman's correlation of dominance and share over the clusters of each class and seed.

    Returns one row a class and seed: label, seed, correlation (in [-1, 1], positive where clusters with few images
    dominate little; NaN below two clusters or where all have one dominance or one share), n_clusters.

    Example:
        >>> table = pd.DataFrame({"label": "cat", "seed": 0, "cluster": range(3), "dominance": [0.6, 0.5, 0.4]})
        >>> correlations(table.assign(training_share=[0.5, 0.3, 0.2]), "training_share")["correlation"].round(6).item()
        1.0
    """
    rows = []
    for label, seed, group in _with_both(table, share):
        rows.append((label, seed, _product(_standard(group["dominance"]), _standard(group[share])), len(group)))
    return pd.DataFrame(rows, columns=["label", "seed", "correlation", "n_clusters"])


def permutation_test(table: pd.DataFrame, share: str, *, n: int = 10_000, seed: int = 0) -> Permuted:
    """Is the mean of :func:`correlations`, over seeds and then over classes, further from 0 than chance takes it?

    Chance deals a class's shares to its clusters anew. One deal serves all seeds of a class, cluster by cluster in the
    order of their shares: networks that saw the same images have much the same clusters and are no separate evidence.
    With a deal for each seed, two that agree in everything would pass for significant in 17 % of cases, not in 5 %.

    Of n deals, other ones with another seed, the p-value is (1 + those as far from 0 as the value) / (n + 1); NaN, as
    the value is, where no class has a correlation. A class or seed without one is left out.
    """
    found, dealt = {}, {}
    for label, _, group in _with_both(table, share):
        group = group.sort_values(share, kind="stable")
        dominance, ranks = _standard(group["dominance"]), _standard(group[share])
        correlation = _product(dominance, ranks)
        if not math.isnan(correlation):
            keys = randomness.uniform(seed, torch.arange(n), f"dominance/shares of {label}", (len(group),))
            found.setdefault(label, []).append(correlation)
            dealt.setdefault(label, []).append(ranks[keys.argsort(dim=1, stable=True).numpy()] @ dominance)
    if not found:
        return Permuted(math.nan, np.full(n, math.nan))
    value = float(np.mean([np.mean(of_class) for of_class in found.values()]))
    draws = np.mean([np.mean(of_class, axis=0) for of_class in dealt.values()], axis=0)
    return Permuted(value, draws, (-1.0, 1.0))


def _sizes(assigned: Sequence[int], n_clusters: int, name: str) -> np.ndarray:
    """Number of images in each cluster, int64 [P]."""
    assigned = np.asarray(assigned)
    if not assigned.size:
        return np.zeros(n_clusters, dtype=np.int64)
    if assigned.ndim != 1 or not np.issubdtype(assigned.dtype, np.integer):
        raise ValueError(f"Expected {name} as integers [N]. Got {assigned.dtype} with shape {assigned.shape}.")
    if assigned.min() < 0 or assigned.max() >= n_clusters:
        got = f"{assigned.min()} to {assigned.max()}"
        raise ValueError(f"Expected clusters in 0 to {n_clusters - 1} in {name}. Got {got}.")
    return np.bincount(assigned, minlength=n_clusters)


def by_class(table: pd.DataFrame, columns: Sequence[str]) -> Iterator[tuple[object, object, pd.DataFrame]]:
    """Label, seed and the clusters, sorted, of each class and seed; ValueError without a column or for a second row."""
    check_columns(table, ["label", "seed", "cluster", *columns])
    if table.duplicated(["label", "seed", "cluster"]).any():
        raise ValueError("Expected one row for each label, seed and cluster. Got several: select rows first.")
    for (label, seed), group in table.sort_values("cluster").groupby(["label", "seed"], sort=True, observed=True):
        yield label, seed, group


def _with_both(table: pd.DataFrame, share: str) -> Iterator[tuple[object, object, pd.DataFrame]]:
    """As :func:`by_class`, the clusters that have both numbers."""
    both = ["dominance", share]
    for label, seed, group in by_class(table, both):
        if np.isinf(group[both].to_numpy(float)).any():
            raise ValueError(f"Expected finite numbers or NaN as dominance and {share}. Got infinite ones.")
        yield label, seed, group.dropna(subset=both).reset_index(drop=True)


def _standard(values: pd.Series) -> np.ndarray:
    """Mid-ranks [P] with mean 0 and length 1, so that Spearman's correlation is a product; NaN if all are tied."""
    ranks = stats.rankdata(values)
    centred = ranks - ranks.mean() if len(ranks) else ranks
    length = np.linalg.norm(centred)
    return centred / length if length else np.full(len(ranks), math.nan)


def _product(a: np.ndarray, b: np.ndarray) -> float:
    return float(a @ b) if len(a) else math.nan
