"""A latent tree, from islands of labels to a few latents at its top (whole-output §3, Figure 5; Chen et al. 2017)."""

from collections.abc import Iterable, Sequence

import numpy as np

from xai_lib.papers.whole_output.latent_tree.islands import assigned, find_islands
from xai_lib.papers.whole_output.latent_tree.patterns import Corpus, chow_liu, corpus_of, mutual_information
from xai_lib.papers.whole_output.latent_tree.tree import Edges, Tree

TOP = 15  # so many latents need no further level


def fit_tree(documents: Iterable[Sequence[int]], n_labels: int, *, seed: int = 0) -> Tree:
    """Latent tree of the labels of documents.

    Level 1 is that of :func:`fit_islands`. Every island's latent is then set on or off in every document, whichever
    is more probable given the island's labels there, and the latents are the labels of the next level, until at most
    15 remain, or no two are put together. A Chow-Liu tree joins the top latents. Documents of one label are not left
    out; labels in no document are alone at every level.

    Returns the tree, nodes in the order of their smallest child, with probabilities: those of the islands' models, and
    shares of documents for the top latents. ValueError if there is no document, no label, or one out of range.

    Example:
        >>> fit_tree([[0, 1, 2], [3, 4, 5], [6, 7, 8]] * 10, 9).clusters(1)
        [[0, 1, 2], [3, 4, 5], [6, 7, 8]]
    """
    corpus = corpus_of(documents, n_labels)
    levels, probabilities = [], []
    while not levels or len(corpus.documents) > TOP:
        islands = find_islands(corpus, seed=seed)
        if levels and len(islands) == len(corpus.documents):
            break
        levels.append([island.labels for island in islands])
        given_latents = np.empty((len(corpus.documents), 2))
        for island in islands:
            given_latents[island.labels] = island.model.present
        probabilities.append(np.clip(given_latents, 0, 1).tolist())
        corpus = assigned(corpus, islands)
    bridges = chow_liu(mutual_information(corpus))
    probabilities.append(_of_top(corpus, bridges))
    return Tree(n_labels, tuple(levels), bridges, tuple(probabilities))


def _of_top(corpus: Corpus, bridges: Edges) -> list[list[float]]:
    """Shares of documents with a latent on: where its parent is off, and where it is on; everywhere for a root. A
    document with the latent on and one with it off are added to each count: no share is 0 or 1.
    """
    on = np.zeros((len(corpus.documents), corpus.n_documents), dtype=bool)
    for row, documents in zip(on, corpus.documents):
        row[documents] = True
    among = {child: [on[child, ~on[parent]], on[child, on[parent]]] for parent, child in bridges}
    parts = [among.get(node, [on[node], on[node]]) for node in range(len(on))]
    return [[float((part.sum() + 1) / (len(part) + 2)) for part in pair] for pair in parts]
