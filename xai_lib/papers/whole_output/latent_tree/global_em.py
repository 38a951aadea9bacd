"""EM over all probabilities of a latent tree at once, by steps on part of the documents (Chen et al. 2017)."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from xai_lib.papers.whole_output.latent_tree.belief_propagation import expected, expected_before, parents_of
from xai_lib.papers.whole_output.latent_tree.patterns import corpus_of
from xai_lib.papers.whole_output.latent_tree.tree import Tree

_FORGETTING = 0.75  # exponent of the step sizes (Liang & Klein 2009)


def global_em(tree: Tree, documents: Iterable[Sequence[int]], *, steps: int, seed: int = 0, batch: int = 5000) -> Tree:
    """A tree of the same structure with probabilities fitted further, all together.

    Where the documents fit in one batch, every step is one of ordinary EM, which never lowers their likelihood.
    Otherwise a step t counts on one batch and moves the running average of all counts towards it by (t + 1)^−0.75
    ("stepwise EM"); the average starts as what the tree expects before any document.

    Args:
        tree: with probabilities, where EM starts.
        documents: N lists of labels.
        steps: number of steps, at least 0.
        seed: of the order in which documents come into batches.
        batch: documents in a step.

    Raises:
        ValueError: if the tree has no probabilities, there are no documents, `steps` is negative or `batch` below 1,
            or a label is outside 0 to n_labels − 1.
    """
    documents = [tuple(sorted(set(document))) for document in documents]
    if not documents or steps < 0 or batch < 1:
        raise ValueError(
            f"Expected documents, steps of at least 0 and a batch of at least 1. "
            f"Got {len(documents)} documents, {steps} steps, batch {batch}."
        )
    order = np.random.default_rng(seed).permutation(len(documents))
    batches = [Counter(documents[i] for i in order[start : start + batch]) for start in range(0, len(order), batch)]
    average = expected_before(tree)
    for step in range(steps):
        distinct = batches[step % len(batches)]
        counts = np.array(list(distinct.values())) / distinct.total()
        rate = 1.0 if len(batches) == 1 else (step + 2) ** -_FORGETTING
        found = expected(tree, corpus_of(distinct, tree.n_labels), counts).on
        average = [old + rate * (new - old) for old, new in zip(average, found)]
        tree = _maximised(tree, average)
    return tree


def _maximised(tree: Tree, on: list[np.ndarray]) -> Tree:
    """The tree with the probabilities that fit expected shares best; they stay where a parent is never in a state."""
    shares = [rows.sum(axis=1) for rows in on]  # of documents with the variable on
    above = [share[parents] for share, parents in zip(shares[1:], parents_of(tree))]
    above.append(np.ones(len(shares[-1])))
    for parent, child in tree.bridges:
        above[-1][child] = shares[-1][parent]
    levels = []
    for before, rows, parent_on in zip(tree.probabilities, on, above):
        weights = np.stack([1 - parent_on, parent_on], axis=1)
        seen = weights > 0
        levels.append(np.clip(np.where(seen, rows / np.where(seen, weights, 1), before), 0, 1))
    roots = [node for node in range(len(shares[-1])) if node not in {child for _, child in tree.bridges}]
    levels[-1][roots] = shares[-1][roots, None]
    return replace(tree, probabilities=tuple(level.tolist() for level in levels))
