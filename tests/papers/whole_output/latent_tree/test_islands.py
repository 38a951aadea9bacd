from itertools import product

import numpy as np
import pytest
from sklearn.metrics import mutual_info_score

from xai_lib.papers.whole_output.latent_tree import fit_islands, islands
from xai_lib.papers.whole_output.latent_tree.islands import assigned, find_islands
from xai_lib.papers.whole_output.latent_tree.latent_class import LatentClass, fit_latent_class, fit_member, fit_pair
from xai_lib.papers.whole_output.latent_tree.patterns import corpus_of


@pytest.fixture
def limit(monkeypatch):
    """Function (name, value) that sets what closes an island."""
    return lambda name, value: monkeypatch.setattr(islands, name, value)


def of_rows(present):
    return [np.flatnonzero(row).tolist() for row in present]


def planted(sizes, n=5000, seed=0, prior=0.2, on=0.6, off=0.02):
    """Documents of independent latents, labels in random order, and the labels of each latent."""
    draw = np.random.default_rng(seed)
    of_label = draw.permutation(np.repeat(np.arange(len(sizes)), sizes))
    latent = draw.random((n, len(sizes))) < prior
    present = draw.random((n, len(of_label))) < np.where(latent[:, of_label], on, off)
    truth = sorted(np.flatnonzero(of_label == island).tolist() for island in range(len(sizes)))
    return of_rows(present), truth


def plain_islands(documents, n_labels, max_size=10, correlation_test=True, gains=None):
    """The authors' procedure on one row a document, with models from starts of their own.

    Appends to `gains` what every try gains in log-likelihood: of two latents over one, of one over chance.
    """
    present = np.array([[label in document for label in range(n_labels)] for document in documents])
    n = len(present)
    link = {(a, b): mutual_info_score(*present[:, [a, b]].T) for a, b in product(range(n_labels), repeat=2)}
    draw, batch = np.random.default_rng(100), min(n, 5000)

    def best_link(inside, outside):
        return max((pair for pair in product(inside, outside) if len({*pair}) > 1), key=link.__getitem__)

    def grown(free):
        if len(free) <= 3:
            return [list(free)]
        island = list(best_link(free, free))
        first_two = list(island)
        island.append(best_link(island, free - set(island))[1])
        model = fit_latent_class(present[:, island], np.ones(n), generator=draw)
        while (outside := free - set(island)) and (len(island) < max_size or len(outside) < 3):
            closest, new = best_link(island[2:], outside)
            started = LatentClass(model.prior, model.present[:2]).joint(present[:, first_two])
            chances = fit_member(started, np.eye(2)[present[:, new].astype(int)])
            wider = LatentClass(model.prior, np.vstack([model.present, chances]))
            one = np.log(wider.joint(present[:, [*island, new]]).sum(axis=1)).sum()
            codes = present[:, closest] + 2 * present[:, new]
            pair = fit_pair(started, np.eye(4)[codes], generator=draw)
            member = island.index(closest)
            rest = LatentClass(model.prior, np.delete(model.present, member, axis=0))
            without = rest.joint(np.delete(present[:, island], member, axis=1))
            two = np.log((without * np.stack([below.of_pair()[codes] for below in pair], axis=1)).sum(axis=1)).sum()
            share, alone = present[:, new].mean(), model.joint(present[:, island]).sum(axis=1)
            chance = np.log(alone).sum() + np.log(np.where(present[:, new], share, 1 - share)).sum()
            if gains is not None:
                gains.append((two - one, one - chance))
            if correlation_test and len(outside) >= 3 and (one - chance) * batch / n - np.log(batch) / 2 < 3:
                return [island]
            if (two - one) * batch / n - np.log(batch) > 3:
                island.remove(closest)
                return [island, [closest, new]] if len(outside) == 1 else [island]
            island.append(new)
            model = wider
        return [island]

    free = set(np.flatnonzero(present.any(axis=0)).tolist())
    found = [[label] for label in range(n_labels) if label not in free]
    while free:
        for island in grown(free):
            found.append(sorted(island))
            free -= set(island)
    return sorted(found)


RARE, HALF = {"prior": 0.02, "on": 0.5, "off": 0.002}, {"prior": 0.5, "on": 0.8, "off": 0.2}


@pytest.mark.parametrize("sizes", [[3] * 8, [4] * 6, [5, 3, 7, 4, 6], [9, 10], [1], [2], [3], [4], [10]])
@pytest.mark.parametrize("chances", [{}, RARE, HALF])
def test_planted_islands_are_found(sizes, chances):
    documents, truth = planted(sizes, n=20_000, **chances)
    assert fit_islands(documents, sum(sizes)) == truth


@pytest.mark.parametrize("chances", [{}, RARE, HALF])
def test_planted_pairs_are_found_without_the_correlation_test_alone(chances):
    """With it an island keeps its third label, which nothing has tested, once the fourth has nothing to do with it."""
    documents, truth = planted([2] * 6, **chances)
    assert fit_islands(documents, 12, correlation_test=False) == truth
    assert 3 in map(len, fit_islands(documents, 12))


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 6))])
def test_equal_to_the_plain_procedure(seed, limit):
    """On weak islands and a chain through them, where the two tests and the size all close islands."""
    draw = np.random.default_rng(seed)
    sets = [set(document) for document in planted([4, 3, 2], n=400, seed=seed, on=0.6, off=0.05)[0]]
    for document in sets:
        if 0 in document and draw.random() < 0.5:
            document.add(int(draw.integers(9)))
    limit("MAX_SIZE", 5)
    documents = [sorted(document) for document in sets]
    assert fit_islands(documents, 10) == plain_islands(documents, 10, max_size=5)


@pytest.mark.parametrize("max_size", [4, 6])
def test_every_label_once_and_none_too_many_but_for_the_last(max_size, limit):
    documents, _ = planted([14, 5], on=0.4)
    limit("MAX_SIZE", max_size)
    found = fit_islands(documents, 22)
    assert sorted(label for island in found for label in island) == list(range(22))
    sizes = sorted(map(len, found))
    assert sizes[-2] == max_size and sizes[-1] <= max_size + 2 and found == sorted(map(sorted, found))
    assert found[-3:] == [[19], [20], [21]]  # in no document


def test_neither_the_order_of_documents_and_labels_nor_their_numbers_make_a_difference():
    documents, _ = planted([5, 4, 4], on=0.3, seed=2)
    assert fit_islands([document[::-1] * 2 for document in documents[::-1]], 13) == fit_islands(documents, 13)
    documents, _ = planted([5, 4, 4, 3], on=0.25, seed=3)
    new = np.random.default_rng(0).permutation(16)
    renamed = fit_islands([new[document].tolist() for document in documents], 16)
    assert renamed == sorted(sorted(new[island].tolist()) for island in fit_islands(documents, 16))


@pytest.fixture(scope="module")
def six_labels():
    """400 documents of four labels and of two that have nothing to do with them, and what the first try gains: by two
    latents over one, by one over chance."""
    draw, gains = np.random.default_rng(1), []
    base = draw.random(400) < 0.3
    below = draw.random(400) < np.where(base, 0.8, 0.1)  # of the third and the fourth
    chances = [(base, 0.05, 0.8), (base, 0.1, 0.8), (below, 0.05, 0.75), (below, 0.1, 0.7)]
    present = [draw.random(400) < np.where(latent, on, off) for latent, off, on in chances]
    documents = of_rows(np.stack([*present, *(draw.random((2, 400)) < 0.1)], axis=1))
    plain_islands(documents, 6, gains=gains)
    return documents, *gains[0]


@pytest.mark.parametrize("repeated, batch", [(1, 400), (12, 4800), (50, 5000)])
def test_both_tests_are_of_bic_of_at_most_5000_documents(six_labels, repeated, batch, limit):
    """Below both edges two latents win; between them one does; above both the new label is no better than chance."""
    documents, two_latents, one_latent = six_labels
    scale = batch / 400  # a document repeated counts so many times
    low, high = two_latents * scale - np.log(batch), one_latent * scale - np.log(batch) / 2
    found = {}
    for edge in (low, high):
        for side in (-0.5, 0.5):
            limit("THRESHOLD", edge + side * scale)
            (island,) = (island for island in fit_islands(documents * repeated, 6) if 0 in island)
            found[edge, side] = [label for label in island if label < 4]
    assert 3 < low < high
    assert [found[low, -0.5], found[low, 0.5]] == [[0, 1], [0, 1, 2, 3]]
    assert [found[high, -0.5], found[high, 0.5]] == [[0, 1, 2, 3], [0, 1, 2]]


def test_models_belong_to_their_labels():
    """Labels of one island that are more and less typical of it; and a latent that two labels were taken from."""
    draw = np.random.default_rng(0)
    chance = np.array([0.3, 0.9, 0.5, 0.7, 0.4])
    latent = draw.random(20_000) < 0.3
    present = draw.random((20_000, 5)) < np.where(latent[:, None], chance, 0.05)
    (island,) = find_islands(corpus_of(of_rows(present), 5))
    np.testing.assert_allclose(island.model.present[:, 1], chance, atol=0.04)
    np.testing.assert_allclose(island.model.present[:, 0], 0.05, atol=0.02)
    np.testing.assert_allclose(island.model.prior, [0.7, 0.3], atol=0.03)
    for island in find_islands(corpus_of(planted([2] * 4)[0], 8), correlation_test=False):
        assert island.model.present.shape == (2, 2) and (island.model.present[:, 1] > island.model.present[:, 0]).all()


def test_a_member_that_leaves_takes_its_part_of_the_model_along():
    """The third of four, for the sake of a label that is a noisy copy of it."""
    draw = np.random.default_rng(0)
    latent = draw.random(5000) < 0.3
    first, second, third = (latent ^ (draw.random(5000) < noise) for noise in (0.02, 0.03, 0.1))
    fourth = draw.random(5000) < np.where(latent, 0.7, 0.03)
    copy = third ^ (draw.random(5000) < 0.3)
    present = np.stack([first, second, third, fourth, copy], axis=1)
    island, rest = find_islands(corpus_of(of_rows(present), 5))
    assert island.labels == [0, 1, 3] and rest.labels == [2, 4]
    np.testing.assert_allclose(island.model.present, [[0.02, 0.98], [0.03, 0.97], [0.03, 0.7]], atol=0.03)


def test_most_labels_are_expected_in_state_1_also_after_one_has_left(limit):
    """Labels that avoid each other: with the third, more of them are in the other state than without it."""
    draw = np.random.default_rng(0)
    state = (draw.random(5000) < 0.5).astype(int)
    chances = np.array([[0.1, 0.9], [0.8, 0.1], [0.75, 0.25], [0.4, 0.4]])
    present = draw.random((5000, 4)) < chances[:, state].T
    limit("THRESHOLD", -1e9)
    started, _ = find_islands(corpus_of(of_rows(present), 4))
    assert started.labels == [0, 1]
    assert started.model.present[0, 1] > started.model.present[0, 0]


def test_hard_assignment_is_to_the_more_probable_state():
    documents, _ = planted([4, 3, 1], n=400, on=0.5, off=0.1)
    corpus = corpus_of(documents, 9)
    of_labels = find_islands(corpus)
    found = assigned(corpus, of_labels)
    assert found.n_documents == 400 and len(found.documents) == len(of_labels)
    for island, on in zip(of_labels, found.documents):
        values = np.array([[label in document for label in island.labels] for document in documents])
        joint = island.model.joint(values)
        assert on.tolist() == np.flatnonzero(joint[:, 1] > joint[:, 0]).tolist()
    assert any(0 < len(on) < 400 for on in found.documents)


def test_labels_in_all_documents_are_alone_and_labels_without_information_are_not_paired_with_themselves():
    assert fit_islands([[0, *two] for two in ([], [1], [2], [1, 2])], 3) == [[0], [1, 2]]
    factorial = [[bit for bit in range(4) if code >> bit & 1] for code in range(16)]
    assert fit_islands(factorial, 4) == [[0, 1, 2, 3]]  # the last three labels are not left to themselves
    corpus = corpus_of([[0], [], [0]], 2)
    alone = find_islands(corpus)
    assert [island.labels for island in alone] == [[0], [1]]
    assert [on.tolist() for on in assigned(corpus, alone).documents] == [[0, 2], []]  # its latent is the label
