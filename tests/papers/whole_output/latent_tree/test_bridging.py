from itertools import combinations

import numpy as np
import pytest

from xai_lib.papers.whole_output.latent_tree.bridging import chow_liu
from xai_lib.papers.whole_output.latent_tree.tree import Tree


def spanning_trees(n):
    for edges in combinations(list(combinations(range(n), 2)), n - 1):
        home = list(range(n))
        for a, b in edges:
            home = [home[a] if found == home[b] else found for found in home]
        if len(set(home)) == 1:
            yield edges


def random_information(n, seed):
    values = np.triu(np.random.default_rng(seed).random((n, n)) ** 4 * 1e-3, 1)
    return values + values.T


@pytest.mark.parametrize("seed", range(5))
def test_the_best_of_all_spanning_trees(seed):
    information = random_information(5, seed)
    best = max(spanning_trees(5), key=lambda edges: sum(information[edge] for edge in edges))
    edges = chow_liu(information)
    assert {tuple(sorted(edge)) for edge in edges} == set(best)
    Tree(5, [[[label] for label in range(5)]], edges)  # a forest, parents first
    assert len(edges) == 4 and edges[0][0] == 0


def test_variables_without_information_are_joined_too():
    assert chow_liu(np.zeros((1, 1))) == ()
    assert len(chow_liu(np.zeros((4, 4)))) == 3
    assert {tuple(sorted(edge)) for edge in chow_liu(np.eye(3)[[2, 1, 0]] * [1, 0, 1])} >= {(0, 2)}


def test_edges_lead_away_from_the_first():
    information = np.zeros((4, 4))
    for a, b in ((3, 2), (2, 0), (0, 1)):
        information[a, b] = information[b, a] = 1
    assert chow_liu(information) == ((0, 1), (0, 2), (2, 3))
