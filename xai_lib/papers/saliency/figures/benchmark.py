"""Figures of the saliency benchmark: its maps, and its scores against probability, settings, pixels and cost."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from torch import Tensor

from xai_lib.page.images import hide_empty, overlay, panels, show
from xai_lib.page.methods import colour, legend_of_families, legend_of_methods, styles
from xai_lib.page.names import METHOD_NAMES, METRIC_NAMES, TRANSFORM_NAMES
from xai_lib.page.style import PAGE_WIDTH, plain

_MAPS_ABREAST = 8
_PANELS_ABREAST = 5
_WIDEST = 1.3  # inches, of a picture
_SMALL = 7.5  # points


def maps(images: Tensor, maps: Mapping[str, Tensor], captions: Sequence[str]) -> Figure:
    """Heat maps over their images: a row an image, a column a method; many methods in blocks below each other.

    Of images, float [N,3,H,W] in [0,1], for each method maps, float [N,H,W] in [0,1], and texts at the left of rows.
    """
    blocks = _blocks(list(maps), _MAPS_ABREAST)
    figure, axes = _pictures(len(images) * len(blocks), [1] * (1 + len(blocks[0])), words=0.35 * len(blocks))
    for number, methods in enumerate(blocks):
        rows = axes[number * len(images) : (number + 1) * len(images)]
        rows[0, 0].set_title("image", fontsize=_SMALL)
        for axis, method in zip(rows[0, 1:], methods):
            axis.set_title(METHOD_NAMES[method].replace(" ", "\n", 1), fontsize=_SMALL, color=colour(method))
        for row, image, caption, position in zip(rows, images, captions, range(len(images))):
            show(row[0], image)
            row[0].set_ylabel(plain(caption), fontsize=_SMALL)
            for axis, method in zip(row[1:], methods):
                overlay(axis, image, maps[method][position])
    hide_empty(axes)
    return figure


def extremes(rows: Sequence[Mapping[str, Any]]) -> Figure:
    """Figure 1 of the paper: for each metric the image of the best score at the left, of the worst at the right.

    Above each image stand the method that got the score, and the score; where that method's map is shown, it is framed.
    From :func:`analysis.pictures.extremes`: a best and a worst for each metric, with maps of the same methods.
    """
    metrics, half = list(dict.fromkeys(row["metric"] for row in rows)), [1] * (1 + len(rows[0]["maps"]))
    figure, axes = _pictures(len(metrics), [*half, 0.3, *half], words=0.34 * len(metrics))
    for axis in axes[:, len(half)]:
        axis.axis("off")
    for row in rows:
        first = 0 if row["which"] == "best" else len(half) + 1
        line, said = axes[metrics.index(row["metric"]), first:], METHOD_NAMES[row["method"]]
        show(line[0], row["image"])
        line[0].set_title(f"{row['which']}: {said} {row['score']:.2f}", fontsize=_SMALL, loc="left")
        for axis, (method, heat) in zip(line[1:], row["maps"].items()):
            overlay(axis, row["image"], heat)
            axis.set_xlabel(METHOD_NAMES[method], fontsize=7, labelpad=2.5)
            if method == row["method"]:
                axis.spines[:].set(edgecolor="black", linewidth=2)
    for line, metric in zip(axes, metrics):
        line[0].set_ylabel(METRIC_NAMES[metric], fontsize=_SMALL)
    return figure


def against_probability(frame: pd.DataFrame) -> Figure:
    """Figure 2 of the paper: a metric against the probability of the class, a dot an image, a panel a method.

    From rows with method, metric, probability, value (both in [0,1]), rho (of the panel, a rank correlation).
    """
    metrics, blocks = frame["metric"].unique(), _blocks(list(frame["method"].unique()), _PANELS_ABREAST)
    height, width = len(metrics) * len(blocks), len(blocks[0])
    figure, axes = plt.subplots(height, width, figsize=(PAGE_WIDTH, 0.95 * height + 0.4), sharex=True, squeeze=False)
    for row, line in enumerate(axes):
        methods_here, metric = blocks[row // len(metrics)], metrics[row % len(metrics)]
        for axis, method in zip(line, methods_here):
            group = frame[(frame["metric"] == metric) & (frame["method"] == method)]
            axis.scatter(group["probability"], group["value"], s=3, color=colour(method), alpha=0.5, linewidth=0)
            axis.set(xlim=(-0.03, 1.03), ylim=(-0.03, 1.03), xticks=[0, 0.5, 1], yticks=[0, 0.5, 1])
            axis.tick_params(labelsize=7, pad=1, labelleft=axis is line[0])
            rho = f"ρ = {group['rho'].iloc[0]:.2f}".replace("-", "−")
            box = {"facecolor": "white", "edgecolor": "none", "alpha": 0.75, "pad": 1}
            axis.text(0.04, 0.94, rho, transform=axis.transAxes, ha="left", va="top", fontsize=7, bbox=box)
            if row % len(metrics) == 0:
                axis.set_title(METHOD_NAMES[method], fontsize=8, color=colour(method))
        line[0].set_ylabel(METRIC_NAMES[metric], fontsize=8)
    hide_empty(axes)
    figure.supxlabel("probability of the class", fontsize=8)
    return figure


def transforms(frame: pd.DataFrame) -> Figure:
    """Scores as a transformation of the images grows stronger: a row a metric, a panel a transform, a line a method.

    From rows with method, transform, setting, metric, mean; settings are drawn in the order of the rows.
    """
    metrics, names, methods = frame["metric"].unique(), frame["transform"].unique(), list(frame["method"].unique())
    looks = styles(methods)
    layout = {"figsize": (PAGE_WIDTH, 1.5 * len(metrics) + 1), "sharex": "col", "sharey": "row", "squeeze": False}
    figure, axes = plt.subplots(len(metrics), len(names), **layout)
    for line, metric in zip(axes, metrics):
        for axis, name in zip(line, names):
            panel = frame[(frame["metric"] == metric) & (frame["transform"] == name)]
            settings = list(panel["setting"].unique())
            for method, rows in panel.groupby("method", sort=False):
                places = rows["setting"].map(settings.index)
                axis.plot(places, rows["mean"], linewidth=1, markersize=3.5, **looks[method])
            axis.set_xticks(range(len(settings)), [f"{setting:g}" for setting in settings])
            axis.tick_params(labelsize=7.5, pad=1)
            if metric == metrics[0]:
                axis.set_title(TRANSFORM_NAMES[name], fontsize=8.5)
        line[0].set_ylabel(METRIC_NAMES[metric], fontsize=8)
    legend_of_methods(figure, methods)
    return figure


def curves(frame: pd.DataFrame) -> Figure:
    """Insertion and deletion curves, a line a method, from rows method, kind, fraction (of pixels), probability."""
    kinds, methods = frame["kind"].unique(), list(frame["method"].unique())
    looks = styles(methods)
    figure, axes = plt.subplots(1, len(kinds), figsize=(PAGE_WIDTH, 3.6), sharey=True, squeeze=False)
    for axis, kind in zip(axes[0], kinds):
        for method, rows in frame[frame["kind"] == kind].groupby("method", sort=False):
            look = {**looks[method], "linewidth": 1, "markersize": 4, "markevery": max(1, len(rows) // 8)}
            axis.plot(rows["fraction"], rows["probability"], **look)
        axis.set(xlim=(0, 1), ylim=(0, None))
        axis.set_title(METRIC_NAMES[kind], fontsize=9)
        axis.set_xlabel("fraction of pixels changed", fontsize=8.5)
        axis.tick_params(labelsize=8)
    axes[0, 0].set_ylabel("probability of the class", fontsize=8.5)
    legend_of_methods(figure, methods)
    return figure


def cost(frame: pd.DataFrame) -> Figure:
    """What an image costs: a panel each for seconds, forward passes and megabytes, on logarithmic axes; fastest on top.

    From rows with method, seconds, forwards, megabytes; a zero, which has no logarithm, is written out.
    """
    frame = frame.sort_values("seconds", ascending=False)
    titles = {"seconds": "seconds", "forwards": "forward passes", "megabytes": "megabytes"}
    figure, axes = plt.subplots(1, 3, figsize=(PAGE_WIDTH, 0.19 * len(frame) + 1), sharey=True)
    for axis, (column, title) in zip(axes, titles.items()):
        axis.set_xscale("log")
        for place, (method, value) in enumerate(zip(frame["method"], frame[column])):
            if value > 0:
                axis.plot(value, place, "o", color=colour(method), markersize=4.5)
            else:
                axis.text(0.03, place, "0", transform=axis.get_yaxis_transform(), fontsize=7.5, va="center")
        axis.set_title(title, fontsize=9)
        axis.tick_params(labelsize=8)
    axes[0].set_yticks(range(len(frame)), [METHOD_NAMES[method] for method in frame["method"]])
    legend_of_families(figure, list(frame["method"]))
    return figure


def _pictures(height: int, ratios: Sequence[float], *, words: float) -> tuple[Figure, np.ndarray]:
    """A figure of bare square panels close together, columns as wide as ``ratios``, and ``words`` inches for text."""
    column = min(_WIDEST, PAGE_WIDTH / sum(ratios))
    size = (column * sum(ratios), column * height + words)
    return panels(height, len(ratios), size, pads=(0.02, 0.02), width_ratios=ratios)


def _blocks(names: Sequence[str], most: int) -> list[list[str]]:
    """Names in rows as even as can be of at most so many."""
    width = math.ceil(len(names) / math.ceil(len(names) / most))
    return [list(names[start : start + width]) for start in range(0, len(names), width)]
