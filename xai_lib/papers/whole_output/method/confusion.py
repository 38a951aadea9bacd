"""Confusion clusters of an image (whole-output paper §4)."""

from collections import defaultdict
from collections.abc import Sequence


def confusion_clusters(partition: Sequence[Sequence[int]], top: Sequence[int]) -> list[list[int]]:
    """The clusters of a partition that an image's top classes fall into, without all other classes.

    With the level-1 clusters of a latent tree this is the paper's way: restrict the tree to the top classes, cut what
    is left at level 1. Any other partition of the labels does as well.

    Args:
        partition: disjoint clusters of labels.
        top: the image's top classes, ranked.

    Returns:
        Clusters in the order of their first members, members in the order of ``top``.

    Raises:
        ValueError: if a label is in two clusters, or a top class is in none or named twice.
    """
    cluster_of = {label: number for number, cluster in enumerate(partition) for label in cluster}
    if len(cluster_of) != sum(map(len, partition)):
        raise ValueError("Expected disjoint clusters. Got a label in two of them.")
    unknown = [label for label in top if label not in cluster_of]
    if unknown:
        raise ValueError(
            f"Expected every top class in a cluster of the partition. Got {unknown[:5]} in none: "
            "the partition must be of the same classes as the network's."
        )
    if len(set(top)) != len(top):
        raise ValueError(f"Expected different top classes. Got {list(top)}.")
    members = defaultdict(list)
    for label in top:
        members[cluster_of[label]].append(label)
    return list(members.values())
