"""Whole-output explanations scored: methods and base explainers on the same pairs of a class and its rivals (§5)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn

from xai_lib import randomness
from xai_lib.metrics.localisation import attribution_localisation
from xai_lib.papers.whole_output.method import faithfulness, observer
from xai_lib.papers.whole_output.method.base_maps import Base, Variant
from xai_lib.papers.whole_output.method.clusters import Partition, confusion_clusters
from xai_lib.papers.whole_output.method.contrastive_maps import FINE, METHODS, WholeOutput, explain
from xai_lib.papers.whole_output.method.outputs import Outputs

CONTROL = "random"  # a map of noise, which no explanation should fail to beat
SCORED = (*METHODS, FINE, CONTROL)
CONTRASTIVE = "cwox-2s"
COLUMNS = ("index", "class", "rivals", "base", "method", "metric", "value")
CLUSTERING_COLUMNS = ("index", "class", "clustering", "metric", "value")
_SEED = 0  # of everything that is drawn: the same for every network and method, so that comparisons are paired


@dataclass(frozen=True, eq=False)
class _Pairs:
    """P classes that have rivals: row of the image int64 [P], class int64 [P], rivals by number and as bool [P,C]."""

    outputs: Outputs
    image: Tensor
    target: Tensor
    others: list[list[int]]
    rivals: Tensor


def evaluate(
    outputs: Outputs, bases: Sequence[Base], *, steps: int, variant: Variant, observed_by: nn.Module | None
) -> pd.DataFrame:
    """Score all methods with all base explainers on some images.

    A pair is a top class and the other top classes of its confusion cluster (§5.1). CAUC compares the methods of one
    base up to the smallest number of salient pixels among the paper's four methods ("cauc"), and CWOX-2s between bases
    up to the smallest among them ("cauc-bases"), as Tables 1 and 3 do.

    Args:
        outputs, bases: what is explained, and the base explainers with the settings of both stages.
        steps: counts of removed pixels along a curve, at most.
        variant: "paper" or "released", of heat maps and of scores.
        observed_by: the network that plays the observer; None leaves the matching task out.

    Returns:
        Rows index, class, rivals (numbers with a space between), base, method, metric, value: "cauc", "cauc-bases",
        "cdrop", "salient-pixels", "degenerate" (1 for a map without a salient pixel), "part-energy" (share of the
        map's energy in the differing part), "matching-accuracy" and "matching-margin" (of the pair of a cluster's two
        most probable classes). NaN where undefined.
    """
    pairs = _pairs(outputs)
    if not pairs.others:
        return pd.DataFrame(columns=COLUMNS)
    control = _control(pairs)[:, None]
    parts, contrastive = [], []
    for base in bases:
        found = _explained(outputs, base, (*METHODS, FINE), variant=variant)
        maps = torch.cat([_maps(found, pairs, (*METHODS, FINE)), control], dim=1)  # [P,M,H,W]
        contrastive.append(maps[:, SCORED.index(CONTRASTIVE)])
        scored = _scored(pairs, maps, compared=range(len(METHODS)), steps=steps, variant=variant)
        values = {"cauc": scored.cauc, "cdrop": scored.cdrop}
        values |= {"salient-pixels": scored.n_salient.double(), "degenerate": scored.degenerate.double()}
        if outputs.differing is not None:
            values["part-energy"] = _part_energy(maps, pairs)
        parts.append(_rows(pairs, values, base, SCORED))
        if observed_by is not None:
            parts += _matched(observed_by, found, outputs, base)
    scored = _scored(pairs, torch.stack(contrastive, 1), compared=range(len(bases)), steps=steps, variant=variant)
    for place, base in enumerate(bases):
        parts.append(_rows(pairs, {"cauc-bases": scored.cauc[:, [place]]}, base, (CONTRASTIVE,)))
    return pd.concat(parts, ignore_index=True)


def compare_clusterings(
    outputs: Outputs, partitions: Mapping[str, Partition], base: Base, *, steps: int
) -> pd.DataFrame:
    """What other clusters do to CWOX-2s: rows index, class, clustering, metric, value.

    "cdrop" is of classes with rivals there, "same-map" Pearson's correlation with the first clustering's map.
    """
    columns, parts, reference = ["index", "class", "metric", "value"], [], None
    for name, partition in partitions.items():
        clusters = [confusion_clusters(partition, top) for top in outputs.top]
        found, rows = _of_two_stages(replace(outputs, clusters=clusters), base, steps)
        reference = reference or found
        alike = [
            (number, label, "same-map", _correlation(*(one.class_map(CONTRASTIVE, label) for one in both)))
            for number, *both in zip(outputs.index.tolist(), found, reference)
            for label in both[0].classes
        ]
        drops = rows.loc[rows["metric"] == "cdrop", columns]
        kept = [pd.DataFrame(alike, columns=columns), *([drops] if len(drops) else [])]
        parts += [part.assign(clustering=name) for part in kept]
    return pd.concat(parts, ignore_index=True)


def compare_epsilons(outputs: Outputs, base: Base, epsilons: Sequence[float], *, steps: int) -> pd.DataFrame:
    """What ε in Equation 2 does to CWOX-2s: rows as :func:`evaluate`, of "cdrop" and "degenerate", with an epsilon."""
    rows = [_of_two_stages(outputs, base, steps, epsilon)[1].assign(epsilon=epsilon) for epsilon in epsilons]
    return pd.concat(rows, ignore_index=True)


def _of_two_stages(
    outputs: Outputs, base: Base, steps: int, epsilon: float = 0.0
) -> tuple[list[WholeOutput], pd.DataFrame]:
    """CWOX-2s of each image, and the rows of its CDROP and of maps without a salient pixel."""
    found, pairs = _explained(outputs, base, (CONTRASTIVE,), epsilon=epsilon), _pairs(outputs)
    if not pairs.others:
        return found, pd.DataFrame(columns=COLUMNS)
    scored = _scored(pairs, _maps(found, pairs, (CONTRASTIVE,)), compared=(0,), steps=steps, variant="paper")
    values = {"cdrop": scored.cdrop, "degenerate": scored.degenerate.double()}
    return found, _rows(pairs, values, base, (CONTRASTIVE,))


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


def _control(pairs: _Pairs) -> Tensor:
    """Noise drawn for each image and class, the same for every base: [P,H,W] in [0,1]."""
    drawn_by = pairs.outputs.index[pairs.image] * pairs.rivals.shape[1] + pairs.target
    return randomness.uniform(_SEED, drawn_by, "whole output/control", tuple(pairs.outputs.x.shape[-2:]))


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


def _matched(observed_by: nn.Module, found: Sequence[WholeOutput], outputs: Outputs, base: Base) -> list[pd.DataFrame]:
    """The matching task on the two most probable classes of every cluster that has two: rows as :func:`evaluate`."""
    pairs, parts = _pairs(outputs, two_most_probable=True), []
    rivals = replace(pairs, target=pairs.target.new_tensor(pairs.others)[:, 0])
    labels = torch.stack([pairs.target, rivals.target], dim=1)
    for method in (*METHODS, FINE):
        maps = torch.cat([_maps(found, classes, (method,)) for classes in (pairs, rivals)], dim=1)  # [P,2,H,W]
        accuracy, margin = observer.matched(observed_by, outputs.x, pairs.image, maps, labels)
        values = {"matching-accuracy": accuracy[:, None], "matching-margin": margin[:, None]}
        parts.append(_rows(pairs, values, base, (method,)))
    return parts


def _correlation(one: Tensor, other: Tensor) -> float:
    """Pearson's correlation of two maps over pixels; NaN where one is constant."""
    both = torch.stack([one.flatten(), other.flatten()]).double()
    both = both - both.mean(1, keepdim=True)
    norms = both.norm(dim=1)
    return float((both[0] @ both[1]) / norms.prod()) if norms.prod() > 0 else float("nan")
