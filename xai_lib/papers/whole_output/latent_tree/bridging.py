"""Bridges between the top latents: the tree over them that keeps most of their mutual information."""

import numpy as np
from scipy.sparse.csgraph import breadth_first_order, minimum_spanning_tree

from xai_lib.papers.whole_output.latent_tree.tree import Edges


def chow_liu(information: np.ndarray) -> Edges:
    """The tree whose edges have the largest sum of mutual information (Chow & Liu 1968).

    Args:
        information: mutual information of every two variables, float [V,V], symmetric, not negative.

    Returns:
        V − 1 edges (parent, child), breadth first from variable 0.
    """
    costs = information.max() + 1 - information  # above 0: a cost of 0 would mean no edge
    kept = minimum_spanning_tree(np.triu(costs, k=1))
    order, parents = breadth_first_order(kept, 0, directed=False)
    return tuple((int(parents[child]), int(child)) for child in order[1:])
