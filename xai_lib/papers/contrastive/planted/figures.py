"""Figures of the planted images: their masks and variants."""

import math
from collections.abc import Sequence

import matplotlib.pyplot as plt
import pandas as pd
import torch
from matplotlib.figure import Figure

from xai_lib.data import planted
from xai_lib.data.split import Split
from xai_lib.page.images import image_grid, show

MASK_COLOURS = {"object": "white", "part": "#F0E442", "second": "#56B4E9", "shortcut": "#D55E00"}


def one_of_each(split: Split, *, by: str) -> list[int]:
    """Positions of the first image of each class and value of the factor ``by``, class by class."""
    keys = pd.DataFrame({"label": split.labels.numpy(), "by": split.factors[by].to_numpy()})
    return keys.drop_duplicates().sort_values(["label", "by"]).index.tolist()


def with_masks(split: Split, names: Sequence[str]) -> list[int]:
    """Position of the first image that has each of these masks."""
    return [int(split.masks[name].flatten(1).any(dim=1).nonzero()[0, 0]) for name in names]


def masks(split: Split, positions: Sequence[int]) -> Figure:
    """Images with the outlines of their masks."""
    rows = math.ceil(len(positions) / 4)
    figure, axes = plt.subplots(rows, 4, figsize=(8.4, 2.3 * rows), squeeze=False)
    for axis, position in zip(axes.flat, positions):
        show(axis, split.images[position] / 255)
        for name, colour in MASK_COLOURS.items():
            mask = split.masks[name][position]
            for line, width in (("black", 2.6), (colour, 1.5)) if mask.any() else ():
                axis.contour(mask.numpy(), levels=[0.5], colors=line, linewidths=width)
        axis.set_title(split.classes[int(split.labels[position])], fontsize=9)
    for axis in axes.flat:
        axis.axis("off")
    return figure


def variants(positions: Sequence[int], *, size: int) -> Figure:
    """The same scenes of the planted test images in every variant, a row a scene."""
    n = max(positions) + 1
    splits = [planted.generate(n, "test", size=size, variant=name) for name in (None, *planted.VARIANTS)]
    pictures = torch.stack([split.images[position] for position in positions for split in splits]) / 255
    names = [name.replace("-", " ") for name in ("as in training", *planted.VARIANTS)]
    return image_grid(pictures, rows=[planted.CLASSES[position % 10] for position in positions], columns=names)
