"""A network and images of a run, written to files as if they were a user's own."""

from pathlib import Path
from typing import Any

import torch
from PIL import Image

from xai_lib.run.networks import LOSS, trained
from xai_lib.run.settings import Settings

_METHODS = "fake-cam, gradient, integrated-gradients, grad-cam, score-cam, rise, uniform, random, centred-gaussian"


def example(run: Settings, folder: Path) -> dict[str, Any]:
    """Write the run's first cross-entropy network and the images it is scored on into a folder.

    Returns the parameters of the notebook on one's own model that name them: model, arguments, checkpoint, images,
    classes, mean, std, size; and methods, a few, so that the example is quick.
    """
    network, split = trained(run, LOSS, 0), run.scored_split()
    torch.save(network.classifier.state_dict(), folder / "network.pt")
    for image, label, index in zip(split.images.cpu(), split.labels.tolist(), split.index.tolist()):
        target = folder / "images" / split.classes[label]
        target.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image.permute(1, 2, 0).numpy()).save(target / f"{index:05d}.png")
    built = f"architecture={network.recipe.architecture!r}, n_classes={len(split.classes)}"
    return {
        "model": "xai_lib.models:build",
        "arguments": f"{built}, width={network.recipe.width}, seed=0",
        "checkpoint": str(folder / "network.pt"),
        "images": str(folder / "images"),
        "classes": ", ".join(split.classes),
        "mean": ", ".join(map(str, split.mean)),
        "std": ", ".join(map(str, split.std)),
        "size": split.images.shape[-1],
        "methods": _METHODS,
    }
