"""Images and maps for the figures of the whole-output notebooks: computed for the few images that are shown."""

import io
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import matplotlib
import numpy as np
import pandas as pd
import torch
from PIL import Image
from torch import Tensor

from xai_lib.data import Split
from xai_lib.data.split import first_of_each_class
from xai_lib.explainers.normalise import min_max
from xai_lib.page.names import WHOLE_OUTPUT_NAMES
from xai_lib.papers.whole_output import experiment
from xai_lib.papers.whole_output.experiment.explanations import ExplainedNetwork, Outputs, Study, outputs_of
from xai_lib.papers.whole_output.figures.matching_game import Round
from xai_lib.papers.whole_output.method import evaluation
from xai_lib.papers.whole_output.method.confusion import confusion_clusters
from xai_lib.papers.whole_output.method.explanation import FINE, METHODS, WholeOutput, explain
from xai_lib.papers.whole_output.method.faithfulness import salient

PLAYED = ("swox", "cwox-1sb", "cwox-2s")  # as in the user study
_CANDIDATES = 200
_SIDE = 168  # pixels of a picture in the game
_SEED = 0


@dataclass(frozen=True, eq=False)
class Example:
    """One explained image: picture float [3,H,W] in [0,1], its output, class names, true class, clusters."""

    picture: Tensor
    x: Tensor
    index: int
    output: WholeOutput
    classes: tuple[str, ...]
    label: str


def example(study: Study, base: str) -> Example:
    """The image on which the first network wavers most between two clusters, one of them of two or more classes.

    Of the first 200 images with a pair, that whose second cluster has the highest probability: a stated choice, of an
    image on which two stages have something to tell. If all have one cluster, the first of them.

    Raises:
        ValueError: if no output of the run has two classes of a cluster at its top.
    """
    explained = study.networks[0]
    best, chosen = -1.0, None
    for images in itertools.islice(_one_by_one(study, explained), _CANDIDATES):
        outputs = outputs_of(explained, images)
        groups = confusion_clusters(experiment.partition(explained.corpus), outputs.top[0])
        shares = sorted((float(outputs.probabilities[0, group].sum()) for group in groups), reverse=True)
        second = shares[1] if len(shares) > 1 else 0.0
        if second > best:
            best, chosen = second, (outputs, groups)
    if chosen is None:
        raise ValueError("Expected an output with two classes of one cluster at its top. Got none: take more images.")
    return _explained(study, explained, base, *chosen)


def curves(study: Study, example: Example) -> pd.DataFrame:
    """Figure 6 for the most probable class of an example that has rivals: see :func:`evaluation.curves`.

    Returns:
        Its rows, with target_name and rival_names.
    """
    (label, *others) = next(group for group in example.output.clusters if len(group) > 1)
    position = example.output.classes.index(label)
    shown = {method: example.output.class_maps[method][position] for method in ("cwox-2s", "swox", "cwox-1sa")}
    shown = {method: found for method, found in shown.items() if (found > 0).any()}
    network = study.networks[0].subject.network
    frame = evaluation.curves(network, example.x, shown, label, others, n_classes=len(example.classes))
    names = ", ".join(example.classes[other] for other in others)
    return frame.assign(target_name=example.classes[label], rival_names=names)


def rounds(study: Study, n: int) -> list[Round]:
    """Rounds of the matching game, RISE as in the user study: ``n`` images a method, each image for one method alone.

    The first images on which both maps of the two most probable classes of a cluster have a salient pixel, and differ.

    Raises:
        ValueError: if there is no such image.
    """
    explained = study.networks[0]
    found: list[Round] = []
    for images in _one_by_one(study, explained):
        method = PLAYED[len(found) % len(PLAYED)]
        outputs = outputs_of(explained, images)
        groups = confusion_clusters(experiment.partition(explained.corpus), outputs.top[0])
        pair = next((group[:2] for group in groups if len(group) > 1), None)
        if pair is None:
            continue
        shown = _explained(study, explained, "rise", outputs, groups)
        maps = [shown.output.class_maps[method][shown.output.classes.index(label)].cpu() for label in pair]
        if not all((heat > 0).any() for heat in maps) or torch.equal(*maps):
            continue
        found.append(_round(shown, pair, maps, WHOLE_OUTPUT_NAMES[method]))
        if len(found) == n * len(PLAYED):
            break
    if not found:
        raise ValueError("Expected an image with two maps to match. Got none among those explained: take more images.")
    return found


def thumbnails(study: Study) -> dict[int, bytes]:
    """A picture of each class for the tree: the first test image of it, PNG."""
    images = study.networks[0].subject.images
    shown = images.subset(first_of_each_class(images.labels)).materialised()
    return {label: _png(picture.float().cpu() / 255, 48) for label, picture in zip(shown.labels.tolist(), shown.images)}


def _explained(
    study: Study, explained: ExplainedNetwork, base: str, outputs: Outputs, groups: list[list[int]]
) -> Example:
    settings = experiment.base_of(study, explained, base)
    images = outputs.images
    (output,) = explain(
        explained.subject.network,
        outputs.x,
        [groups],
        base=settings,
        methods=(*METHODS, FINE),
        seed=_SEED,
        index=images.index.to(outputs.x.device),
    )
    picture = images.images[0].float().cpu() / 255
    label = images.classes[int(images.labels[0])]
    return Example(picture, outputs.x, int(images.index[0]), output, tuple(images.classes), label)


def _one_by_one(study: Study, explained: ExplainedNetwork) -> Iterator[Split]:
    """Images that have a pair, by the stored outputs."""
    listed = experiment.whole_outputs(study)
    listed = listed[listed["network"] == explained.name]
    clusters = listed["clusters"].astype(str)  # a number where all outputs of a file have one top class
    several = clusters.map(lambda of_image: any(" " in cluster for cluster in of_image.split(" | ")))
    at = {int(number): place for place, number in enumerate(explained.subject.images.index.tolist())}
    for number in listed.loc[several, "index"]:
        yield explained.subject.images.subset([at[int(number)]])


def _round(example: Example, pair: Sequence[int], maps: Sequence[Tensor], method: str) -> Round:
    return Round(
        image=_png(example.picture, _SIDE),
        image_alt=f"An image of the class {example.label}.",
        maps=tuple(_overlay(example.picture, heat) for heat in maps),
        map_alts=tuple(_where(heat) for heat in maps),
        labels=tuple(example.classes[label] for label in pair),
        method=method,
    )


def _where(heat: Tensor) -> str:
    """In words, where a map is strongest and how much of the image its salient pixels cover."""
    kept = salient(heat[None])[0]
    rows, columns = kept.nonzero().float().mean(0) / torch.tensor(heat.shape)
    down = ("top", "middle", "bottom")[min(int(rows * 3), 2)]
    across = ("left", "centre", "right")[min(int(columns * 3), 2)]
    place = "centre" if (down, across) == ("middle", "centre") else f"{down} {across}"
    return f"Heat map: strongest around the {place}, over {100 * kept.float().mean():.0f} % of the image."


def _overlay(picture: Tensor, heat: Tensor) -> bytes:
    """A map over the grey picture, PNG."""
    colours = matplotlib.colormaps["inferno"](min_max(heat[None].float())[0].numpy())[..., :3]
    grey = picture.mean(0).numpy()[..., None]
    mixed = torch.from_numpy(0.4 * grey + 0.6 * colours).permute(2, 0, 1)
    return _png(mixed, _SIDE)


def _png(picture: Tensor, side: int) -> bytes:
    """A picture, float [3,H,W] in [0,1], as PNG of that height, its pixels kept where it is enlarged."""
    values = (picture.clamp(0, 1) * 255).round().to(torch.uint8).permute(1, 2, 0).numpy()
    image = Image.fromarray(np.ascontiguousarray(values))
    how = Image.Resampling.NEAREST if image.height < side else Image.Resampling.LANCZOS
    file = io.BytesIO()
    image.resize((round(side * image.width / image.height), side), how).save(file, "PNG", optimize=True)
    return file.getvalue()
