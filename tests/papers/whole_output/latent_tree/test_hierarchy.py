import numpy as np
import pytest

from xai_lib.papers.whole_output.latent_tree import Tree, fit_islands, fit_tree, hierarchy, islands

ISLANDS = [[first, first + 1, first + 2] for first in range(0, 27, 3)]
GROUPS = [[0, 1, 2], [3, 4, 5], [6, 7, 8]]
OFF, ON = 0.03, 0.9
# 27 labels in nine islands of three, the islands in three groups of three, a chain of bridges: 0 - 1 - 2.
PLANTED = Tree(
    27,
    [ISLANDS, GROUPS],
    [(0, 1), (1, 2)],
    [[[OFF, ON]] * 27, [[0.02, 0.85]] * 9, [[0.1, 0.1], [0.05, 0.4], [0.05, 0.4]]],
)


@pytest.fixture(scope="module")
def documents():
    """6000 documents drawn from the tree, from the top down."""
    draw = np.random.default_rng(0)
    *below, top = (np.array(level) for level in PLANTED.probabilities)
    on = draw.random((6000, len(top))) < top[:, 0]
    for parent, child in PLANTED.bridges:
        on[:, child] = draw.random(6000) < top[child][on[:, parent].astype(int)]
    for groups, rows in zip(reversed(PLANTED.levels), reversed(below)):
        state = on[:, [next(p for p, group in enumerate(groups) if k in group) for k in range(len(rows))]].astype(int)
        on = draw.random((6000, len(rows))) < rows[np.arange(len(rows)), state]
    return [np.flatnonzero(row).tolist() for row in on]


@pytest.fixture
def fitted(monkeypatch):
    """Function (documents, number of labels, where it ends) -> the tree."""
    return lambda documents, n, top: monkeypatch.setattr(hierarchy, "TOP", top) or fit_tree(documents, n)


def test_finds_the_planted_tree_and_probabilities_near_its_own(fitted, documents):
    found = fitted(documents, 27, 3)
    assert found.levels == PLANTED.levels
    assert {tuple(sorted(edge)) for edge in found.bridges} == {(0, 1), (1, 2)}
    np.testing.assert_allclose(found.probabilities[0], [[OFF, ON]] * 27, atol=0.05)
    assert fitted((document[::-1] * 2 for document in documents), 27, 3) == found  # order and repetition do not count


def test_top_probabilities_are_shares_of_documents():
    one, other = [0, 1, 2], [3, 4, 5]
    tree = fit_tree([one] * 40 + [other] * 20 + [one + other] * 10 + [[]] * 30, 6)
    assert tree.levels == (((0, 1, 2), (3, 4, 5)),) and tree.bridges == ((0, 1),)
    root, child = tree.probabilities[1]
    assert root == pytest.approx((51 / 102, 51 / 102)) and child == pytest.approx((21 / 52, 11 / 52))


def test_levels_begin_with_the_islands_end_at_the_first_small_one_and_have_limits(fitted, documents, monkeypatch):
    assert fit_tree(documents, 27, seed=4).clusters() == fit_islands(documents, 27, seed=4)
    assert [len(fitted(documents, 27, top).levels) for top in (9, 8, 2, 1)] == [1, 2, 3, 3]  # the first that is small
    monkeypatch.setattr(islands, "THRESHOLD", -1e9)  # the fourth label always ends an island
    assert [len(level) for level in fitted(documents, 27, 1).levels] == [13, 6, 3, 1]


def test_the_seed_reaches_the_starts_of_em_and_a_label_without_documents_stays_alone(fitted):
    draw = np.random.default_rng(0)
    noise = [draw.choice(60, draw.integers(0, 6), replace=False).tolist() for _ in range(400)]
    assert fit_tree(noise, 60, seed=0) == fit_tree(noise, 60, seed=0) != fit_tree(noise, 60, seed=1)
    tree = fitted(noise, 63, 2)
    assert len(tree.levels) > 2 and all([62] in tree.clusters(level + 1) for level in range(len(tree.levels)))


def test_labels_that_never_occur_do_not_keep_it_going_and_a_label_alone_is_its_own_latent():
    tree = fit_tree([[0, 1], [], [0, 1]], 30)
    assert tree.clusters() == [[0, 1], *([label] for label in range(2, 30))] and len(tree.levels) == 1
    assert len(tree.bridges) == 28
    assert fit_tree([[]], 1).clusters() == [[0]]
    assert fit_tree([[0], [0], [], []], 1).probabilities == (((0.0, 1.0),), ((0.5, 0.5),))
