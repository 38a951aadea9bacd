"""Figures of whole-output explanations: their maps, what deleting the maps' pixels does, and where the energy is."""

import math
import textwrap
from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from xai_lib.page.images import hide_empty, overlay, panels, show
from xai_lib.page.names import WHOLE_OUTPUT_NAMES
from xai_lib.page.style import COLOURS, PAGE_WIDTH, SMALL, TEXT, plain
from xai_lib.papers.whole_output.method.contrastive_maps import WholeOutput

_ABREAST = 3  # classes of a cluster, or panels of curves


def whole_output(image: Tensor, output: WholeOutput, names: Sequence[str]) -> Figure:
    """Figure 3 of the paper: the image [3,H,W] in [0,1], and for each confusion cluster its map, then the CWOX-2s maps
    of its classes. Every map is drawn from 0 to its own maximum: colours say where, not how much.
    """
    rows = [
        (number, start, classes[start : start + _ABREAST])
        for number, classes in enumerate(_ranked(output))
        for start in range(0, len(classes), _ABREAST)
    ]
    width = 2 + max(len(classes) for *_, classes in rows)
    titles = _titles(output, names, width)
    figure, axes = _pictures(image, width, [[titles[label] for label in classes] for *_, classes in rows])
    for line, (number, start, classes) in zip(axes, rows):
        if start == 0:
            places = [output.classes.index(label) for label in output.clusters[number]]
            together = sum(float(output.probabilities[place]) for place in places)
            _map(line[1], image, output.cluster_maps[number], number, f"cluster {number + 1}\n{together:.3f}")
        for axis, label in zip(line[2:], classes):
            _map(axis, image, output.class_map("cwox-2s", label), number, titles[label])
    hide_empty(axes)
    return figure


def compared_methods(image: Tensor, output: WholeOutput, names: Sequence[str], methods: Sequence[str]) -> Figure:
    """Maps of all top classes, a row a method (Figures 1, 2, 8 and 9 of the paper); frames are confusion clusters."""
    shown = [(number, label) for number, classes in enumerate(_ranked(output)) for label in classes]
    titles = _titles(output, names, 1 + len(shown))
    figure, axes = _pictures(image, 1 + len(shown), [list(titles.values())] + [[]] * (len(methods) - 1))
    for row, (line, method) in enumerate(zip(axes, methods)):
        for axis, (number, label) in zip(line[1:], shown):
            _map(axis, image, output.class_map(method, label), number, "" if row else titles[label])
        line[1].set_ylabel(_broken(WHOLE_OUTPUT_NAMES[method], 1 + len(shown)), fontsize=TEXT)
    hide_empty(axes)
    return figure


def contrastive_curves(frame: pd.DataFrame) -> Figure:
    """Figure 6 of the paper, of :func:`analysis.pictures.curves`: each curve ends at its map's own number of salient
    pixels; shaded is what lies beyond the smallest of them, up to which CAUC compares the methods.
    """
    methods = list(frame["method"].unique())
    own, rivals = (plain(f"P({frame[name].iloc[0]})") for name in ("target_name", "rival_names"))
    lines = {
        "target": {"label": own, "color": "#0072B2", "linewidth": 1.8},
        "rivals": {"label": rivals, "color": "#D55E00", "linewidth": 1.8, "linestyle": "--"},
        "score": {"label": "contrastive score", "color": "black", "linewidth": 2.2, "linestyle": ":"},
    }
    width = min(_ABREAST, len(methods))
    height = math.ceil(len(methods) / width)
    size, shared = (PAGE_WIDTH, 2.3 * height + 0.7), {"sharex": True, "sharey": True, "squeeze": False}
    figure, axes = plt.subplots(height, width, figsize=size, **shared)
    ends = frame.groupby("method")["removed"].max()
    for axis, method in zip(axes.flat, methods):
        rows = frame[frame["method"] == method]
        for column, look in lines.items():
            axis.plot(rows["removed"], rows[column], **look)
            axis.plot(rows["removed"].iloc[-1:], rows[column].iloc[-1:], "o", color=look["color"], markersize=4)
        axis.axvspan(ends.min(), 2, color="0.92", linewidth=0, zorder=0)
        axis.set_title(WHOLE_OUTPUT_NAMES[method], fontsize=TEXT)
        axis.tick_params(labelsize=SMALL, labelbottom=True)
    hide_empty(axes)
    axes[0, 0].set(xlim=(0, 1.04 * ends.max()), ylim=(-0.02, 1.02))
    figure.supxlabel("share of the pixels deleted", fontsize=SMALL)
    handles = axes[0, 0].get_legend_handles_labels()
    figure.legend(*handles, loc="outside upper center", ncols=3, fontsize=SMALL, frameon=False)
    return figure


def _ranked(output: WholeOutput) -> list[list[int]]:
    """Each cluster's classes, the most probable first."""
    return [sorted(cluster, key=output.classes.index) for cluster in output.clusters]


def _titles(output: WholeOutput, names: Sequence[str], width: int) -> dict[int, str]:
    """Name, broken to fit a panel of ``width`` abreast, and probability of each class."""
    shares = zip(output.classes, output.probabilities)
    return {label: f"{_broken(names[label], width)}\n{float(share):.3f}" for label, share in shares}


def _broken(name: str, width: int) -> str:
    """A name in lines that fit a picture of ``width`` abreast."""
    return plain(textwrap.fill(name, int(_side(width) * 72 / (0.6 * TEXT))))


def _side(width: int) -> float:
    """Inches of a picture of so many abreast."""
    return min(PAGE_WIDTH / 4, PAGE_WIDTH / width)


def _pictures(image: Tensor, width: int, text: Sequence[Sequence[str]]) -> tuple[Figure, np.ndarray]:
    """Bare square panels close together, the image in the first, with room for the longest text above each row."""
    height = len(text)
    lines = [max((title.count("\n") + 1 for title in titles), default=0) for titles in text]
    size = (_side(width) * width, _side(width) * height + 0.2 * sum(lines) + 0.08 * height)
    figure, axes = panels(height, width, size, pads=(0.03, 0.03))
    show(axes[0, 0], image)
    axes[0, 0].set_title("image", fontsize=TEXT)
    return figure, axes


def _map(axis: Axes, image: Tensor, heat: Tensor, cluster: int, title: str) -> None:
    """Draw a map that is not negative, in the frame of its cluster; one without a positive value says so."""
    highest = float(heat.max())
    overlay(axis, image, heat / highest if highest > 0 else heat)
    if highest <= 0:
        axis.text(0.5, 0.5, "empty", color="white", ha="center", va="center", fontsize=SMALL, transform=axis.transAxes)
    axis.set_title(title, fontsize=TEXT)
    axis.spines[:].set(visible=True, edgecolor=COLOURS[cluster % len(COLOURS)], linewidth=2.5)
