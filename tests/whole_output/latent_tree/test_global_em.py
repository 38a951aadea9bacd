from dataclasses import replace

import numpy as np
import pytest

from xai_lib.whole_output.latent_tree.belief_propagation import log_likelihood
from xai_lib.whole_output.latent_tree.global_em import global_em


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


def test_one_step_is_the_ratio_of_counts(tree, documents):
    """Of labels alone under one root, where nothing is hidden once the root is certain."""
    certain = [list(level) for level in tree.probabilities]
    certain[1] = [[0.0, 1.0]] * 4
    certain[2] = [[0.0, 1.0]] * 3
    certain[2][1] = [1.0, 1.0]
    after = global_em(replace(tree, probabilities=certain), documents, steps=1)
    shares = [np.mean([label in document for document in documents]) for label in range(7)]
    np.testing.assert_allclose([pair[1] for pair in after.probabilities[0]], shares, rtol=1e-9)


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
