"""Mutual information of labels: how much the presence of one says about the presence of another."""

import numpy as np
from scipy.sparse import csr_array
from scipy.special import xlogy

from xai_lib.papers.whole_output.latent_tree.patterns import Corpus


def mutual_information(corpus: Corpus) -> np.ndarray:
    """Empirical mutual information of every two labels, in nats: Σ p(a,b) log(p(a,b) / (p(a) p(b))).

    Labels that avoid each other have some as well.

    Returns:
        float64 [L,L], symmetric, not negative, 0 on the diagonal.
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
