import itertools
import math

import numpy as np
import pandas as pd
import pytest

from xai_lib.papers.whole_output.method.clusters import (
    agreement,
    average_linkage,
    changed_outputs,
    confusion_clusters,
    made_again,
)

N_LABELS = 12
every_kind = pytest.mark.parametrize("what", ["halves", "bootstrap", "seeds"])


def random_documents(n):
    rng = np.random.default_rng(0)
    return [rng.permutation(N_LABELS)[: rng.integers(1, 5)].tolist() for _ in range(n)]


def drawn_partition(seed):
    of_label = np.random.default_rng(seed).integers(4, size=N_LABELS)
    return [found for k in range(4) if (found := np.flatnonzero(of_label == k).tolist())]


def together(partition, a, b):
    return any(a in members and b in members for members in partition)


class Recorder:
    """Clusters documents, and remembers what it was asked and what it said."""

    def __init__(self):
        self.documents, self.seeds, self.found = [], [], []

    def __call__(self, documents, n_labels, *, seed):
        n_clusters = n_labels - 3 - len(self.found) % 3
        self.documents.append(list(map(tuple, documents)))
        self.seeds.append(seed)
        self.found.append(average_linkage(documents, n_labels, n_clusters, seed=seed))
        return self.found[-1]


def test_agreement_is_the_adjusted_rand_index_over_the_labels():
    """By hand: of six pairs two are together in a, one in b and in both, so (1 - 1/3) / (3/2 - 1/3)."""
    assert agreement([[0, 1], [2, 3], [4]], [[0, 1, 4], [2, 3]], range(4)) == 1
    assert agreement([[0, 1], [2, 3]], [[0, 1], [2], [3]], range(4)) == pytest.approx(4 / 7)
    assert math.isnan(agreement([[0, 1]], [[0], [1]], [])) and math.isnan(agreement([[0, 1]], [[0], [1]], [1]))


def test_halves_share_no_document_a_bootstrap_draws_as_many_with_replacement_and_seeds_differ():
    documents, cluster = [[i % N_LABELS, 100 + i] for i in range(31)], Recorder()  # each one once
    frame = made_again("halves", documents, 140, cluster, repeats=3, seed=5)
    assert len(frame) == 3 and cluster.seeds == [5] * 6
    for a, b in zip(cluster.documents[::2], cluster.documents[1::2]):
        assert (len(a), len(b)) == (16, 15) and sorted(a + b) == sorted(map(tuple, documents))
    assert len(set(map(frozenset, cluster.documents[::2]))) == 3

    cluster = Recorder()
    made_again("bootstrap", [[i] for i in range(200)], 200, cluster, repeats=4, seed=7)
    full, *resampled = cluster.documents
    assert full == [(i,) for i in range(200)] and cluster.seeds == [7] * 5
    for drawn in resampled:
        assert len(drawn) == 200 and set(drawn) < set(full)
        assert len(set(drawn)) == pytest.approx(200 * (1 - 1 / math.e), abs=20)
    assert len(set(map(tuple, resampled))) == 4

    documents, cluster = random_documents(30), Recorder()
    made_again("seeds", documents, N_LABELS, cluster, repeats=3, seed=5)
    assert cluster.seeds == [5, 6, 7, 8] and cluster.documents == [list(map(tuple, documents))] * 4


@every_kind
def test_rows_hold_what_the_fits_say(what):
    """Labels 12 and 13 are in one or two documents, so they are lacking at times; 14 is in none."""
    documents, cluster = [*random_documents(40), [0, 12], [1, 13], [2, 13]], Recorder()
    frame = made_again(what, documents, 15, cluster, repeats=8, seed=1)
    assert list(frame.columns) == ["what", "repeat", "ari", "n_labels", "n_clusters_a", "n_clusters_b"]
    assert (frame["what"] == what).all() and frame["repeat"].tolist() == [*range(8)]
    for r, row in enumerate(frame.itertuples()):
        fits = (2 * r, 2 * r + 1) if what == "halves" else (0, r + 1)
        labels = [set(itertools.chain(*cluster.documents[fit])) for fit in fits]
        found, shared = [cluster.found[fit] for fit in fits], sorted(labels[0] & labels[1])
        assert row.n_labels == len(shared) < 15 and row.ari == agreement(*found, shared)
        counted = [sum(bool(own & set(members)) for members in fit) for fit, own in zip(found, labels)]
        assert [row.n_clusters_a, row.n_clusters_b] == counted
    assert what == "seeds" or frame["n_labels"].nunique() > 1


@every_kind
def test_the_first_repeats_do_not_depend_on_how_many_follow_and_the_seed_draws_the_documents(what):
    few, many = (made_again(what, random_documents(40), N_LABELS, Recorder(), repeats=n, seed=3) for n in (2, 5))
    pd.testing.assert_frame_equal(few, many[:2])
    drawn = [Recorder(), Recorder(), Recorder()]
    for cluster, seed in zip(drawn, (3, 3, 4)):
        made_again(what, [[i] for i in range(40)], 50, cluster, repeats=2, seed=seed)
    one, same, other = (cluster.documents for cluster in drawn)
    assert one == same and (what == "seeds" or other[-1] not in one)


@every_kind
def test_what_has_no_meaning_is_refused(what):
    with pytest.raises(ValueError, match=r"two documents or more\. Got 1"):
        made_again(what, [[0, 1]], 2, Recorder(), repeats=1, seed=0)
    for repeats in (0, 1.0):
        with pytest.raises(ValueError, match="repeats as a whole number"):
            made_again(what, [[0, 1]] * 2, 2, Recorder(), repeats=repeats, seed=0)
    with pytest.raises(ValueError, match="in exactly one cluster"):
        made_again(what, [[0, 1]] * 2, 2, lambda *_, seed: [[0]] * 2, repeats=1, seed=0)


def test_changed_outputs_equal_a_comparison_of_confusion_clusters_of_partitions_that_can_be_compared():
    documents, a, b = [*random_documents(50), [4]], drawn_partition(1), drawn_partition(2)
    changed, alike = 0, []
    for document in documents:
        groups = [{frozenset(members) for members in confusion_clusters(p, document)} for p in (a, b)]
        changed += groups[0] != groups[1]
        if pairs := list(itertools.combinations(document, 2)):
            alike.append(np.mean([together(a, *pair) == together(b, *pair) for pair in pairs]))
    assert 0 < changed < len(documents)
    assert changed_outputs(a, b, documents) == pytest.approx((changed / len(documents), np.mean(alike)))
    assert changed_outputs(a, a[::-1], documents) == (0, 1)
    assert changed_outputs(a, b, [[0], [1]]) == pytest.approx((0, math.nan), nan_ok=True)
    assert changed_outputs(a, a, []) == pytest.approx((math.nan, math.nan), nan_ok=True)
    with pytest.raises(ValueError, match="in exactly one cluster"):
        changed_outputs([[0, 1]], [[0, 2]], [[0, 1]])
    for label in (-1, 2):
        with pytest.raises(ValueError, match="labels in 0 to 1"):
            changed_outputs([[0, 1]], [[0], [1]], [[0, label]])
    for function in (agreement, changed_outputs):
        with pytest.raises(ValueError, match="Got 2 and 3 labels"):
            function([[0, 1]], [[0, 1, 2]], [[0, 1]])
