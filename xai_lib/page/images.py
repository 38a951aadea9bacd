"""Pictures in a grid, and maps over pictures."""

import math
from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from xai_lib.page.style import plain

PER_ROW = 5  # pictures side by side, where nothing else says how many


def image_grid(
    images: Tensor, *, rows: Sequence[str] = ("",), columns: Sequence[str] = (), titles: Sequence[str] = ()
) -> Figure:
    """Pictures [N,3,H,W] in [0,1], row by row; names stand left of ``rows``, above ``columns`` or each (``titles``)."""
    n_rows = max(len(rows), math.ceil(len(images) / PER_ROW))
    width = len(columns) or math.ceil(len(images) / n_rows)
    height = math.ceil(len(images) / width)
    figure, axes = plt.subplots(height, width, figsize=(1.25 * width, (1.5 if titles else 1.2) * height), squeeze=False)
    for position, (axis, image) in enumerate(zip(axes.flat, images)):
        bare(axis)
        show(axis, image)
        above = titles or columns
        if position < len(above):
            axis.set_title(plain(above[position]), fontsize=9)
        if len(rows) > 1 and position % width == 0:
            axis.set_ylabel(plain(rows[position // width]), fontsize=8)
    hide_empty(axes)
    return figure


def panels(
    rows: int, columns: int, size: tuple[float, float], *, pads: tuple[float, float], **layout: object
) -> tuple[Figure, np.ndarray]:
    """Bare panels for pictures in a figure of a size, ``pads`` inches apart; ``layout`` is that of ``plt.subplots``."""
    figure, axes = plt.subplots(rows, columns, figsize=size, squeeze=False, layout="constrained", **layout)
    figure.get_layout_engine().set(w_pad=pads[0], h_pad=pads[1], wspace=0, hspace=0)
    for axis in axes.flat:
        bare(axis)
    return figure, axes


def show(axis: Axes, image: Tensor) -> None:
    """Draw an image, float [3,H,W]; values outside [0,1] are cut off."""
    axis.imshow(image.clamp(0, 1).permute(1, 2, 0).to("cpu", torch.float32), interpolation="nearest")


def overlay(axis: Axes, image: Tensor, heat: Tensor) -> None:
    """Draw a map, float [H,W] in [0,1], over the grey version of its image, float [3,H,W] in [0,1]."""
    show(axis, image.mean(dim=0, keepdim=True).expand(3, -1, -1))
    axis.imshow(heat.cpu(), cmap="inferno", alpha=0.6, vmin=0, vmax=1)


def hide_empty(axes: np.ndarray) -> None:
    """Take panels off a figure in which nothing is drawn."""
    for axis in axes.flat:
        if not axis.has_data():
            axis.axis("off")


def bare(axis: Axes) -> None:
    """Take ticks and grid off a panel that shows a picture."""
    axis.set(xticks=[], yticks=[])
    axis.grid(False)
