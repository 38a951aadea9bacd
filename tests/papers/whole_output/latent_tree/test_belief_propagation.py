from dataclasses import replace

import numpy as np
import pytest

from xai_lib.papers.whole_output.latent_tree.belief_propagation import expected, expected_before, log_likelihood
from xai_lib.papers.whole_output.latent_tree.patterns import corpus_of

DOCUMENTS = [[label for label in range(7) if bits >> label & 1] for bits in range(128)]


@pytest.mark.parametrize("shape", ["tree", "forest"])
def test_equal_to_enumeration(shape, request, enumerated):
    tree = request.getfixturevalue(shape)
    counts = np.random.default_rng(1).uniform(0, 3, 128)
    likelihood, on = enumerated(tree, DOCUMENTS, counts)
    found = expected(tree, corpus_of(DOCUMENTS, 7), counts)
    np.testing.assert_allclose(found.log_likelihood, likelihood, rtol=1e-12)
    np.testing.assert_allclose(log_likelihood(tree, DOCUMENTS), likelihood, rtol=1e-12)
    assert np.exp(likelihood).sum() == pytest.approx(1, abs=1e-12)
    for level, rows in zip(found.on, on):
        np.testing.assert_allclose(level, rows, rtol=1e-10)


@pytest.mark.parametrize("shape", ["tree", "forest"])
def test_expectation_before_any_document(shape, request, joint):
    tree = request.getfixturevalue(shape)
    states, probability, parent = joint(tree)
    for variable, pair in enumerate(np.concatenate(expected_before(tree))):
        above = states[:, parent[variable]] if variable in parent else np.ones(len(states))
        on = [probability[(states[:, variable] == 1) & (above == state)].sum() for state in (0, 1)]
        np.testing.assert_allclose(pair, on, rtol=1e-10)


def test_more_documents_than_are_read_at_once_and_labels_twice(tree):
    documents = [DOCUMENTS[i % 128] * 2 for i in range(5300)]
    found = log_likelihood(tree, documents)
    assert found.shape == (5300,) and np.array_equal(found, log_likelihood(tree, DOCUMENTS)[np.arange(5300) % 128])
    assert log_likelihood(tree, []).shape == (0,)


def test_no_document_is_impossible(tree):
    certain = [[[float(on > 0.5) for on in pair] for pair in level] for level in tree.probabilities]
    found = log_likelihood(replace(tree, probabilities=certain), DOCUMENTS)
    assert np.isfinite(found).all() and np.exp(found).sum() == pytest.approx(1)


def test_refuses_a_tree_without_probabilities_and_labels_it_has_not(tree):
    with pytest.raises(ValueError, match="tree with probabilities"):
        log_likelihood(replace(tree, probabilities=None), DOCUMENTS)
    with pytest.raises(ValueError, match="labels in 0 to 6"):
        log_likelihood(tree, [[7]])
