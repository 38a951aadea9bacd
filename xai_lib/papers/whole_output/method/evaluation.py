"""Whole-output explanations scored: methods and base explainers on the same pairs of a class and its rivals (§5)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn

from xai_lib import randomness
from xai_lib.data import Split, planted
from xai_lib.metrics.correlation import pearson
from xai_lib.metrics.localisation import attribution_localisation
from xai_lib.papers.whole_output.method import faithfulness, observer
from xai_lib.papers.whole_output.method.base_maps import Base, Variant
from xai_lib.papers.whole_output.method.clusters import Partition, confusion_clusters
from xai_lib.papers.whole_output.method.contrastive_maps import COARSE, FINE, METHODS, WholeOutput, explain
from xai_lib.papers.whole_output.method.documents import top_classes

CONTROL = "random"  # the map of CWOX-2s, shifted at random: as many salient pixels, as smooth, in another place
DRAWN = (*METHODS, FINE, COARSE)
SCORED = (*DRAWN, CONTROL)
CONTRASTIVE = "cwox-2s"
COLUMNS = ("index", "class", "rivals", "base", "method", "metric", "value")
CLUSTERING_COLUMNS = ("index", "class", "base", "clustering", "metric", "value")
AT_MOST = 5  # top classes of an image that are explained (§5)
_SEED = 0  # of everything that is drawn: the same for every network and method, so that comparisons are paired


@dataclass(frozen=True, eq=False)
class Outputs:
    """What a network says of B images, and what is explained of it."""

    network: nn.Module  # normalised images [B,3,H,W] -> logits [B,C], in evaluation mode
    x: Tensor  # the images, normalised, float [B,3,H,W]
    index: Tensor  # their indices, int64 [B]
    probabilities: Tensor  # of all classes, float [B,C]
    top: Sequence[list[int]]  # the top classes of each image, ranked
    clusters: Sequence[Partition]  # the confusion clusters of these
    differing: Tensor | None = None  # the part in which look-alikes differ, bool [B,H,W]; None where unknown
    look_alike: Sequence[tuple[int, ...]] = ()  # the two classes that differ in that part; () without such a pair
    objects: Tensor | None = None  # where the first and the second object are, bool [B,2,H,W]; None where unknown
    pictured: Sequence[tuple[int, ...]] = ()  # the classes of these objects; () of an image without a second

    def part(self, rows: Sequence[int]) -> "Outputs":
        """Those of some of the images."""
        chosen = {
            field: value[rows] if isinstance(value, Tensor) else [value[row] for row in rows]
            for field, value in vars(self).items()
            if isinstance(value, Tensor | Sequence) and len(value)
        }
        return replace(self, **chosen)


@dataclass(frozen=True, eq=False)
class _Pairs:
    """P classes that have rivals: row of the image int64 [P], class int64 [P], rivals by number and as bool [P,C]."""

    outputs: Outputs
    image: Tensor
    target: Tensor
    others: list[list[int]]
    rivals: Tensor


def outputs_of(network: nn.Module, images: Split, partition: Sequence[Sequence[int]], device: torch.device) -> Outputs:
    """The top classes of some images, K = min(5, as many as have more than 0.95) (§5), in the confusion clusters of
    ``partition``; ValueError as :func:`confusion_clusters`.
    """
    images = images.materialised()
    x = images.normalise(images.images.to(device))
    with torch.inference_mode():
        probabilities = network(x).float().softmax(1)
    top = top_classes(probabilities, at_most=AT_MOST)
    clusters = [confusion_clusters(partition, found) for found in top]
    found = Outputs(network, x, images.index.to(device), probabilities.clone(), top, clusters)
    return _with_truth(found, images) if images.name == "planted" else found


def evaluate(
    outputs: Outputs, bases: Sequence[Base], *, steps: int, variant: Variant, observed_by: Sequence[nn.Module]
) -> pd.DataFrame:
    """Score all methods with all base explainers on some images.

    A pair is a top class and the other top classes of its confusion cluster (§5.1). CAUC compares the methods of one
    base up to the smallest number of salient pixels among the paper's four methods ("cauc"), and CWOX-2s between bases
    up to the smallest among them ("cauc-bases"), as Tables 1 and 3 do.

    ``steps`` are counts of removed pixels along a curve, at most; ``variant`` is of heat maps and of scores;
    ``observed_by`` are networks that play the observer, whose mean is taken; none leave the matching task out.

    Returns rows index, class, rivals (numbers with a space between), base, method, metric, value: "cauc", "cauc-bases",
    "cdrop", "salient-share" (n_δ as a share of the image), "degenerate" (1 for a map without a salient pixel),
    "part-energy" (share of the map's energy in the differing part), "own-object" (of the map's energy in two objects,
    the share in that of its class); and of the pair of a cluster's two most probable classes "overlap" (pixels salient
    in both maps, of those salient in either), "matching-accuracy" and "matching-margin". NaN where undefined.
    """
    pairs = _pairs(outputs)
    if not pairs.others:
        return pd.DataFrame(columns=COLUMNS)
    parts, contrastive = [], []
    for base in bases:
        found = _explained(outputs, base, DRAWN, variant=variant)
        maps = _maps(found, pairs, DRAWN)
        contrastive.append(maps[:, DRAWN.index(CONTRASTIVE)])
        maps = torch.cat([maps, _control(contrastive[-1], pairs)[:, None]], dim=1)  # [P,M,H,W]
        scored = _scored(pairs, maps, compared=range(len(METHODS)), steps=steps, variant=variant)
        values = {"cauc": scored.cauc, "cdrop": scored.cdrop}
        values |= {"salient-share": scored.n_salient.double() / maps[0, 0].numel(), "degenerate": scored.degenerate}
        if outputs.differing is not None:
            values["part-energy"] = _part_energy(maps, pairs)
        if outputs.objects is not None:
            values["own-object"] = _own_object(maps, pairs)
        parts.append(_rows(pairs, values, base, SCORED))
        parts += _of_two(observed_by, found, outputs, base)
    scored = _scored(pairs, torch.stack(contrastive, 1), compared=range(len(bases)), steps=steps, variant=variant)
    for place, base in enumerate(bases):
        parts.append(_rows(pairs, {"cauc-bases": scored.cauc[:, [place]]}, base, (CONTRASTIVE,)))
    return pd.concat(parts, ignore_index=True)


def compare_clusterings(outputs: Outputs, partitions: Mapping[str, Partition], bases: Sequence[Base]) -> pd.DataFrame:
    """What other clusters do to CWOX-2s: rows index, class, base, clustering, metric, value.

    All clusterings have the same pairs, those of ``outputs``: "cdrop" of a class and its rivals there, by the map under
    the other clusters, and "same-map", Pearson's correlation with the map under the first of the clusterings.
    """
    pairs, parts, n = _pairs(outputs), [], len(outputs.top)
    clusters = [confusion_clusters(partition, top) for partition in partitions.values() for top in outputs.top]
    several = replace(outputs, clusters=clusters)
    for base in bases:
        found = _explained(several, base, (CONTRASTIVE,), image=[*range(n)] * len(partitions))
        maps = [_maps(found[first : first + n], pairs, (CONTRASTIVE,)) for first in range(0, len(found), n)]
        together = torch.cat(maps, dim=1)  # [P,clusterings,H,W]
        drops = _scored(pairs, together, compared=(0,), steps=2, variant="paper").cdrop  # CAUC is not needed
        pixels = together.double().flatten(2)
        alike = [pearson(maps, pixels[:, 0]) for maps in pixels.unbind(1)]
        values = {"cdrop": drops, "same-map": torch.stack(alike, dim=1)}
        parts.append(_rows(pairs, values, base, tuple(partitions)).rename(columns={"method": "clustering"}))
    return pd.concat(parts, ignore_index=True)[list(CLUSTERING_COLUMNS)]


def compare_epsilons(outputs: Outputs, base: Base, epsilons: Sequence[float]) -> pd.DataFrame:
    """What ε in Equation 2 does to the maps of classes alone in one of several clusters, which alone have it: salient
    pixels, as a share of the image, and whether a map is degenerate, without any.
    """
    rows = []
    for epsilon in epsilons:
        for number, one in zip(outputs.index.tolist(), _explained(outputs, base, (CONTRASTIVE,), epsilon=epsilon)):
            for label in (cluster[0] for cluster in one.clusters if len(cluster) == 1 < len(one.clusters)):
                share = float(faithfulness.salient(one.class_map(CONTRASTIVE, label)[None]).double().mean())
                rows.append((number, label, epsilon, share, share == 0))
    return pd.DataFrame(rows, columns=["index", "class", "epsilon", "salient", "degenerate"])


def _explained(outputs: Outputs, base: Base, methods: Sequence[str], **how: Any) -> list[WholeOutput]:
    given = {"base": base, "methods": methods, "seed": _SEED, "index": outputs.index}
    return explain(outputs.network, outputs.x, outputs.clusters, **given, **how)


def _pairs(outputs: Outputs, two_most_probable: bool = False) -> _Pairs:
    """Every class with its rivals; or the most probable class of each cluster with the second."""
    listed = []
    for b, clusters in enumerate(outputs.clusters):
        for cluster in clusters:
            if two_most_probable and len(cluster) > 1:
                listed.append((b, cluster[0], cluster[1:2]))
            elif len(cluster) > 1:
                listed += [(b, label, [other for other in cluster if other != label]) for label in cluster]
    device = outputs.x.device
    rivals = torch.zeros(len(listed), outputs.probabilities.shape[1], dtype=torch.bool, device=device)
    for row, (_, _, others) in zip(rivals, listed):
        row[others] = True
    image, target = (torch.tensor([pair[k] for pair in listed], dtype=torch.int64, device=device) for k in (0, 1))
    return _Pairs(outputs, image, target, [others for _, _, others in listed], rivals)


def _maps(found: Sequence[WholeOutput], pairs: _Pairs, methods: Sequence[str]) -> Tensor:
    """The maps of each pair's class by some methods, float [P,M,H,W]."""
    places = zip(pairs.image.tolist(), pairs.target.tolist())
    return torch.stack([torch.stack([found[b].class_map(name, label) for name in methods]) for b, label in places])


def _control(maps: Tensor, pairs: _Pairs) -> Tensor:
    """Maps [P,H,W], each shifted around the image by what is drawn for its image and class, the same for every base."""
    drawn_by = pairs.outputs.index[pairs.image] * pairs.rivals.shape[1] + pairs.target
    size = torch.tensor(maps.shape[1:], device=maps.device)
    shifts = (randomness.uniform(_SEED, drawn_by, "whole output/control", (2,)) * size).long()
    return torch.stack([one.roll(shift, (0, 1)) for one, shift in zip(maps, (-shifts).tolist())])


def _scored(pairs: _Pairs, maps: Tensor, **how: Any) -> faithfulness.Scores:
    """CAUC and CDROP of maps [P,M,H,W] of the pairs."""
    of, given = pairs.outputs, (pairs.image, maps, pairs.target, pairs.rivals)
    return faithfulness.scores(of.network, of.x, *given, index=of.index, seed=_SEED, **how)


def _rows(pairs: _Pairs, values: Mapping[str, Tensor], base: Base, methods: Sequence[str]) -> pd.DataFrame:
    """Tidy rows from values [P,M]."""
    rivals = [" ".join(map(str, others)) for others in pairs.others]
    named = {"index": pairs.outputs.index[pairs.image].tolist(), "class": pairs.target.tolist(), "rivals": rivals}
    parts = [
        pd.DataFrame({**named, "value": column}).assign(base=base.name, method=method, metric=metric)
        for metric, found in values.items()
        for method, column in zip(methods, found.double().cpu().unbind(1))
    ]
    return pd.concat(parts, ignore_index=True)


def _part_energy(maps: Tensor, pairs: _Pairs) -> Tensor:
    """Share of a map's energy in the differing part, [P,M]; NaN where class and rival do not differ in just that."""
    places = zip(pairs.image.tolist(), pairs.target.tolist(), pairs.others)
    alike = [(label, others, pairs.outputs.look_alike[b]) for b, label, others in places]
    told_apart = torch.tensor([label in both and not {*both}.isdisjoint(others) for label, others, both in alike])
    masks = pairs.outputs.differing[pairs.image].repeat_interleave(maps.shape[1], dim=0)
    shares = attribution_localisation(maps.flatten(0, 1), masks).unflatten(0, maps.shape[:2])
    return torch.where(told_apart.to(maps.device)[:, None], shares, float("nan"))


def _own_object(maps: Tensor, pairs: _Pairs) -> Tensor:
    """Of a map's energy in the image's two objects, the share in that of its class, [P,M]; NaN for another pair."""
    found, maps = maps.new_full(maps.shape[:2], torch.nan, dtype=torch.float64), maps.double()
    for row, (b, label, others) in enumerate(zip(pairs.image.tolist(), pairs.target.tolist(), pairs.others)):
        pictured, where = pairs.outputs.pictured[b], pairs.outputs.objects[b]
        if label in pictured and not {*pictured}.isdisjoint(others):
            own, both = ((maps[row] * mask).sum((1, 2)) for mask in (where[pictured.index(label)], where.any(0)))
            found[row] = own / both  # 0 / 0 is NaN
    return found


def _of_two(
    observed_by: Sequence[nn.Module], found: Sequence[WholeOutput], outputs: Outputs, base: Base
) -> list[pd.DataFrame]:
    """Overlap and matching task, the two most probable classes of every cluster that has two: as :func:`evaluate`."""
    pairs, parts = _pairs(outputs, two_most_probable=True), []
    rivals = replace(pairs, target=pairs.target.new_tensor(pairs.others)[:, 0])
    labels = torch.stack([pairs.target, rivals.target], dim=1)
    for method in DRAWN:
        maps = torch.cat([_maps(found, classes, (method,)) for classes in (pairs, rivals)], dim=1)  # [P,2,H,W]
        values = {"overlap": _overlap(maps)}
        matched = [observer.matched(network, outputs.x, pairs.image, maps, labels) for network in observed_by]
        for name, of_each in zip(("matching-accuracy", "matching-margin"), zip(*matched)):
            values[name] = torch.stack(of_each).mean(0)
        parts.append(_rows(pairs, {name: value[:, None] for name, value in values.items()}, base, (method,)))
    return parts


def _overlap(maps: Tensor) -> Tensor:
    """Pixels salient in both of two maps [P,2,H,W], as a share of those in either, [P]; NaN if one map has none."""
    one, other = faithfulness.salient(maps.flatten(0, 1)).unflatten(0, maps.shape[:2]).flatten(2).unbind(1)
    share = (one & other).sum(1) / (one | other).sum(1)
    return share.masked_fill(~(one.any(1) & other.any(1)), torch.nan)


def _with_truth(outputs: Outputs, images: Split) -> Outputs:
    """What is known of planted images."""
    number, masks = planted.CLASSES.index, {name: mask.to(outputs.x.device) for name, mask in images.masks.items()}
    names = [images.classes[label] for label in images.labels.tolist()]
    pairs = {name: pair for pair in planted.LOOK_ALIKE_PAIRS for name in pair}
    look_alike = [tuple(map(number, pairs.get(name, ()))) for name in names]
    pictured = [(number(a), number(b)) if b else () for a, b in zip(names, images.factors["second"])]
    where = {"differing": masks["part"], "objects": torch.stack([masks["object"], masks["second"]], dim=1)}
    return replace(outputs, **where, look_alike=look_alike, pictured=pictured)
