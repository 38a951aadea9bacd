"""Which groups of classes an explanation contrasts, and how one is set against its rivals (whole-output paper §4.2)."""

from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor

from xai_lib.papers.whole_output.method.heatmaps import Variant, released_subtracted, subtracted

Group = frozenset[int]


def contrasted(maps: Mapping[Group, Tensor], own: Group, among: Sequence[Group], variant: Variant) -> Tensor:
    """One group's map against those of the others in `among`; where there is none, its own map, cut at 0.

    Args:
        maps: of each group, float [H,W]: of `own`, and of the union of the others ("paper") or of each ("released").
        own: the group, one of `among`.
        among: disjoint groups.
        variant: "paper" or "released".
    """
    rivals = [group for group in among if group != own]
    if not rivals:
        return maps[own].relu()
    if variant == "paper":
        return subtracted(maps[own], maps[union(rivals)])
    return released_subtracted(maps[own], torch.stack([maps[rival] for rival in rivals]))


def of_first_stage(clusters: Sequence[Group]) -> list[Group]:
    """The groups whose maps the first stage needs: clusters and classes, and the union of the rivals of each."""
    return _distinct([*with_rivals(clusters), *with_rivals(singles(union(clusters)))])


def of_second_stage(clusters: Sequence[Group]) -> list[Group]:
    """Those of the second: classes, the union of their rivals in the cluster, and of those among all top classes."""
    within = [group for cluster in clusters for group in with_rivals(singles(cluster))]
    return _distinct([*within, *with_rivals(singles(union(clusters)))])


def with_rivals(groups: Sequence[Group]) -> list[Group]:
    """Disjoint groups, and for each the union of the others."""
    everyone = union(groups)
    return [*groups, *(everyone - group for group in groups if group != everyone)]


def union(groups: Iterable[Group]) -> Group:
    """All classes of some groups."""
    return Group().union(*groups)


def singles(labels: Iterable[int]) -> list[Group]:
    """Each class as a group of its own, in the order given."""
    return [Group([label]) for label in labels]


def members(groups: Sequence[Sequence[Group]], n_classes: int) -> Tensor:
    """Groups of each image as bool [B,S,C], S the most of any image; an image with fewer repeats its first group."""
    found = torch.zeros(len(groups), max(map(len, groups)), n_classes, dtype=torch.bool)
    for row, own in zip(found, groups, strict=True):
        for s, member in enumerate(row):
            member[list(own[s] if s < len(own) else own[0])] = True
    return found


def _distinct(groups: Iterable[Group]) -> list[Group]:
    return list(dict.fromkeys(groups))
