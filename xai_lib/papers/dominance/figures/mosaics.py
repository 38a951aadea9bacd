"""Figures of the clusters of a class and of the mosaics built from them."""

import math
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import Tensor

from xai_lib.page.images import bare, overlay, show
from xai_lib.page.style import COLOURS, PAGE_WIDTH, SMALL, TEXT

_FIRST, _SECOND = COLOURS[:2]
_ABREAST = 2  # mosaics, each beside its overlay
_LARGEST = 1.25  # inches, of a representative


@dataclass(frozen=True, eq=False)
class Shown:
    """A mosaic with its explanation.

    ``image`` is float [3,H,W] in [0,1], ``heat`` float [H,W] in [0,1], ``first`` bool [4]: the quadrants (top left, top
    right, bottom left, bottom right) of the first of the two clusters, whose ``names`` stand in the quadrants' corners.
    """

    image: Tensor
    heat: Tensor
    first: Tensor
    title: str
    names: tuple[str, str] = ("A", "B")


def mosaics(shown: Sequence[Shown]) -> Figure:
    """Mosaics and, at the right of each, its explanation over it (Figure 2 of the paper, bottom).

    Every quadrant has a frame in the colour of its cluster and the cluster's name in the corner.

    Args:
        shown: two of them stand in a row.
    """
    width = min(_ABREAST, len(shown))
    height = math.ceil(len(shown) / width)
    side = PAGE_WIDTH / (2 * _ABREAST)
    lines = max(example.title.count("\n") + 1 for example in shown)
    size = (2 * side * width, (side + 0.2 * lines + 0.1) * height)
    figure, axes = plt.subplots(height, 2 * width, figsize=size, squeeze=False, layout="constrained")
    figure.get_layout_engine().set(w_pad=0.03, h_pad=0.04, wspace=0, hspace=0)
    for axis in axes.flat:
        bare(axis)
    pairs = axes.reshape(-1, 2)
    for (left, right), example in zip(pairs, shown):
        show(left, example.image)
        overlay(right, example.image, example.heat)
        for axis in (left, right):
            _frames(axis, example)
        left.set_title(example.title, fontsize=TEXT, loc="left")
    for axis in pairs[len(shown) :].flat:
        axis.axis("off")
    return figure


def representatives(images: Mapping[str, Tensor]) -> Figure:
    """Images that stand for each cluster, a row a cluster.

    Args:
        images: the name of a cluster -> float [n,3,H,W] in [0,1]; clusters may have different numbers of images.
    """
    width = max(len(row) for row in images.values())
    names = [textwrap.fill(name, 10) for name in images]
    words = 0.15 + 0.09 * max(len(line) for name in names for line in name.split("\n"))
    side = min(_LARGEST, (PAGE_WIDTH - words) / width)
    size = (side * width + words, side * len(images))
    figure, axes = plt.subplots(len(images), width, figsize=size, squeeze=False, layout="constrained")
    figure.get_layout_engine().set(w_pad=0.02, h_pad=0.02, wspace=0, hspace=0)
    for line, name, row in zip(axes, names, images.values()):
        for axis, image in zip(line, row):
            bare(axis)
            show(axis, image)
        for axis in line[len(row) :]:
            axis.axis("off")
        line[0].set_ylabel(name, fontsize=TEXT, rotation=0, ha="right", va="center")
    return figure


def choices(frame: pd.DataFrame) -> Figure:
    """How well each number of clusters does: silhouette and gap statistic, a thin line a class, the mean thick.

    Args:
        frame: rows with label, n_clusters, silhouette (in [-1,1], higher is better), gap, gap_error (one standard
            error, drawn as a band).
    """
    figure, axes = plt.subplots(1, 2, figsize=(PAGE_WIDTH, 2.9), sharex=True)
    for axis, column in zip(axes, ("silhouette", "gap")):
        for _, rows in frame.groupby("label", sort=False):
            axis.plot(rows["n_clusters"], rows[column], color="0.6", linewidth=0.8)
            if column == "gap":
                low, high = rows["gap"] - rows["gap_error"], rows["gap"] + rows["gap_error"]
                axis.fill_between(rows["n_clusters"], low, high, color="0.6", alpha=0.3, linewidth=0)
        means = frame.groupby("n_clusters")[column].mean()
        axis.plot(means.index, means, "o-", color=COLOURS[0], linewidth=2.4, markersize=5)
        axis.set_xticks(means.index)
        axis.tick_params(labelsize=SMALL)
    axes[0].set_title("silhouette", fontsize=TEXT)
    axes[1].set_title("gap statistic", fontsize=TEXT)
    figure.supxlabel("number of clusters", fontsize=SMALL)
    return figure


def _frames(axis: Axes, example: Shown) -> None:
    """Frame the quadrants and write the names of their clusters in the outer corners."""
    height, width = example.heat.shape[0] / 2, example.heat.shape[1] / 2
    inset = 0.012 * 2 * width
    for quadrant, is_first in enumerate(example.first.tolist()):
        row, column = divmod(quadrant, 2)
        colour = _FIRST if is_first else _SECOND
        corner = (column * width - 0.5 + inset, row * height - 0.5 + inset)
        size = (width - 2 * inset, height - 2 * inset)
        axis.add_patch(Rectangle(corner, *size, fill=False, edgecolor=colour, linewidth=2.2))
        axis.text(
            0.04 + 0.92 * column,
            0.96 - 0.92 * row,
            example.names[0 if is_first else 1],
            transform=axis.transAxes,
            ha="right" if column else "left",
            va="bottom" if row else "top",
            fontsize=SMALL,
            weight="bold",
            color="white",
            bbox={"facecolor": colour, "edgecolor": "none", "pad": 1.5},
        )
