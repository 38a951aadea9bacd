"""How far do clusters of labels depend on the documents at hand, on chance, and on the way to cluster?

Partitions are compared by the adjusted Rand index (ARI): 1 for the same clusters, about 0 for unrelated ones. A label
that one of the two sets of documents lacks is left out: it is a cluster of its own there, which says nothing.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.metrics import adjusted_rand_score

from xai_lib.papers.whole_output.method.co_occurrence import occurring
from xai_lib.papers.whole_output.method.partitions import numbers

Documents = Sequence[Sequence[int]]
Partition = list[list[int]]
Cluster = Callable[[Documents, int, int], Partition]  # documents, n_labels, seed -> a partition of the labels


@dataclass(frozen=True)
class ChangedOutputs:
    """What another partition means for images: see :func:`changed_outputs`."""

    share: float
    pair_agreement: float
    n_documents: int
    n_pairs: int


def agreement(a: Sequence[Sequence[int]], b: Sequence[Sequence[int]], labels: Iterable[int]) -> float:
    """The adjusted Rand index of two partitions over ``labels``: at most 1; NaN for fewer than two labels.

    Raises:
        ValueError: if one is not a partition, or they are not of the same labels.
    """
    numbers_a, numbers_b = _numbers(a, b)
    labels = np.array(list(labels), dtype=np.int64)
    return float(adjusted_rand_score(numbers_a[labels], numbers_b[labels])) if len(labels) > 1 else math.nan


def halves(documents: Documents, n_labels: int, cluster: Cluster, *, repeats: int, seed: int) -> pd.DataFrame:
    """Clusters of one random half of the documents (a) against those of the other (b), ``repeats`` times.

    Args:
        documents: lists of labels in 0 … n_labels-1; at least two.
        n_labels: how many labels are clustered.
        cluster: (documents, n_labels, seed) -> partition; both halves get ``seed``.
        repeats: how many random halvings, at least 1. The first ones do not depend on how many follow.
        seed: of the halvings.

    Returns:
        One row a repeat: what ("halves"), repeat, ari, n_labels (that both have, over which the ARI is), n_clusters_a
        and n_clusters_b (of all labels that the half has).

    Raises:
        ValueError: if there are too few documents or repeats, a label is out of range, or ``cluster`` does not return a
            partition of the labels.
    """
    _check(documents, repeats)
    rows = []
    for r in range(repeats):
        order = np.random.default_rng([seed, r]).permutation(len(documents))
        fits = [_Fit([documents[d] for d in half], n_labels, cluster, seed) for half in np.array_split(order, 2)]
        rows.append(_row("halves", r, *fits))
    return pd.DataFrame(rows)


def bootstrap(documents: Documents, n_labels: int, cluster: Cluster, *, repeats: int, seed: int) -> pd.DataFrame:
    """Clusters of all documents (a) against those of as many drawn from them with replacement (b).

    The two share documents, so this is kinder than :func:`halves`.

    Arguments, columns and errors are those of :func:`halves`; what is "bootstrap".
    """
    _check(documents, repeats)
    full = _Fit(documents, n_labels, cluster, seed)
    rows = []
    for r in range(repeats):
        drawn = np.random.default_rng([seed, r]).integers(len(documents), size=len(documents))
        rows.append(_row("bootstrap", r, full, _Fit([documents[d] for d in drawn], n_labels, cluster, seed)))
    return pd.DataFrame(rows)


def seeds(documents: Documents, n_labels: int, cluster: Cluster, *, repeats: int, seed: int) -> pd.DataFrame:
    """Clusters of the same documents by ``seed`` (a) against those by seed + 1, seed + 2, … (b).

    Arguments, columns and errors are those of :func:`halves`; what is "seeds".
    """
    _check(documents, repeats)
    first = _Fit(documents, n_labels, cluster, seed)
    others = (_Fit(documents, n_labels, cluster, seed + 1 + r) for r in range(repeats))
    return pd.DataFrame([_row("seeds", r, first, other) for r, other in enumerate(others)])


def changed_outputs(a: Sequence[Sequence[int]], b: Sequence[Sequence[int]], documents: Documents) -> ChangedOutputs:
    """How many images get other confusion clusters by partition ``b`` than by ``a``.

    Args:
        a, b: partitions of the same labels.
        documents: the images' top classes. One of a single class cannot change, and counts in ``share`` all the same.

    Returns:
        ``share`` of the documents whose confusion clusters differ, in [0, 1]; ``pair_agreement``: the share of a
        document's pairs of classes that both put together or both put apart, in [0, 1], not corrected for chance, as a
        mean over documents of two or more classes; the numbers of documents and of pairs. NaN without any.

    Raises:
        ValueError: if one is not a partition, they are not of the same labels, or a document has others.
    """
    numbers_a, numbers_b = _numbers(a, b)
    occurring(documents, len(numbers_a))
    alike = [_share_of_pairs_alike(numbers_a[d], numbers_b[d]) for d in map(list, documents) if len(d) > 1]
    return ChangedOutputs(
        share=sum(share < 1 for share in alike) / len(documents) if len(documents) else math.nan,
        pair_agreement=sum(alike) / len(alike) if alike else math.nan,
        n_documents=len(documents),
        n_pairs=sum(math.comb(len(document), 2) for document in documents),
    )


class _Fit:
    """The clusters of some documents."""

    def __init__(self, documents: Documents, n_labels: int, cluster: Cluster, seed: int) -> None:
        self.labels = occurring(documents, n_labels)
        self.partition = cluster(documents, n_labels, seed)
        self.n_clusters = len(np.unique(numbers(self.partition)[self.labels]))


def _row(what: str, repeat: int, a: _Fit, b: _Fit) -> dict[str, object]:
    shared = np.intersect1d(a.labels, b.labels)
    return {
        "what": what,
        "repeat": repeat,
        "ari": agreement(a.partition, b.partition, shared),
        "n_labels": len(shared),
        "n_clusters_a": a.n_clusters,
        "n_clusters_b": b.n_clusters,
    }


def _share_of_pairs_alike(a: np.ndarray, b: np.ndarray) -> float:
    """The share of pairs that both have together or both have apart, for cluster numbers [n] of n labels, n > 1."""
    alike = (a[:, None] == a) == (b[:, None] == b)
    return float((alike.sum() - len(a)) / (len(a) * (len(a) - 1)))


def _numbers(a: Sequence[Sequence[int]], b: Sequence[Sequence[int]]) -> tuple[np.ndarray, np.ndarray]:
    numbers_a, numbers_b = numbers(a), numbers(b)
    if len(numbers_a) != len(numbers_b):
        raise ValueError(f"Expected partitions of the same labels. Got {len(numbers_a)} and {len(numbers_b)} labels.")
    return numbers_a, numbers_b


def _check(documents: Documents, repeats: int) -> None:
    if len(documents) < 2:
        raise ValueError(f"Expected two documents or more. Got {len(documents)}.")
    if type(repeats) is not int or repeats < 1:
        raise ValueError(f"Expected repeats as a whole number of at least 1. Got {repeats!r}.")
