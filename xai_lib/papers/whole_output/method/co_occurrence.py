"""Which labels occur in documents, and which together."""

from collections.abc import Sequence

import numpy as np
from scipy.sparse import csr_array


def occurring(documents: Sequence[Sequence[int]], n_labels: int) -> np.ndarray:
    """The labels that some document has, ascending, int64 [≤ n_labels].

    Raises:
        ValueError: if a document has something else than labels of 0 … n_labels-1.
    """
    labels = np.unique(np.array([label for document in documents for label in document], dtype=np.int64))
    if len(labels) and not 0 <= labels[0] <= labels[-1] < n_labels:
        raise ValueError(f"Expected labels in 0 to {n_labels - 1}. Got labels from {labels[0]} to {labels[-1]}.")
    return labels


def counts(documents: Sequence[Sequence[int]], n_labels: int) -> np.ndarray:
    """How many documents have both labels, int64 [n_labels, n_labels]; on the diagonal, how many have the label.

    Raises:
        ValueError: as :func:`occurring`.
    """
    occurring(documents, n_labels)
    labels = np.array([label for document in documents for label in document], dtype=np.int64)
    rows = np.repeat(np.arange(len(documents)), [len(document) for document in documents])
    present = csr_array((np.ones(len(labels), dtype=bool), (rows, labels)), shape=(len(documents), n_labels))
    present = present.astype(np.int64)
    return (present.T @ present).toarray()


def jaccard(documents: Sequence[Sequence[int]], n_labels: int) -> np.ndarray:
    """Documents that have both labels, as a share of those that have at least one: float64 [n_labels, n_labels].

    In [0, 1], symmetric, 1 on the diagonal. A label in no document has 0 with all, itself included.

    Raises:
        ValueError: as :func:`occurring`.
    """
    both = counts(documents, n_labels)
    each = both.diagonal()
    either = each[:, None] + each[None, :] - both
    return both / np.maximum(either, 1)
