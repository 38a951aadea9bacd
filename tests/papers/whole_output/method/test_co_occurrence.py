import numpy as np
import pytest
from scipy.spatial.distance import jaccard as scipy_jaccard

from xai_lib.papers.whole_output.method.co_occurrence import counts, jaccard, occurring

RNG = np.random.default_rng(0)
DOCUMENTS = [RNG.permutation(8)[: RNG.integers(1, 5)].tolist() for _ in range(50)]
N_LABELS = 10  # the last two in no document


def test_counts_equal_counting():
    found = counts(DOCUMENTS, N_LABELS)
    for a in range(N_LABELS):
        for b in range(N_LABELS):
            assert found[a, b] == sum(a in document and b in document for document in DOCUMENTS)
    assert found.dtype == np.int64


def test_a_label_named_twice_counts_once():
    assert counts([[0, 1, 0], [0]], 2).tolist() == [[2, 1], [1, 1]]


def test_jaccard_equals_scipys():
    found = jaccard(DOCUMENTS, N_LABELS)
    presence = np.array([[label in document for document in DOCUMENTS] for label in range(N_LABELS)])
    for a in range(8):
        for b in range(8):
            assert found[a, b] == pytest.approx(1 - scipy_jaccard(presence[a], presence[b]))
    assert jaccard([[0, 1]], 2).tolist() == [[1, 1], [1, 1]]
    assert not found[8:].any() and not found[:, 8:].any()


def test_occurring_labels():
    assert occurring([[5, 2], (2,), []], 7).tolist() == [2, 5]
    assert occurring([], 3).tolist() == [] and counts([], 2).tolist() == jaccard([], 2).tolist() == [[0, 0], [0, 0]]


@pytest.mark.parametrize("function", [occurring, counts, jaccard])
@pytest.mark.parametrize("label", [-1, 3])
def test_labels_out_of_range_are_refused(function, label):
    with pytest.raises(ValueError, match="labels in 0 to 2"):
        function([[0, 1], [label]], 3)
