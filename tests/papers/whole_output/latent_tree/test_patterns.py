from collections import Counter

import numpy as np
import pytest

from xai_lib.papers.whole_output.latent_tree.patterns import contingency, corpus_of, patterns_of

DOCUMENTS = [[3, 1], [1, 3, 3], [], [0], [1], [4, 1, 3, 0], [0, 4]]


def random_documents(n, n_labels, seed=0, share=0.3):
    present = np.random.default_rng(seed).random((n, n_labels)) < share
    return [np.flatnonzero(row).tolist() for row in present], present


def rows(patterns):
    return Counter({tuple(v): int(n) for v, n in zip(patterns.values.tolist(), patterns.counts) if n})


def test_documents_of_each_label():
    corpus = corpus_of(iter(DOCUMENTS), 6)
    assert corpus.n_documents == 7
    assert [found.tolist() for found in corpus.documents] == [[3, 5, 6], [0, 1, 4, 5], [], [0, 1, 5], [5, 6], []]


def test_only_empty_documents():
    assert [len(found) for found in corpus_of([[], []], 3).documents] == [0, 0, 0]


@pytest.mark.parametrize("documents, n_labels", [([[0, 5]], 5), ([[1], [-1]], 5)])
def test_labels_out_of_range(documents, n_labels):
    with pytest.raises(ValueError, match="Expected labels in 0 to 4"):
        corpus_of(documents, n_labels)


@pytest.mark.parametrize("documents, n_labels", [([], 5), ([[]], 0)])
def test_nothing_to_index(documents, n_labels):
    with pytest.raises(ValueError, match="at least one document and one label"):
        corpus_of(documents, n_labels)


@pytest.mark.parametrize("labels", [[2], [0, 5, 1], [7, 3, 4, 0, 1, 2, 6]])
def test_patterns_are_the_distinct_rows(labels):
    documents, present = random_documents(300, 8)
    patterns = patterns_of(corpus_of(documents, 8), labels)
    columns = present[:, labels]
    assert rows(patterns) == Counter(map(tuple, columns.tolist()))
    assert len({tuple(row) for row in patterns.values.tolist()}) == len(patterns.values)
    assert not patterns.values[0].any()
    assert patterns.documents.tolist() == np.flatnonzero(columns.any(axis=1)).tolist()
    np.testing.assert_array_equal(patterns.values[patterns.of_document], columns[patterns.documents])


def test_the_empty_pattern_may_have_no_document():
    patterns = patterns_of(corpus_of([[0], [0, 1]], 2), [0, 1])
    assert patterns.counts.tolist() == [0, 1, 1]


def test_many_labels():
    documents = [[0], list(range(52)), [51]]
    patterns = patterns_of(corpus_of(documents, 60), range(52))
    assert patterns.values.sum(axis=1).tolist() == [0, 1, 1, 52]
    with pytest.raises(ValueError, match="at most 52 labels"):
        patterns_of(corpus_of(documents, 60), range(53))


@pytest.mark.parametrize("columns", [[2], [0, 3], [3, 0]])
def test_contingency_counts_columns_against_the_others(columns):
    documents, present = random_documents(400, 5, seed=1)
    others, counts = contingency(patterns_of(corpus_of(documents, 5), [4, 0, 1, 2]), columns)
    present = present[:, [4, 0, 1, 2]]
    rest = [column for column in range(4) if column not in columns]
    expected = np.zeros_like(counts)
    at = {tuple(row): i for i, row in enumerate(others.tolist())}
    assert len(at) == len(others)
    for row in present:
        code = sum(int(row[column]) << bit for bit, column in enumerate(columns))
        expected[at[tuple(row[rest].tolist())], code] += 1
    np.testing.assert_array_equal(counts, expected)
