import numpy as np
import pytest
from sklearn.metrics import mutual_info_score

from xai_lib.papers.whole_output.latent_tree import fit_islands
from xai_lib.papers.whole_output.latent_tree.islands import assigned, find_islands
from xai_lib.papers.whole_output.latent_tree.patterns import corpus_of


def planted(sizes, n=5000, seed=0, prior=0.2, on=0.6, off=0.02):
    """Documents of independent latents, labels in random order, and the labels of each latent."""
    draw = np.random.default_rng(seed)
    of_label = draw.permutation(np.repeat(np.arange(len(sizes)), sizes))
    latent = draw.random((n, len(sizes))) < prior
    present = draw.random((n, len(of_label))) < np.where(latent[:, of_label], on, off)
    truth = sorted(np.flatnonzero(of_label == island).tolist() for island in range(len(sizes)))
    return [np.flatnonzero(row).tolist() for row in present], truth


def plain_islands(documents, n_labels, max_size=10, threshold=3.0, correlation_test=True, gains=None):
    """The same procedure on rows of documents, with many steps of EM, one start after the other.

    Appends to `gains` what every try gains in log-likelihood: of two latents over one, of one over chance.
    """
    present = np.array([[label in document for label in range(n_labels)] for document in documents])
    n = len(present)
    link = [[mutual_info_score(present[:, a], present[:, b]) for b in range(n_labels)] for a in range(n_labels)]
    draw, batch = np.random.default_rng(100), min(n, 5000)

    def best_link(inside, outside):
        return max(((a, b) for a in inside for b in outside if a != b), key=lambda pair: link[pair[0]][pair[1]])

    def below(table, labels):  # P(labels | state) of every document, [n,2]
        return np.prod([np.where(present[:, [label]], table[label], 1 - table[label]) for label in labels], axis=0)

    def em(start, update, starts):
        found = []
        for _ in range(starts):
            parameters = start()
            for _ in range(150):
                parameters, total = update(parameters)
            found.append((np.log(total).sum(), parameters))
        return max(found, key=lambda pair: pair[0])

    def first_model(labels):
        def update(parameters):
            prior, table = parameters
            joint = prior * below(table, labels)
            total = joint.sum(axis=1)
            posterior = joint / total[:, None]
            table = {label: present[:, label] @ posterior / posterior.sum(axis=0) for label in labels}
            return (posterior.mean(axis=0), table), total

        return em(lambda: (draw.dirichlet([1, 1]), {label: draw.random(2) for label in labels}), update, 5)[1]

    def one_more(joint, new):
        def update(p):
            each = joint * np.where(present[:, [new]], p, 1 - p)
            total = each.sum(axis=1)
            posterior = each / total[:, None]
            return present[:, new] @ posterior / posterior.sum(axis=0), total

        return em(lambda: draw.random(2), update, 1)

    def second_latent(joint, pair):
        def update(parameters):
            child, table = parameters
            each = joint[:, :, None] * child * below(table, pair)[:, None]
            total = each.sum(axis=(1, 2))
            posterior = each / total[:, None, None]
            child = posterior.sum(axis=0) / posterior.sum(axis=(0, 2))[:, None]
            states = posterior.sum(axis=1)
            return (child, {label: present[:, label] @ states / states.sum(axis=0) for label in pair}), total

        return em(lambda: (draw.dirichlet([1, 1], 2), {label: draw.random(2) for label in pair}), update, 5)[0]

    def grown(free):
        if len(free) <= 3:
            return list(free)
        island = list(best_link(free, free))
        island.append(best_link(island, free - set(island))[1])
        prior, table = first_model(island)
        while free - set(island) and len(island) < max_size:
            closest, new = best_link(island[2:], free - set(island))
            joint = prior * below(table, island)
            one, p = one_more(joint, new)
            two = second_latent(prior * below(table, [label for label in island if label != closest]), [closest, new])
            share = present[:, new].mean()
            chance = np.log(joint.sum(axis=1)).sum() + np.log(np.where(present[:, new], share, 1 - share)).sum()
            if gains is not None:
                gains.append((two - one, one - chance))
            if (two - one) * batch / n - np.log(batch) > threshold:
                return [label for label in island if label != closest]
            if correlation_test and (one - chance) * batch / n - np.log(batch) / 2 < threshold:
                return island
            island.append(new)
            table[new] = p
        return island

    free, islands = set(np.flatnonzero(present.any(axis=0)).tolist()), []
    islands += [[label] for label in range(n_labels) if label not in free]
    while free:
        islands.append(sorted(grown(free)))
        free -= set(islands[-1])
    return sorted(islands)


@pytest.mark.parametrize("sizes", [[3] * 8, [4] * 6, [2] * 6, [5, 3, 7, 4, 6], [9, 10]])
@pytest.mark.parametrize(
    "chances", [{}, {"prior": 0.02, "on": 0.5, "off": 0.002}, {"prior": 0.5, "on": 0.8, "off": 0.2}]
)
def test_planted_islands_are_found(sizes, chances):
    documents, truth = planted(sizes, **chances)
    assert fit_islands(documents, sum(sizes)) == truth


@pytest.mark.parametrize("size", [1, 2, 3, 4, 10])
def test_one_latent_makes_one_island(size):
    assert fit_islands(planted([size])[0], size) == [list(range(size))]


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 6))])
@pytest.mark.parametrize("correlation_test", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_equal_to_the_plain_procedure(seed, correlation_test):
    """On weak islands and a chain through them, where the two tests and the size all close islands."""
    draw = np.random.default_rng(seed)
    sets = [set(document) for document in planted([4, 3, 2], n=400, seed=seed, on=0.6, off=0.05)[0]]
    for document in sets:
        if 0 in document and draw.random() < 0.5:
            document.add(int(draw.integers(9)))
    documents, options = [sorted(document) for document in sets], {"correlation_test": correlation_test, "max_size": 5}
    assert fit_islands(documents, 10, **options) == plain_islands(documents, 10, **options)


def test_every_label_once_and_none_too_many():
    documents, _ = planted([14, 5], on=0.4)
    for max_size in (3, 6):
        islands = fit_islands(documents, 22, max_size=max_size)
        assert sorted(label for island in islands for label in island) == list(range(22))
        assert max(map(len, islands)) == max_size
        assert islands == sorted(map(sorted, islands))
        assert islands[-3:] == [[19], [20], [21]]  # in no document


def test_the_order_of_documents_and_labels_makes_no_difference():
    documents, _ = planted([5, 4, 4], on=0.3, seed=2)
    mixed = [document[::-1] * 2 for document in documents[::-1]]
    assert fit_islands(mixed, 13) == fit_islands(documents, 13)


def test_new_numbers_for_labels_make_the_same_islands():
    documents, _ = planted([5, 4, 4, 3], on=0.25, seed=3)
    new = np.random.default_rng(0).permutation(16)
    renamed = fit_islands([new[document].tolist() for document in documents], 16)
    assert renamed == sorted(sorted(new[island].tolist()) for island in fit_islands(documents, 16))


@pytest.fixture(scope="module")
def four_labels():
    """400 documents of four labels, and what the first try gains: by two latents over one, by one over chance."""
    draw, gains = np.random.default_rng(0), []
    base, chances = draw.random(400) < 0.3, ([0.05, 0.7], [0.1, 0.75], [0.2, 0.65], [0.15, 0.5])
    rows = [draw.random(400) < np.where(base, on, off) for off, on in chances]
    documents = [np.flatnonzero(row).tolist() for row in np.stack(rows, axis=1)]
    plain_islands(documents, 4, gains=gains)
    return documents, *gains[0]


@pytest.mark.parametrize("repeated, batch", [(1, 400), (12, 4800), (50, 5000)])
def test_both_tests_are_of_bic_of_at_most_5000_documents(four_labels, repeated, batch):
    documents, two_latents, one_latent = four_labels

    def sizes(threshold, correlation_test):
        islands = fit_islands(documents * repeated, 4, threshold=threshold, correlation_test=correlation_test)
        return sorted(map(len, islands))

    scale = batch / 400  # a document repeated counts so many times
    edge, tolerance = two_latents * scale - np.log(batch), 0.05 * scale
    assert sizes(edge - tolerance, False) == [2, 2] and sizes(edge + tolerance, False) == [4]
    edge = one_latent * scale - np.log(batch) / 2
    assert sizes(edge - tolerance, True) == [4] and sizes(edge + tolerance, True) == [1, 3]


def test_the_two_that_start_an_island_stay():
    """Three more or less exact copies of a label, independent of each other given it."""
    draw = np.random.default_rng(0)
    first = draw.random(3000) < 0.4
    present = np.stack([first, *(first ^ (draw.random(3000) < noise) for noise in (0.05, 0.1, 0.15))], axis=1)
    documents = [np.flatnonzero(row).tolist() for row in present]
    assert fit_islands(documents, 4, threshold=-1e9) == [[0, 1], [2, 3]]


def test_unrelated_labels_pile_up_without_the_correlation_test():
    draw = np.random.default_rng(0)
    documents = [np.flatnonzero(draw.random(8) < 0.1).tolist() for _ in range(5000)]
    assert [len(island) for island in fit_islands(documents, 8, correlation_test=False)] == [8]
    assert sorted(len(island) for island in fit_islands(documents, 8)) == [2, 3, 3]


def test_threshold_moves_both_tests():
    documents, truth = planted([4, 4])
    never, always = {"threshold": 1e9, "correlation_test": False}, {"threshold": -1e9, "correlation_test": False}
    assert fit_islands(documents, 8) == truth
    assert fit_islands(documents, 8, **never) == [list(range(8))]  # one latent is never rejected
    assert sorted(map(len, fit_islands(documents, 8, **always))) == [2, 2, 2, 2]
    assert sorted(map(len, fit_islands(documents, 8, threshold=1e9))) == [2, 3, 3]  # no label is ever related enough


def test_the_seed_decides_alone():
    documents, _ = planted([5, 4, 4, 3], on=0.2, seed=5)
    corpus = corpus_of(documents, 16)
    one, again, other = (find_islands(corpus, seed=seed) for seed in (1, 1, 2))
    for a, b in zip(one, again, strict=True):
        assert a.labels == b.labels
        np.testing.assert_array_equal(a.model.present, b.model.present)
    assert any(not np.array_equal(a.model.present, b.model.present) for a, b in zip(one, other))


def test_models_belong_to_their_labels():
    """Labels of one island that are more and less typical of it; and a latent that two labels were taken from."""
    draw = np.random.default_rng(0)
    chance = np.array([0.3, 0.9, 0.5, 0.7, 0.4])
    latent = draw.random(20_000) < 0.3
    present = draw.random((20_000, 5)) < np.where(latent[:, None], chance, 0.05)
    (island,) = find_islands(corpus_of([np.flatnonzero(row).tolist() for row in present], 5))
    np.testing.assert_allclose(island.model.present[:, 1], chance, atol=0.04)
    np.testing.assert_allclose(island.model.present[:, 0], 0.05, atol=0.02)
    np.testing.assert_allclose(island.model.prior, [0.7, 0.3], atol=0.03)
    documents, _ = planted([2] * 4)
    for island in find_islands(corpus_of(documents, 8)):
        assert island.model.present.shape == (2, 2) and (island.model.present[:, 1] > island.model.present[:, 0]).all()


def test_a_member_that_leaves_takes_its_part_of_the_model_along():
    """The third of four, for the sake of a label that is a noisy copy of it."""
    draw = np.random.default_rng(0)
    latent = draw.random(5000) < 0.3
    first, second, third = (latent ^ (draw.random(5000) < noise) for noise in (0.02, 0.03, 0.1))
    fourth = draw.random(5000) < np.where(latent, 0.7, 0.03)
    copy = third ^ (draw.random(5000) < 0.3)
    present = np.stack([first, second, third, fourth, copy], axis=1)
    island, rest = find_islands(corpus_of([np.flatnonzero(row).tolist() for row in present], 5))
    assert island.labels == [0, 1, 3] and rest.labels == [2, 4]
    np.testing.assert_allclose(island.model.present, [[0.02, 0.98], [0.03, 0.97], [0.03, 0.7]], atol=0.03)


def test_most_labels_are_expected_in_state_1_also_after_one_has_left():
    """Labels that avoid each other: with the third, more of them are in the other state than without it."""
    draw = np.random.default_rng(0)
    state = (draw.random(5000) < 0.5).astype(int)
    chances = np.array([[0.1, 0.9], [0.8, 0.1], [0.75, 0.25], [0.4, 0.4]])
    present = draw.random((5000, 4)) < chances[:, state].T
    corpus = corpus_of([np.flatnonzero(row).tolist() for row in present], 4)
    started, _ = find_islands(corpus, threshold=-1e9)
    assert started.labels == [0, 1]
    assert started.model.present[0, 1] > started.model.present[0, 0]


def test_hard_assignment_by_enumeration():
    documents, _ = planted([4, 3, 1], n=400, on=0.5, off=0.1)
    corpus = corpus_of(documents, 9)
    islands = find_islands(corpus)
    found = assigned(corpus, islands)
    assert found.n_documents == 400 and len(found.documents) == len(islands)
    for island, on in zip(islands, found.documents):
        expected = []
        for number, document in enumerate(documents):
            joint = island.model.prior.copy()
            for label, present in zip(island.labels, island.model.present):
                joint *= present if label in document else 1 - present
            if joint[1] > joint[0]:
                expected.append(number)
        assert on.tolist() == expected
    assert any(0 < len(on) < 400 for on in found.documents)


def test_labels_in_all_documents_are_alone_and_labels_without_information_are_not_paired_with_themselves():
    documents = [[0, *two] for two in ([], [1], [2], [1, 2])]
    assert fit_islands(documents, 3) == [[0], [1, 2]]
    factorial = [[bit for bit in range(4) if code >> bit & 1] for code in range(16)]
    assert fit_islands(factorial, 4) == [[0, 1, 2], [3]]


def test_the_latent_of_a_label_alone_is_the_label():
    corpus = corpus_of([[0], [], [0]], 2)
    islands = find_islands(corpus)
    assert [island.labels for island in islands] == [[0], [1]]
    assert [on.tolist() for on in assigned(corpus, islands).documents] == [[0, 2], []]


@pytest.mark.parametrize("max_size", [2, 53])
def test_sizes_out_of_range(max_size):
    with pytest.raises(ValueError, match=f"Expected max_size in 3 to 52. Got {max_size}"):
        fit_islands([[0, 1]], 2, max_size=max_size)


def test_wrong_documents():
    with pytest.raises(ValueError, match="labels in 0 to 1"):
        fit_islands([[0, 2]], 2)
    with pytest.raises(ValueError, match="at least one document"):
        fit_islands([], 2)
