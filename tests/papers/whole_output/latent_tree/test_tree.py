import pytest

from xai_lib.papers.whole_output.latent_tree.tree import Tree

LEVELS = [[[0, 3], [1], [2, 4]], [[0, 2], [1]]]


def probabilities(*sizes):
    return [[[0.25, 0.75]] * size for size in sizes]


def test_clusters_of_each_level_hold_every_label_once_and_lists_and_tuples_make_equal_trees_that_hash():
    tree = Tree(5, LEVELS)
    assert tree.clusters() == tree.clusters(1) == [[0, 3], [1], [2, 4]]
    assert tree.clusters(2) == [[0, 2, 3, 4], [1]]
    for level in (0, 3, -1):
        with pytest.raises(ValueError, match=f"level from 1 to 2. Got {level}"):
            tree.clusters(level)

    tuples = Tree(5, tuple(tuple(map(tuple, level)) for level in LEVELS), ((1, 0),))
    assert Tree(5, LEVELS, [[1, 0]]) == tuples and hash(tuples) == hash(Tree(5, LEVELS, [[1, 0]]))
    assert Tree(5, LEVELS, [[0, 1]]) != tuples


@pytest.mark.parametrize(
    "wrong, message",
    [
        ({"levels": []}, "at least one level"),
        ({"levels": [[[0, 1], [2, 3]]]}, "5 labels as a child of exactly one node of level 1"),
        ({"levels": [[[0, 1, 2], [2, 3, 4]]]}, "exactly one node of level 1"),
        ({"levels": [[[0, 1, 2, 3, 4], []]]}, "no node without children"),
        ({"levels": [*LEVELS, [[0]]]}, "2 nodes of level 2 as a child of exactly one node of level 3"),
        ({"bridges": [(0, 2)]}, r"between the 2 top nodes.*Got \(0, 2\)"),
        ({"bridges": [(0, 1), (1, 0)]}, "parents first"),
        ({"bridges": [(0, 0)]}, "a forest"),
        ({"bridges": [(0, 1), (0, 1)]}, r"a forest.*Got \(0, 1\)"),
        ({"levels": [[[0], [1], [2, 3, 4]]], "bridges": [(0, 1), (0, 2), (1, 2)]}, r"a forest.*Got \(1, 2\)"),
        ({"levels": [[[0], [1], [2, 3, 4]]], "bridges": [(1, 2), (0, 1)]}, r"parents first. Got \(1, 2\)"),
        ({"probabilities": probabilities(5, 3)}, r"\[5, 3, 2\] labels and nodes. Got \[5, 3\]"),
        ({"probabilities": probabilities(5, 3, 1)}, r"Got \[5, 3, 1\]"),
        ({"probabilities": [[[0.5]] * n for n in (5, 3, 2)]}, "two probabilities for each"),
        ({"probabilities": [*probabilities(5, 3), [[0.5, 1.5]] * 2]}, r"in \[0, 1\]. Got \(0.5, 1.5\) and 1 more"),
        ({"probabilities": [*probabilities(5, 3), [[-0.5, 0.5]] * 2]}, r"in \[0, 1\]. Got \(-0.5, 0.5\)"),
        ({"probabilities": [*probabilities(5, 3), [[0.5, float("nan")]] * 2]}, "nan"),
    ],
)
def test_refuses_what_is_no_tree(wrong, message):
    with pytest.raises(ValueError, match=message):
        Tree(**{"n_labels": 5, "levels": LEVELS} | wrong)
