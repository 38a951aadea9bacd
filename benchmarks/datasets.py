"""Data: how fast planted images are drawn, how fast a folder is read, and augmentation against torchvision's.

Run from the repository root: ``python benchmarks/datasets.py``. One thread draws and augments. The reference does to
each image what torchvision's transforms do, one image after another; the last rows hold augmentation against a
training step of a ResNet-8 on the same batch.
"""

import argparse
import time
from functools import partial
from pathlib import Path

import torch
from _pairs import median_ratio
from torch.nn import functional
from torchvision import transforms

from xai_lib import data as datasets
from xai_lib import models
from xai_lib.data import augmentation, planted
from xai_lib.data.augmentation import Augmentation, augment

BATCH = 256


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, help="folder of images to read, for example CIFAR-10 as JPEGs")
    folder = parser.parse_args().folder
    torch.set_num_threads(1)
    drawing()
    if folder:
        start = time.perf_counter()
        split = datasets.load(f"folder:{folder}", "train")
        print(f"folder: both parts read for {len(split):,} training images in {time.perf_counter() - start:.1f} s")
    images = planted.generate(BATCH, "train").images
    for name, recipe in (("CE", augmentation.CE), ("SCL", augmentation.SCL), ("light", augmentation.LIGHT)):
        ours = partial(augment, images, recipe=recipe, seed=0, index=torch.arange(BATCH), purpose="benchmark")
        pipeline = one_at_a_time(recipe)
        median_ratio(ours, lambda p=pipeline: torch.stack([p(image) for image in images]), name=f"augmentation {name}")
        median_ratio(ours, training_step(images), name=f"augmentation {name} against a training step")


def drawing() -> None:
    for size, n in ((32, 2000), (128, 200)):
        planted.generate(n, "train", size=size)
        best = 0.0
        for _ in range(5):
            start = time.process_time()
            planted.generate(n, "train", size=size)
            best = max(best, n / (time.process_time() - start))
        target = f"  target 2,000 {'met' if best >= 2000 else 'MISSED'}" if size == 32 else ""
        print(f"planted, {size} pixels: {best:,.0f} images/s (processor time, best of 5){target}", flush=True)


def one_at_a_time(recipe: Augmentation) -> transforms.Compose:
    """The same recipe made of torchvision's transforms of PIL images, as a plain DataLoader would run it."""
    crop = transforms.RandomCrop(32, recipe.padding)
    if recipe.scale:
        crop = transforms.RandomResizedCrop(32, recipe.scale, recipe.ratio)
    steps = [transforms.ToPILImage(), crop, transforms.RandomHorizontalFlip(recipe.flip)]
    if recipe.jitter:
        colours = transforms.ColorJitter(*[recipe.colour] * 3, recipe.hue)
        steps += [transforms.RandomApply([colours], recipe.jitter), transforms.RandomGrayscale(recipe.grey)]
    return transforms.Compose([*steps, transforms.ToTensor()])


def training_step(images: torch.Tensor):
    """Forward and backward pass of the small network, fp32, channels last."""
    model = models.build("resnet8", 10, seed=0).to(memory_format=torch.channels_last)
    x = (images / 255).contiguous(memory_format=torch.channels_last)
    labels = torch.arange(len(images)) % 10
    return lambda: functional.cross_entropy(model(x), labels).backward()


if __name__ == "__main__":
    main()
