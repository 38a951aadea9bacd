from dataclasses import replace

import numpy as np
import pytest

from xai_lib.papers.whole_output.latent_tree.belief_propagation import expected_before, log_likelihood
from xai_lib.papers.whole_output.latent_tree.global_em import global_em


@pytest.fixture
def documents(tree, sampled):
    return sampled(tree, 3000)


def total(tree, documents):
    return log_likelihood(tree, documents).sum()


@pytest.mark.parametrize("shape", ["tree", "forest"])
def test_never_lowers_the_likelihood(shape, request, documents, random_tree):
    start = random_tree(request.getfixturevalue(shape).bridges, seed=1)
    found = [total(start, documents)]
    for _ in range(30):
        start = global_em(start, documents, steps=1)
        found.append(total(start, documents))
    assert (np.diff(found) > -1e-8).all() and found[1] > found[0] + 100


def test_steps_add_up_and_none_leaves_the_tree(tree, documents, random_tree):
    start = random_tree(tree.bridges, seed=1)
    assert global_em(start, documents, steps=0) == start
    once = global_em(start, documents, steps=2)
    twice = global_em(global_em(start, documents, steps=1), documents, steps=1)
    np.testing.assert_allclose(np.concatenate(once.probabilities), np.concatenate(twice.probabilities), rtol=1e-9)
    assert (once.levels, once.bridges) == (start.levels, start.bridges)


def ratios(tree, on):
    """The tree whose probabilities are ratios of counts, per document, by enumeration."""
    nodes_on = [rows.sum(axis=1) for rows in on]
    levels = []
    for level, rows in enumerate(on):
        parent_on = np.ones(len(rows))
        if level < len(tree.levels):
            for node, group in enumerate(tree.levels[level]):
                parent_on[list(group)] = nodes_on[level + 1][node]
        else:
            for parent, child in tree.bridges:
                parent_on[child] = nodes_on[level][parent]
        pairs = [(r[0] / (1 - p), r[1] / p) if p < 1 else (r[1], r[1]) for r, p in zip(rows, parent_on)]
        levels.append(pairs)
    return replace(tree, probabilities=levels)


def assert_close(tree, other):
    found, expected = np.concatenate(tree.probabilities), np.concatenate(other.probabilities)
    np.testing.assert_allclose(found, expected, rtol=1e-8)


@pytest.mark.parametrize("shape", ["tree", "forest"])
def test_one_step_by_enumeration(shape, request, enumerated):
    tree = request.getfixturevalue(shape)
    documents = [[0, 1], [0, 3, 6], [], [0, 1], [2, 4, 5]]
    _, on = enumerated(tree, documents, np.full(5, 1 / 5))
    assert_close(global_em(tree, documents, steps=1), ratios(tree, on))


def test_two_steps_on_one_document_each_by_enumeration(tree, enumerated):
    documents = [[0, 1, 3], [2, 6]]
    ways = []
    for order in (documents, documents[::-1]):
        current, average = tree, expected_before(tree)
        for step, document in enumerate(order, start=1):
            _, on = enumerated(current, [document], [1.0])
            rate = (step + 1) ** -0.75
            average = [(1 - rate) * old + rate * new for old, new in zip(average, on)]
            current = ratios(tree, average)
        ways.append(current)
    found = [global_em(tree, documents, steps=2, batch=1, seed=seed) for seed in range(8)]
    for way in ways:
        nearest = min(found, key=lambda one: np.abs(np.subtract(one.probabilities[0], way.probabilities[0])).max())
        assert_close(nearest, way)


def test_what_follows_a_state_that_is_never_seen_stays(tree):
    certain = replace(tree, probabilities=[[[0.0, 1.0]] * 7, [[0.0, 1.0]] * 4, [[1.0, 1.0]] * 3])
    after = global_em(certain, [list(range(7))] * 3, steps=5)
    assert after.probabilities[:2] == certain.probabilities[:2]


def test_comes_close_to_the_truth_by_batches_too(tree, documents, random_tree):
    start, truth = random_tree(tree.bridges, seed=1), total(tree, documents)
    gap = truth - total(start, documents)
    for options in ({"batch": 3000}, {"batch": 500}, {"batch": 700, "seed": 3}):
        fitted = global_em(start, documents, steps=60, **options)
        assert truth - total(fitted, documents) < 0.02 * gap, options


def test_same_seed_same_tree(tree, documents):
    one, again, other = (global_em(tree, documents, steps=3, batch=800, seed=seed) for seed in (0, 0, 1))
    assert one == again != other


def test_a_label_in_no_document_and_certain_nodes_stay_finite(tree):
    after = global_em(tree, [[0, 1], [0], []], steps=20)
    assert np.isfinite(total(after, [[0, 1], [6]]))


@pytest.mark.parametrize(
    "wrong, message",
    [
        ({"documents": []}, "Got 0 documents"),
        ({"steps": -1}, "-1 steps"),
        ({"batch": 0}, "batch 0"),
        ({"documents": [[9]]}, "labels in 0 to 6"),
    ],
)
def test_refuses_what_has_no_meaning(tree, wrong, message):
    with pytest.raises(ValueError, match=message):
        global_em(tree, **{"documents": [[0]], "steps": 1} | wrong)
    with pytest.raises(ValueError, match="with probabilities"):
        global_em(replace(tree, probabilities=None), [[0]], steps=1)
