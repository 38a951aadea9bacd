import itertools
import math

import numpy as np
import pandas as pd
import pytest

from xai_lib.papers.whole_output.method.clusters import average_linkage, confusion_clusters
from xai_lib.papers.whole_output.method.stability import agreement, changed_outputs, made_again

N_LABELS = 12
WHAT = ("halves", "bootstrap", "seeds")
COLUMNS = ["what", "repeat", "ari", "n_labels", "n_clusters_a", "n_clusters_b"]


def random_documents(n, n_labels=N_LABELS, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.permutation(n_labels)[: rng.integers(1, 5)].tolist() for _ in range(n)]


def drawn_partition(seed, n_labels=N_LABELS, n_clusters=4):
    of_label = np.random.default_rng(seed).integers(n_clusters, size=n_labels)
    return [found for k in range(n_clusters) if (found := np.flatnonzero(of_label == k).tolist())]


def together(partition, a, b):
    return any(a in members and b in members for members in partition)


def plain_ari(a, b, labels):
    """Hubert and Arabie's index from the pairs that are together: (both - expected) / (mean - expected)."""
    pairs = list(itertools.combinations(labels, 2))
    in_a, in_b = (sum(together(p, *pair) for pair in pairs) for p in (a, b))
    both = sum(together(a, *pair) and together(b, *pair) for pair in pairs)
    expected = in_a * in_b / len(pairs)
    return (both - expected) / ((in_a + in_b) / 2 - expected)


class Recorder:
    """Clusters by the documents' own numbers, and remembers what it was asked."""

    def __init__(self):
        self.calls = []

    def __call__(self, documents, n_labels, *, seed):
        self.calls.append((list(map(tuple, documents)), seed))
        n_clusters = n_labels - 3 - len(self.calls) % 3
        return average_linkage(documents, n_labels, n_clusters, seed=seed)


def test_agreement_is_the_adjusted_rand_index_over_the_labels():
    for seed in range(5):
        a, b = drawn_partition(seed), drawn_partition(seed + 50)
        for labels in (range(N_LABELS), [0, 3, 4, 7, 9]):
            assert agreement(a, b, labels) == pytest.approx(plain_ari(a, b, labels))
    assert agreement(a, a[::-1], range(N_LABELS)) == 1
    assert math.isnan(agreement([[0, 1]], [[0], [1]], [])) and math.isnan(agreement([[0, 1]], [[0], [1]], [1]))


def test_what_cannot_be_compared_is_refused():
    with pytest.raises(ValueError, match="Got 2 and 3 labels"):
        agreement([[0, 1]], [[0, 1, 2]], [0, 1])
    with pytest.raises(ValueError, match="Got 2 and 3 labels"):
        changed_outputs([[0, 1]], [[0, 1, 2]], [[0, 1]])
    with pytest.raises(ValueError, match="in exactly one cluster"):
        changed_outputs([[0, 1]], [[0, 2]], [[0, 1]])
    for label in (-1, 2):
        with pytest.raises(ValueError, match="labels in 0 to 1"):
            changed_outputs([[0, 1]], [[0], [1]], [[0, label]])


def test_halves_share_no_document_and_leave_none_out():
    documents = [[i % N_LABELS, (i * i + 1) % N_LABELS, 0] for i in range(31)]
    documents = [[*sorted(set(document)), 100 + i] for i, document in enumerate(documents)]  # each one once
    cluster, splits = Recorder(), set()
    frame = made_again("halves", documents, 140, cluster, repeats=3, seed=5)
    assert len(frame) == 3 and len(cluster.calls) == 6
    for (a, seed_a), (b, seed_b) in zip(cluster.calls[::2], cluster.calls[1::2]):
        assert seed_a == seed_b == 5
        assert (len(a), len(b)) == (16, 15) and sorted(a + b) == sorted(map(tuple, documents))
        splits.add(frozenset(a))
    assert len(splits) == 3


def test_a_bootstrap_draws_as_many_with_replacement_and_fits_all_once():
    asked = []

    def cluster(documents, n_labels, *, seed):
        asked.append((list(map(tuple, documents)), seed))
        return [[label] for label in range(n_labels)]

    made_again("bootstrap", [[i] for i in range(200)], 200, cluster, repeats=4, seed=7)
    (full, _), *resampled = asked
    assert full == [(i,) for i in range(200)] and len(resampled) == 4
    for drawn, seed in resampled:
        assert len(drawn) == 200 and set(drawn) < set(full) and seed == 7
        assert len(set(drawn)) == pytest.approx(200 * (1 - 1 / math.e), abs=20)
    assert len({tuple(drawn) for drawn, _ in resampled}) == 4


def test_seeds_are_different_ones_on_the_same_documents():
    documents, cluster = random_documents(30), Recorder()
    made_again("seeds", documents, N_LABELS, cluster, repeats=3, seed=5)
    assert cluster.calls == [(list(map(tuple, documents)), seed) for seed in (5, 6, 7, 8)]


@pytest.mark.parametrize("what", WHAT)
def test_rows_hold_what_the_fits_say(what):
    """Labels 12 and 13 are in one or two documents, so they are lacking at times; 14 is in none."""
    documents, cluster = [*random_documents(40), [0, 12], [1, 13], [2, 13]], Recorder()
    fits = []

    def remember(*documents, seed):
        fits.append(cluster(*documents, seed=seed))
        return fits[-1]

    frame = made_again(what, documents, 15, remember, repeats=8, seed=1)
    assert list(frame.columns) == COLUMNS and (frame["what"] == what).all() and frame["repeat"].tolist() == [*range(8)]
    for r, row in enumerate(frame.itertuples()):
        first, second = (2 * r, 2 * r + 1) if what == "halves" else (0, r + 1)
        labels = [{label for d in cluster.calls[fit][0] for label in d} for fit in (first, second)]
        assert row.n_labels == len(labels[0] & labels[1]) < 15
        assert row.ari == pytest.approx(plain_ari(fits[first], fits[second], sorted(labels[0] & labels[1])))
        counted = [sum(bool(own & set(c)) for c in fits[fit]) for fit, own in zip((first, second), labels)]
        assert [row.n_clusters_a, row.n_clusters_b] == counted
    assert what == "seeds" or frame["n_labels"].nunique() > 1


@pytest.mark.parametrize("what", WHAT)
def test_the_first_repeats_do_not_depend_on_how_many_follow(what):
    documents = random_documents(40)
    few, many = (made_again(what, documents, N_LABELS, Recorder(), repeats=n, seed=3) for n in (2, 5))
    pd.testing.assert_frame_equal(few, many[:2])


@pytest.mark.parametrize("what", ["halves", "bootstrap"])
def test_the_seed_draws_the_documents(what):
    drawn = []
    for seed in (3, 3, 4):
        cluster = Recorder()
        made_again(what, [[i] for i in range(40)], 50, cluster, repeats=2, seed=seed)
        drawn.append([documents for documents, _ in cluster.calls])
    assert drawn[0] == drawn[1] and not any(documents in drawn[0] for documents in drawn[2][-1:])


@pytest.mark.parametrize("what", WHAT)
def test_what_has_no_meaning_is_refused(what):
    with pytest.raises(ValueError, match=r"two documents or more\. Got 1"):
        made_again(what, [[0, 1]], 2, Recorder(), repeats=1, seed=0)
    for repeats in (0, 1.0):
        with pytest.raises(ValueError, match="repeats as a whole number"):
            made_again(what, [[0, 1]] * 2, 2, Recorder(), repeats=repeats, seed=0)
    with pytest.raises(ValueError, match="in exactly one cluster"):
        made_again(what, [[0, 1]] * 2, 2, lambda *_, seed: [[0]] * 2, repeats=1, seed=0)


def test_changed_outputs_equal_a_comparison_of_confusion_clusters():
    documents = [*random_documents(50), [4]]
    a, b = drawn_partition(1), drawn_partition(2)
    changed, alike = 0, []
    for document in documents:
        groups = [{frozenset(members) for members in confusion_clusters(p, document)} for p in (a, b)]
        changed += groups[0] != groups[1]
        if pairs := list(itertools.combinations(document, 2)):
            alike.append(np.mean([together(a, *pair) == together(b, *pair) for pair in pairs]))
    share, pairs_alike = changed_outputs(a, b, documents)
    assert 0 < share < 1 and share == pytest.approx(changed / len(documents))
    assert pairs_alike == pytest.approx(np.mean(alike))


def test_nothing_changes_between_equal_partitions_and_nothing_is_undefined():
    a = drawn_partition(1)
    assert changed_outputs(a, a[::-1], random_documents(50)) == (0, 1)
    assert changed_outputs(a, drawn_partition(2), [[0], [1]]) == pytest.approx((0, math.nan), nan_ok=True)
    assert changed_outputs(a, a, []) == pytest.approx((math.nan, math.nan), nan_ok=True)
