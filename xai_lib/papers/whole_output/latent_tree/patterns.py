"""Which documents have a label, the distinct patterns of a few labels, and how much labels say about each other."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import breadth_first_order, minimum_spanning_tree
from scipy.special import xlogy

from xai_lib.papers.whole_output.latent_tree.tree import Edges


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


def mutual_information(corpus: Corpus) -> np.ndarray:
    """Empirical mutual information of every two labels, in nats: Σ p(a,b) log(p(a,b) / (p(a) p(b))).

    Float64 [L,L], symmetric, not negative, 0 on the diagonal. Labels that avoid each other have some as well.
    """
    n = corpus.n_documents
    sizes = np.array([len(documents) for documents in corpus.documents])
    rows, columns = np.repeat(np.arange(len(sizes)), sizes), np.concatenate(corpus.documents)
    presence = csr_array((np.ones(len(rows)), (rows, columns)), (len(sizes), n))
    both = (presence @ presence.T).toarray()  # documents with both labels
    one, other = sizes[:, None] - both, sizes - both
    neither = n - both - one - other
    entropy = -xlogy(sizes, sizes / n) - xlogy(n - sizes, 1 - sizes / n)
    alike = xlogy(both, both / n) + xlogy(neither, neither / n)
    unlike = xlogy(one, one / n) + xlogy(other, other / n)
    information = np.clip(alike + unlike + (entropy[:, None] + entropy), 0, None) / n
    np.fill_diagonal(information, 0)
    return information


def chow_liu(information: np.ndarray) -> Edges:
    """The tree whose edges have the largest sum of mutual information [V,V] (Chow & Liu 1968): V - 1 edges (parent,
    child), breadth first from variable 0.

    Example:
        >>> chow_liu(np.array([[0, 1, 3], [1, 0, 2], [3, 2, 0]]))
        ((0, 2), (2, 1))
    """
    costs = information.max() + 1 - information  # above 0: a cost of 0 would mean no edge
    kept = minimum_spanning_tree(np.triu(costs, k=1))
    order, parents = breadth_first_order(kept, 0, directed=False)
    return tuple((int(parents[child]), int(child)) for child in order[1:])
