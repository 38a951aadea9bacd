"""Explain all top classes of an output at once: SWOX, CWOX-1s and CWOX-2s (whole-output paper §4.2 and §5)."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import get_args

import torch
from torch import Tensor, nn

from xai_lib.forward import logits_of, undisturbed
from xai_lib.papers.whole_output.method import rivals
from xai_lib.papers.whole_output.method.base_maps import Base, Stage, maps
from xai_lib.papers.whole_output.method.heatmaps import Variant, scout, support
from xai_lib.papers.whole_output.method.rivals import Group, contrasted, singles, union

METHODS = ("swox", "cwox-1sa", "cwox-1sb", "cwox-2s")
FINE = "cwox-1sa-fine"

_Maps = dict[Group, Tensor]


@dataclass(frozen=True, eq=False)
class WholeOutput:
    """The explanation of all top classes of one image; heat maps are of its size and not negative.

    Attributes:
        clusters: the confusion clusters, as given.
        classes: the top classes, the most probable first; equally probable ones by number.
        probabilities: their softmax probabilities, float32 [K].
        cluster_maps: what speaks for each cluster rather than the others, float32 [I,H,W].
        class_maps: by method, what speaks for each class, float32 [K,H,W] in the order of `classes`.
    """

    clusters: list[list[int]]
    classes: list[int]
    probabilities: Tensor
    cluster_maps: Tensor
    class_maps: dict[str, Tensor]


def explain(
    model: nn.Module,
    x: Tensor,
    clusters: Sequence[Sequence[Sequence[int]]],
    *,
    base: Base,
    variant: Variant = "paper",
    methods: Sequence[str] = METHODS,
    epsilon: float = 0.0,
    seed: int = 0,
    index: Tensor,
) -> list[WholeOutput]:
    """Contrastive heat maps of all top classes of each image, all images in one call of the base explainer per stage.

    With H the maps of a stage, C all top classes, C_i a cluster and c a class in it:

    - "swox": ReLU(H_c), each class by itself.
    - "cwox-1sa": ReLU(H_c - H_C∖c), each class against all others.
    - "cwox-1sb": the same by a product, see :func:`xai_lib.papers.whole_output.method.heatmaps.scout`.
    - "cwox-2s": supp(Ĥ_Ci) · ReLU(H_c - H_Ci∖c), each class against those of its cluster where the cluster map
      Ĥ_Ci = ReLU(H_Ci - H_C∖Ci) is positive (Equations 1 and 2).
    - :data:`FINE`, "cwox-1sa-fine", is ours: 1sA with the maps of the second stage, so that a gain of two stages can
      be told from a gain of finer maps.

    The cluster maps, SWOX, 1sA and 1sB have the maps of the first stage, the classes in 2s those of the second. Where
    both stages have the same settings they have the same maps.

    What the paper leaves open, and how it is read here: SWOX and whatever has no rival, for which the paper writes H,
    is cut at 0 (the only cluster in Equation 1, the only class of a cluster in Equation 2, whose map is that of the
    second stage); the baselines of §5 have the maps of the first stage; one top class alone has nothing to be
    contrasted with, and all methods give its SWOX map.

    "released" contrasts by R · H - Σ H over the R rivals, not against their union: the other clusters in the first
    stage, the other classes of the cluster in the second, all other classes in 1sA, which is what the released code
    does with clusters of one class. The support lies above a percentile. A class alone in its cluster has the
    cluster's map. No 1sB was released: it is the paper's.

    Args:
        model: the network.
        x: normalised images, float [B,3,H,W].
        clusters: for each image its confusion clusters: its top classes, each in one of them.
        base: the base explainer; its settings come in the two variants as well.
        variant: how maps are contrasted, "paper" or "released".
        methods: out of :data:`METHODS` and :data:`FINE`. The second stage is computed only if one needs it.
        epsilon: ε in Equation 2, see :func:`xai_lib.papers.whole_output.method.heatmaps.support`.
        seed: the run's seed.
        index: image indices, int64 [B]; an image's maps do not depend on the other images of the batch.

    Returns:
        One explanation for each image, on x's device.

    Raises:
        TypeError, ValueError: as :func:`xai_lib.papers.whole_output.method.base_maps.maps`.
        ValueError: if there are not clusters for each image, a cluster is empty, a class is in two of them or does
            not exist, a method or the variant is another word, or `epsilon` is out of its range.
    """
    _check(clusters, len(x), methods, variant)
    with undisturbed(model, x) as images:
        probabilities = logits_of(model, images).float().softmax(1)
    _check_classes(clusters, probabilities.shape[1])
    groups = [[Group(cluster) for cluster in image] for image in clusters]
    first, second = [[needed(image) for image in groups] for needed in (rivals.of_first_stage, rivals.of_second_stage)]

    def maps_of(stage: Stage, needed: Sequence[Sequence[Group]]) -> list[_Maps]:
        members = rivals.members(needed, probabilities.shape[1]).to(x.device)
        found = maps(model, x, base, stage, members, seed=seed, index=index)
        return [dict(zip(own, found[b], strict=False)) for b, own in enumerate(needed)]

    if {"cwox-2s", FINE}.isdisjoint(methods):
        coarse = fine = maps_of("first", first)
    elif base.first == base.second:
        coarse = fine = maps_of("first", [list(dict.fromkeys(one + other)) for one, other in zip(first, second)])
    else:
        coarse, fine = maps_of("first", first), maps_of("second", second)
    explained = partial(_explained, base=base.name, variant=variant, methods=methods, epsilon=epsilon)
    return [explained(*parts) for parts in zip(clusters, probabilities, coarse, fine, strict=True)]


def _explained(
    clusters: Sequence[Sequence[int]],
    probabilities: Tensor,
    coarse: _Maps,
    fine: _Maps,
    *,
    base: str,
    variant: Variant,
    methods: Sequence[str],
    epsilon: float,
) -> WholeOutput:
    """One image's explanation, from its probabilities [C] and the maps [H,W] of groups in both stages."""
    groups = [Group(cluster) for cluster in clusters]
    classes = sorted(union(groups), key=lambda label: (-float(probabilities[label]), label))
    everyone = singles(classes)
    cluster_maps = torch.stack([contrasted(coarse, group, groups, variant) for group in groups])

    def class_map(method: str, one: Group) -> Tensor:
        if method == "swox" or len(everyone) == 1:
            return coarse[one].relu()
        if method == "cwox-1sa":
            return contrasted(coarse, one, everyone, variant)
        if method == "cwox-1sb":
            return scout(coarse[one], coarse[union(everyone) - one])
        if method == FINE:
            return contrasted(fine, one, everyone, variant)
        i = next(i for i, group in enumerate(groups) if one <= group)
        if variant == "released" and one == groups[i]:
            return cluster_maps[i]
        region = support(cluster_maps[i], variant, base, epsilon=epsilon)
        return region * contrasted(fine, one, singles(groups[i]), variant)

    return WholeOutput(
        clusters=[list(cluster) for cluster in clusters],
        classes=classes,
        probabilities=probabilities[classes],
        cluster_maps=cluster_maps,
        class_maps={method: torch.stack([class_map(method, one) for one in everyone]) for method in methods},
    )


def _check(clusters: Sequence[Sequence[Sequence[int]]], n_images: int, methods: Sequence[str], variant: str) -> None:
    if variant not in get_args(Variant):
        raise ValueError(f"Expected variant as 'paper' or 'released'. Got {variant!r}.")
    unknown = set(methods) - {*METHODS, FINE}
    if unknown:
        raise ValueError(f"Expected methods out of {', '.join((*METHODS, FINE))}. Got {', '.join(sorted(unknown))}.")
    if len(clusters) != n_images or n_images == 0:
        raise ValueError(f"Expected clusters for each of at least 1 image, {n_images} in all. Got {len(clusters)}.")


def _check_classes(clusters: Sequence[Sequence[Sequence[int]]], n_classes: int) -> None:
    for b, image in enumerate(clusters):
        labels = [label for cluster in image for label in cluster]
        if not labels or not all(len(cluster) for cluster in image) or len(set(labels)) < len(labels):
            raise ValueError(
                f"Expected each top class in one cluster, and no cluster empty. Got {list(map(list, image))} "
                f"for image {b}."
            )
        if not all(0 <= label < n_classes for label in labels):
            raise ValueError(f"Expected classes in 0 to {n_classes - 1}. Got {sorted(labels)} for image {b}.")
