import pytest

from xai_lib.papers.whole_output.method.confusion import confusion_clusters

PARTITION = [[0, 3, 5], [1], [2, 4, 6]]


@pytest.mark.parametrize(
    "top, expected",
    [
        ([4, 5, 2, 1, 3], [[4, 2], [5, 3], [1]]),
        ([5, 3, 0], [[5, 3, 0]]),
        ([1], [[1]]),
        ([], []),
        ((6, 0, 1), [[6], [0], [1]]),
    ],
)
def test_members_by_rank_and_clusters_by_their_first(top, expected):
    assert confusion_clusters(PARTITION, top) == expected


def test_the_order_of_the_partition_makes_no_difference():
    shuffled = [(6, 2, 4), (5, 0, 3), (1,)]
    assert confusion_clusters(shuffled, [4, 5, 2, 1, 3]) == confusion_clusters(PARTITION, [4, 5, 2, 1, 3])


@pytest.mark.parametrize(
    "partition, top, message",
    [
        (PARTITION, [1, 7], r"Got \[7\] in none"),
        (PARTITION, [1, -1], r"Got \[-1\] in none"),
        (PARTITION, [1, 2, 1], r"different top classes. Got \[1, 2, 1\]"),
        ([[0, 1], [1, 2]], [0], "disjoint clusters"),
    ],
)
def test_refuses_what_has_no_meaning(partition, top, message):
    with pytest.raises(ValueError, match=message):
        confusion_clusters(partition, top)
