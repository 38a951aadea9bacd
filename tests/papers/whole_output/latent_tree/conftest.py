from itertools import product

import numpy as np
import pytest

from xai_lib.papers.whole_output.latent_tree.tree import Tree

SIZES = (7, 4, 3)
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


@pytest.fixture(scope="session")
def joint():
    return _joint


@pytest.fixture(scope="session")
def enumerated():
    return _enumerated


def _random_tree(bridges, seed=0):
    draw = np.random.default_rng(seed)
    rows = [draw.uniform(0.05, 0.95, (n, 2)) for n in SIZES]
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


def _joint(tree):
    """Every state of all 14 variables, labels first, and its probability, by the product over variables."""
    starts = np.cumsum([0, *SIZES])
    parent = {}
    for level, groups in enumerate(tree.levels):
        parent |= {starts[level] + i: starts[level + 1] + p for p, group in enumerate(groups) for i in group}
    parent |= {starts[2] + child: starts[2] + p for p, child in tree.bridges}
    rows = [pair for level in tree.probabilities for pair in level]
    states = np.array(list(product((0, 1), repeat=sum(SIZES))))
    probability = np.ones(len(states))
    for variable, pair in enumerate(rows):
        given = states[:, parent[variable]] if variable in parent else np.ones(len(states), dtype=int)
        on = np.array(pair)[given]
        probability *= np.where(states[:, variable] == 1, on, 1 - on)
    return states, probability, parent


def _enumerated(tree, documents, counts):
    """Log-likelihood of each document; how often each variable is on with its parent off and on, per level."""
    states, probability, parent = _joint(tree)
    likelihood, on = [], np.zeros((sum(SIZES), 2))
    for document, count in zip(documents, counts):
        wanted = np.isin(np.arange(7), document)
        fits = (states[:, :7] == wanted).all(axis=1)
        likelihood.append(np.log(probability[fits].sum()))
        weight = count * probability[fits] / probability[fits].sum()
        for variable in range(sum(SIZES)):
            above = states[fits, parent[variable]] if variable in parent else np.ones(fits.sum())
            for state in (0, 1):
                on[variable, state] += weight[(states[fits, variable] == 1) & (above == state)].sum()
    return np.array(likelihood), np.split(on, np.cumsum(SIZES)[:-1])
