"""Contrastive heat maps of a whole output, in one stage and in two (whole-output paper §4.2 and §5, Equations 1-2)."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import get_args

import torch
from torch import Tensor, nn

from xai_lib.checks import check_choice
from xai_lib.forward import logits_of, undisturbed
from xai_lib.papers.whole_output.method.base_maps import BASES, Base, Stage, Variant, maps

METHODS = ("swox", "cwox-1sa", "cwox-1sb", "cwox-2s")
FINE, COARSE = "cwox-1sa-fine", "cwox-2s-coarse"  # one stage with the maps of the second, two with those of the first
# Of the cluster map's values; above it lies its support in the released examples.
PERCENTILES = {"grad-cam": 50, "excitation-backprop": 60, "rise": 70, "lime": 85}

Group = frozenset[int]
_Maps = Mapping[Group, Tensor]
_Clusters = Sequence[Sequence[Sequence[int]]]


def subtracted(own: Tensor, rest: Tensor) -> Tensor:
    """Evidence for one group rather than the union of its rivals: Ĥ = ReLU(H_own - H_rest), [...,H,W] (Equation 1).

    Example:
        >>> subtracted(torch.tensor([[3.0, 1.0]]), torch.tensor([[1.0, 2.0]]))
        tensor([[2., 0.]])
    """
    return (own - rest).relu()


def released_subtracted(own: Tensor, rivals: Tensor) -> Tensor:
    """The released code's contrast: ReLU(R · H_own - Σ H_rival), each of the rivals [...,R,H,W] of the same weight."""
    return (rivals.shape[-3] * own - rivals.sum(-3)).relu()


def scout(own: Tensor, rest: Tensor) -> Tensor:
    """Evidence for one group where there is little for another (CWOX-1sB; Wang & Vasconcelos 2020, SCOUT).

    ReLU(H_own) ⊙ (max ReLU(H_rest) - ReLU(H_rest)), the maximum over the pixels of each map. Negative values become 0
    first, ours where maps are signed: a product of two negative values would count as evidence.

    Example:
        >>> scout(torch.tensor([[3.0, 1.0]]), torch.tensor([[1.0, 2.0]]))
        tensor([[3., 0.]])
    """
    rest = rest.relu()
    return own.relu() * (rest.amax((-2, -1), keepdim=True) - rest)


def support(cluster_map: Tensor, variant: Variant, base: str, *, epsilon: float = 0.0) -> Tensor:
    """The pixels on which the classes of a cluster are contrasted (supp in Equation 2).

    Of non-negative maps, float [...,H,W], to bool [...,H,W]. "paper" takes the pixels above ε times the map's maximum,
    ε from 0 to below 1; in print only a class alone in its cluster has it. The paper does not say what ε is, nor on
    which scale: a share of the maximum is our reading. "released" takes the pixels above a percentile of the map's
    values, which depends on the base explainer. ValueError on another word or an `epsilon` out of its range.

    Example:
        >>> support(torch.tensor([[2.0, 1.0, 0.0]]), "paper", "rise")
        tensor([[ True,  True, False]])
    """
    check_choice("variant", variant, get_args(Variant))
    if base not in PERCENTILES:
        raise ValueError(f"Expected base as one of {', '.join(BASES)}. Got {base!r}.")
    if not 0 <= epsilon < 1:
        raise ValueError(f"Expected epsilon as a share of the map's maximum, from 0 to below 1. Got {epsilon}.")
    if variant == "paper":
        return cluster_map > epsilon * cluster_map.amax((-2, -1), keepdim=True)
    return cluster_map > torch.quantile(cluster_map.flatten(-2), PERCENTILES[base] / 100, dim=-1)[..., None, None]


@dataclass(frozen=True, eq=False)
class WholeOutput:
    """The explanation of all top classes of one image; heat maps are of its size and not negative."""

    clusters: list[list[int]]  # the confusion clusters, as given
    classes: list[int]  # the top classes, the most probable first; equally probable ones by number
    probabilities: Tensor  # their softmax probabilities, float32 [K]
    cluster_maps: Tensor  # what speaks for each cluster rather than the others, float32 [I,H,W]
    class_maps: dict[str, Tensor]  # by method, what speaks for each class, float32 [K,H,W] in the order of `classes`

    def class_map(self, method: str, label: int) -> Tensor:
        """The map of one class, float32 [H,W]."""
        return self.class_maps[method][self.classes.index(label)]


def explain(
    model: nn.Module, x: Tensor, clusters: _Clusters, *, base: Base, variant: Variant = "paper", index: Tensor,
    methods: Sequence[str] = METHODS, epsilon: float = 0.0, seed: int = 0, image: Sequence[int] | None = None,
) -> list[WholeOutput]:  # fmt: skip
    """Contrastive heat maps of all top classes of each image, all images in one call of the base explainer per stage.

    With H the maps of a stage, C all top classes, C_i a cluster and c a class in it:

    - "swox": ReLU(H_c), each class by itself.
    - "cwox-1sa": ReLU(H_c - H_C∖c), each class against all others.
    - "cwox-1sb": the same by a product, see :func:`scout`.
    - "cwox-2s": supp(Ĥ_Ci) · ReLU(H_c - H_Ci∖c), each class against those of its cluster where the cluster map
      Ĥ_Ci = ReLU(H_Ci - H_C∖Ci) is positive (Equations 1 and 2); a class alone in its cluster: supp(Ĥ_Ci, ε) · H_c.
    - :data:`FINE`, 1sA with the maps of the second stage, and :data:`COARSE`, 2s with those of the first, are ours:
      with 1sA and 2s they are a design of two by two, in which a gain of two stages can be told from one of finer maps.

    The classes in 2s have the maps of the second stage, clusters and baselines those of the first; stages of the same
    settings share their maps. Of one cluster alone, Ĥ_C = H_C (Equation 1), and "CWOX-2s reduces to CWOX-1s" (§1):
    nothing restricts its classes. What the paper leaves open, and how it is read here: maps for which it writes H,
    those of SWOX, of the only cluster and of the only class of a cluster, are cut at 0; the baselines of §5 have the
    maps of the first stage; of one top class alone, all methods give its SWOX map.

    "released" contrasts as :func:`released_subtracted`, not against the union of the rivals: the other clusters in the
    first stage, the other classes of the cluster in the second, all other classes in 1sA, which is what the released
    code does with clusters of one class. A class alone in its cluster has the cluster's map; the only cluster restricts
    its classes. No 1sB was released: it is the paper's.

    Of normalised images, float [B,3,H,W], and for each image its confusion clusters: its top classes, each in one of
    them. With `image`, clusters are of the row of x that it names: an image may have several clusterings, which share
    its passes. The base explainer's settings come in the two variants as well. `seed` and `index`, int64 [B], decide
    what is drawn; an image's maps do not depend on the other images.

    Returns an explanation for each of `clusters`, on x's device. TypeError or ValueError as :func:`base_maps.maps`; or
    if an image is without clusters, a cluster is empty, a class is in two of them or does not exist, a method or the
    variant is another word, or `epsilon` is out of its range (see :func:`support`).
    """
    check_choice("variant", variant, get_args(Variant))
    with undisturbed(model, x) as images:
        probabilities = logits_of(model, images).float().softmax(1)
    n_classes = probabilities.shape[1]
    of = range(len(x)) if image is None else image
    _check(clusters, of, len(x), n_classes, methods)
    first, second = zip(*(_needed([Group(cluster) for cluster in each]) for each in clusters))

    def maps_of(stage: Stage, needed: Sequence[Sequence[Group]]) -> list[_Maps]:
        each: list[list[Group]] = [[] for _ in x]
        for row, groups in zip(of, needed):
            each[row] += [group for group in groups if group not in each[row]]
        found = maps(model, x, base, stage, _members(each, n_classes).to(x.device), seed=seed, index=index)
        return [dict(zip(each[row], found[row], strict=False)) for row in of]

    wanted, finer = {"cwox-2s", FINE} & set(methods), base.first != base.second
    if COARSE in methods or (wanted and not finer):
        first = [list(dict.fromkeys([*one, *other])) for one, other in zip(first, second)]
    coarse = maps_of("first", first)
    fine = maps_of("second", second) if wanted and finer else coarse
    parts = zip(clusters, probabilities[list(of)], coarse, fine, strict=True)
    return [_explained(*part, base.name, variant, methods, epsilon) for part in parts]


def _explained(
    clusters: Sequence[Sequence[int]], probabilities: Tensor, coarse: _Maps, fine: _Maps,
    base: str, variant: Variant, methods: Sequence[str], epsilon: float,
) -> WholeOutput:  # fmt: skip
    """One image's explanation, from its probabilities [C] and the maps [H,W] of groups in both stages."""
    groups = [Group(cluster) for cluster in clusters]
    classes = sorted(_union(groups), key=lambda label: (-float(probabilities[label]), label))
    everyone = _singles(classes)
    cluster_maps = torch.stack([_contrasted(coarse, group, groups, variant) for group in groups])

    def class_map(method: str, one: Group) -> Tensor:
        if method == "swox" or len(everyone) == 1:
            return coarse[one].relu()
        if method == "cwox-1sb":
            return scout(coarse[one], coarse[_union(everyone) - one])
        if method in ("cwox-1sa", FINE):
            return _contrasted(fine if method == FINE else coarse, one, everyone, variant)
        i = next(i for i, group in enumerate(groups) if one <= group)
        if variant == "released" and one == groups[i]:
            return cluster_maps[i]
        contrasted = _contrasted(coarse if method == COARSE else fine, one, _singles(groups[i]), variant)
        if variant == "paper" and len(groups) == 1:
            return contrasted
        return contrasted * support(cluster_maps[i], variant, base, epsilon=epsilon if one == groups[i] else 0.0)

    class_maps = {method: torch.stack([class_map(method, one) for one in everyone]) for method in methods}
    return WholeOutput(list(map(list, clusters)), classes, probabilities[classes], cluster_maps, class_maps)


def _contrasted(maps: _Maps, own: Group, among: Sequence[Group], variant: Variant) -> Tensor:
    """One group's map against those of the others in `among`, disjoint; where there is none, its own map, cut at 0."""
    rivals = [group for group in among if group != own]
    if not rivals:
        return maps[own].relu()
    if variant == "paper":
        return subtracted(maps[own], maps[_union(rivals)])
    return released_subtracted(maps[own], torch.stack([maps[rival] for rival in rivals]))


def _needed(clusters: Sequence[Group]) -> tuple[list[Group], list[Group]]:
    """The groups whose maps an image needs in the first stage, of clusters and classes, and in the second."""
    every_class = _with_rivals(_singles(_union(clusters)))
    within = [group for cluster in clusters for group in _with_rivals(_singles(cluster))]
    return tuple(list(dict.fromkeys([*groups, *every_class])) for groups in (_with_rivals(clusters), within))


def _with_rivals(groups: Sequence[Group]) -> list[Group]:
    """Disjoint groups, and for each the union of the others."""
    everyone = _union(groups)
    return [*groups, *(everyone - group for group in groups if group != everyone)]


def _union(groups: Iterable[Group]) -> Group:
    return Group().union(*groups)


def _singles(labels: Iterable[int]) -> list[Group]:
    return [Group([label]) for label in labels]


def _members(groups: Sequence[Sequence[Group]], n_classes: int) -> Tensor:
    """Groups of each image as bool [B,S,C], S the most of any image; an image with fewer repeats its first group."""
    found = torch.zeros(len(groups), max(map(len, groups)), n_classes, dtype=torch.bool)
    for row, own in zip(found, groups, strict=True):
        for s, member in enumerate(row):
            member[list(own[s] if s < len(own) else own[0])] = True
    return found


def _check(clusters: _Clusters, of: Sequence[int], n_images: int, n_classes: int, methods: Sequence[str]) -> None:
    known = (*METHODS, FINE, COARSE)
    if unknown := set(methods) - {*known}:
        raise ValueError(f"Expected methods out of {', '.join(known)}. Got {', '.join(sorted(unknown))}.")
    if len(clusters) != len(of) or {*of} != {*range(n_images)} or n_images == 0:
        raise ValueError(f"Expected clusters for each of at least 1 image, {n_images} in all. Got {len(clusters)}.")
    for b, image in enumerate(clusters):
        labels = [label for cluster in image for label in cluster]
        if not labels or not all(len(cluster) for cluster in image) or len(set(labels)) < len(labels):
            got = f"{list(map(list, image))} for image {b}"
            raise ValueError(f"Expected each top class in one cluster, and no cluster empty. Got {got}.")
        if not all(0 <= label < n_classes for label in labels):
            raise ValueError(f"Expected classes in 0 to {n_classes - 1}. Got {sorted(labels)} for image {b}.")
