"""Figures of clusters of labels: what they are made of, how large they are, and how firm."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from xai_lib.page.style import COLOURS, MARKERS, PAGE_WIDTH, SMALL, plain

_LARGE = 12  # labels; larger clusters share a bar
_NUMBERED = 12  # labels at most whose shares are written in the cells
_COMPARISONS = {"seeds": "another seed", "bootstrap": "documents drawn again", "halves": "two halves of the documents"}


def co_occurrence(frame: pd.DataFrame, partition: Sequence[Sequence[int]]) -> Figure:
    """Of :func:`analysis.clusters.co_occurrence`; the clusters of ``partition``, whose sizes are read, are framed."""
    n = len(frame)
    side = min(PAGE_WIDTH - 1.6, max(2.5, 0.46 * n))
    figure, axis = plt.subplots(figsize=(side + 1.6, side + 1.9))
    values = frame.to_numpy(float)
    shown = axis.imshow(values, cmap="Blues", vmin=0)
    if n <= _NUMBERED:
        for y, x in np.argwhere(np.isfinite(values)):
            look = {"fontsize": SMALL, "color": "white" if values[y, x] > 0.6 * shown.get_clim()[1] else "black"}
            axis.text(x, y, f"{values[y, x]:.2f}".removeprefix("0"), ha="center", va="center", **look)
    sizes = [len(cluster) for cluster in partition]
    for end, size in zip(np.cumsum(sizes) - 0.5, sizes):
        corner, look = (end - size, end - size), {"edgecolor": "#D55E00", "linewidth": 2, "clip_on": False}
        axis.add_patch(Rectangle(corner, size, size, fill=False, **look))
    axis.set_xticks(range(n), [plain(name) for name in frame.columns], rotation=90, fontsize=SMALL)
    axis.set_yticks(range(n), [plain(name) for name in frame.index], fontsize=SMALL)
    axis.tick_params(top=False, labeltop=True, labelbottom=False, length=0, pad=3)
    axis.grid(False)
    bar = figure.colorbar(shown, ax=axis, location="bottom", shrink=0.8, aspect=30)
    bar.set_label("share of the documents with either that have both", fontsize=SMALL)
    bar.ax.tick_params(labelsize=SMALL)
    return figure


def island_sizes(partitions: Mapping[str, Sequence[Sequence[int]]]) -> Figure:
    """How many clusters there are of each size, side by side for several partitions; the legend has their number."""
    sizes = {name: [min(len(cluster), _LARGE + 1) for cluster in found] for name, found in partitions.items()}
    present = sorted({size for found in sizes.values() for size in found})
    width = 0.8 / len(sizes)
    figure, axis = plt.subplots(figsize=(PAGE_WIDTH, 3.2))
    for number, (name, found) in enumerate(sizes.items()):
        places = np.arange(len(present)) + (number - (len(sizes) - 1) / 2) * width
        look = {"color": COLOURS[number % len(COLOURS)], "label": f"{name} ({len(found)})"}
        axis.bar(places, [found.count(size) for size in present], width, **look)
    axis.set_xticks(range(len(present)), [f"> {_LARGE}" if size > _LARGE else size for size in present])
    axis.set(xlabel="classes in a cluster", ylabel="clusters")
    axis.tick_params(labelsize=SMALL)
    axis.grid(axis="x", visible=False)
    axis.legend(fontsize=SMALL)
    return figure


def stability(frame: pd.DataFrame) -> Figure:
    """Mean adjusted Rand index, and the range over repeats, of rows of :func:`analysis.clusters.stability`."""
    names = list(frame["clustering"].unique())
    kinds = [kind for kind in _COMPARISONS if kind in set(frame["what"])]
    figure, axis = plt.subplots(figsize=(PAGE_WIDTH, 0.62 * len(names) + 1.3))
    for number, kind in enumerate(kinds):
        rows = frame[frame["what"] == kind]
        places = rows["clustering"].map(names.index) + (number - (len(kinds) - 1) / 2) * 0.22
        around = [(rows["ari"] - rows["low"]).clip(lower=0), (rows["high"] - rows["ari"]).clip(lower=0)]
        look = {"fmt": MARKERS[number], "color": COLOURS[number], "label": _COMPARISONS[kind]}
        axis.errorbar(rows["ari"], places, xerr=around, markersize=5.5, linewidth=1.6, **look)
    axis.set_yticks(range(len(names)), names)
    axis.set(xlim=(min(0, frame["low"].min()), 1.02), ylim=(len(names) - 0.5, -0.5))
    axis.set_xlabel("adjusted Rand index (1: the same clusters)", fontsize=SMALL)
    axis.tick_params(labelsize=SMALL)
    figure.legend(loc="outside upper center", ncols=len(kinds), fontsize=SMALL, frameon=False)
    return figure
