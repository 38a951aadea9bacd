"""Images and maps for the figures of the whole-output notebooks: computed for the few images that are shown."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd
import torch
from torch import Tensor

from xai_lib.data import Split
from xai_lib.data.split import first_of_each_class
from xai_lib.papers.whole_output import experiment
from xai_lib.papers.whole_output.method import contrastive_maps, evaluation, faithfulness
from xai_lib.papers.whole_output.method.evaluation import Outputs, outputs_of
from xai_lib.run.settings import Study

PLAYED = ("swox", "cwox-1sb", "cwox-2s")  # as in the user study
_CANDIDATES = 200
_CURVES = ("cwox-2s", "swox", "cwox-1sa")  # of Figure 6
_MOST_POINTS = 48  # of a curve, beside its start
_SEED = 0


@dataclass(frozen=True, eq=False)
class Example:
    """One explained image."""

    picture: Tensor  # float [3,H,W] in [0,1]
    x: Tensor  # the image as the network takes it, float [1,3,H,W]
    index: int  # of the image
    output: contrastive_maps.WholeOutput
    classes: tuple[str, ...]  # names
    label: str  # the image's class


@dataclass(frozen=True, eq=False)
class Round:
    """One image, and two heat maps of it for two classes that a network confuses, as in Figure 7."""

    picture: Tensor  # float [3,H,W] in [0,1]
    label: str  # the image's class
    maps: tuple[Tensor, Tensor]  # float [H,W], not negative
    labels: tuple[str, str]  # the two classes, of different names
    method: str  # that drew both maps

    def __post_init__(self) -> None:
        if self.labels[0] == self.labels[1]:
            raise ValueError(f"Expected two different labels. Got {self.labels[0]!r} twice.")


def example(study: Study, base: str) -> Example:
    """Of the first 200 images with a pair, that on which the first network wavers most between two clusters: the second
    has the highest probability. The first image if all have one cluster; ValueError without a pair.
    """

    def second(found: tuple[Split, Outputs]) -> float:
        shares = [float(found[1].probabilities[0, group].sum()) for group in found[1].clusters[0]]
        return sorted([0.0, *shares])[-2]

    chosen = max(itertools.islice(_with_a_pair(study), _CANDIDATES), key=second, default=None)
    if chosen is None:
        raise ValueError("Expected an output with two classes of one cluster at its top. Got none: take more images.")
    return _explained(study, base, *chosen)


def curves(study: Study, example: Example) -> pd.DataFrame:
    """Figure 6 for an example's most probable class with rivals: probabilities while salient pixels of its maps go."""
    (label, *others) = next(group for group in example.output.clusters if len(group) > 1)
    one, x = torch.zeros(1, dtype=torch.int64, device=example.x.device), example.x
    rivals = torch.zeros(1, len(example.classes), dtype=torch.bool, device=x.device)
    rivals[0, others] = True
    parts = []
    for method in _CURVES:
        heat = example.output.class_map(method, label)[None]
        if (last := int(faithfulness.salient_pixels(heat)[0])) == 0:
            continue
        removed = torch.linspace(0, last, min(last, _MOST_POINTS) + 1, device=x.device).round().long()[None]
        network = study.networks[0].subject.network
        curve = faithfulness.contrastive_curve(network, x, one, heat, one + label, rivals, removed, index=one)
        values = removed.double() / heat.numel(), *curve, faithfulness.contrastive_score(*curve)
        columns = zip(("removed", "target", "rivals", "score"), values)
        parts.append(pd.DataFrame({name: value[0].cpu().numpy() for name, value in columns}).assign(method=method))
    names = ", ".join(example.classes[other] for other in others)
    return pd.concat(parts, ignore_index=True).assign(target_name=example.classes[label], rival_names=names)


def rounds(study: Study, n: int) -> list[Round]:
    """Rounds of the matching game, RISE as in the user study: ``n`` images a method, each image for one method alone,
    the first on which both maps of a cluster's two most probable classes have a salient pixel, and differ; ValueError
    without any.
    """
    found: list[Round] = []
    for images, outputs in _with_a_pair(study):
        method = PLAYED[len(found) % len(PLAYED)]
        pair = next(group[:2] for group in outputs.clusters[0] if len(group) > 1)
        shown = _explained(study, "rise", images, outputs)
        maps = tuple(shown.output.class_map(method, label).cpu() for label in pair)
        if not all((heat > 0).any() for heat in maps) or torch.equal(*maps):
            continue
        found.append(Round(shown.picture, shown.label, maps, tuple(shown.classes[label] for label in pair), method))
        if len(found) == n * len(PLAYED):
            break
    if not found:
        raise ValueError("Expected an image with two maps to match. Got none among those explained: take more images.")
    return found


def thumbnails(study: Study) -> dict[int, Tensor]:
    """A picture of each class for the tree: the first test image of it, float [3,H,W] in [0,1]."""
    images = study.networks[0].subject.images
    shown = images.subset(first_of_each_class(images.labels)).materialised()
    return {label: picture.float().cpu() / 255 for label, picture in zip(shown.labels.tolist(), shown.images)}


def _with_a_pair(study: Study) -> Iterator[tuple[Split, Outputs]]:
    """Images of the first network that have a pair, by the stored outputs, one by one with what is said of them."""
    explained = study.networks[0]
    subject, partition = explained.subject, experiment.partition(explained.corpus)
    listed = experiment.whole_outputs(study)
    listed = listed[listed["network"] == explained.name]
    several = listed["clusters"].str.contains(r"\d \d")  # between two clusters stands a bar
    at = {int(number): place for place, number in enumerate(subject.images.index.tolist())}
    for number in listed.loc[several, "index"]:
        images = subject.images.subset([at[int(number)]]).materialised()
        outputs = outputs_of(subject.network, images, partition, study.run.device)
        if any(len(group) > 1 for group in outputs.clusters[0]):
            yield images, outputs


def _explained(study: Study, base: str, images: Split, outputs: Outputs) -> Example:
    how = {"base": experiment.base_of(study, study.networks[0], base), "methods": evaluation.DRAWN, "seed": _SEED}
    (output,) = contrastive_maps.explain(outputs.network, outputs.x, outputs.clusters, **how, index=outputs.index)
    picture, label = images.images[0].float().cpu() / 255, images.classes[int(images.labels[0])]
    return Example(picture, outputs.x, int(images.index[0]), output, tuple(images.classes), label)
