from itertools import pairwise

import numpy as np
import pytest

from xai_lib.papers.whole_output.latent_tree import Tree, fit_islands, fit_tree
from xai_lib.papers.whole_output.latent_tree.belief_propagation import expected_before, log_likelihood
from xai_lib.papers.whole_output.latent_tree.global_em import global_em

ISLANDS = [[first, first + 1, first + 2] for first in range(0, 27, 3)]
GROUPS = [[0, 1, 2], [3, 4, 5], [6, 7, 8]]


@pytest.fixture(scope="module")
def planted():
    """27 labels in nine islands of three, the islands in three groups of three, a chain of bridges: 0 - 1 - 2."""
    on = [0.03, 0.9]
    top = [[0.1, 0.1], [0.05, 0.4], [0.05, 0.4]]
    return Tree(27, [ISLANDS, GROUPS], [(0, 1), (1, 2)], [[on] * 27, [[0.02, 0.85]] * 9, top])


@pytest.fixture(scope="module")
def documents(planted, sampled):
    return sampled(planted, 6000)


@pytest.fixture(scope="module")
def fitted(documents):
    return fit_tree(documents, 27, top=3)


def test_finds_the_planted_tree(fitted, planted):
    assert fitted.levels == planted.levels
    assert {tuple(sorted(edge)) for edge in fitted.bridges} == {(0, 1), (1, 2)}


def test_probabilities_are_near_the_planted_ones(fitted, planted, documents):
    """Of what can be compared whatever the meaning of on and off: how probable documents are."""
    truth, found = (log_likelihood(tree, documents).mean() for tree in (planted, fitted))
    share = np.array([np.mean([label in document for document in documents]) for label in range(27)])
    independent = (share * np.log(share) + (1 - share) * np.log(1 - share)).sum()
    assert found > truth - 0.02 * (truth - independent)
    for label, (off, on) in enumerate(fitted.probabilities[0]):
        assert off == pytest.approx(0.03, abs=0.02) and on == pytest.approx(0.9, abs=0.05), label
    np.testing.assert_allclose(expected_before(fitted)[0].sum(axis=1), share, atol=0.01)


def test_top_probabilities_are_shares_of_documents():
    one, other = [0, 1, 2], [3, 4, 5]
    tree = fit_tree([one] * 40 + [other] * 20 + [one + other] * 10 + [[]] * 30, 6)
    assert tree.levels == (((0, 1, 2), (3, 4, 5)),) and tree.bridges == ((0, 1),)
    root, child = tree.probabilities[1]
    assert root == pytest.approx((51 / 102, 51 / 102)) and child == pytest.approx((21 / 52, 11 / 52))


@pytest.fixture(scope="module")
def noise():
    draw = np.random.default_rng(0)
    return [draw.choice(60, draw.integers(0, 6), replace=False).tolist() for _ in range(400)]


def test_first_level_is_that_of_the_islands_and_options_reach_every_level(documents, noise):
    for options in ({}, {"max_size": 3, "seed": 4}, {"threshold": 1e9}, {"correlation_test": False}):
        assert fit_tree(documents, 27, **options).clusters() == fit_islands(documents, 27, **options)
    pairs = fit_tree(documents, 27, top=1, threshold=-1e9)  # the fourth label always ends an island
    assert [len(level) for level in pairs.levels] == [13, 6, 3, 1]
    fours = fit_tree(noise, 60, top=1, max_size=4, threshold=1e9, correlation_test=False)  # nothing but size ends one
    assert [len(level) for level in fours.levels] == [15, 4, 1]


def test_seed_reaches_the_starts_of_em(noise):
    assert fit_tree(noise, 60, seed=0) == fit_tree(noise, 60, seed=0) != fit_tree(noise, 60, seed=1)


def test_every_label_is_in_one_cluster_and_levels_nest(noise):
    tree = fit_tree(noise, 63, top=2)
    assert tree.n_levels > 2
    for level in range(1, tree.n_levels + 1):
        assert sorted(label for cluster in tree.clusters(level) for label in cluster) == list(range(63))
        assert [cluster for cluster in tree.clusters(level) if 62 in cluster] == [[62]]
    for lower, upper in pairwise(range(1, tree.n_levels + 1)):
        for cluster in tree.clusters(lower):
            assert sum(set(cluster) <= set(above) for above in tree.clusters(upper)) == 1
    assert np.isfinite(log_likelihood(tree, [[62], [0, 1], []])).all()


def test_stops_at_the_first_level_that_is_small_enough(documents):
    for top, levels in ((9, 1), (8, 2), (3, 2), (2, 3), (1, 3)):
        assert fit_tree(documents, 27, top=top).n_levels == levels, top


def test_labels_that_never_occur_do_not_keep_it_going():
    tree = fit_tree([[0, 1], [], [0, 1]], 30)
    assert tree.clusters() == [[0, 1], *([label] for label in range(2, 30))] and tree.n_levels == 1
    assert len(tree.bridges) == 28
    assert fit_tree([[]], 1).clusters() == [[0]]


def test_a_label_alone_is_its_own_latent():
    tree = fit_tree([[0], [0], [], []], 1)
    assert tree.probabilities == (((0.0, 1.0),), ((0.5, 0.5),))


def test_without_bridges_the_top_latents_are_independent(documents, fitted):
    tree = fit_tree(documents, 27, top=3, bridging=False)
    assert (tree.levels, tree.bridges) == (fitted.levels, ())
    assert tree.probabilities[:-1] == fitted.probabilities[:-1]
    assert all(off == on for off, on in tree.probabilities[-1])
    assert log_likelihood(tree, documents).mean() < log_likelihood(fitted, documents).mean()


def test_order_and_repetition_within_documents_do_not_count(documents, fitted):
    assert fit_tree([document[::-1] * 2 for document in documents], 27, top=3) == fitted


def test_global_em_at_the_end(documents):
    start = fit_tree(documents, 27, top=3, seed=5)
    found = fit_tree((document for document in documents), 27, top=3, seed=5, global_em_steps=3)
    assert found == global_em(start, documents, steps=3, seed=5) != global_em(start, documents, steps=3, seed=0)


@pytest.mark.parametrize(
    "wrong, message",
    [
        ({"documents": []}, "at least one document"),
        ({"n_labels": 0}, "Got 0, 15 and 0"),
        ({"top": 0}, "Got 3, 0 and 0"),
        ({"global_em_steps": -1}, "Got 3, 15 and -1"),
        ({"documents": [[3]]}, "labels in 0 to 2"),
        ({"max_size": 2}, "max_size in 3 to 52"),
    ],
)
def test_refuses_what_has_no_meaning(wrong, message):
    with pytest.raises(ValueError, match=message):
        fit_tree(**{"documents": [[0, 1]], "n_labels": 3} | wrong)
