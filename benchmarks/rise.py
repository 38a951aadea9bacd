"""RISE beside the authors' loop, on the same networks and images: ratios of times, and peak memory by number of masks.

Run ``python benchmarks/rise.py``. The loop is as published: all masks drawn beforehand by scikit-image and kept, one
image at a time, in passes of 100 masked images. Drawing them is counted, shared by the images: ours draws masks for
each image. On 224-px images the network is torchvision's ResNet-18, so that a processor gets through some masks.
"""

import resource
import subprocess
import sys

import numpy as np
import torch
import torchvision
from _pairs import median_ratio
from skimage.transform import resize

from xai_lib import explainers, models

GRID, P = 7, 0.5
SPEED_TARGET = 1.0
MEMORY_TARGET = 1.1  # of 16 times the masks
PASS = 100


def main() -> None:
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    print(f"RISE on {device}, {torch.get_num_threads()} threads, float32")
    compare("resnet8, 8 images of 32 px, 500 masks", *small(device), n_images=8, side=32, n_masks=500)
    compare("resnet18, 2 images of 224 px, 50 masks", *large(device), n_images=2, side=224, n_masks=50)
    few, many = (peak_memory(n_masks) for n_masks in (64, 1024))
    verdict = "met" if many <= MEMORY_TARGET * few else "MISSED"
    print(
        f"peak memory, 128 px: {few:.0f} MB with 64 masks, {many:.0f} MB with 1024; target {MEMORY_TARGET:g}x {verdict}"
    )


def small(device):
    return models.build("resnet8", 10, seed=0).eval().to(device), device


def large(device):
    with torch.random.fork_rng(devices=[]):
        return torchvision.models.resnet18(num_classes=10).eval().to(device), device


def compare(name, model, device, *, n_images, side, n_masks):
    x = torch.randn(n_images, 3, side, side, generator=torch.Generator().manual_seed(0)).to(device)
    target = torch.arange(n_images, device=device)
    score, index = explainers.of_class(target, "probability"), torch.arange(n_images)
    median_ratio(
        lambda: explainers.get("rise")(model, x, score=score, seed=0, index=index, n_masks=n_masks, grid=GRID, p=P),
        lambda: published_loop(model, x, n_masks),
        3,
        name=name,
        target=SPEED_TARGET,
    )


def published_loop(model, x, n_masks):
    masks = published_masks(n_masks, x.shape[-1]).to(x.device)
    return torch.stack([published_maps(model, image[None], masks) for image in x])


def published_masks(n_masks, side):
    generator, cell = np.random.default_rng(0), -(-side // GRID)
    masks = np.empty((n_masks, 1, side, side), dtype=np.float32)
    for mask in masks:
        cells = (generator.random((GRID, GRID)) < P).astype(np.float32)
        down, across = generator.integers(0, cell, 2)
        enlarged = resize(cells, 2 * ((GRID + 1) * cell,), order=1, mode="reflect", anti_aliasing=False)
        mask[0] = enlarged[down : down + side, across : across + side]
    return torch.from_numpy(masks)


@torch.no_grad()
def published_maps(model, image, masks):
    """Maps of all classes [C,H,W] of one image [1,3,H,W]."""
    stack = masks * image
    probabilities = torch.cat([model(part).softmax(1) for part in stack.split(PASS)])
    return (probabilities.T @ masks.flatten(1)).unflatten(1, image.shape[2:]) / len(masks) / P


def peak_memory(n_masks):
    """Highest resident memory in MB of a process that explains two images with so many masks."""
    command = [sys.executable, __file__, "peak", str(n_masks)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[-1])


def explain_once(n_masks):
    x, index = torch.randn(2, 3, 128, 128), torch.arange(2)
    model = models.build("resnet8", 10, width=8, seed=0).eval()
    score = explainers.of_class(torch.zeros(2, dtype=torch.int64), "probability")
    explainers.get("rise")(model, x, score=score, seed=0, index=index, n_masks=n_masks)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


if __name__ == "__main__":
    if sys.argv[1:2] == ["peak"]:
        explain_once(int(sys.argv[2]))
    else:
        main()
