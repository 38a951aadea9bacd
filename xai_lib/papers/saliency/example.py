"""A network and images of a run, written to files as if they were a user's own."""

import tempfile
from pathlib import Path
from types import SimpleNamespace

import torch
from PIL import Image

from xai_lib.run.networks import LOSS, trained
from xai_lib.run.settings import Settings

_METHODS = "fake-cam, gradient, integrated-gradients, grad-cam, score-cam, rise, uniform, random, centred-gaussian"


def example(run: Settings) -> SimpleNamespace:
    """The run's first cross-entropy network and the images it is scored on, in a temporary folder.

    Returns:
        Parameters of the notebook on one's own model by their names; ``methods`` are a few, so that it is quick. The
        files go when this object does.
    """
    network, split = trained(run, LOSS, 0), run.scored_split()
    recipe, folder = network.recipe, tempfile.TemporaryDirectory(prefix="your-model-")
    root = Path(folder.name)
    torch.save(network.classifier.state_dict(), root / "network.pt")
    for image, label, index in zip(split.images.cpu(), split.labels.tolist(), split.index.tolist()):
        target = root / "images" / split.classes[label]
        target.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image.permute(1, 2, 0).numpy()).save(target / f"{index:05d}.png")
    built = f"architecture={recipe.architecture!r}, n_classes={len(split.classes)}, width={recipe.width}, seed=0"
    return SimpleNamespace(
        model="xai_lib.models:build",
        arguments=built,
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
