"""Islands, groups of labels whose co-occurrence one latent explains (whole-output paper §3; Chen et al. 2017, §4)."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import xlogy

from xai_lib.papers.whole_output.latent_tree.latent_class import LatentClass, fit_latent_class, fit_member, fit_pair
from xai_lib.papers.whole_output.latent_tree.patterns import (
    Corpus,
    contingency,
    corpus_of,
    mutual_information,
    patterns_of,
)

MAX_SIZE = 10  # an island with so many labels is closed
THRESHOLD = 3.0  # of both tests, in nats of BIC
_BATCH = 5000  # BIC is that of at most so many documents


@dataclass(frozen=True)
class Island:
    """Labels and the latent above them."""

    labels: list[int]  # ascending
    model: LatentClass  # more labels are expected in state 1; of a label alone, on exactly where the label is present


def fit_islands(
    documents: Iterable[Sequence[int]], n_labels: int, *, seed: int = 0, correlation_test: bool = True
) -> list[list[int]]:
    """Cluster labels that documents have together (whole-output paper §3): level 1 of the latent tree.

    Returns a partition of all labels 0 to n_labels - 1: members ascending, islands by their first member; a label in no
    document, or in all, is alone. The seed draws the starts of EM; ``correlation_test`` is as in the authors' program.
    See :func:`find_islands` for how. ValueError if there is no document, or a label out of range.
    """
    found = find_islands(corpus_of(documents, n_labels), seed=seed, correlation_test=correlation_test)
    return [island.labels for island in found]


def find_islands(corpus: Corpus, *, seed: int = 0, correlation_test: bool = True) -> list[Island]:
    """Islands one after the other, each with its model, until no label is left.

    As the authors' program does it, its order of tests included:

    1. The two free labels of the highest mutual information start an island and stay in it; the label with most
       information to one of them is the third, untested. A latent class model of the three is fitted.
    2. The free label with most information to a member other than the first two is tried. m1 has it under the island's
       latent; its probabilities are fitted on it and the first two labels alone, all else being settled.
    3. Correlation test, which the papers do not mention: with BIC(m1) - BIC(m0) below the threshold, m0 leaving the new
       label independent, the island is closed without it. (Not if fewer than three labels are free outside.)
    4. Test of uni-dimensionality, only then: m2 puts the new label and its closest member under a second latent, fitted
       on these and the first two. With BIC(m2) - BIC(m1) above the threshold the island is closed without both. They
       are free again, or an island of their own if they are the last.
    5. Otherwise the label is in. With ten labels the island is closed, if three or more are still outside.

    The likelihoods are of all labels of the island. BIC is the log-likelihood, scaled to at most 5000 documents, less
    half the logarithm of their number per parameter, as in the authors' program.
    """
    generator = np.random.default_rng(seed)
    information = mutual_information(corpus)
    varies = np.array([0 < len(documents) < corpus.n_documents for documents in corpus.documents])
    islands = [Island([int(label)], _alone(corpus, label)) for label in np.flatnonzero(~varies)]
    free = np.flatnonzero(varies)
    while len(free):
        for labels, model in _grow(corpus, information, free, generator, correlation_test):
            order = np.argsort(labels)
            ordered = LatentClass(model.prior, model.present[order]).ordered()
            islands.append(Island([int(labels[i]) for i in order], ordered))
            free = np.setdiff1d(free, labels)
    return sorted(islands, key=lambda island: island.labels)


def assigned(corpus: Corpus, islands: Sequence[Island]) -> Corpus:
    """Documents whose "labels" are the latents in state 1 (hard assignment: a posterior above one half)."""
    lists = []
    for island in islands:
        patterns = patterns_of(corpus, island.labels)
        of_document = np.zeros(corpus.n_documents, dtype=np.int64)
        of_document[patterns.documents] = patterns.of_document
        lists.append(np.flatnonzero((island.model.posterior(patterns.values) > 0.5)[of_document]))
    return Corpus(corpus.n_documents, lists)


def _grow(
    corpus: Corpus, information: np.ndarray, free: np.ndarray, generator: np.random.Generator, correlation_test: bool
) -> list[tuple[list[int], LatentClass]]:
    """One island of free labels, or the last two: the labels, those that started it first, and their model."""
    if len(free) == 1:
        return [([free[0]], _alone(corpus, free[0]))]
    island = list(free) if len(free) <= 3 else _start(information, free)
    outside = np.setdiff1d(free, island)
    start = patterns_of(corpus, island)
    model = fit_latent_class(start.values, start.counts, generator=generator)
    while len(outside) and (len(island) < MAX_SIZE or len(outside) < 3):
        closest, new = _strongest(information, island[2:], outside)
        patterns = patterns_of(corpus, [*island, new])
        present = fit_member(*_beside(corpus, island, model, [new]))
        joined = LatentClass(model.prior, np.vstack([model.present, present]))
        one_latent = joined.log_likelihood(patterns.values, patterns.counts)
        n, on = patterns.counts.sum(), patterns.values[:, -1] @ patterns.counts
        alone = model.log_likelihood(patterns.values[:, :-1], patterns.counts)  # and the new label independent
        alone += float(xlogy(on, on / n) + xlogy(n - on, 1 - on / n))
        unrelated = _bic(one_latent - alone, 1, corpus.n_documents) < THRESHOLD
        if correlation_test and unrelated and len(outside) >= 3:
            break
        pair = fit_pair(*_beside(corpus, island, model, [closest, new]), generator=generator)
        place = island.index(closest)
        rest = LatentClass(model.prior, np.delete(model.present, place, axis=0))
        others, counts = contingency(patterns, [place, len(island)])
        two_latents = float((counts * np.log(rest.joint(others) @ [below.of_pair() for below in pair])).sum())
        if _bic(two_latents - one_latent, 2, corpus.n_documents) > THRESHOLD:
            island.remove(closest)
            prior = model.prior @ [below.prior for below in pair]
            own = [([closest, new], LatentClass(prior, pair[0].present))]
            return [(island, rest), *(own if len(outside) == 1 else [])]
        island.append(new)
        outside, model = outside[outside != new], joined
    return [(island, model)]


def _beside(
    corpus: Corpus, island: Sequence[int], model: LatentClass, new: Sequence[int]
) -> tuple[np.ndarray, np.ndarray]:
    """What new labels are fitted on: the two that started the island, by its model, and counts of the new ones."""
    others, counts = contingency(patterns_of(corpus, [*island[:2], *new]), [2, 3][: len(new)])
    return LatentClass(model.prior, model.present[:2]).joint(others), counts


def _bic(gain: float, n_parameters: int, n_documents: int) -> float:
    """What a gain in log-likelihood by more parameters is in BIC, of at most 5000 documents."""
    batch = min(n_documents, _BATCH)
    return gain * batch / n_documents - n_parameters * np.log(batch) / 2


def _alone(corpus: Corpus, label: int) -> LatentClass:
    """The model of a label whose latent is on exactly where the label is present."""
    share = len(corpus.documents[label]) / corpus.n_documents
    return LatentClass(np.array([1 - share, share]), np.array([[0.0, 1.0]]))


def _start(information: np.ndarray, free: np.ndarray) -> list[int]:
    """The two free labels of the highest mutual information, and the one with most information to one of them."""
    links = information[np.ix_(free, free)]
    np.fill_diagonal(links, -1)
    pair = [free[place] for place in np.unravel_index(links.argmax(), links.shape)]
    return [*pair, _strongest(information, pair, np.setdiff1d(free, pair))[1]]


def _strongest(information: np.ndarray, inside: Sequence[int], outside: np.ndarray) -> tuple[int, int]:
    """The member of `inside` and the one of `outside` (ascending) that have most information about each other."""
    links = information[np.ix_(inside, outside)]
    row, column = np.unravel_index(links.argmax(), links.shape)
    return inside[row], outside[column]
