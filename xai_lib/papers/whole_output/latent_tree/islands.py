"""Islands: groups of labels whose co-occurrence one latent explains (whole-output paper §3; Chen et al. 2017, §4).

They are the lowest level of the latent tree, the clusters of labels that confusion clusters are made of.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import xlog1py, xlogy

from xai_lib.papers.whole_output.latent_tree.information import mutual_information
from xai_lib.papers.whole_output.latent_tree.latent_class import LatentClass, fit_latent_class, fit_member, fit_pair
from xai_lib.papers.whole_output.latent_tree.patterns import Corpus, contingency, corpus_of, patterns_of

MAX_SIZE = 10  # an island with so many labels is closed
THRESHOLD = 3.0  # of both tests, in nats of BIC
_BATCH = 5000  # BIC is that of at most so many documents


@dataclass(frozen=True)
class Island:
    """Labels, ascending, and the model of the latent above them: more of the labels are expected in its state 1.

    A label alone has a latent that is on exactly where the label is present.
    """

    labels: list[int]
    model: LatentClass


def fit_islands(documents: Iterable[Sequence[int]], n_labels: int, *, seed: int = 0) -> list[list[int]]:
    """Cluster labels that documents have together (whole-output paper §3): level 1 of the latent tree.

    Args:
        documents: the labels of each document, whole numbers in 0 to n_labels - 1; their order makes no difference.
        n_labels: number of labels.
        seed: draws the starts of EM; the same seed gives the same islands.

    Returns:
        A partition of all labels: members ascending, islands by their first member. A label in no document, or
        in all, is alone. See :func:`find_islands` for how; ValueError if there is no document, or a label out of range.

    Example:
        >>> fit_islands([[0, 1], [2, 3], [4, 5]] * 10, 6)
        [[0, 1], [2, 3], [4, 5]]
    """
    return [island.labels for island in find_islands(corpus_of(documents, n_labels), seed=seed)]


def find_islands(corpus: Corpus, *, seed: int = 0) -> list[Island]:
    """Islands one after the other, each with its model, until no label is left.

    The two free labels of the highest mutual information start an island and stay in it; the label with most
    information to one of them is the third. Then, again and again, the free label with most information to a member
    other than the first two is tried, in two models: m1 puts it under the island's latent, m2 puts it and that member
    under a second latent. The island is closed without both if BIC(m2) - BIC(m1) exceeds the threshold (the test of
    uni-dimensionality; both are free again). It is closed without the new label if BIC(m1) - BIC(m0) is below the
    threshold, where m0 leaves the new label independent (the correlation test, which the paper does not mention). The
    last three labels are not tested.

    BIC is the log-likelihood, scaled to at most 5000 documents, less half the logarithm of their number per parameter,
    as in the authors' program: more documents do not make the tests more sensitive than that.
    """
    generator = np.random.default_rng(seed)
    information = mutual_information(corpus)
    varies = np.array([0 < len(documents) < corpus.n_documents for documents in corpus.documents])
    islands = [Island([int(label)], _alone(corpus, label)) for label in np.flatnonzero(~varies)]
    free = np.flatnonzero(varies)
    while len(free):
        labels, model = _grow(corpus, information, free, generator)
        order = np.argsort(labels)
        ordered = LatentClass(model.prior, model.present[order]).ordered()
        islands.append(Island([int(labels[i]) for i in order], ordered))
        free = np.setdiff1d(free, labels)
    return sorted(islands, key=lambda island: island.labels)


def assigned(corpus: Corpus, islands: Sequence[Island]) -> Corpus:
    """Documents whose "labels" are the latents in state 1 (hard assignment: a posterior above one half)."""
    every, lists = np.arange(corpus.n_documents), []
    for island in islands:
        patterns = patterns_of(corpus, island.labels)
        on = island.model.posterior(patterns.values) > 0.5
        of_document = np.zeros(corpus.n_documents, dtype=np.int64)
        of_document[patterns.documents] = patterns.of_document
        lists.append(every[on[of_document]])
    return Corpus(corpus.n_documents, lists)


def _grow(
    corpus: Corpus, information: np.ndarray, free: np.ndarray, generator: np.random.Generator
) -> tuple[list[int], LatentClass]:
    """One island of free labels: its labels, the two that started it first, and its model."""
    if len(free) == 1:
        return [free[0]], _alone(corpus, free[0])
    island = list(free) if len(free) <= 3 else _start(information, free)
    outside = np.setdiff1d(free, island)
    start = patterns_of(corpus, island)
    model = fit_latent_class(start.values, start.counts, generator=generator)
    n, batch = corpus.n_documents, min(corpus.n_documents, _BATCH)
    while len(outside) and len(island) < MAX_SIZE:
        closest, new = _strongest(information, island[2:], outside)
        member, last = island.index(closest), len(island)
        patterns = patterns_of(corpus, [*island, new])
        others, counts = contingency(patterns, [last])
        present, one_latent = fit_member(model.joint(others), counts)
        without = LatentClass(model.prior, np.delete(model.present, member, axis=0))
        pair_others, pair_counts = contingency(patterns, [member, last])
        two_latents = fit_pair(without.joint(pair_others), pair_counts, generator=generator)
        if (two_latents - one_latent) * batch / n - np.log(batch) > THRESHOLD:  # two more parameters
            island.remove(closest)
            return island, without
        alone = model.log_likelihood(others, counts.sum(axis=1))
        share = counts[:, 1].sum() / n
        independent = alone + n * (xlogy(share, share) + xlog1py(1 - share, -share))
        if (one_latent - independent) * batch / n - np.log(batch) / 2 < THRESHOLD:
            break
        island.append(new)
        outside = outside[outside != new]
        model = LatentClass(model.prior, np.vstack([model.present, present]))
    return island, model


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
