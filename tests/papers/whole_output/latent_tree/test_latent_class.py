from itertools import product

import numpy as np
import pytest
from scipy.optimize import minimize

from xai_lib.papers.whole_output.latent_tree.latent_class import LatentClass, fit_latent_class, fit_member, fit_pair
from xai_lib.papers.whole_output.latent_tree.patterns import contingency, corpus_of, patterns_of

MODEL = LatentClass(np.array([0.8, 0.2]), np.array([[0.05, 0.7], [0.1, 0.6], [0.2, 0.9], [0.02, 0.5]]))
generator = np.random.default_rng


@pytest.fixture(scope="module")
def patterns():
    """Three labels under a latent, two more under another one below it."""
    draw, n = generator(0), 3000
    first = draw.random(n) < 0.4
    second = draw.random(n) < np.where(first, 0.7, 0.2)
    present = [draw.random(n) < np.where(first, 0.8, 0.1) for _ in range(3)]
    present += [draw.random(n) < np.where(second, 0.9, 0.05) for _ in range(2)]
    documents = [np.flatnonzero(row).tolist() for row in np.stack(present, axis=1)]
    return patterns_of(corpus_of(documents, 5), range(5))


@pytest.fixture(scope="module")
def settled(patterns):
    """A model of the first three labels."""
    return fit_latent_class(patterns.values[:, :3], patterns.counts, generator=generator(0))


def test_joint_posterior_and_likelihood_by_enumeration_and_states_in_order():
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
    certain = LatentClass(np.array([1.0, 0.0]), np.array([[0.0, 1.0]]))
    assert certain.posterior(np.array([[False], [True]])).tolist() == [0, 0]  # also of an impossible pattern

    for model in (MODEL, LatentClass(MODEL.prior[::-1], MODEL.present[:, ::-1])):
        np.testing.assert_array_equal(model.ordered().present, MODEL.present)
        np.testing.assert_array_equal(model.ordered().prior, MODEL.prior)


def em_step(model, values, counts):
    """One plain step of EM, with one document more of each kind."""
    joint = model.joint(values)
    expected = joint * (counts / joint.sum(axis=1))[:, None]
    mass = expected.sum(axis=0)
    return LatentClass((mass + 1) / (counts.sum() + 2), (values.T @ expected + 1) / (mass + 2))


def test_not_far_below_a_long_plain_em_and_one_step_is_from_the_start_that_the_generator_draws():
    """On labels so weakly linked that EM is slow: where it is cut short, the likelihood is plainly lower."""
    values = np.array(list(product([False, True], repeat=3)))
    counts, best, draw = np.array([2264.0, 205, 116, 54, 259, 87, 6, 9]), -np.inf, generator(9)
    for _ in range(5):
        model = LatentClass(draw.dirichlet([1, 1]), draw.random((3, 2)))
        for _ in range(2000):
            model = em_step(model, values, counts)
        best = max(best, model.log_likelihood(values, counts))
    for options, low, high in (({}, -0.5, 0.5), ({"steps": 1}, -10, -2)):
        found = fit_latent_class(values, counts, generator=generator(0), **options)
        assert low < found.log_likelihood(values, counts) - best < high, options
    values, counts = np.array([[False, False], [True, False], [True, True]]), np.array([5.0, 3, 2])
    draw = generator(4)
    chance, present = draw.random(1)[0], draw.random((2, 2, 1))[..., 0]
    after = em_step(LatentClass(np.array([chance, 1 - chance]), present), values, counts).ordered()
    found = fit_latent_class(values, counts, generator=generator(4), restarts=1, steps=1)
    np.testing.assert_allclose(found.prior, after.prior)
    np.testing.assert_allclose(found.present, after.present)


def test_member_is_the_maximum(patterns, settled):
    """Of the likelihood times what one document more in each cell adds to it."""
    others, counts = contingency(patterns, [3])
    wider = LatentClass(settled.prior, np.vstack([settled.present, [0.1, 0.5]]))  # the fifth is settled in the first
    joint = wider.joint(others)

    def loss(present):
        table = np.stack([1 - present, present], axis=1)
        return -(counts * np.log(joint @ table)).sum() - np.log(table).sum()

    best = minimize(loss, [0.3, 0.6], bounds=[(1e-9, 1 - 1e-9)] * 2)
    np.testing.assert_allclose(fit_member(joint, counts), best.x, atol=0.01)
    few = counts / counts.sum() * 8  # where one document more matters
    plain = minimize(lambda p: loss(p) + np.log(p * (1 - p)).sum(), [0.3, 0.6], bounds=[(1e-9, 1 - 1e-9)] * 2)
    assert np.abs(fit_member(joint, few) - plain.x).max() > 0.05


def test_pair_is_the_maximum(patterns, settled):
    others, counts = contingency(patterns, [3, 4])
    joint, both = settled.joint(others), np.array([[False, False], [True, False], [False, True], [True, True]])

    def likelihood(below):
        return (counts * np.log(joint @ np.stack([model.joint(both).sum(axis=1) for model in below]))).sum()

    def loss(p):
        return -likelihood([LatentClass(np.array([1 - p, p]), q) for p, q in zip(p[:2], [p[2:].reshape(2, 2)] * 2)])

    starts = generator(1).uniform(0.1, 0.9, (6, 6))
    best = min(minimize(loss, start, bounds=[(1e-9, 1 - 1e-9)] * 6).fun for start in starts)
    found = fit_pair(joint, counts, generator=generator(0))
    assert likelihood(found) == pytest.approx(-best, abs=0.5)
    np.testing.assert_array_equal(found[0].present, found[1].present)
    for model in found:
        np.testing.assert_allclose(model.of_pair(), model.joint(both).sum(axis=1))


def test_restarts_help_and_the_generator_decides(patterns):
    given = patterns.values, patterns.counts

    def fitted(seed, restarts):
        return fit_latent_class(*given, generator=generator(seed), restarts=restarts, steps=30)

    alone = [fitted(seed, 1).log_likelihood(*given) for seed in range(6)]
    assert max(alone) - min(alone) > 1 and fitted(0, 64).log_likelihood(*given) > np.median(alone)
    np.testing.assert_array_equal(fitted(3, 8).present, fitted(3, 8).present)
    assert not np.array_equal(fitted(3, 8).present, fitted(4, 8).present)
