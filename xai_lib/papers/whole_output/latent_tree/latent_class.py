"""Latent class models of binary labels and their EM: one hidden yes or no behind a few labels.

Three small models are fitted to counts of patterns, in the last two only what is new, as in the progressive EM of Chen
et al. 2017 (§5). All restarts run at once, along the last axis of every array; the better half of them goes on after
2, 4, 8, … steps (as Chickering & Heckerman 1997 do). Restarts, steps and threshold are those of the authors' program,
and so is what the papers do not say: every step adds one document to each expected count, off 0 and 1.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

RESTARTS = 16
STEPS = 200
ADDED = 1  # document, to each expected count
_ENOUGH = 0.01  # nats gained in a step
_TINY = 1e-300
_OF_TWO = np.array([[False, False], [True, False], [False, True], [True, True]])  # the order of `contingency`

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

    def of_pair(self) -> np.ndarray:
        """Probability of neither of its two labels, the first, the second and both, float64 [4]."""
        return self.joint(_OF_TWO).sum(axis=1)

    def ordered(self) -> "LatentClass":
        """The same model with its states such that more labels are expected in state 1."""
        expected = self.present.sum(axis=0)
        return LatentClass(self.prior[::-1], self.present[:, ::-1]) if expected[0] > expected[1] else self


def fit_latent_class(
    values: np.ndarray, counts: np.ndarray, *, generator: Generator, restarts: int = RESTARTS, steps: int = STEPS
) -> LatentClass:
    """Latent class model of the highest likelihood among several runs of EM from random starts.

    ``values`` are patterns, bool [P,V], ``counts`` the documents of each, float64 [P]. A step takes P(z | x) ∝ P(z) Π
    P(x_v | z) of every pattern x (E), then the shares of documents, each counted by it, in state z with a label, with
    one more of each kind (M).
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
        return ((mass + ADDED) / (n + 2 * ADDED), (with_label + ADDED) / (mass + 2 * ADDED)), total

    starts = _distributions(generator, restarts), generator.random((len(on), 2, restarts))
    return LatentClass(*_climb(step, starts, counts, steps)).ordered()


def fit_member(joint: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """The probability of one more label in each state, float64 [2], while all others are settled.

    From the probability of each pattern of the other labels with each state, [P,2], and its documents without and with
    the new label, [P,2]. The likelihood is concave in the two probabilities that are sought: one start is enough.
    """

    def step(table: np.ndarray) -> tuple[_Parameters, np.ndarray]:
        total = np.maximum(joint @ table[..., 0], _TINY)  # [P,2 values]
        expected = table * (joint.T @ (counts / total))[..., None] + ADDED
        return (expected / expected.sum(axis=1, keepdims=True),), total[..., None]

    start = np.tile((counts.sum(axis=0) + ADDED) / (counts.sum() + 2 * ADDED), (2, 1))  # [2 states,2 values]
    (table,) = _climb(step, (start[..., None],), counts, STEPS)
    return table[:, 1]


def fit_pair(joint: np.ndarray, counts: np.ndarray, *, generator: Generator) -> tuple[LatentClass, LatentClass]:
    """Two more labels under a second latent, the child of the settled one: their model in each state of that one.

    ``joint`` as in :func:`fit_member`; ``counts`` of documents with neither of the two, the first, the second and both,
    float64 [P,4]. The two models differ in their priors alone.
    """

    def step(child: np.ndarray, first: np.ndarray, second: np.ndarray) -> tuple[_Parameters, np.ndarray]:
        n = child.shape[-1]
        both = (second[:, :, None] * first[:, None]).reshape(2, 4, n)  # P(pair | second latent)
        path = child[:, :, None] * both  # [2 of the first latent,2 of the second,4,R]
        total = np.maximum(joint @ path.sum(axis=1).reshape(2, -1), _TINY).reshape(-1, 4, n)
        seen = (joint.T @ (counts[..., None] / total).reshape(len(joint), -1)).reshape(2, 1, 4, n)
        expected = path * seen
        child, below = expected.sum(axis=2) + ADDED, expected.sum(axis=0).reshape(2, 2, 2, n)
        mass = below.sum(axis=(1, 2))[:, None] + 2 * ADDED
        members = (below.sum(axis=1) + ADDED) / mass, (below.sum(axis=2) + ADDED) / mass
        return (child / child.sum(axis=1, keepdims=True), *members), total

    starts = tuple(_distributions(generator, 2, RESTARTS).swapaxes(0, 1) for _ in range(3))  # each [2,2,R]
    child, first, second = _climb(step, starts, counts, STEPS)
    return tuple(LatentClass(prior, np.stack([first[:, 1], second[:, 1]])) for prior in child)


def _climb(
    step: Callable[..., tuple[_Parameters, np.ndarray]], parameters: _Parameters, counts: np.ndarray, steps: int
) -> _Parameters:
    """Repeat EM steps until none raises the likelihood by more: the parameters of the best start, without last axis.

    A step gives the next parameters, and the probability [...,R] of what is counted, under the old ones.
    """
    before: np.ndarray | float = -np.inf
    for number in range(steps + 1):
        following, total = step(*parameters)
        likelihood = counts.ravel() @ np.log(total).reshape(counts.size, -1)  # [R]
        if number == steps or (likelihood - before < _ENOUGH).all():
            break
        kept = np.arange(len(likelihood))
        if number.bit_count() == 1 and number > 1:  # 2, 4, 8, …
            kept = likelihood.argsort()[-max(1, len(likelihood) // 2) :]
        before, parameters = likelihood[kept], tuple(array[..., kept] for array in following)
    best = likelihood.argmax()
    return tuple(array[..., best] for array in parameters)


def _distributions(generator: Generator, *shape: int) -> np.ndarray:
    """Uniform random distributions over two states, float64 [2,*shape]."""
    chance = generator.random(shape)
    return np.stack([chance, 1 - chance])
