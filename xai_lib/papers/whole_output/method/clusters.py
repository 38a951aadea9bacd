"""Clusters of classes: those of an image (whole-output paper §4), and other ways than a latent tree to find them.

A partition of the labels 0 … n-1 is a list of clusters that hold every label once. Those made here are in order:
members ascend within a cluster, clusters by their first members. A label in no document is a cluster of its own. The
paper (§3) leaves other clusterings to future work; these, from the Jaccard similarity of co-occurrence, are ours.

How far they depend on the documents at hand, on chance, and on the way to cluster, is measured by the adjusted Rand
index (ARI): 1 for the same clusters, about 0 for unrelated ones. A label that one of the two sets of documents lacks is
left out: it is a cluster of its own there, which says nothing.
"""

import math
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Literal

import networkx
import numpy as np
import pandas as pd
from sklearn.cluster import AgglomerativeClustering, SpectralClustering
from sklearn.metrics import adjusted_rand_score
from sklearn.preprocessing import MultiLabelBinarizer

from xai_lib.checks import check_counts

Documents = Sequence[Sequence[int]]
Partition = list[list[int]]
Cluster = Callable[..., Partition]  # documents, n_labels, seed=… -> a partition of the labels
What = Literal["halves", "bootstrap", "seeds"]


def confusion_clusters(partition: Sequence[Sequence[int]], top: Sequence[int]) -> Partition:
    """The clusters of a partition that an image's top classes, ranked, fall into, without all other classes (§4).

    With the level-1 clusters of a latent tree this is the paper's way: restrict the tree to the top classes, cut what
    is left at level 1. They come in the order of their first members, members in the order of ``top``. ValueError if a
    label is in two clusters, or a top class is in none or named twice.

    Example:
        >>> confusion_clusters([[0, 3, 5], [1], [2, 4]], [5, 1, 0])
        [[5, 0], [1]]
    """
    cluster_of = {label: number for number, cluster in enumerate(partition) for label in cluster}
    if len(cluster_of) != sum(map(len, partition)):
        raise ValueError("Expected disjoint clusters. Got a label in two of them.")
    if unknown := [label for label in top if label not in cluster_of]:
        got = f"{unknown[:5]} in none: the partition must be of the same classes as the network's"
        raise ValueError(f"Expected every top class in a cluster of the partition. Got {got}.")
    if len(set(top)) != len(top):
        raise ValueError(f"Expected different top classes. Got {list(top)}.")
    return _grouped(top, map(cluster_of.get, top))


def numbers(partition: Sequence[Sequence[int]]) -> np.ndarray:
    """The position in ``partition`` of each label's cluster, int64 [n_labels]; ValueError if it is no partition."""
    labels = np.array([label for cluster in partition for label in cluster], dtype=np.int64)
    if not np.array_equal(np.sort(labels), np.arange(len(labels))):
        raise ValueError(
            f"Expected a partition: every label from 0 on in exactly one cluster. Got {len(labels)} members, "
            f"{len(np.unique(labels))} different ones, the largest {labels.max()}."
        )
    return np.repeat(np.arange(len(partition)), [len(cluster) for cluster in partition])[labels.argsort()]


def occurring(documents: Documents, n_labels: int) -> np.ndarray:
    """The labels that some document has, ascending, int64; ValueError if one is not of 0 … n_labels-1."""
    labels = np.unique(np.array([label for document in documents for label in document], dtype=np.int64))
    if len(labels) and not 0 <= labels[0] <= labels[-1] < n_labels:
        raise ValueError(f"Expected labels in 0 to {n_labels - 1}. Got labels from {labels[0]} to {labels[-1]}.")
    return labels


def jaccard(documents: Documents, n_labels: int) -> np.ndarray:
    """Documents with both labels as a share of those with either: float64 [n_labels,n_labels], 0 for labels in none."""
    occurring(documents, n_labels)
    present = MultiLabelBinarizer(classes=range(n_labels), sparse_output=True).fit_transform(documents)
    both = (present.T @ present).toarray()
    each = both.diagonal()
    return both / np.maximum(each[:, None] + each - both, 1)


def average_linkage(documents: Documents, n_labels: int, n_clusters: int, *, seed: int = 0) -> Partition:
    """Clusters merged, the two of least mean Jaccard distance first, until ``n_clusters`` are left.

    Labels in no document are counted among them. ``seed`` is of the labels' order, by which equal distances are told
    apart. ValueError if a label is out of range, or there cannot be so many clusters.

    Example:
        >>> average_linkage([[0, 2], [1, 3], [0, 2]], 4, 2)
        [[0, 2], [1, 3]]
    """

    def assign(similarity: np.ndarray, n: int) -> np.ndarray:
        order = np.random.default_rng(seed).permutation(len(similarity))
        distance = 1 - similarity[np.ix_(order, order)]
        found = AgglomerativeClustering(n_clusters=n, metric="precomputed", linkage="average").fit_predict(distance)
        return found[np.argsort(order)]

    return _partition(documents, n_labels, n_clusters, assign)


def spectral(documents: Documents, n_labels: int, n_clusters: int, *, seed: int = 0) -> Partition:
    """Spectral clustering by Jaccard similarity: the normalised cut, with the leading eigenvectors' pivoted QR.

    k-means, the usual, leaves dozens of unlike labels in one cluster in hundreds of dimensions and depends on its
    start. ``seed`` is of the eigenvectors' iteration; it moves labels in ties at most.
    """

    def assign(similarity: np.ndarray, n: int) -> np.ndarray:
        method = SpectralClustering(n, affinity="precomputed", assign_labels="cluster_qr", random_state=seed)
        with warnings.catch_warnings():  # QR puts unconnected parts of the graph apart as it should
            warnings.filterwarnings("ignore", "Graph is not fully connected", UserWarning)
            return method.fit_predict(similarity)

    return _partition(documents, n_labels, n_clusters, assign)


def louvain(documents: Documents, n_labels: int, *, resolution: float = 1.0, seed: int = 0) -> Partition:
    """Communities of the graph of labels, weighted by Jaccard similarity: Louvain's search for high modularity.

    A higher ``resolution``, above 0, gives more, smaller clusters. ``seed`` is of the order of visits to the labels.
    """
    if not resolution > 0:
        raise ValueError(f"Expected resolution above 0. Got {resolution!r}.")
    similarity = jaccard(documents, n_labels)
    np.fill_diagonal(similarity, 0)
    graph = networkx.from_numpy_array(similarity)
    communities = networkx.community.louvain_communities(graph, resolution=resolution, seed=seed)
    return sorted(sorted(community) for community in communities)


def random_partition(sizes: Sequence[int], *, seed: int = 0) -> Partition:
    """The null: labels 0 … sum(sizes)-1 in random clusters of these sizes, at least 1, whatever the documents say."""
    if any(size < 1 for size in sizes):
        raise ValueError(f"Expected sizes of at least 1. Got {list(sizes)}.")
    numbers = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(sizes)), sizes))
    return _grouped(range(len(numbers)), numbers)


def agreement(a: Sequence[Sequence[int]], b: Sequence[Sequence[int]], labels: Iterable[int]) -> float:
    """The adjusted Rand index of two partitions over ``labels``: at most 1; NaN for fewer than two labels.

    ValueError if one is not a partition, or they are not of the same labels.

    Example:
        >>> agreement([[0, 1], [2, 3]], [[2, 3], [0, 1]], range(4))
        1.0
    """
    numbers_a, numbers_b = _numbers(a, b)
    labels = np.array(list(labels), dtype=np.int64)
    return float(adjusted_rand_score(numbers_a[labels], numbers_b[labels])) if len(labels) > 1 else math.nan


def made_again(
    what: What, documents: Documents, n_labels: int, cluster: Cluster, *, repeats: int, seed: int
) -> pd.DataFrame:
    """Two clusterings (a and b) of the same documents that differ in one thing, ``repeats`` times.

    "halves" has a of one random half of the documents and b of the other; "bootstrap" a of all documents and b of as
    many drawn from them with replacement, which is kinder, for the two share documents; "seeds" a of all documents by
    ``seed`` and b by seed + 1, seed + 2, … The first repeats do not depend on how many follow.

    One row a repeat: ``ari`` over the ``n_labels`` that both have; the clusters are of all labels of the documents.
    ValueError with fewer than two documents, if something is out of range, or ``cluster`` does not return a partition.
    """
    if len(documents) < 2:
        raise ValueError(f"Expected two documents or more. Got {len(documents)}.")
    check_counts(repeats=repeats)

    def fit(places: Iterable[int], seed: int) -> tuple[np.ndarray, Partition, int]:
        own = [documents[place] for place in places]
        labels, partition = occurring(own, n_labels), cluster(own, n_labels, seed=seed)
        return labels, partition, len(np.unique(numbers(partition)[labels]))

    first = None if what == "halves" else fit(range(len(documents)), seed)
    rows = []
    for repeat in range(repeats):
        draw = np.random.default_rng([seed, repeat])
        if what == "halves":
            a, b = (fit(half, seed) for half in np.array_split(draw.permutation(len(documents)), 2))
        elif what == "bootstrap":
            a, b = first, fit(draw.integers(len(documents), size=len(documents)), seed)
        else:
            a, b = first, fit(range(len(documents)), seed + 1 + repeat)
        shared = np.intersect1d(a[0], b[0])
        rows.append((what, repeat, agreement(a[1], b[1], shared), len(shared), a[2], b[2]))
    return pd.DataFrame(rows, columns=["what", "repeat", "ari", "n_labels", "n_clusters_a", "n_clusters_b"])


def changed_outputs(
    a: Sequence[Sequence[int]], b: Sequence[Sequence[int]], documents: Documents
) -> tuple[float, float]:
    """How many images get other confusion clusters by partition ``b`` than by ``a``.

    The share of the documents, the images' top classes, whose confusion clusters differ, in [0, 1]; one of a single
    class counts all the same. Then the share of a document's pairs of classes that both put together or both apart, in
    [0, 1], not corrected for chance, as a mean over documents of two or more classes. NaN without any. ValueError if
    one is not a partition, they are not of the same labels, or a document has others.

    Example:
        >>> changed_outputs([[0, 1], [2]], [[0], [1, 2]], [[0, 1], [0, 2], [1]])
        (0.3333333333333333, 0.5)
    """
    numbers_a, numbers_b = _numbers(a, b)
    occurring(documents, len(numbers_a))
    alike = [_pairs_alike(numbers_a[d], numbers_b[d]) for d in map(list, documents) if len(d) > 1]
    share = sum(one < 1 for one in alike) / len(documents) if len(documents) else math.nan
    return share, sum(alike) / len(alike) if alike else math.nan


def _partition(
    documents: Documents, n_labels: int, n_clusters: int, assign: Callable[[np.ndarray, int], np.ndarray]
) -> Partition:
    """The partition by ``assign``: similarity [P,P] of the labels that occur, how many clusters -> numbers [P]."""
    present = occurring(documents, n_labels)
    n_absent = n_labels - len(present)
    wanted = n_clusters - n_absent
    if not min(1, len(present)) <= wanted <= len(present):
        raise ValueError(
            f"Expected n_clusters from {n_absent + min(1, len(present))} to {n_labels}: {n_absent} of the {n_labels} "
            f"labels are in no document, each a cluster of its own. Got {n_clusters}."
        )
    found = n_labels + np.arange(n_labels)
    if wanted < len(present):
        found[present] = assign(jaccard(documents, n_labels)[np.ix_(present, present)], wanted)
    return _grouped(range(n_labels), found)


def _grouped(labels: Iterable[int], numbers: Iterable[int]) -> Partition:
    """Labels of the same number together."""
    members = defaultdict(list)
    for label, number in zip(labels, numbers):
        members[number].append(label)
    return list(members.values())


def _pairs_alike(a: np.ndarray, b: np.ndarray) -> float:
    """The share of pairs that both have together or both have apart, for cluster numbers [n] of n labels, n > 1."""
    alike = (a[:, None] == a) == (b[:, None] == b)
    return float((alike.sum() - len(a)) / (len(a) * (len(a) - 1)))


def _numbers(a: Sequence[Sequence[int]], b: Sequence[Sequence[int]]) -> tuple[np.ndarray, np.ndarray]:
    numbers_a, numbers_b = numbers(a), numbers(b)
    if len(numbers_a) != len(numbers_b):
        raise ValueError(f"Expected partitions of the same labels. Got {len(numbers_a)} and {len(numbers_b)} labels.")
    return numbers_a, numbers_b
