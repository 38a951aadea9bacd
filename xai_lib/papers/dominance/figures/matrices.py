"""Figures of dominance between the clusters of a class: matrices, what it has to do with outputs, and Focus."""

import math
import textwrap
from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colorbar import Colorbar
from matplotlib.colors import BoundaryNorm
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patches import Rectangle

from xai_lib.page.names import METHOD_NAMES
from xai_lib.page.style import COLOURS, MARKERS, PAGE_WIDTH, SMALL, TEXT

_PALETTE = "PuOr_r"  # two-sided, told apart by readers with any colour vision
_LEVEL = 0.05
_STEPS = (0, 0.001, 0.01, _LEVEL, 1)  # of p-values
_ABREAST = 5  # matrices without numbers


def dominance_matrices(matrices: Mapping[str, tuple[np.ndarray, np.ndarray]], names: Sequence[str]) -> Figure:
    """Dominance of a row's cluster over a column's, beside the p-values (Figure 2 of the paper, top); a row a class.

    Framed and bold where p is below 0.05. One scale of colours, centred on 0.5, serves all classes.

    Args:
        matrices: title -> dominance float [P,P] in [0,1] and p-values float [P,P], NaN where there is none.
        names: of the P clusters, the same in all classes.
    """
    reach = _reach([values for values, _ in matrices.values()])
    size = (PAGE_WIDTH, 3.55 * len(matrices) + 0.75)
    figure, axes = plt.subplots(len(matrices), 2, figsize=size, squeeze=False)
    steps = BoundaryNorm(_STEPS, 256)
    for (left, right), (title, (values, p_values)) in zip(axes, matrices.items()):
        dominance = left.imshow(values, cmap=_PALETTE, vmin=0.5 - reach, vmax=0.5 + reach)
        significance = right.imshow(p_values, cmap="Blues_r", norm=steps)
        for axis in (left, right):
            _cells(axis, names)
            axis.set_facecolor("0.93")
        for y, x in np.ndindex(values.shape):
            if y == x:
                continue
            decided = p_values[y, x] < _LEVEL
            dark = abs(values[y, x] - 0.5) > 0.7 * reach
            _number(left, x, y, _share(values[y, x]), dark=dark, bold=decided, n=len(names))
            _number(right, x, y, _p_value(p_values[y, x]), dark=p_values[y, x] < _STEPS[2], bold=decided, n=len(names))
            if decided:
                left.add_patch(
                    Rectangle((x - 0.5, y - 0.5), 1, 1, fill=False, edgecolor="black", linewidth=1.6, zorder=3)
                )
        left.set_title(f"{title}: dominance", fontsize=TEXT)
        right.set_title(f"{title}: p-values, Holm", fontsize=TEXT)
    _scale(figure, dominance, axes[:, 0], "dominance of the row's cluster")
    bar = _scale(figure, significance, axes[:, 1], "p-value")
    bar.ax.set_xticks(_STEPS, [f"{step:g}" for step in _STEPS])
    return figure


def all_matrices(matrices: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> Figure:
    """Dominance of a row's cluster over a column's for many classes (Figure 5 of the paper); a dot where p < 0.05.

    Clusters are numbered from 1 in the order given; one scale of colours, centred on 0.5, serves all classes.

    Args:
        matrices: class -> dominance float [P,P] in [0,1] and p-values float [P,P], NaN where there is none.
    """
    reach = _reach([values for values, _ in matrices.values()])
    height = math.ceil(len(matrices) / _ABREAST)
    width = math.ceil(len(matrices) / height)
    side = PAGE_WIDTH / _ABREAST
    size = (max(side * width, 3.4), (side + 0.25) * height + 0.75)
    figure, axes = plt.subplots(height, width, figsize=size, squeeze=False)
    for axis, (title, (values, p_values)) in zip(axes.flat, matrices.items()):
        shown = axis.imshow(values, cmap=_PALETTE, vmin=0.5 - reach, vmax=0.5 + reach)
        axis.set_facecolor("0.93")
        decided = np.argwhere(p_values < _LEVEL)
        dark = [abs(values[y, x] - 0.5) > 0.7 * reach for y, x in decided]
        axis.scatter(decided[:, 1], decided[:, 0], s=9, color=["white" if here else "black" for here in dark])
        _cells(axis, range(1, len(values) + 1))
        axis.set_title(textwrap.fill(title, 14), fontsize=TEXT)
    for axis in axes.flat[len(matrices) :]:
        axis.axis("off")
    _scale(figure, shown, axes, "dominance of the row's cluster; dot: p < 0.05")
    return figure


def against_outputs(frame: pd.DataFrame) -> Figure:
    """Dominance against logit and probability (Figure 3 of the paper): a row a class, a dot an image.

    Args:
        frame: rows with label (the class's name), dominance (relative, in [0,1]), logit, probability.
    """
    columns = {"logit": "logit of the class", "probability": "probability of the class"}
    labels = list(frame["label"].unique())
    size = (PAGE_WIDTH, 2.3 * len(labels) + 0.4)
    figure, axes = plt.subplots(len(labels), 2, figsize=size, sharex="col", sharey=True, squeeze=False)
    for line, label in zip(axes, labels):
        rows = frame[frame["label"] == label]
        for axis, column in zip(line, columns):
            axis.axhline(0.5, color="0.4", linestyle=":", linewidth=1.4, zorder=1)
            axis.scatter(rows[column], rows["dominance"], s=14, color=COLOURS[0], alpha=0.6, linewidth=0)
            axis.tick_params(labelsize=SMALL)
        line[0].set_ylabel(f"{label}: dominance", fontsize=TEXT)
    for axis, title in zip(axes[-1], columns.values()):
        axis.set_xlabel(title, fontsize=TEXT)
    return figure


def focus(frame: pd.DataFrame) -> Figure:
    """Focus of explainers, a mark a network; dotted, the 0.5 of a map that knows nothing.

    Args:
        frame: rows with network (a name that readers know), explainer (a registered one), mean, low, high.
    """
    networks, names = list(frame["network"].unique()), list(frame["explainer"].unique())
    step = 0.7 / len(networks)
    size = (PAGE_WIDTH, (0.26 + 0.13 * len(networks)) * len(names) + 1.3)
    figure, axis = plt.subplots(figsize=size)
    axis.axvline(0.5, color="0.4", linestyle=":", linewidth=1.4, zorder=1)
    for number, network in enumerate(networks):
        rows = frame[frame["network"] == network]
        axis.errorbar(
            rows["mean"],
            rows["explainer"].map(names.index) + (number - (len(networks) - 1) / 2) * step,
            xerr=[rows["mean"] - rows["low"], rows["high"] - rows["mean"]],
            fmt=MARKERS[number % len(MARKERS)],
            color=COLOURS[number % len(COLOURS)],
            markersize=5.5,
            linewidth=1.6,
            label=network,
        )
    axis.set_yticks(range(len(names)), [METHOD_NAMES[name] for name in names])
    axis.set(xlim=(0, 1.02), ylim=(len(names) - 0.5, -0.5))
    axis.set_xlabel("Focus, with 95 % interval (0.5: as a map that knows nothing)", fontsize=SMALL)
    axis.tick_params(labelsize=SMALL)
    figure.legend(loc="outside upper center", ncols=min(3, len(networks)), fontsize=SMALL, frameon=False)
    return figure


def _reach(matrices: Sequence[np.ndarray]) -> float:
    """How far from 0.5 the scale of colours goes on either side: to the next tenth."""
    furthest = max(np.nanmax(np.abs(values - 0.5)) for values in matrices)
    return min(0.5, max(0.1, math.ceil(10 * furthest - 1e-9) / 10))


def _number(axis: Axes, x: int, y: int, text: str, *, dark: bool, bold: bool, n: int) -> None:
    """Write in a cell of an ``n`` by ``n`` matrix; white on ``dark`` cells."""
    look = {"color": "white" if dark else "black", "weight": "bold" if bold else "normal"}
    axis.text(x, y, text, ha="center", va="center", fontsize=min(TEXT, 56 / n), **look)


def _share(value: float) -> str:
    return f"{value:.2f}".removeprefix("0") if np.isfinite(value) else "–"


def _p_value(value: float) -> str:
    if not np.isfinite(value):
        return "–"
    return "<.001" if value < 0.001 else f"{value:.3f}".removeprefix("0") if value < 0.9995 else "1"


def _cells(axis: Axes, names: Sequence[str | int]) -> None:
    axis.set_xticks(range(len(names)), names, fontsize=SMALL)
    axis.set_yticks(range(len(names)), names, fontsize=SMALL)
    axis.tick_params(length=0, pad=2)
    axis.grid(False)


def _scale(figure: Figure, shown: AxesImage, axes: np.ndarray, label: str) -> Colorbar:
    bar = figure.colorbar(shown, ax=axes, location="bottom", shrink=0.8, aspect=30)
    bar.set_label(label, fontsize=SMALL)
    bar.ax.tick_params(labelsize=SMALL)
    return bar
