import numpy as np
import pytest

from xai_lib.papers.whole_output.method.partitions import clusters, numbers


def test_clusters_are_in_order():
    assert clusters(np.array([7, -1, 7, 3, -1])) == [[0, 2], [1, 4], [3]]
    assert clusters(np.array([], dtype=int)) == []
    assert all(type(label) is int for cluster in clusters(np.array([1, 0])) for label in cluster)


def test_numbers_are_positions_in_any_order():
    assert numbers([[4, 1], [3], [0, 2]]).tolist() == [2, 0, 2, 1, 0]
    assert numbers([]).tolist() == []


def test_there_and_back():
    drawn = np.random.default_rng(0).integers(6, size=40)
    partition = clusters(drawn)
    assert sorted(label for cluster in partition for label in cluster) == list(range(40))
    again = numbers(partition)
    assert ((drawn[:, None] == drawn) == (again[:, None] == again)).all()
    assert clusters(again) == partition


@pytest.mark.parametrize("wrong", [[[0, 1], [1]], [[0, 2]], [[1, 2]], [[-1, 0]], [[0, 1], [3]]])
def test_what_is_no_partition_is_refused(wrong):
    with pytest.raises(ValueError, match="every label from 0 on in exactly one cluster"):
        numbers(wrong)
