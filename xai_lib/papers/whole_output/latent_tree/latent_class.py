"""Latent class models of binary labels and their EM: one hidden yes or no behind a few labels.

Three small models are fitted to counts of patterns, in the last two only what is new, as in the progressive EM of Chen
et al. 2017 (§5). All restarts run at once, along the last axis of every array; the better quarter of them goes on after
a first stretch (as Chickering & Heckerman 1997 do).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

RESTARTS = 32
STEPS = 200
_FIRST_STRETCH = 20
_CHECK = 10  # steps between two looks at the likelihood
_ENOUGH = 1e-3  # nats gained in so many steps: far less than the tests of islands can notice
_TINY = 1e-300

_Parameters = tuple[np.ndarray, ...]


@dataclass(frozen=True)
class LatentClass:
    """One binary latent and the labels below it, independent of each other given its state."""

    prior: np.ndarray  # float64 [2], probability of the states
    present: np.ndarray  # float64 [V,2], probability that a label is present in each state

    def joint(self, values: np.ndarray) -> np.ndarray:
        """Probability of patterns bool [P,V] together with each state, float64 [P,2]."""
        return self.prior * np.where(values[:, :, None], self.present, 1 - self.present).prod(axis=1)

    def posterior(self, values: np.ndarray) -> np.ndarray:
        """Probability of state 1 given patterns bool [P,V], float64 [P] in [0,1]; 0 for an impossible pattern."""
        joint = self.joint(values)
        return joint[:, 1] / np.maximum(joint.sum(axis=1), _TINY)

    def log_likelihood(self, values: np.ndarray, counts: np.ndarray) -> float:
        """Of patterns bool [P,V] with so many documents each, float64 [P], in nats."""
        return float(counts @ np.log(np.maximum(self.joint(values).sum(axis=1), _TINY)))

    def ordered(self) -> "LatentClass":
        """The same model with its states such that more labels are expected in state 1."""
        expected = self.present.sum(axis=0)
        return LatentClass(self.prior[::-1], self.present[:, ::-1]) if expected[0] > expected[1] else self


def fit_latent_class(
    values: np.ndarray, counts: np.ndarray, *, generator: Generator, restarts: int = RESTARTS, steps: int = STEPS
) -> LatentClass:
    """Latent class model of the highest likelihood among several runs of EM from random starts.

    ``values`` are patterns, bool [P,V], ``counts`` the documents of each, float64 [P]. A step takes P(z | x) ∝ P(z) Π
    P(x_v | z) of every pattern x (E), then the shares of documents, each counted by it, in state z with a label (M).
    """
    columns, value = np.arange(values.shape[1]), values.astype(np.int64)
    on, n = values.T.astype(np.float64), counts.sum()

    def step(prior: np.ndarray, present: np.ndarray) -> tuple[_Parameters, np.ndarray]:
        table = np.stack([1 - present, present], axis=1)  # [V,2 values,2 states,R]
        joint = prior * table[columns, value].prod(axis=1)  # [P,2,R]
        total = np.maximum(joint.sum(axis=1), _TINY)
        expected = joint * (counts[:, None] / total)[:, None]
        mass = expected.sum(axis=0)  # [2,R]
        with_label = (on @ expected.reshape(len(values), -1)).reshape(present.shape)
        return (mass / n, with_label / np.maximum(mass, _TINY)), total

    starts = _distributions(generator, restarts), generator.random((len(on), 2, restarts))
    (prior, present), _ = _climb(step, starts, counts, steps)
    return LatentClass(prior, present).ordered()


def fit_member(joint: np.ndarray, counts: np.ndarray, *, steps: int = STEPS) -> tuple[np.ndarray, float]:
    """The probability of one more label in each state, float64 [2], others settled; log-likelihood of all, in nats.

    From the probability of each pattern of the other labels with each state, [P,2], and its documents without and with
    the new label, [P,2]. The likelihood is concave in the two probabilities that are sought: one start is enough.
    """

    def step(table: np.ndarray) -> tuple[_Parameters, np.ndarray]:
        total = np.maximum(joint @ table[..., 0], _TINY)  # [P,2 values]
        expected = table * (joint.T @ (counts / total))[..., None]
        return (expected / np.maximum(expected.sum(axis=1, keepdims=True), _TINY),), total[..., None]

    start = np.tile(counts.sum(axis=0) / counts.sum(), (2, 1))[..., None]  # [2 states,2 values,1]
    (table,), likelihood = _climb(step, (start,), counts, steps)
    return table[:, 1], likelihood


def fit_pair(
    joint: np.ndarray, counts: np.ndarray, *, generator: Generator, restarts: int = RESTARTS, steps: int = STEPS
) -> float:
    """Log-likelihood of all labels, in nats, with two new ones under a second latent, the child of the settled one.

    ``joint`` as in :func:`fit_member`; ``counts`` of documents with neither of the two, the first, the second and both,
    float64 [P,4].
    """

    def step(child: np.ndarray, first: np.ndarray, second: np.ndarray) -> tuple[_Parameters, np.ndarray]:
        n = child.shape[-1]
        both = (second[:, :, None] * first[:, None]).reshape(2, 4, n)  # P(pair | second latent)
        path = child[:, :, None] * both  # [2 of the first latent,2 of the second,4,R]
        total = np.maximum(joint @ path.sum(axis=1).reshape(2, -1), _TINY).reshape(-1, 4, n)
        seen = (joint.T @ (counts[..., None] / total).reshape(len(joint), -1)).reshape(2, 1, 4, n)
        expected = path * seen
        child, below = expected.sum(axis=2), expected.sum(axis=0).reshape(2, 2, 2, n)
        mass = np.maximum(below.sum(axis=(1, 2)), _TINY)[:, None]
        child = child / np.maximum(child.sum(axis=1, keepdims=True), _TINY)
        return (child, below.sum(axis=1) / mass, below.sum(axis=2) / mass), total

    starts = tuple(_distributions(generator, 2, restarts).swapaxes(0, 1) for _ in range(3))  # each [2,2,R]
    return _climb(step, starts, counts, steps)[1]


def _climb(
    step: Callable[..., tuple[_Parameters, np.ndarray]], parameters: _Parameters, counts: np.ndarray, steps: int
) -> tuple[_Parameters, float]:
    """Repeat EM steps: the parameters of the best start, without their last axis, and their log-likelihood.

    A step gives parameters of no lower likelihood, and the probability [...,R] of what is counted, under the old ones.
    """
    before = -np.inf
    for number in range(steps + 1):
        following, total = step(*parameters)
        if number % _CHECK == 0 or number == steps:
            likelihood = counts.ravel() @ np.log(total).reshape(counts.size, -1)
            best = likelihood.argmax()
            if number == steps or likelihood[best] - before < _ENOUGH:
                break
            before = likelihood[best]
            if number == _FIRST_STRETCH:
                kept = likelihood.argsort()[-max(1, len(likelihood) // 4) :]
                following = tuple(array[..., kept] for array in following)
        parameters = following
    return tuple(array[..., best] for array in parameters), float(likelihood[best])


def _distributions(generator: Generator, *shape: int) -> np.ndarray:
    """Uniform random distributions over two states, float64 [2,*shape]."""
    chance = generator.random(shape)
    return np.stack([chance, 1 - chance])
