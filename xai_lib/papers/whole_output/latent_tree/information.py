"""Mutual information of labels, and the tree over them that keeps most of it."""

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import breadth_first_order, minimum_spanning_tree
from scipy.special import xlogy

from xai_lib.papers.whole_output.latent_tree.patterns import Corpus
from xai_lib.papers.whole_output.latent_tree.tree import Edges


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
