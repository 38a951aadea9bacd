"""Documents as an index of their labels, and the few distinct patterns that a handful of labels makes in them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Corpus:
    """``n_documents``, those without any label included, and for each label those that have it, int64, ascending."""

    n_documents: int
    documents: list[np.ndarray]


@dataclass(frozen=True)
class Patterns:
    """The distinct combinations of some labels in the documents."""

    values: np.ndarray  # bool [P,V], whether the pattern has the label; no row twice, the first one empty
    counts: np.ndarray  # float64 [P], documents of each pattern; only the empty one may have none
    documents: np.ndarray  # int64 [D], those with at least one of the labels, ascending
    of_document: np.ndarray  # int64 [D], their patterns, from 1 to P-1


def corpus_of(documents: Iterable[Sequence[int]], n_labels: int) -> Corpus:
    """Index documents by label. ValueError if there is no document or label, or a label outside 0 to n_labels - 1."""
    lists = [sorted(set(document)) for document in documents]
    if not lists or n_labels < 1:
        raise ValueError(f"Expected at least one document and one label. Got {len(lists)} and {n_labels}.")
    labels = np.array([label for document in lists for label in document], dtype=np.int64)
    if len(labels) and not 0 <= labels.min() <= labels.max() < n_labels:
        raise ValueError(f"Expected labels in 0 to {n_labels - 1}. Got {labels.min()} to {labels.max()}.")
    rows = np.repeat(np.arange(len(lists)), [len(document) for document in lists])
    ends = np.bincount(labels, minlength=n_labels).cumsum()
    return Corpus(len(lists), np.split(rows[labels.argsort(kind="stable")], ends[:-1]))


def patterns_of(corpus: Corpus, labels: Sequence[int]) -> Patterns:
    """Patterns of some distinct labels, at most 52 (bits of a float64), in all documents, a column a label."""
    lists = [corpus.documents[label] for label in labels]
    bits = np.repeat(2.0 ** np.arange(len(labels)), [len(found) for found in lists])
    documents, place = np.unique(np.concatenate(lists), return_inverse=True)
    codes = np.bincount(place, weights=bits).astype(np.int64)
    found, of_document, counts = np.unique(codes, return_inverse=True, return_counts=True)
    values = (np.append(0, found)[:, None] >> np.arange(len(labels)) & 1).astype(bool)
    counts = np.append(corpus.n_documents - len(documents), counts).astype(np.float64)
    return Patterns(values, counts, documents, of_document + 1)


def contingency(patterns: Patterns, columns: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """Count k columns of patterns of V labels against all others: the distinct patterns of these, bool [Q,V-k], and how
    many documents have each with which values of ``columns``, float64 [Q,2^k], the first of which is the lowest bit.
    """
    others = np.delete(patterns.values, columns, axis=1)
    codes = others @ (1 << np.arange(others.shape[1]))
    _, first, row = np.unique(codes, return_index=True, return_inverse=True)
    counts = np.zeros((len(first), 1 << len(columns)))
    counts[row, patterns.values[:, columns] @ (1 << np.arange(len(columns)))] = patterns.counts
    return others[first], counts
