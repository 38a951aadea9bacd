import numpy as np
import pytest

from xai_lib.whole_output.latent_tree.tree import Tree

LEVELS = [[[0, 3], [1, 6], [2, 4], [5]], [[0, 2], [1], [3]]]


@pytest.fixture
def tree():
    """Seven labels, four nodes, three top nodes of which 1 is the root; random probabilities."""
    return _random_tree(((1, 2), (2, 0)))


@pytest.fixture
def forest():
    return _random_tree(((1, 0),))


@pytest.fixture(scope="session")
def random_tree():
    return _random_tree


@pytest.fixture(scope="session")
def sampled():
    return _sampled


def _random_tree(bridges, seed=0):
    draw = np.random.default_rng(seed)
    rows = [draw.uniform(0.05, 0.95, (n, 2)) for n in (7, 4, 3)]
    roots = [node for node in range(3) if node not in {child for _, child in bridges}]
    rows[2][roots, 1] = rows[2][roots, 0]
    return Tree(7, LEVELS, bridges, [level.tolist() for level in rows])


def _sampled(tree, n, seed=0):
    """Documents drawn from the tree, from the top down."""
    draw = np.random.default_rng(seed)
    *below, top = (np.array(level) for level in tree.probabilities)
    on = draw.random((n, len(top))) < top[:, 0]
    for parent, child in tree.bridges:
        on[:, child] = draw.random(n) < top[child][on[:, parent].astype(int)]
    for groups, rows in zip(reversed(tree.levels), reversed(below)):
        parent = np.empty(len(rows), dtype=int)
        for node, group in enumerate(groups):
            parent[list(group)] = node
        state = on[:, parent].astype(int)  # [n,children]
        on = draw.random((n, len(rows))) < rows[np.arange(len(rows)), state]
    return [np.flatnonzero(row).tolist() for row in on]
