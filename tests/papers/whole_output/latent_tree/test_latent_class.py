from itertools import product

import numpy as np
import pytest
from scipy.optimize import minimize

from xai_lib.papers.whole_output.latent_tree.latent_class import LatentClass, fit_latent_class, fit_member, fit_pair
from xai_lib.papers.whole_output.latent_tree.patterns import contingency, corpus_of, patterns_of

MODEL = LatentClass(np.array([0.8, 0.2]), np.array([[0.05, 0.7], [0.1, 0.6], [0.2, 0.9], [0.02, 0.5]]))


def generator(seed=0):
    return np.random.default_rng(seed)


def patterns_from(present):
    documents = [np.flatnonzero(row).tolist() for row in present]
    return patterns_of(corpus_of(documents, present.shape[1]), range(present.shape[1]))


def with_a_pair(n, seed=0):
    """Three labels under a latent, two more under another one below it."""
    draw = generator(seed)
    first = draw.random(n) < 0.4
    second = draw.random(n) < np.where(first, 0.7, 0.2)
    present = [draw.random(n) < np.where(first, 0.8, 0.1) for _ in range(3)]
    present += [draw.random(n) < np.where(second, 0.9, 0.05) for _ in range(2)]
    return patterns_from(np.stack(present, axis=1))


@pytest.fixture
def settled():
    """A model of the first three labels, and two contingencies: of the fourth, and of the fourth and fifth."""
    patterns = with_a_pair(3000)
    first = with_a_pair(3000).values[:, :3]
    model = fit_latent_class(first, patterns.counts, generator=generator())
    one, pair = contingency(patterns, [3]), contingency(patterns, [3, 4])
    wider = LatentClass(model.prior, np.vstack([model.present, [0.1, 0.5]]))  # the fifth is settled in the first one
    return wider, model, one, pair


def test_joint_and_posterior_by_enumeration():
    values = np.array(list(product([False, True], repeat=4)))
    joint = MODEL.joint(values)
    for row, found in zip(values, joint):
        for state in (0, 1):
            chances = [p[state] if on else 1 - p[state] for on, p in zip(row, MODEL.present)]
            assert found[state] == pytest.approx(MODEL.prior[state] * np.prod(chances))
    assert joint.sum() == pytest.approx(1)
    np.testing.assert_allclose(MODEL.posterior(values), joint[:, 1] / joint.sum(axis=1))
    counts = np.arange(16.0)
    assert MODEL.log_likelihood(values, counts) == pytest.approx(sum(counts * np.log(joint.sum(axis=1))))


def test_impossible_patterns_have_no_posterior():
    certain = LatentClass(np.array([1.0, 0.0]), np.array([[0.0, 1.0]]))
    assert certain.posterior(np.array([[False], [True]])).tolist() == [0, 0]


def test_ordered_swaps_states_only():
    swapped = LatentClass(MODEL.prior[::-1], MODEL.present[:, ::-1])
    for model in (MODEL, swapped):
        np.testing.assert_array_equal(model.ordered().present, MODEL.present)
        np.testing.assert_array_equal(model.ordered().prior, MODEL.prior)


def test_not_below_a_long_plain_em():
    """On labels so weakly linked that EM is slow: where it is cut short, the likelihood is plainly lower."""
    values = np.array(list(product([False, True], repeat=3)))
    counts = np.array([2264.0, 205, 116, 54, 259, 87, 6, 9])
    truth = plain_em(values, counts)
    for options, low, high in (({}, -0.15, 0.15), ({"steps": 20}, -10, -1)):
        found = fit_latent_class(values, counts, generator=generator(), **options)
        assert low < found.log_likelihood(values, counts) - truth < high


def plain_em(values, counts):
    """The best of five starts of two thousand steps."""
    best, draw = -np.inf, generator(9)
    for _ in range(5):
        prior, present = draw.dirichlet([1, 1]), draw.random((values.shape[1], 2))
        for _ in range(2000):
            posterior = prior * np.array([np.where(row[:, None], present, 1 - present).prod(axis=0) for row in values])
            likelihood = counts @ np.log(posterior.sum(axis=1))
            posterior *= (counts / posterior.sum(axis=1))[:, None]
            prior, present = posterior.sum(axis=0) / counts.sum(), values.T @ posterior / posterior.sum(axis=0)
        best = max(best, likelihood)
    return best


def test_one_step_by_hand():
    """From the start that the generator draws."""
    values, counts = np.array([[False, False], [True, False], [True, True]]), np.array([5.0, 3, 2])
    draw = generator(4)
    chance, present = draw.random(1)[0], draw.random((2, 2, 1))[..., 0]
    prior = np.array([chance, 1 - chance])
    joint = np.array([prior * np.prod([p if on else 1 - p for on, p in zip(row, present)], axis=0) for row in values])
    expected = counts[:, None] * joint / joint.sum(axis=1, keepdims=True)
    after = LatentClass(expected.sum(axis=0) / 10, (values.T @ expected) / expected.sum(axis=0)).ordered()
    found = fit_latent_class(values, counts, generator=generator(4), restarts=1, steps=1)
    np.testing.assert_allclose(found.prior, after.prior)
    np.testing.assert_allclose(found.present, after.present)


def test_member_is_the_maximum(settled):
    wider, _, (others, counts), _ = settled
    joint = wider.joint(others)

    def loss(present):
        return -sum(
            (counts[:, value] * np.log(joint @ table)).sum() for value, table in enumerate((1 - present, present))
        )

    best = minimize(loss, [0.3, 0.6], bounds=[(1e-9, 1 - 1e-9)] * 2)
    present, likelihood = fit_member(joint, counts)
    assert likelihood == pytest.approx(-best.fun, abs=0.01)
    np.testing.assert_allclose(present, best.x, atol=0.01)
    complete = LatentClass(wider.prior, np.vstack([wider.present, present]))
    values = np.concatenate([np.column_stack([others, np.full(len(others), on)]) for on in (False, True)])
    assert complete.log_likelihood(values, counts.T.ravel()) == pytest.approx(likelihood)


def test_pair_is_the_maximum(settled):
    _, model, _, (others, counts) = settled
    joint = model.joint(others)

    def loss(p):
        likelihood = 0
        for code, (second, first) in enumerate(product([False, True], repeat=2)):
            given = [
                sum(
                    (p[latent] if state else 1 - p[latent])
                    * (p[2 + state] if first else 1 - p[2 + state])
                    * (p[4 + state] if second else 1 - p[4 + state])
                    for state in (0, 1)
                )
                for latent in (0, 1)
            ]
            likelihood += counts[:, code] @ np.log(joint @ np.array(given))
        return -likelihood

    starts = generator(1).uniform(0.1, 0.9, (6, 6))
    best = min(minimize(loss, start, bounds=[(1e-9, 1 - 1e-9)] * 6).fun for start in starts)
    assert fit_pair(joint, counts, generator=generator()) == pytest.approx(-best, abs=0.05)


def test_restarts_help_and_the_generator_decides():
    patterns = with_a_pair(2000)

    def fitted(seed, restarts):
        return fit_latent_class(
            patterns.values, patterns.counts, generator=generator(seed), restarts=restarts, steps=30
        )

    alone = [fitted(seed, 1).log_likelihood(patterns.values, patterns.counts) for seed in range(6)]
    many = fitted(0, 64).log_likelihood(patterns.values, patterns.counts)
    assert max(alone) - min(alone) > 1 and many > np.median(alone)
    np.testing.assert_array_equal(fitted(3, 8).present, fitted(3, 8).present)
    assert not np.array_equal(fitted(3, 8).present, fitted(4, 8).present)
