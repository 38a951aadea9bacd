"""How many clusters a class's images have: two answers beside P, which the dominance paper sets beforehand."""

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
import torch
from sklearn.metrics import pairwise_distances, silhouette_score
from torch import Tensor

from xai_lib.papers.dominance.method.clusters import best_of_starts, checked
from xai_lib.randomness import uniform

_REFERENCES = 10  # B, how many times the reference is drawn


def choose(features: Tensor, candidates: Sequence[int], *, seed: int = 0) -> pd.DataFrame:
    """How well each number of clusters fits: the mean silhouette (Rousseeuw 1987) and the gap; more is better in both.

    The gap (Tibshirani, Walther & Hastie 2001) is how much smaller the logarithm of the squared distances to the
    cluster means is than where there are no clusters: in as many images drawn uniformly from the box around the
    images that is aligned with their principal components (their reference "b").

    Of features float [N,D] of a class's images, and numbers of clusters, each at least 1 and below the number of
    distinct images. The gap can speak for 1, that is for no clusters; the silhouette is NaN there. The seed is that of
    k-means and of the references, which are drawn B = 10 times.

    Returns one row a candidate, in their order: n_clusters, silhouette in [-1,1], gap, and gap_error, the paper's s_k =
    sd·sqrt(1 + 1/B). TypeError, ValueError as :func:`clusters.checked`, or if a candidate is out of range.
    """
    values = checked(features)
    n_distinct = len(values.unique(dim=0))
    if not candidates or not all(1 <= k < n_distinct for k in candidates):
        raise ValueError(
            f"Expected candidates from 1 to {n_distinct - 1}, below the number of distinct images. "
            f"Got {list(candidates)}."
        )
    # The references get as many starts: with one each, their worse clusters would widen the gap by about s_k / 2.
    drawn = (values.numpy(), *_references(values, seed))
    fits = [[best_of_starts(x, k, seed) for k in candidates] for x in drawn]
    own, *log_drawn = np.log([[fit.inertia_ for fit in of_x] for of_x in fits])  # each [candidates]
    how, distances = {"metric": "precomputed"}, pairwise_distances(values.numpy())
    fit = [silhouette_score(distances, fit.labels_, **how) if fit.labels_.any() else np.nan for fit in fits[0]]
    gap, error = np.mean(log_drawn, axis=0) - own, np.std(log_drawn, axis=0) * np.sqrt(1 + 1 / _REFERENCES)
    return pd.DataFrame({"n_clusters": list(candidates), "silhouette": fit, "gap": gap, "gap_error": error})


def by_silhouette(frame: pd.DataFrame) -> int:
    """That of the highest silhouette in :func:`choose`, the smallest of equal ones; ValueError if no row has one."""
    ordered = frame.dropna(subset="silhouette").sort_values("n_clusters")
    if ordered.empty:
        raise ValueError("Expected a candidate of at least 2 clusters. Got none with a silhouette.")
    return int(ordered.loc[ordered["silhouette"].idxmax(), "n_clusters"])


def by_gap(frame: pd.DataFrame) -> int | None:
    """The smallest k of a frame of :func:`choose` with gap(k) ≥ gap(k+1) - s(k+1), or None if no k has it."""
    rows = frame.set_index("n_clusters").sort_index()
    needed = (rows["gap"] - rows["gap_error"]).rename(lambda k: k - 1).reindex(rows.index)
    enough = rows.index[rows["gap"] >= needed]
    return int(enough[0]) if len(enough) else None


def _references(values: Tensor, seed: int) -> Iterator[np.ndarray]:
    """Images [N,rank] drawn B times from the box, as coordinates along the principal components from its corner:
    nothing is turned or moved back into features, as distances stay the same.
    """
    centred = values - values.mean(0)
    coordinates = centred @ torch.linalg.svd(centred, full_matrices=False).Vh.T
    extent = coordinates.amax(0) - coordinates.amin(0)
    for b in range(_REFERENCES):
        yield (extent * uniform(seed, torch.arange(len(values)), f"gap reference {b}", (len(extent),))).numpy()
