"""How far do clusters of labels depend on the documents at hand, on chance, and on the way to cluster?

Partitions are compared by the adjusted Rand index (ARI): 1 for the same clusters, about 0 for unrelated ones. A label
that one of the two sets of documents lacks is left out: it is a cluster of its own there, which says nothing.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Literal

import numpy as np
import pandas as pd
from sklearn.metrics import adjusted_rand_score

from xai_lib.checks import check_counts
from xai_lib.papers.whole_output.method.clusters import Documents, Partition, numbers, occurring

Cluster = Callable[..., Partition]  # documents, n_labels, seed=… -> a partition of the labels
What = Literal["halves", "bootstrap", "seeds"]


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

    rows = []
    for repeat, (a, b) in enumerate(_fits(what, len(documents), fit, repeats, seed)):
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


def _fits(what: What, n: int, fit: Callable, repeats: int, seed: int) -> Iterator[tuple]:
    first = None if what == "halves" else fit(range(n), seed)
    for repeat in range(repeats):
        draw = np.random.default_rng([seed, repeat])
        if what == "halves":
            yield tuple(fit(half, seed) for half in np.array_split(draw.permutation(n), 2))
        elif what == "bootstrap":
            yield first, fit(draw.integers(n, size=n), seed)
        else:
            yield first, fit(range(n), seed + 1 + repeat)


def _pairs_alike(a: np.ndarray, b: np.ndarray) -> float:
    """The share of pairs that both have together or both have apart, for cluster numbers [n] of n labels, n > 1."""
    alike = (a[:, None] == a) == (b[:, None] == b)
    return float((alike.sum() - len(a)) / (len(a) * (len(a) - 1)))


def _numbers(a: Sequence[Sequence[int]], b: Sequence[Sequence[int]]) -> tuple[np.ndarray, np.ndarray]:
    numbers_a, numbers_b = numbers(a), numbers(b)
    if len(numbers_a) != len(numbers_b):
        raise ValueError(f"Expected partitions of the same labels. Got {len(numbers_a)} and {len(numbers_b)} labels.")
    return numbers_a, numbers_b
