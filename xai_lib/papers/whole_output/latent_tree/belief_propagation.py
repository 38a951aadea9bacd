"""Exact inference in a latent tree of binary variables, all documents at once.

What the documents' labels below a node say about it is one number each, the log-odds of these labels given that the
node is on and given that it is off. Log-odds go up, level by level and along the bridges; probabilities come down.
Labels that are absent, nearly all, cost nothing: they enter as constants.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array
from scipy.special import expit

from xai_lib.papers.whole_output.latent_tree.patterns import Corpus, corpus_of
from xai_lib.papers.whole_output.latent_tree.tree import Tree

_CLOSEST = 1e-12  # of a probability to 0 and 1: no document is impossible
_AT_ONCE = 5000  # documents


@dataclass(frozen=True)
class Expected:
    """What the labels of some documents say about all variables.

    Attributes:
        log_likelihood: float64 [N], of each document, in nats.
        on: per level, labels first, float64 [n,2]: documents in which a label or node is on together with its parent
            off, and with it on. A root counts as below a parent that is always on. Weighted by the documents' counts.
    """

    log_likelihood: np.ndarray
    on: list[np.ndarray]


def log_likelihood(tree: Tree, documents: Iterable[Sequence[int]]) -> np.ndarray:
    """Log-probability of each document, of all its present and absent labels, in nats.

    Probabilities of the model count as at least 1e-12 and at most 1 − 1e-12.

    Args:
        tree: with probabilities.
        documents: N lists of labels; neither their order nor repetitions count.

    Returns:
        float64 [N], at most 0.

    Raises:
        ValueError: if the tree has no probabilities, or a label is outside 0 to n_labels − 1.
    """
    documents = list(documents)
    parts = [documents[start : start + _AT_ONCE] for start in range(0, len(documents), _AT_ONCE)]
    found = [_up(_tables(tree), corpus_of(part, tree.n_labels), tree).log_likelihood for part in parts]
    return np.concatenate([np.empty(0), *found])


def expected(tree: Tree, corpus: Corpus, counts: np.ndarray) -> Expected:
    """How often every variable is on, together with its parent, given the labels of the documents.

    Args:
        tree: with probabilities.
        corpus: N documents.
        counts: how often each of them occurs, float64 [N].

    Raises:
        ValueError: if the tree has no probabilities.
    """
    up = _up(_tables(tree), corpus, tree)
    nodes, posterior = _all_down(tree, up.given, up.roots, counts)
    return Expected(up.log_likelihood, [_labels_on(corpus, parents_of(tree)[0], posterior, counts), *nodes])


def expected_before(tree: Tree) -> list[np.ndarray]:
    """What the tree expects of one document of which nothing is known: the probabilities of :class:`Expected`'s on."""
    labels, *given = (rows.T[:, :, None] for rows in _probabilities(tree))
    nodes, prior = _all_down(tree, given, given[-1][0], np.ones(1))
    return [_down(labels, prior[parents_of(tree)[0]], np.ones(1))[0], *nodes]


def parents_of(tree: Tree) -> list[np.ndarray]:
    """The parent of every label, of every node of level 1, and so on, int64; not of the top nodes."""
    sizes = [tree.n_labels, *map(len, tree.levels)]
    found = []
    for size, groups in zip(sizes, tree.levels):
        parents = np.empty(size, dtype=np.int64)
        for node, group in enumerate(groups):
            parents[list(group)] = node
        found.append(parents)
    return found


@dataclass(frozen=True)
class _Table:
    """Of one level: the log-odds of being on, and the log-probability of being off, given the parent, float64 [n,2]."""

    logit: np.ndarray
    off: np.ndarray


@dataclass(frozen=True)
class _Up:
    log_likelihood: np.ndarray  # [N]
    given: list[
        np.ndarray
    ]  # per level from 1: probability of on, given the parent off and on and what is below [2,n,N]
    roots: np.ndarray  # probability that a top node is on given all labels, right for the roots [n,N]


def _probabilities(tree: Tree) -> list[np.ndarray]:
    if tree.probabilities is None:
        raise ValueError("Expected a tree with probabilities, as fit_tree gives it. Got one read without them.")
    return [np.array(rows) for rows in tree.probabilities]


def _tables(tree: Tree) -> list[_Table]:
    on = [np.clip(rows, _CLOSEST, 1 - _CLOSEST) for rows in _probabilities(tree)]
    return [_Table(np.log(rows) - np.log1p(-rows), np.log1p(-rows)) for rows in on]


def _up(tables: list[_Table], corpus: Corpus, tree: Tree) -> _Up:
    labels, *nodes = tables
    parents = parents_of(tree)
    sizes = [len(found) for found in corpus.documents]
    entries = (np.ones(sum(sizes)), np.concatenate(corpus.documents), np.cumsum([0, *sizes]))
    presence = csr_array(entries, shape=(tree.n_labels, corpus.n_documents))
    total = labels.off[:, 0].sum() + labels.logit[:, 0] @ presence  # [N]
    absent = _summed(parents[0], labels.off[:, 1] - labels.off[:, 0])
    present = csr_array((labels.logit[:, 1] - labels.logit[:, 0], (parents[0], np.arange(tree.n_labels))))
    odds = (present @ presence).toarray() + absent[:, None]  # [n,N]
    given = []
    for table, above in zip(nodes, parents[1:]):
        message, base, posterior = _message(table.logit, table.off, odds)
        given.append(posterior)
        total += base.sum(axis=0)
        odds = _summed(above, message)
    top = nodes[-1]
    given.append(np.empty((2, *odds.shape)))
    roots = np.ones(len(odds), dtype=bool)
    for parent, child in reversed(tree.bridges):
        message, base, given[-1][:, child] = _message(top.logit[child], top.off[child], odds[child])
        odds[parent] += message
        total += base
        roots[child] = False
    _, base, posterior = _message(top.logit, top.off, odds)
    return _Up(total + base[roots].sum(axis=0), given, posterior[0])


def _summed(parents: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Sums [m,…] over the children of each parent of values [n,…]."""
    members = csr_array((np.ones(len(parents)), (parents, np.arange(len(parents)))))
    return members @ values


def _message(logit: np.ndarray, off: np.ndarray, odds: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What nodes say about their parents, tables [n,2] and log-odds [n,N] of what is below (or [2] and [N]).

    Returns:
        Log-odds of the parent; log-likelihood given that it is off; probability of on given it off and on, [2,n,N].
    """
    known = np.moveaxis(logit, -1, 0)[..., None] + odds  # [2,n,N]
    likelihood = np.moveaxis(off, -1, 0)[..., None] + np.logaddexp(0, known)
    return likelihood[1] - likelihood[0], likelihood[0], expit(known)


def _all_down(
    tree: Tree, given: list[np.ndarray], roots: np.ndarray, counts: np.ndarray
) -> tuple[list[np.ndarray], np.ndarray]:
    """Expected counts [n,2] of the nodes per level from 1, and the posterior [n,N] of level 1."""
    *below, top = given
    posterior = roots.copy()
    rows = np.stack([np.zeros(len(roots)), roots @ counts], axis=-1)
    for parent, child in tree.bridges:
        rows[child], posterior[child] = _down(top[:, child], posterior[parent], counts)
    nodes = [rows]
    for level, parents in zip(reversed(below), reversed(parents_of(tree)[1:])):
        rows, posterior = _down(level, posterior[parents], counts)
        nodes.append(rows)
    return nodes[::-1], posterior


def _down(given: np.ndarray, parent: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Expected counts [n,2] with the parent off and on, and the posterior [n,N], from the parents' posterior [n,N]."""
    without, together = given[0] * (1 - parent), given[1] * parent
    return np.stack([without @ counts, together @ counts], axis=-1), without + together


def _labels_on(corpus: Corpus, parents: np.ndarray, posterior: np.ndarray, counts: np.ndarray) -> np.ndarray:
    rows = np.empty((len(parents), 2))
    for label, found in enumerate(corpus.documents):
        together = counts[found] @ posterior[parents[label], found]
        rows[label] = counts[found].sum() - together, together
    return rows
