"""Shares of the energy in mosaics beside a loop with pytorch-grad-cam, on the same weights: ratios of their times.

Run ``python benchmarks/mosaics.py``. Both put 64 mosaics together, explain them and sum up the map in each quadrant.
"""

import numpy as np
import torch
from _pairs import median_ratio
from pytorch_grad_cam import GradCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

from xai_lib import models
from xai_lib.papers.dominance.method.energy_share import by_grad_cam, shares
from xai_lib.papers.dominance.method.mosaics import Mosaics, assemble, of_clusters

BATCH = 64
IMAGES = 100
PAIRS = 9
TARGET = 4.0


def main() -> None:
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    print(f"{BATCH} mosaics of four images of 32 px on {device}, {torch.get_num_threads()} threads, float32")
    x = torch.randn(IMAGES, 3, 32, 32, generator=torch.Generator().manual_seed(0)).to(device)
    positions = torch.arange(IMAGES)
    mosaics = of_clusters(positions[: IMAGES // 2], positions[IMAGES // 2 :], BATCH, seed=0, purpose="benchmark")
    for architecture in ("resnet8", "resnet18"):
        plain = models.build(architecture, 10, width=32, seed=0).eval().to(device)
        folded = models.fold_batchnorm(plain).to(memory_format=torch.channels_last)
        for resized in (False, True):
            name = f"{architecture}{', resized' if resized else ''}"
            compare(f"{name}, same network", plain, plain, x, mosaics, resized)
            compare(f"{name}, ours folded as where it scores", folded, plain, x, mosaics, resized, TARGET)


def compare(
    name: str,
    network: models.Classifier,
    plain: models.Classifier,
    x: torch.Tensor,
    mosaics: Mosaics,
    resized: bool,
    at_least: float | None = None,
) -> None:
    target = torch.zeros(BATCH, dtype=torch.int64)
    explain = by_grad_cam(network)
    with GradCAM(plain, [plain.default_layer()]) as reference:
        median_ratio(
            lambda: shares(mosaics, x, target, explain, resized=resized),
            lambda: by_library(reference, mosaics, x, target, resized),
            PAIRS,
            name=name,
            target=at_least,
        )


def by_library(grad_cam: GradCAM, mosaics: Mosaics, x: torch.Tensor, target: torch.Tensor, resized: bool) -> np.ndarray:
    images = assemble(x[mosaics.images.to(x.device)], resized)
    maps = grad_cam(images, [ClassifierOutputTarget(int(label)) for label in target])
    half = maps.shape[1] // 2
    energy = np.add.reduceat(np.add.reduceat(maps, [0, half], axis=1), [0, half], axis=2).reshape(-1, 4)
    with np.errstate(invalid="ignore"):  # a map without energy
        return (energy * mosaics.first.numpy()).sum(1) / energy.sum(1)


if __name__ == "__main__":
    main()
