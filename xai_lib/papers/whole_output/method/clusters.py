"""Other ways than a latent tree to cluster the labels of documents, from the Jaccard similarity of co-occurrence.

(The whole-output paper, §3, leaves them to future work; these are ours.) All return a partition of the labels in order
(see ``partitions``), in which a label in no document is a cluster of its own, and give the same for the same seed.
"""

import warnings
from collections.abc import Callable, Sequence

import networkx
import numpy as np
from sklearn.cluster import AgglomerativeClustering, SpectralClustering

from xai_lib.papers.whole_output.method.co_occurrence import jaccard, occurring
from xai_lib.papers.whole_output.method.partitions import clusters


def average_linkage(
    documents: Sequence[Sequence[int]], n_labels: int, n_clusters: int, *, seed: int = 0
) -> list[list[int]]:
    """Clusters merged, the two of least mean Jaccard distance first, until ``n_clusters`` are left.

    Args:
        documents: lists of labels in 0 … n_labels-1.
        n_labels: how many labels are clustered.
        n_clusters: how many clusters are returned, labels in no document included.
        seed: of the labels' order, by which equal distances are told apart; few documents have many.

    Raises:
        ValueError: if a label is out of range, or there cannot be ``n_clusters`` clusters.
    """

    def assign(similarity: np.ndarray, n: int) -> np.ndarray:
        order = np.random.default_rng(seed).permutation(len(similarity))
        distance = 1 - similarity[np.ix_(order, order)]
        found = AgglomerativeClustering(n_clusters=n, metric="precomputed", linkage="average").fit_predict(distance)
        return found[np.argsort(order)]

    return _partition(documents, n_labels, n_clusters, assign)


def spectral(documents: Sequence[Sequence[int]], n_labels: int, n_clusters: int, *, seed: int = 0) -> list[list[int]]:
    """Spectral clustering by Jaccard similarity: the normalised cut, with the leading eigenvectors' pivoted QR.

    QR instead of the usual k-means, which in hundreds of dimensions leaves dozens of unlike labels in one cluster and
    depends on its start.

    Args:
        documents, n_labels, n_clusters: see :func:`average_linkage`.
        seed: of the eigenvectors' iteration; it moves labels in ties at most.

    Raises:
        ValueError: as :func:`average_linkage`.
    """

    def assign(similarity: np.ndarray, n: int) -> np.ndarray:
        method = SpectralClustering(n, affinity="precomputed", assign_labels="cluster_qr", random_state=seed)
        with warnings.catch_warnings():  # QR puts unconnected parts of the graph apart as it should
            warnings.filterwarnings("ignore", "Graph is not fully connected", UserWarning)
            return method.fit_predict(similarity)

    return _partition(documents, n_labels, n_clusters, assign)


def louvain(
    documents: Sequence[Sequence[int]], n_labels: int, *, resolution: float = 1.0, seed: int = 0
) -> list[list[int]]:
    """Communities of the graph of labels, weighted by Jaccard similarity: Louvain's search for high modularity.

    Args:
        documents, n_labels: see :func:`average_linkage`.
        resolution: above 0; a higher one gives more, smaller clusters. Their number cannot be set.
        seed: of the order in which labels are visited.

    Raises:
        ValueError: if a label is out of range or ``resolution`` is not above 0.
    """
    if not resolution > 0:
        raise ValueError(f"Expected resolution above 0. Got {resolution!r}.")
    similarity = jaccard(documents, n_labels)
    np.fill_diagonal(similarity, 0)
    graph = networkx.from_numpy_array(similarity)
    communities = networkx.community.louvain_communities(graph, resolution=resolution, seed=seed)
    return sorted(sorted(community) for community in communities)


def random_partition(sizes: Sequence[int], *, seed: int = 0) -> list[list[int]]:
    """The null: labels 0 … sum(sizes)-1 in random clusters of these sizes, whatever the documents say.

    Raises:
        ValueError: if a size is below 1.
    """
    if any(size < 1 for size in sizes):
        raise ValueError(f"Expected sizes of at least 1. Got {list(sizes)}.")
    return clusters(np.random.default_rng(seed).permutation(np.repeat(np.arange(len(sizes)), sizes)))


def _partition(
    documents: Sequence[Sequence[int]],
    n_labels: int,
    n_clusters: int,
    assign: Callable[[np.ndarray, int], np.ndarray],
) -> list[list[int]]:
    """The partition by ``assign``: similarity [P,P] of the labels that occur, how many clusters -> numbers [P]."""
    present = occurring(documents, n_labels)
    n_absent = n_labels - len(present)
    wanted = n_clusters - n_absent
    if not min(1, len(present)) <= wanted <= len(present):
        raise ValueError(
            f"Expected n_clusters from {n_absent + min(1, len(present))} to {n_labels}: {n_absent} of the {n_labels} "
            f"labels are in no document, each a cluster of its own. Got {n_clusters}."
        )
    numbers = n_labels + np.arange(n_labels)
    if wanted < len(present):
        numbers[present] = assign(jaccard(documents, n_labels)[np.ix_(present, present)], wanted)
    return clusters(numbers)
