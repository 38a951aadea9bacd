"""Training on a processor: our loop against a plain one (float32, channels first, DataLoader, transforms per image).

Run from the repository root: ``python benchmarks/training.py``. One epoch of the small recipe on 1,024 images, once
for each loss; the network, the loss and the optimizer are the same on both sides.
"""

import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from _pairs import median_ratio
from PIL import Image
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import v2

from xai_lib.data.split import Split
from xai_lib.training import numerics, recipes, train
from xai_lib.training.objective import initial_network, objective

CPU = torch.device("cpu")
TARGET = 1.9
MEAN, STD = (0.491, 0.482, 0.447), (0.247, 0.244, 0.262)

TO_NORMALISED = [v2.ToImage(), v2.ToDtype(torch.float32, scale=True), v2.Normalize(MEAN, STD)]
PER_IMAGE = {
    "ce": v2.Compose([v2.RandomCrop(32, padding=4), v2.RandomHorizontalFlip(), *TO_NORMALISED]),
    "light": v2.Compose(
        [
            v2.RandomResizedCrop(32, scale=(0.5, 1.0)),
            v2.RandomHorizontalFlip(),
            v2.RandomApply([v2.ColorJitter(0.2, 0.2, 0.2, 0.05)], 0.5),
            v2.RandomGrayscale(0.1),
            *TO_NORMALISED,
        ]
    ),
}


class Views(Dataset):
    """Each item: the augmented views [V,3,H,W] of one image, and its label."""

    def __init__(self, split, recipe):
        self.images = [Image.fromarray(image) for image in split.images.permute(0, 2, 3, 1).numpy()]
        self.labels = split.labels.tolist()
        self.transform, self.views = PER_IMAGE[recipe.augmentation], recipe.views

    def __len__(self):
        return len(self.images)

    def __getitem__(self, i):
        return torch.stack([self.transform(self.images[i]) for _ in range(self.views)]), self.labels[i]


def noise(n=1024):
    generator = np.random.default_rng(0)
    return Split(
        images=torch.from_numpy(generator.integers(0, 256, (n, 3, 32, 32), dtype=np.uint8)),
        labels=torch.arange(n) % 10,
        classes=tuple("0123456789"),
        index=torch.arange(n),
        mean=MEAN,
        std=STD,
        name="noise",
        part="train",
        source="noise",
    )


def ours(recipe, split):
    with tempfile.TemporaryDirectory() as folder:
        train(recipe, split, seed=0, directory=Path(folder), device=CPU, progress=False)


def plain(recipe, split):
    network = initial_network(recipe, 10, seed=0)
    optimizer = torch.optim.SGD(
        network.parameters(), recipe.learning_rate / 10, recipe.momentum, weight_decay=recipe.weight_decay
    )
    for x, labels in DataLoader(Views(split, recipe), recipe.batch_size, shuffle=True, drop_last=True):
        loss = objective(recipe, network(x.flatten(0, 1)).unflatten(0, (-1, recipe.views)), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        loss.item()


def main():
    split = noise()
    precision = numerics(CPU).precision
    for loss in recipes.LOSSES:
        recipe = replace(recipes.get("small", loss), epochs=1, learning_rate=0.01)
        median_ratio(
            lambda recipe=recipe: ours(recipe, split),
            lambda recipe=recipe: plain(recipe, split),
            name=f"training step on a processor, {loss}, {precision}",
            target=TARGET,
        )


if __name__ == "__main__":
    main()
