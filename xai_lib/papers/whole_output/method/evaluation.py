"""Whole-output explanations scored: methods and base explainers on the same pairs of a class and its rivals (§5)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd
import torch
from torch import Tensor, nn

from xai_lib import randomness
from xai_lib.metrics.localisation import attribution_localisation
from xai_lib.papers.whole_output.method import faithfulness, observer
from xai_lib.papers.whole_output.method.base_maps import Base
from xai_lib.papers.whole_output.method.explanation import FINE, METHODS, WholeOutput, explain

CONTROL = "random"  # a map of noise, which no explanation should fail to beat
SCORED = (*METHODS, FINE, CONTROL)
CONTRASTIVE = "cwox-2s"
COLUMNS = ("index", "class", "rivals", "base", "method", "metric", "value")
CLUSTERING_COLUMNS = ("index", "class", "clustering", "metric", "value")
_SEED = 0  # of everything that is drawn: the same for every network and method, so that comparisons are paired


@dataclass(frozen=True, eq=False)
class Images:
    """Some images and what their outputs are made of.

    Attributes:
        x: normalised images, float [B,3,H,W].
        index: image indices, int64 [B].
        clusters: the confusion clusters of each image's top classes.
        differing: of each image, the part in which its class differs from its look-alike, bool [B,H,W]; None where
            unknown.
        look_alike: the two classes that differ in that part, for each image; None where there is no such pair.
    """

    x: Tensor
    index: Tensor
    clusters: Sequence[list[list[int]]]
    differing: Tensor | None = None
    look_alike: Sequence[tuple[int, int] | None] = ()


@dataclass(frozen=True, eq=False)
class _Pairs:
    """Classes that have rivals: row of the image int64 [P], class int64 [P], rivals bool [P,C] and by number."""

    image: Tensor
    target: Tensor
    rivals: Tensor
    others: list[list[int]]


def evaluate(
    network: nn.Module,
    images: Images,
    bases: Sequence[Base],
    *,
    n_classes: int,
    steps: int,
    variant: str,
    observed_by: nn.Module | None,
) -> pd.DataFrame:
    """Score all methods with all base explainers on some images.

    A pair is a top class and the other top classes of its confusion cluster (§5.1). CAUC compares the methods of one
    base up to the smallest number of salient pixels among the paper's four methods ("cauc"), and CWOX-2s between bases
    up to the smallest among them ("cauc-bases"), as Tables 1 and 3 do.

    Args:
        network: images [B,3,H,W] -> logits [B,C], in evaluation mode.
        images: what is explained.
        bases: base explainers with the settings of both stages.
        n_classes: C.
        steps: counts of removed pixels along a curve, at most.
        variant: "paper" or "released", of heat maps and of scores.
        observed_by: the network that plays the observer; None leaves the matching task out.

    Returns:
        Rows index, class, rivals (numbers with a space between), base, method, metric, value: "cauc", "cauc-bases",
        "cdrop", "salient-pixels", "degenerate" (1 for a map without a salient pixel), "part-energy" (share of the
        map's energy in the differing part), "matching-accuracy" and "matching-margin" (of the pair of a cluster's two
        most probable classes). NaN where undefined.
    """
    pairs = _pairs(images, n_classes)
    if not pairs.others:
        return pd.DataFrame(columns=COLUMNS)
    parts, contrastive = [], []
    for base in bases:
        outputs = explain(
            network,
            images.x,
            images.clusters,
            base=base,
            variant=variant,
            methods=(*METHODS, FINE),
            seed=_SEED,
            index=images.index,
        )
        maps = _maps_of_pairs(outputs, pairs, images)  # [P,M,H,W]
        contrastive.append(maps[:, SCORED.index(CONTRASTIVE)])
        scored = _scored(network, images, pairs, maps, compared=range(len(METHODS)), steps=steps, variant=variant)
        values = {
            "cauc": scored.cauc,
            "cdrop": scored.cdrop,
            "salient-pixels": scored.n_salient.double(),
            "degenerate": scored.degenerate.double(),
        }
        if images.differing is not None:
            values["part-energy"] = _part_energy(maps, pairs, images)
        parts += [_rows(pairs, images, values, base.name, SCORED)]
        if observed_by is not None:
            parts += [_matched(observed_by, outputs, images, base.name)]
    parts += [_between_bases(network, images, pairs, torch.stack(contrastive, 1), bases, steps, variant)]
    return pd.concat(parts, ignore_index=True)


def compare_clusterings(
    network: nn.Module,
    x: Tensor,
    index: Tensor,
    clusters: Mapping[str, Sequence[list[list[int]]]],
    base: Base,
    *,
    n_classes: int,
    steps: int,
) -> pd.DataFrame:
    """What other clusters do to CWOX-2s: its CDROP, and how much its maps are those of the first clustering.

    Args:
        network, x, index, base, n_classes, steps: as :func:`evaluate`.
        clusters: clustering -> the confusion clusters of each image; the first is what the others are held against.

    Returns:
        Rows index, class, clustering, metric, value: "cdrop" for classes with rivals there, "same-map" (Pearson's
        correlation with the first clustering's map of that class, over pixels; NaN where a map is constant).
    """
    parts, reference = [], None
    for name, of_images in clusters.items():
        images = Images(x, index, of_images)
        outputs = explain(
            network, x, of_images, base=base, variant="paper", methods=(CONTRASTIVE,), seed=_SEED, index=index
        )
        maps = [dict(zip(output.classes, output.class_maps[CONTRASTIVE])) for output in outputs]
        reference = maps if reference is None else reference
        alike = [
            {"index": int(number), "class": label, "metric": "same-map", "value": _correlation(found, first[label])}
            for number, own, first in zip(index.tolist(), maps, reference)
            for label, found in own.items()
        ]
        parts.append(pd.DataFrame(alike).assign(clustering=name))
        pairs = _pairs(images, n_classes)
        if pairs.others:
            own = torch.stack([maps[b][label] for b, label in zip(pairs.image.tolist(), pairs.target.tolist())])
            scored = _scored(network, images, pairs, own[:, None], compared=(0,), steps=steps)
            rows = _rows(pairs, images, {"cdrop": scored.cdrop}, base.name, (CONTRASTIVE,))
            parts.append(rows[["index", "class", "metric", "value"]].assign(clustering=name))
    return pd.concat(parts, ignore_index=True)


def compare_epsilons(
    network: nn.Module, images: Images, base: Base, epsilons: Sequence[float], *, n_classes: int, steps: int
) -> pd.DataFrame:
    """What ε in Equation 2, which the paper does not give, does to CWOX-2s.

    Args:
        network, images, base, n_classes, steps: as :func:`evaluate`.
        epsilons: shares of the cluster map's maximum, see :func:`heatmaps.support`.

    Returns:
        Rows index, class, rivals, base, method, metric ("cdrop", "degenerate"), value, epsilon.
    """
    pairs = _pairs(images, n_classes)
    if not pairs.others:
        return pd.DataFrame(columns=[*COLUMNS, "epsilon"])
    parts = []
    for epsilon in epsilons:
        outputs = explain(
            network,
            images.x,
            images.clusters,
            base=base,
            methods=(CONTRASTIVE,),
            epsilon=epsilon,
            seed=_SEED,
            index=images.index,
        )
        found = zip(pairs.image.tolist(), pairs.target.tolist())
        maps = torch.stack([_maps_of_class(outputs[b], label)[CONTRASTIVE] for b, label in found])[:, None]
        scored = _scored(network, images, pairs, maps, compared=(0,), steps=steps)
        values = {"cdrop": scored.cdrop, "degenerate": scored.degenerate.double()}
        parts.append(_rows(pairs, images, values, base.name, (CONTRASTIVE,)).assign(epsilon=epsilon))
    return pd.concat(parts, ignore_index=True)


def curves(
    network: nn.Module, x: Tensor, maps: Mapping[str, Tensor], target: int, rivals: Sequence[int], *, n_classes: int
) -> pd.DataFrame:
    """Figure 6: probabilities while the salient pixels of each method's map go, for one image.

    Args:
        network: images [B,3,H,W] -> logits [B,C], in evaluation mode.
        x: one normalised image, float [1,3,H,W].
        maps: method -> map, float [H,W].
        target: the class.
        rivals: the classes it is contrasted with.
        n_classes: C.

    Returns:
        Rows method, removed (share of all pixels, up to the map's own n_δ), target, rivals (probabilities), score.
    """
    mask = torch.zeros(1, n_classes, dtype=torch.bool, device=x.device)
    mask[0, list(rivals)] = True
    parts = []
    for method, found in maps.items():
        last = int(faithfulness.salient_pixels(found[None])[0])
        removed = torch.linspace(0, last, min(last, 48) + 1, device=x.device).round().long()[None]
        curve = faithfulness.contrastive_curve(
            network,
            x,
            torch.zeros(1, dtype=torch.int64, device=x.device),
            found[None],
            torch.tensor([target], device=x.device),
            mask,
            removed,
            index=torch.zeros(1, dtype=torch.int64, device=x.device),
        )
        columns = {
            "removed": removed[0].double() / found.numel(),
            "target": curve.probability[0],
            "rivals": curve.rivals[0],
            "score": curve.score[0],
        }
        parts.append(pd.DataFrame({name: value.cpu().numpy() for name, value in columns.items()}).assign(method=method))
    return pd.concat(parts, ignore_index=True)


def _pairs(images: Images, n_classes: int) -> _Pairs:
    listed = [
        (b, label, [other for other in cluster if other != label])
        for b, clusters in enumerate(images.clusters)
        for cluster in clusters
        if len(cluster) > 1
        for label in cluster
    ]
    rivals = torch.zeros(len(listed), n_classes, dtype=torch.bool, device=images.x.device)
    for row, (_, _, others) in enumerate(listed):
        rivals[row, others] = True
    image, target = (
        torch.tensor([pair[part] for pair in listed], dtype=torch.int64, device=images.x.device) for part in (0, 1)
    )
    return _Pairs(image, target, rivals, [others for _, _, others in listed])


def _scored(
    network: nn.Module,
    images: Images,
    pairs: _Pairs,
    maps: Tensor,
    *,
    compared: Sequence[int],
    steps: int,
    variant: str = "paper",
) -> faithfulness.Scores:
    """CAUC and CDROP of maps [P,M,H,W] of the pairs."""
    return faithfulness.scores(
        network,
        images.x,
        pairs.image,
        maps,
        pairs.target,
        pairs.rivals,
        index=images.index,
        compared=compared,
        steps=steps,
        variant=variant,
        seed=_SEED,
    )


def _maps_of_pairs(outputs: Sequence[WholeOutput], pairs: _Pairs, images: Images) -> Tensor:
    """The maps of each pair's class by every method of :data:`SCORED`, float [P,M,H,W]."""
    drawn_by = images.index[pairs.image] * pairs.rivals.shape[1] + pairs.target  # a number for each image and class
    noise = randomness.uniform(_SEED, drawn_by, "whole output/control", tuple(images.x.shape[-2:]))  # [P,H,W]
    rows = []
    for b, label, control in zip(pairs.image.tolist(), pairs.target.tolist(), noise):
        found = _maps_of_class(outputs[b], label)
        rows.append(torch.stack([*(found[name] for name in SCORED[:-1]), control]))
    return torch.stack(rows)


def _maps_of_class(output: WholeOutput, label: int) -> dict[str, Tensor]:
    position = output.classes.index(label)
    return {method: maps[position] for method, maps in output.class_maps.items()}


def _rows(
    pairs: _Pairs, images: Images, values: Mapping[str, Tensor], base: str, methods: Sequence[str]
) -> pd.DataFrame:
    """Tidy rows from values [P,M]."""
    index = images.index[pairs.image].tolist()
    rivals = [" ".join(map(str, others)) for others in pairs.others]
    parts = []
    for metric, found in values.items():
        for method, column in zip(methods, found.double().cpu().unbind(1)):
            named = {"index": index, "class": pairs.target.tolist(), "rivals": rivals}
            parts.append(pd.DataFrame({**named, "value": column}).assign(base=base, method=method, metric=metric))
    return pd.concat(parts, ignore_index=True)


def _part_energy(maps: Tensor, pairs: _Pairs, images: Images) -> Tensor:
    """Share of a map's energy in the differing part, [P,M]; NaN where class and rival do not differ in just that."""
    told_apart = torch.tensor(
        [
            images.look_alike[b] is not None
            and label in images.look_alike[b]
            and bool(set(others) & set(images.look_alike[b]))
            for b, label, others in zip(pairs.image.tolist(), pairs.target.tolist(), pairs.others)
        ],
        device=maps.device,
    )
    n_methods = maps.shape[1]
    masks = images.differing[pairs.image].repeat_interleave(n_methods, dim=0)
    shares = attribution_localisation(maps.flatten(0, 1), masks).unflatten(0, (-1, n_methods))
    return torch.where(told_apart[:, None], shares, float("nan"))


def _matched(observed_by: nn.Module, outputs: Sequence[WholeOutput], images: Images, base: str) -> pd.DataFrame:
    """The matching task on the two most probable classes of every cluster that has two: rows as :func:`evaluate`."""
    listed = [
        (b, cluster[0], cluster[1])
        for b, clusters in enumerate(images.clusters)
        for cluster in clusters
        if len(cluster) > 1
    ]
    image = torch.tensor([b for b, _, _ in listed], dtype=torch.int64, device=images.x.device)
    labels = torch.tensor([pair[1:] for pair in listed], dtype=torch.int64, device=images.x.device)
    parts = []
    for method in (*METHODS, FINE):
        maps = torch.stack(
            [torch.stack([_maps_of_class(outputs[b], label)[method] for label in pair]) for b, *pair in listed]
        )
        accuracy, margin = observer.matched(observed_by, images.x, image, maps, labels)
        for metric, value in (("matching-accuracy", accuracy), ("matching-margin", margin)):
            columns = {
                "index": images.index[image].tolist(),
                "class": labels[:, 0].tolist(),
                "rivals": [str(other) for _, _, other in listed],
                "value": value.double().cpu(),
            }
            parts.append(pd.DataFrame(columns).assign(base=base, method=method, metric=metric))
    return pd.concat(parts, ignore_index=True)


def _between_bases(
    network: nn.Module,
    images: Images,
    pairs: _Pairs,
    maps: Tensor,
    bases: Sequence[Base],
    steps: int,
    variant: str,
) -> pd.DataFrame:
    """CAUC of CWOX-2s up to the smallest number of salient pixels among the base explainers (Table 3)."""
    scored = _scored(network, images, pairs, maps, compared=range(len(bases)), steps=steps, variant=variant)
    parts = [
        _rows(pairs, images, {"cauc-bases": scored.cauc[:, [place]]}, base.name, (CONTRASTIVE,))
        for place, base in enumerate(bases)
    ]
    return pd.concat(parts, ignore_index=True)


def _correlation(one: Tensor, other: Tensor) -> float:
    """Pearson's correlation of two maps over pixels; NaN where one is constant."""
    both = torch.stack([one.flatten(), other.flatten()]).double()
    both = both - both.mean(1, keepdim=True)
    norms = both.norm(dim=1)
    return float((both[0] @ both[1]) / norms.prod()) if norms.prod() > 0 else float("nan")
