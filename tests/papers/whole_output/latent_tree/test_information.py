import networkx
import numpy as np
import pytest
from sklearn.metrics import mutual_info_score

from xai_lib.papers.whole_output.latent_tree.patterns import chow_liu, corpus_of, mutual_information
from xai_lib.papers.whole_output.latent_tree.tree import Tree


@pytest.mark.parametrize("share", [0.02, 0.4, 0.9])
def test_equal_to_scikit_learn(share):
    draw = np.random.default_rng(0)
    present = draw.random((500, 7)) < share
    present[:, 3] = present[:, 2] ^ (draw.random(500) < 0.1)
    present[:, 4], present[:, 5] = False, True
    found = mutual_information(corpus_of([np.flatnonzero(row).tolist() for row in present], 7))
    expected = [[0 if a == b else mutual_info_score(present[:, a], present[:, b]) for b in range(7)] for a in range(7)]
    np.testing.assert_allclose(found, expected, atol=1e-12)
    assert found.min() >= 0 and np.array_equal(found, found.T)


@pytest.mark.parametrize("seed", range(5))
def test_the_best_of_all_spanning_trees(seed):
    information = np.triu(np.random.default_rng(seed).random((5, 5)) ** 4 * 1e-3, 1)
    information += information.T
    best = networkx.maximum_spanning_tree(networkx.from_numpy_array(information)).edges
    edges = chow_liu(information)
    assert {tuple(sorted(edge)) for edge in edges} == set(best) and edges[0][0] == 0
    Tree(5, [[[label] for label in range(5)]], edges)  # a forest, parents first


def test_variables_without_information_are_joined_too_and_edges_lead_away_from_the_first():
    assert chow_liu(np.zeros((1, 1))) == () and len(chow_liu(np.zeros((4, 4)))) == 3
    assert {tuple(sorted(edge)) for edge in chow_liu(np.eye(3)[[2, 1, 0]] * [1, 0, 1])} >= {(0, 2)}
    information = np.zeros((4, 4))
    for a, b in ((3, 2), (2, 0), (0, 1)):
        information[a, b] = information[b, a] = 1
    assert chow_liu(information) == ((0, 1), (0, 2), (2, 3))
