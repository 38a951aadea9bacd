"""A whole latent tree, level by level: islands of labels, islands of their latents, and so on to a few at the top.

(Whole-output paper §3, Figure 5; Chen et al. 2017.)
"""

from collections.abc import Iterable, Sequence

import numpy as np

from xai_lib.papers.whole_output.latent_tree.bridging import chow_liu
from xai_lib.papers.whole_output.latent_tree.global_em import global_em
from xai_lib.papers.whole_output.latent_tree.information import mutual_information
from xai_lib.papers.whole_output.latent_tree.islands import Island, assigned, find_islands
from xai_lib.papers.whole_output.latent_tree.patterns import Corpus, corpus_of
from xai_lib.papers.whole_output.latent_tree.tree import Edges, Tree


def fit_tree(
    documents: Iterable[Sequence[int]],
    n_labels: int,
    *,
    seed: int = 0,
    max_size: int = 10,
    threshold: float = 3.0,
    correlation_test: bool = True,
    top: int = 15,
    bridging: bool = True,
    global_em_steps: int = 0,
) -> Tree:
    """Latent tree of the labels of documents.

    Level 1 is that of :func:`fit_islands`. Every island's latent is then set on or off in every document, whichever
    is more probable given the island's labels there, and the latents are the labels of the next level. This ends when
    at most `top` latents remain, or when a level would put no two of them together. The latent of a label alone is on
    where the label is present.

    Args:
        documents: the labels of each document, whole numbers in 0 to n_labels − 1; their order makes no difference.
            Documents of one label say nothing of clusters, but are not left out.
        n_labels: number of labels. Those in no document are alone at every level.
        seed: draws the starts of EM; the same seed gives the same tree.
        max_size: as :func:`fit_islands` takes it, here for every level; likewise `threshold` and `correlation_test`.
        top: so many latents need no further level, at least 1.
        bridging: join the top latents by a Chow-Liu tree; otherwise they are independent.
        global_em_steps: steps of :func:`global_em` on all probabilities at the end. The levels do not depend on it.

    Returns:
        The tree, nodes in the order of their smallest child, with probabilities: those of the islands' models, and
        shares of documents for the top latents, unless global EM has fitted all together.

    Raises:
        ValueError: if there is no document, no label, a label out of range, `max_size` outside 3 to 52, `top` below 1,
            or `global_em_steps` below 0.
    """
    if n_labels < 1 or top < 1 or global_em_steps < 0:
        raise ValueError(
            f"Expected n_labels and top of at least 1, global_em_steps of at least 0. "
            f"Got {n_labels}, {top} and {global_em_steps}."
        )
    options = {"max_size": max_size, "threshold": threshold, "correlation_test": correlation_test}
    documents = list(documents)
    corpus = corpus_of(documents, n_labels)
    levels, probabilities = [], []
    while not levels or len(corpus.documents) > top:
        islands = find_islands(corpus, seed=seed, **options)
        if levels and len(islands) == len(corpus.documents):
            break
        levels.append([island.labels for island in islands])
        probabilities.append(_given_latents(islands, len(corpus.documents)))
        corpus = assigned(corpus, islands)
    bridges = chow_liu(mutual_information(corpus)) if bridging else ()
    probabilities.append(_of_top(corpus, bridges))
    tree = Tree(n_labels, tuple(levels), bridges, tuple(probabilities))
    return global_em(tree, documents, steps=global_em_steps, seed=seed) if global_em_steps else tree


def _given_latents(islands: list[Island], n: int) -> list[list[float]]:
    """The probabilities of the n labels of islands, given that their latent is off and on."""
    rows = np.empty((n, 2))
    for island in islands:
        rows[island.labels] = island.model.present
    return np.clip(rows, 0, 1).tolist()


def _of_top(corpus: Corpus, bridges: Edges) -> list[list[float]]:
    """Shares of documents with a latent on: where its parent is off, and where it is on; everywhere for a root.

    A document with the latent on and one with it off are added to each count: no share is 0 or 1.
    """
    on = np.zeros((len(corpus.documents), corpus.n_documents), dtype=bool)
    for row, documents in zip(on, corpus.documents):
        row[documents] = True
    among = {child: [on[child, ~on[parent]], on[child, on[parent]]] for parent, child in bridges}
    parts = [among.get(node, [on[node], on[node]]) for node in range(len(on))]
    return [[float((part.sum() + 1) / (len(part) + 2)) for part in pair] for pair in parts]
