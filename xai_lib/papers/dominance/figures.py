"""Figures of the dominance part: mosaics, matrices, and what dominance has to do with outputs and training images."""

import math
import textwrap
from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import BoundaryNorm
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patches import Rectangle
from torch import Tensor

from xai_lib.page.images import hide_empty, overlay, panels, show
from xai_lib.page.names import METHOD_NAMES
from xai_lib.page.style import COLOURS, MARKERS, PAGE_WIDTH, SMALL, TEXT, plain
from xai_lib.papers.dominance.analysis.pictures import Shown

_PALETTE = "PuOr_r"  # two-sided, told apart by readers with any colour vision
_LEVEL = 0.05
_STEPS = (0, 0.001, 0.01, _LEVEL, 1)  # of p-values
_MATRICES_ABREAST, _MOSAICS_ABREAST = 5, 2  # matrices without numbers; mosaics, each beside its overlay
_LARGEST = 1.25  # inches, of a representative
_DOTTED = {"color": "0.4", "linestyle": ":", "linewidth": 1.4, "zorder": 1}


def mosaics(shown: Sequence[Shown]) -> Figure:
    """Mosaics beside their explanations (Figure 2, bottom); quadrants have the colour and the name of their cluster."""
    width, side = min(_MOSAICS_ABREAST, len(shown)), PAGE_WIDTH / (2 * _MOSAICS_ABREAST)
    height = math.ceil(len(shown) / width)
    lines = max(example.title.count("\n") + 1 for example in shown)
    size = (2 * side * width, (side + 0.2 * lines + 0.1) * height)
    figure, axes = panels(height, 2 * width, size, pads=(0.03, 0.04))
    for (left, right), example in zip(axes.reshape(-1, 2), shown):
        show(left, example.image)
        overlay(right, example.image, example.heat)
        for axis in (left, right):
            _frames(axis, example)
        left.set_title(plain(example.title), fontsize=TEXT, loc="left")
    hide_empty(axes)
    return figure


def representatives(images: Mapping[str, Tensor]) -> Figure:
    """Images that stand for each cluster, a row a cluster: its name -> float [n,3,H,W] in [0,1], n its own."""
    width = max(len(row) for row in images.values())
    names = [textwrap.fill(name, 10) for name in images]
    words = 0.15 + 0.09 * max(len(line) for name in names for line in name.split("\n"))
    side = min(_LARGEST, (PAGE_WIDTH - words) / width)
    figure, axes = panels(len(images), width, (side * width + words, side * len(images)), pads=(0.02, 0.02))
    for line, name, row in zip(axes, names, images.values()):
        for axis, image in zip(line, row):
            show(axis, image)
        line[0].set_ylabel(plain(name), fontsize=TEXT, rotation=0, ha="right", va="center")
    hide_empty(axes)
    return figure


def dominance_matrices(matrices: Mapping[str, tuple[np.ndarray, np.ndarray]], names: Sequence[str]) -> Figure:
    """Dominance [P,P] of a row's cluster over a column's, beside the p-values [P,P] (Figure 2, top); a row a class.
    Framed and bold where p < 0.05. One scale of colours, centred on 0.5, serves all classes.
    """
    reach = _reach([values for values, _ in matrices.values()])
    figure, axes = plt.subplots(len(matrices), 2, figsize=(PAGE_WIDTH, 3.55 * len(matrices) + 0.75), squeeze=False)
    for (left, right), (title, (values, p_values)) in zip(axes, matrices.items()):
        dominance = left.imshow(values, cmap=_PALETTE, vmin=0.5 - reach, vmax=0.5 + reach)
        significance = right.imshow(p_values, cmap="Blues_r", norm=BoundaryNorm(_STEPS, 256))
        for axis, what in ((left, "dominance"), (right, "p-values, Holm")):
            _cells(axis, names, f"{title}: {what}")
        for y, x in np.ndindex(values.shape):
            if y == x:
                continue
            decided, dark = p_values[y, x] < _LEVEL, abs(values[y, x] - 0.5) > 0.7 * reach
            how = {"bold": decided, "n": len(names)}
            _number(left, x, y, values[y, x], 2, dark=dark, **how)
            _number(right, x, y, p_values[y, x], 3, dark=p_values[y, x] < _STEPS[2], **how)
            if decided:
                left.add_patch(Rectangle((x - 0.5, y - 0.5), 1, 1, fill=False, ec="black", lw=1.6, zorder=3))
    _scale(figure, dominance, axes[:, 0], "dominance of the row's cluster")
    _scale(figure, significance, axes[:, 1], "p-value").set_xticks(_STEPS, [f"{step:g}" for step in _STEPS])
    return figure


def all_matrices(matrices: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> Figure:
    """:func:`dominance_matrices` of many classes, clusters numbered from 1 (Figure 5); a dot where p < 0.05."""
    reach = _reach([values for values, _ in matrices.values()])
    height, side = math.ceil(len(matrices) / _MATRICES_ABREAST), PAGE_WIDTH / _MATRICES_ABREAST
    width = math.ceil(len(matrices) / height)
    titles = [textwrap.fill(title, 14) for title in matrices]
    lines = max(title.count("\n") for title in titles)
    size = (max(side * width, 3.4), (side + 0.25 + 0.2 * lines) * height + 0.75)
    figure, axes = plt.subplots(height, width, figsize=size, squeeze=False)
    for axis, title, (values, p_values) in zip(axes.flat, titles, matrices.values()):
        shown = axis.imshow(values, cmap=_PALETTE, vmin=0.5 - reach, vmax=0.5 + reach)
        decided = np.argwhere(p_values < _LEVEL)
        dark = [abs(values[y, x] - 0.5) > 0.7 * reach for y, x in decided]
        axis.scatter(decided[:, 1], decided[:, 0], s=9, color=["white" if here else "black" for here in dark])
        _cells(axis, range(1, len(values) + 1), title)
    hide_empty(axes)
    _scale(figure, shown, axes, "dominance of the row's cluster; dot: p < 0.05")
    return figure


def against_outputs(frame: pd.DataFrame) -> Figure:
    """Dominance against logit and probability (Figure 3 of the paper): a row a class, a dot an image."""
    columns = {"logit": "logit of the class", "probability": "probability of the class"}
    classes = list(frame.groupby("label", sort=False))
    size, shared = (PAGE_WIDTH, 2.3 * len(classes) + 0.4), {"sharex": "col", "sharey": True, "squeeze": False}
    figure, axes = plt.subplots(len(classes), 2, figsize=size, **shared)
    for line, (label, rows) in zip(axes, classes):
        for axis, column in zip(line, columns):
            axis.axhline(0.5, **_DOTTED)
            axis.scatter(rows[column], rows["dominance"], s=14, color=COLOURS[0], alpha=0.6, linewidth=0)
            axis.tick_params(labelsize=SMALL)
        line[0].set_ylabel(plain(f"{label}: dominance"), fontsize=TEXT)
    for axis, title in zip(axes[-1], columns.values()):
        axis.set_xlabel(title, fontsize=TEXT)
    return figure


def choices(frame: pd.DataFrame) -> Figure:
    """How well each number of clusters does, the gap with its error as a band; a thin line a class, the mean thick."""
    titles = {"silhouette": "silhouette", "gap": "gap statistic"}
    figure, axes = _of_classes(frame, "n_clusters", titles, "number of clusters", 2.9)
    for _, rows in frame.groupby("label", sort=False):
        ends = rows["gap"] - rows["gap_error"], rows["gap"] + rows["gap_error"]
        axes[1].fill_between(rows["n_clusters"], *ends, color="0.6", alpha=0.3, linewidth=0)
    return figure


def training_share(frame: pd.DataFrame) -> Figure:
    """Training images of clusters by rank of dominance (Figure 4 of the paper): a thin line a class, the mean thick."""
    titles = {"training_share": "share of the training images", "representation": "share in training / in evaluation"}
    figure, axes = _of_classes(frame.sort_values("rank"), "rank", titles, "rank of the cluster (1: most dominant)", 3.0)
    for axis in axes:
        axis.set_ylim(0, None)
    axes[1].axhline(1, **_DOTTED)
    return figure


def focus(frame: pd.DataFrame) -> Figure:
    """Focus of explainers, a mark a network; dotted, the 0.5 of a map that knows nothing."""
    networks, names = list(frame["network"].unique()), list(frame["explainer"].unique())
    figure, axis = plt.subplots(figsize=(PAGE_WIDTH, (0.26 + 0.13 * len(networks)) * len(names) + 1.3))
    axis.axvline(0.5, **_DOTTED)
    for number, (network, rows) in enumerate(frame.groupby("network", sort=False)):
        places = rows["explainer"].map(names.index) + (number - (len(networks) - 1) / 2) * 0.7 / len(networks)
        bars = [rows["mean"] - rows["low"], rows["high"] - rows["mean"]]
        axis.errorbar(rows["mean"], places, xerr=bars, **_marked(number, network))
    axis.set_yticks(range(len(names)), [METHOD_NAMES[name] for name in names])
    axis.set(xlim=(0, 1.02), ylim=(len(names) - 0.5, -0.5))
    axis.set_xlabel("Focus, with 95 % interval (0.5: as a map that knows nothing)", fontsize=SMALL)
    axis.tick_params(labelsize=SMALL)
    figure.legend(loc="outside upper center", ncols=min(3, len(networks)), fontsize=SMALL, frameon=False)
    return figure


def power(frame: pd.DataFrame) -> Figure:
    """The area under the ROC curve of each score for images of the rare mode, by how rare it is in training: a line a
    score, with 95 % intervals over trainings; "random", if there, is the dotted line of chance.
    """
    rarities = sorted(frame["rarity"].unique())
    scores = [score for score in frame["score"].unique() if score != "random"]
    figure, axis = plt.subplots(figsize=(PAGE_WIDTH, 3.9))
    for number, score in enumerate(scores):
        rows = frame[frame["score"] == score].sort_values("rarity")
        places = rows["rarity"].map(rarities.index) + (number - (len(scores) - 1) / 2) * 0.08
        bars = [rows["auc"] - rows["low"], rows["high"] - rows["auc"]]
        axis.errorbar(places, rows["auc"], yerr=bars, elinewidth=1.1, **_marked(number, score, "-"))
    if len(chance := frame[frame["score"] == "random"].sort_values("rarity")):
        look = {"fmt": ":", "color": "0.3", "linewidth": 1.6, "label": "chance", "zorder": 1.9}  # behind the scores
        axis.errorbar(chance["rarity"].map(rarities.index), chance["auc"], **look)  # a legend names plain lines first
    axis.set_xticks(range(len(rarities)), [f"{100 * rarity:g} %" for rarity in rarities])
    axis.set_ylim(-0.02, 1.02)
    axis.set_xlabel("share of the class's training images that are of the rare mode", fontsize=SMALL)
    axis.set_ylabel(f"area under the ROC curve\n({frame['trainings'].min()} trainings)", fontsize=SMALL)
    axis.tick_params(labelsize=SMALL)
    figure.legend(loc="outside upper center", ncols=3, fontsize=SMALL, frameon=False)
    return figure


def _of_classes(
    frame: pd.DataFrame, x: str, titles: Mapping[str, str], label: str, height: float
) -> tuple[Figure, np.ndarray]:
    """Two panels, a column of the frame each, over the column ``x``: a thin line a class, and their mean."""
    figure, axes = plt.subplots(1, 2, figsize=(PAGE_WIDTH, height), sharex=True)
    for axis, (column, title) in zip(axes, titles.items()):
        for _, rows in frame.groupby("label", sort=False):
            axis.plot(rows[x], rows[column], color="0.6", linewidth=0.8)
        means = frame.groupby(x)[column].mean()
        axis.plot(means.index, means, "o-", color=COLOURS[0], linewidth=2.4, markersize=5)
        axis.set_xticks(means.index)
        axis.set_title(title, fontsize=TEXT)
        axis.tick_params(labelsize=SMALL)
    figure.supxlabel(label, fontsize=SMALL)
    return figure, axes


def _marked(number: int, label: str, line: str = "") -> dict[str, object]:
    """How error bars of one of several look."""
    marker, colour = MARKERS[number % len(MARKERS)], COLOURS[number % len(COLOURS)]
    return {"fmt": marker + line, "color": colour, "markersize": 5.5, "linewidth": 1.6, "label": label}


def _reach(matrices: Sequence[np.ndarray]) -> float:
    """How far from 0.5 the scale of colours goes on either side: to the next tenth."""
    furthest = max(np.nanmax(np.abs(values - 0.5)) for values in matrices)
    return min(0.5, max(0.1, math.ceil(10 * furthest - 1e-9) / 10))


def _number(axis: Axes, x: int, y: int, value: float, digits: int, *, dark: bool, bold: bool, n: int) -> None:
    """Write a share or a p-value, without the 0 before its point, in a cell of an ``n`` by ``n`` matrix."""
    text = f"{value:.{digits}f}".removeprefix("0") if np.isfinite(value) else "–"
    text = "<.001" if digits == 3 and value < 0.001 else text.replace("1.000", "1")
    look = {"color": "white" if dark else "black", "weight": "bold" if bold else "normal"}
    axis.text(x, y, text, ha="center", va="center", fontsize=min(TEXT, 56 / n), **look)


def _cells(axis: Axes, names: Sequence[str | int], title: str) -> None:
    axis.set_facecolor("0.93")
    axis.set_xticks(range(len(names)), names, fontsize=SMALL)
    axis.set_yticks(range(len(names)), names, fontsize=SMALL)
    axis.tick_params(length=0, pad=2)
    axis.grid(False)
    axis.set_title(plain(title), fontsize=TEXT)


def _scale(figure: Figure, shown: AxesImage, axes: np.ndarray, label: str) -> Axes:
    bar = figure.colorbar(shown, ax=axes, location="bottom", shrink=0.8, aspect=30)
    bar.set_label(label, fontsize=SMALL)
    bar.ax.tick_params(labelsize=SMALL)
    return bar.ax


def _frames(axis: Axes, example: Shown) -> None:
    """Frame the quadrants and write the names of their clusters in the outer corners."""
    height, width = example.heat.shape[0] / 2, example.heat.shape[1] / 2
    inset = 0.012 * 2 * width
    for quadrant, is_first in enumerate(example.first.tolist()):
        row, column = divmod(quadrant, 2)
        name, colour = (name_and_colour[not is_first] for name_and_colour in (example.names, COLOURS))
        corner = (column * width - 0.5 + inset, row * height - 0.5 + inset)
        axis.add_patch(Rectangle(corner, width - 2 * inset, height - 2 * inset, fill=False, ec=colour, lw=2.2))
        at = {"ha": "right" if column else "left", "va": "bottom" if row else "top", "transform": axis.transAxes}
        look = {"weight": "bold", "color": "white", "bbox": {"facecolor": colour, "edgecolor": "none", "pad": 1.5}}
        axis.text(0.04 + 0.92 * column, 0.96 - 0.92 * row, name, fontsize=SMALL, **at, **look)
