"""Part a class's images into clusters by what a network has computed of them (dominance paper §3.1, Eq. 1), and how
many there are: two answers beside P, which the paper sets beforehand.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from sklearn.cluster import KMeans
from sklearn.metrics import pairwise_distances, silhouette_score
from torch import Tensor, nn

from xai_lib.explainers.passes import layer_activations
from xai_lib.randomness import uniform

N_STARTS = 10  # of k-means; the best is kept
_REFERENCES = 10  # B, how many times the reference of the gap is drawn
_DISTANCES_AT_ONCE = 1 << 22  # 32 MB


@dataclass(frozen=True, eq=False)
class Clustering:
    """N images in P clusters; cluster 0 is the largest. All tensors are on the CPU."""

    centres: Tensor  # float32 [P,D]
    assigned: Tensor  # cluster of each image, int64 [N]
    distance: Tensor  # Euclidean, of each image to the centre of its cluster, float32 [N]


def pooled(model: nn.Module, batches: Iterable[Tensor], layer: nn.Module | str | None = None) -> Tensor:
    """The mean over the grid of each channel of a layer: v_c = (1 / HW) Σ_ij X(i, j, c) (dominance paper Eq. 1).

    At the last block of a ResNet, the default, these are the features that its linear head reads. Of batches of
    normalised images, float [B,3,H,W] on the model's device: float32 [N,D] on the CPU, in the order of the images.
    Errors are those of :func:`xai_lib.explainers.passes.layer_activations`, and a ValueError if there is no batch.

    Example:
        >>> pooled(nn.Sequential(nn.Identity()), [torch.arange(12.0).reshape(1, 3, 2, 2)], "0")
        tensor([[1.5000, 5.5000, 9.5000]])
    """
    features = [layer_activations(model, x, layer).mean(dim=(2, 3)).cpu() for x in batches]
    if not features:
        raise ValueError("Expected at least one batch of images. Got none.")
    return torch.cat(features)


def kmeans(features: Tensor, n_clusters: int, *, seed: int = 0) -> Clustering:
    """The P clusters γ of least squared distance to their means (dominance paper §3.1), largest first.

    Clusters of one size stand in the order of their centres, so that the same images always give the same numbers.
    Features are float [N,D], as of :func:`pooled`; the seed is that of the starts. TypeError, ValueError as
    :func:`checked`, or if P is below 1 or above the number of distinct images.

    Example:
        >>> kmeans(torch.tensor([[0.0], [5.0], [6.0]]), 2).assigned
        tensor([1, 0, 0])
    """
    values = checked(features)
    n_distinct = len(values.unique(dim=0))
    if not 1 <= n_clusters <= n_distinct:
        got = f"{n_clusters}: ask for fewer clusters or give more images"
        raise ValueError(f"Expected n_clusters from 1 to {n_distinct}, the number of distinct images. Got {got}.")
    found = best_of_starts(values.numpy(), n_clusters, seed)
    sizes = np.bincount(found.labels_, minlength=n_clusters)
    centres = found.cluster_centers_.astype(np.float32)
    order = np.lexsort((*centres.T[::-1], -sizes))  # the last key comes first: size, then the centre's values
    ordered = torch.from_numpy(centres[order])
    return Clustering(ordered, *assign(features, ordered))


def best_of_starts(values: np.ndarray, n_clusters: int, seed: int) -> KMeans:
    """Scikit-learn's k-means of features [N,D], run until nothing moves; the best of :data:`N_STARTS`."""
    return KMeans(n_clusters, n_init=N_STARTS, tol=0, random_state=seed).fit(values)


def assign(features: Tensor, centres: Tensor) -> tuple[Tensor, Tensor]:
    """Fit images [M,D] into clusters with centres [P,D]: the nearest, the first of equally near, int64 [M], and the
    Euclidean distances to their centres float32 [M]. Errors as :func:`checked`; ValueError if the two differ in D.
    """
    distance, assigned = _distances(features, centres).min(dim=1)
    return assigned, distance.float()


def representatives(clustering: Clustering, n: int) -> list[Tensor]:
    """The (up to) n images nearest to the centre of each of P clusters, int64 positions; ValueError if n is below 1."""
    if n < 1:
        raise ValueError(f"Expected n of at least 1 image a cluster. Got {n}.")
    nearest_first = clustering.distance.argsort(stable=True)
    clusters = clustering.assigned[nearest_first]
    return [nearest_first[clusters == cluster][:n] for cluster in range(len(clustering.centres))]


def shuffled(assigned: Tensor, *, seed: int) -> Tensor:
    """The control: the clusters int64 [N] with images dealt to them at random; their sizes stay, they mean nothing."""
    order = uniform(seed, torch.arange(len(assigned)), "shuffled clusters").argsort(stable=True)
    return assigned[order]


def nearest_distance(features: Tensor, reference: Tensor, k: int = 5) -> Tensor:
    """How far images [M,D] are from references [R,D]: the mean Euclidean distance to the k nearest, float32 [M]. An
    image that is itself a reference is one of its own nearest. Errors are those of :func:`assign`.
    """
    if not 1 <= k <= len(reference):
        raise ValueError(f"Expected k from 1 to {len(reference)}, the number of reference images. Got {k}.")
    parts = features.split(max(1, _DISTANCES_AT_ONCE // len(reference)))
    return torch.cat([_distances(part, reference).topk(k, largest=False).values.mean(1) for part in parts]).float()


def choose(features: Tensor, candidates: Sequence[int], *, seed: int = 0) -> pd.DataFrame:
    """How well each number of clusters fits: the mean silhouette (Rousseeuw 1987) and the gap; more is better in both.

    The gap (Tibshirani, Walther & Hastie 2001) is how much smaller the logarithm of the squared distances to the
    cluster means is than where there are no clusters: in as many images drawn uniformly from the box around the
    images that is aligned with their principal components (their reference "b").

    Of features float [N,D] of a class's images, and numbers of clusters, each at least 1 and below the number of
    distinct images. The gap can speak for 1, that is for no clusters; the silhouette is NaN there. The seed is that of
    k-means and of the references, which are drawn B = 10 times.

    Returns one row a candidate, in their order: n_clusters, silhouette in [-1,1], gap, and gap_error, the paper's s_k =
    sd·sqrt(1 + 1/B). TypeError, ValueError as :func:`checked`, or if a candidate is out of range.
    """
    values = checked(features)
    n_distinct = len(values.unique(dim=0))
    if not candidates or not all(1 <= k < n_distinct for k in candidates):
        expected = f"Expected candidates from 1 to {n_distinct - 1}, below the number of distinct images."
        raise ValueError(f"{expected} Got {list(candidates)}.")
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


def checked(features: Tensor) -> Tensor:
    """Features [N,D] as float64 on the CPU. TypeError for no float tensor; ValueError if empty, not finite, not 2-D."""
    if not isinstance(features, Tensor) or not features.is_floating_point():
        got = features.dtype if isinstance(features, Tensor) else type(features).__name__
        raise TypeError(f"Expected features as a float tensor [N,D]. Got {got}.")
    if features.ndim != 2 or features.numel() == 0:
        raise ValueError(f"Expected features [N,D] of at least one image. Got shape {list(features.shape)}.")
    if not features.isfinite().all():
        raise ValueError(f"Expected finite features. Got {int((~features.isfinite()).sum())} NaN or infinite values.")
    return features.detach().to("cpu", torch.float64)


def _distances(features: Tensor, others: Tensor) -> Tensor:
    """Euclidean distances, float64 [M,R]."""
    a, b = checked(features), checked(others)
    if a.shape[1] != b.shape[1]:
        raise ValueError(f"Expected features of the same layer, [M,D] and [R,D]. Got D {a.shape[1]} and {b.shape[1]}.")
    return torch.cdist(a, b)


def _references(values: Tensor, seed: int) -> Iterator[np.ndarray]:
    """Images [N,rank] drawn B times from the box, as coordinates along the principal components from its corner:
    nothing is turned or moved back into features, as distances stay the same.
    """
    centred = values - values.mean(0)
    coordinates = centred @ torch.linalg.svd(centred, full_matrices=False).Vh.T
    extent = coordinates.amax(0) - coordinates.amin(0)
    for b in range(_REFERENCES):
        yield (extent * uniform(seed, torch.arange(len(values)), f"gap reference {b}", (len(extent),))).numpy()
