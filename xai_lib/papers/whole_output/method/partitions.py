"""A partition of the labels 0 … n-1: a list of clusters that hold every label once.

In order: members ascend within a cluster, clusters by their first members.
"""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np


def clusters(numbers: np.ndarray) -> list[list[int]]:
    """The partition, in order, in which two labels are together if they have the same number.

    Args:
        numbers: the cluster of each label, int [n_labels]; any numbers.
    """
    members = defaultdict(list)
    for label, number in enumerate(numbers.tolist()):
        members[number].append(label)
    return list(members.values())


def numbers(partition: Sequence[Sequence[int]]) -> np.ndarray:
    """The position in ``partition`` of each label's cluster, int64 [n_labels].

    Raises:
        ValueError: if the clusters do not hold every label of 0 … n-1 once.
    """
    labels = np.array([label for cluster in partition for label in cluster], dtype=np.int64)
    if not np.array_equal(np.sort(labels), np.arange(len(labels))):
        raise ValueError(
            f"Expected a partition: every label from 0 on in exactly one cluster. Got {len(labels)} members, "
            f"{len(np.unique(labels))} different ones, the largest {labels.max()}."
        )
    found = np.empty(len(labels), dtype=np.int64)
    found[labels] = np.repeat(np.arange(len(partition)), [len(cluster) for cluster in partition])
    return found
