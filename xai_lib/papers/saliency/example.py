"""A network and images of a run, written to files as if they were a user's own."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image

from xai_lib.run.networks import LOSS, trained
from xai_lib.run.settings import Settings

_METHODS = "fake-cam, gradient, integrated-gradients, grad-cam, score-cam, rise, uniform, random, centred-gaussian"


@dataclass(frozen=True)
class Example:
    """The parameters of the notebook on one's own model, filled in; the files go when the object does.

    Attributes:
        model: import path of the callable that builds the network.
        arguments: its arguments, as in a call.
        checkpoint: file with the state dict.
        images: folder with one folder of images a class.
        classes: class names in the network's order, separated by commas.
        mean, std: colour statistics, three numbers each, separated by commas.
        size: side of the images in pixels.
        label: how a page calls it.
        methods: explainers that take part, separated by commas: a few, so that the example is quick.
        folder: holds the files.
    """

    model: str
    arguments: str
    checkpoint: str
    images: str
    classes: str
    mean: str
    std: str
    size: int
    label: str
    methods: str
    folder: tempfile.TemporaryDirectory


def example(run: Settings) -> Example:
    """The run's first cross-entropy network and the images it is scored on, in a temporary folder."""
    network, split = trained(run, LOSS, 0), run.scored_split()
    folder = tempfile.TemporaryDirectory(prefix="your-model-")
    root = Path(folder.name)
    torch.save(network.classifier.state_dict(), root / "network.pt")
    for image, label, index in zip(split.images.cpu(), split.labels.tolist(), split.index.tolist()):
        target = root / "images" / split.classes[label]
        target.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image.permute(1, 2, 0).numpy()).save(target / f"{index:05d}.png")
    recipe = network.recipe
    return Example(
        model="xai_lib.models:build",
        arguments=(
            f"architecture={recipe.architecture!r}, n_classes={len(split.classes)}, width={recipe.width}, seed=0"
        ),
        checkpoint=str(root / "network.pt"),
        images=str(root / "images"),
        classes=", ".join(split.classes),
        mean=", ".join(map(str, split.mean)),
        std=", ".join(map(str, split.std)),
        size=split.images.shape[-1],
        label=f"the example ({run.label})",
        methods=_METHODS,
        folder=folder,
    )
