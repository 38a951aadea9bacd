from collections import Counter

import numpy as np
import pytest

from xai_lib.papers.whole_output.latent_tree.patterns import contingency, corpus_of, patterns_of


@pytest.fixture(scope="module")
def present():
    """Which of 300 documents has which of eight labels."""
    return np.random.default_rng(0).random((300, 8)) < 0.3


@pytest.fixture(scope="module")
def corpus(present):
    return corpus_of([np.flatnonzero(row).tolist() for row in present], 8)


def test_documents_of_each_label_of_which_there_is_one_in_range():
    corpus = corpus_of(iter([[3, 1], [1, 3, 3], [], [0], [1], [4, 1, 3, 0], [0, 4]]), 6)
    assert corpus.n_documents == 7
    assert [found.tolist() for found in corpus.documents] == [[3, 5, 6], [0, 1, 4, 5], [], [0, 1, 5], [5, 6], []]
    assert [len(found) for found in corpus_of([[], []], 3).documents] == [0, 0, 0]
    for documents in ([[0, 5]], [[1], [-1]]):
        with pytest.raises(ValueError, match="Expected labels in 0 to 4"):
            corpus_of(documents, 5)
    for documents, n_labels in (([], 5), ([[]], 0)):
        with pytest.raises(ValueError, match="at least one document and one label"):
            corpus_of(documents, n_labels)


@pytest.mark.parametrize("labels", [[2], [0, 5, 1], [7, 3, 4, 0, 1, 2, 6]])
def test_patterns_are_the_distinct_rows(present, corpus, labels):
    patterns, columns = patterns_of(corpus, labels), present[:, labels]
    rows = list(map(tuple, patterns.values.tolist()))
    assert {row: n for row, n in zip(rows, patterns.counts) if n} == Counter(map(tuple, columns.tolist()))
    assert len(set(rows)) == len(rows) and not any(rows[0])
    assert patterns.documents.tolist() == np.flatnonzero(columns.any(axis=1)).tolist()
    np.testing.assert_array_equal(patterns.values[patterns.of_document], columns[patterns.documents])


def test_the_empty_pattern_may_have_no_document_and_52_labels_are_counted():
    assert patterns_of(corpus_of([[0], [0, 1]], 2), [0, 1]).counts.tolist() == [0, 1, 1]
    many = corpus_of([[0], list(range(52)), [51]], 60)
    assert patterns_of(many, range(52)).values.sum(axis=1).tolist() == [0, 1, 1, 52]


@pytest.mark.parametrize("columns", [[2], [0, 3], [3, 0]])
def test_contingency_counts_columns_against_the_others(present, corpus, columns):
    others, counts = contingency(patterns_of(corpus, [4, 0, 1, 2]), columns)
    present = present[:, [4, 0, 1, 2]]
    at = {tuple(row): i for i, row in enumerate(others.tolist())}
    expected = np.zeros((len(at), 2 ** len(columns)))
    for row, rest in zip(present, np.delete(present, columns, axis=1).tolist()):
        expected[at[tuple(rest)], sum(int(row[column]) << bit for bit, column in enumerate(columns))] += 1
    np.testing.assert_array_equal(counts, expected)
