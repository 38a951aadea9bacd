"""Figures of the contrastive paper."""

import math
from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch, Rectangle
from torch import Tensor

from xai_lib.page.images import bare, overlay, show
from xai_lib.page.names import LOSS_NAMES, METHOD_NAMES
from xai_lib.page.style import LOSS_COLOURS, plain
from xai_lib.papers.contrastive.tables import METRIC_NAMES


def overlays(images: Tensor, maps: Mapping[tuple[str, str], Tensor], captions: Sequence[str]) -> Figure:
    """Heat maps [N,H,W] on images [N,3,H,W], all in [0,1]: a row an image with its text, a column a (loss, method)."""
    height, width = len(images), len(maps) + 1
    figure, axes = plt.subplots(height, width, figsize=(1.25 * width, 1.3 * height), squeeze=False)
    for place, (line, image, caption) in enumerate(zip(axes, images, captions)):
        show(line[0], image)
        line[0].set_ylabel(plain(caption), fontsize=8)
        for axis, heat in zip(line[1:], maps.values()):
            overlay(axis, image, heat[place])
    titles = ["image", *(f"{LOSS_NAMES[loss]}\n{METHOD_NAMES[method]}" for loss, method in maps)]
    for axis, title in zip(axes[0], titles):
        axis.set_title(title, fontsize=9)
    for axis in axes.flat:
        bare(axis)
    return figure


def loss_curves(x: Tensor, curves: Mapping[str, Sequence[float]], *, xlabel: str) -> Figure:
    """One panel a loss: its value against ``x`` [N], which is ``xlabel``; ``curves`` has N values of each loss."""
    figure, axes = plt.subplots(1, len(curves), figsize=(3.8 * len(curves), 2.8), squeeze=False)
    for axis, (loss, values) in zip(axes[0], curves.items()):
        axis.plot(x, values, color=LOSS_COLOURS[loss])
        axis.set(title=LOSS_NAMES[loss], xlabel=xlabel, ylabel="loss" if axis is axes[0, 0] else "")
    return figure


def training_curves(history: pd.DataFrame) -> Figure:
    """What each training learns against epochs, a panel a loss, a line a seed; of rows of `analysis.histories`.

    Above the training loss, but for the triplet loss the share of semi-hard triplets: its loss is a mean over these
    alone and lies near half the margin throughout. Below the accuracy on training batches (see `training.train`).
    """
    losses = [name for name in LOSS_NAMES if name in set(history["loss_name"])]
    figure, axes = plt.subplots(2, len(losses), figsize=(3.3 * len(losses), 4.8), squeeze=False, sharex="col")
    for (above, below), name in zip(axes.T, losses):
        look = {"color": LOSS_COLOURS[name], "alpha": 0.7, "marker": "o", "markersize": 3}
        for _, seed in history[history["loss_name"] == name].groupby("seed"):
            above.plot(seed["epoch"], seed["semi_hard" if name == "tl" else "loss"], **look)
            below.plot(seed["epoch"], seed["accuracy"], **look)
        above.set(title=LOSS_NAMES[name], ylabel="semi-hard triplets (share)" if name == "tl" else "training loss")
        below.set(xlabel="epoch", ylabel="accuracy" if name == "ce" else "accuracy of the nearest neighbour")
    return figure


def flipping_curves(curves: pd.DataFrame) -> Figure:
    """Pixel-flipping curves, mean and standard deviation over seeds, of rows of `experiment.curves`."""
    methods = [name for name in METHOD_NAMES if name in set(curves["method"])]
    figure, axes = plt.subplots(1, len(methods), figsize=(4.6 * len(methods), 3.4), sharey=True, squeeze=False)
    for axis, method in zip(axes[0], methods):
        for loss, rows in curves[curves["method"] == method].groupby("loss"):
            over_seeds = rows.groupby("fraction")["probability"].agg(["mean", "std"]).fillna(0.0)
            mean, spread, colour = over_seeds["mean"], over_seeds["std"], LOSS_COLOURS[loss]
            axis.plot(mean.index, mean, color=colour, label=LOSS_NAMES[loss])
            axis.fill_between(mean.index, mean - spread, mean + spread, color=colour, alpha=0.2, linewidth=0)
        axis.set(title=METHOD_NAMES[method], xlabel="fraction of pixels removed", xlim=(0, 1), ylim=(0, None))
    axes[0, 0].set_ylabel("probability of the true class")
    axes[0, -1].legend(title="loss")
    return figure


def distributions(scores: pd.DataFrame, metrics: Mapping[str, str]) -> Figure:
    """How each metric is spread over images, beside its mean; of rows with loss, method, seed, index, metric, value.

    ``metrics`` has the registered name of each metric and the title of its panel, in the order of the panels.
    """
    rows = math.ceil(len(metrics) / 2)
    figure, axes = plt.subplots(rows, 2, figsize=(9.2, 2.7 * rows), squeeze=False)
    for axis in axes.flat[len(metrics) :]:
        axis.axis("off")
    mean = {"marker": "D", "markerfacecolor": "white", "markeredgecolor": "black", "markersize": 4}
    look = {"width": 0.7, "fliersize": 0.8, "linewidth": 0.8, "showmeans": True, "meanprops": mean}
    look["palette"] = {LOSS_NAMES[loss]: colour for loss, colour in LOSS_COLOURS.items()}
    scores = scores.assign(loss=scores["loss"].map(LOSS_NAMES), method=scores["method"].map(METHOD_NAMES))
    for axis, (metric, title) in zip(axes.flat, metrics.items()):
        shown = scores[(scores["metric"] == metric) & scores["value"].notna()]
        look["hue_order"] = [name for name in LOSS_NAMES.values() if name in set(shown["loss"])]
        look["order"] = [name for name in METHOD_NAMES.values() if name in set(shown["method"])]
        sns.boxplot(shown, x="method", y="value", hue="loss", **look, legend=axis is axes.flat[0], ax=axis)
        axis.set(title=title, xlabel="", ylabel="")
    return figure


def fine_print(rows: pd.DataFrame) -> Figure:
    """Differences under each variant, of rows of `fine_print.compared`; cells without a row stay empty.

    A colour is a difference in units of five times the smallest that matters, cut at 1; its sign if none is.
    """
    strength = (rows["after"] / (5 * rows["relevant"]).where(rows["relevant"] > 0, rows["after"].abs())).clip(-1, 1)
    cells = rows.assign(
        strength=strength, pair=rows["claimed"].replace(METRIC_NAMES) + ", " + rows["loss"].map(LOSS_NAMES)
    )
    order = {"index": list(dict.fromkeys(cells["variant"])), "columns": list(dict.fromkeys(cells["pair"]))}
    wide, turned = (
        cells.pivot_table(index="variant", columns="pair", values=value, aggfunc="first").reindex(**order)
        for value in ("strength", "turned")
    )
    figure, axis = plt.subplots(figsize=(2.4 + 0.5 * wide.shape[1], 2.2 + 0.3 * len(wide)))
    sns.heatmap(wide.astype(float), cmap="RdBu", vmin=-1, vmax=1, linewidths=0.5, linecolor="#ddd", cbar=False, ax=axis)
    for row, column in np.argwhere(turned.fillna(False).astype(bool).to_numpy()):
        axis.add_patch(Rectangle((column, row), 1, 1, fill=False, edgecolor="black", linewidth=2))
    axis.set(xlabel="", ylabel="")
    return figure


def embedding(points: pd.DataFrame, classes: Sequence[str]) -> Figure:
    """Two-dimensional pictures of the feature space, one a loss, coloured by class; of rows of `analysis.embedding`."""
    losses = [name for name in LOSS_NAMES if name in set(points["loss"])]
    figure, axes = plt.subplots(1, len(losses), figsize=(3.3 * len(losses), 3.9), squeeze=False)
    palette = sns.color_palette("tab10" if len(classes) <= 10 else "husl", len(classes))
    for axis, name in zip(axes[0], losses):
        for label, rows in points[points["loss"] == name].groupby("label"):
            look = {"color": palette[label], "label": plain(classes[label]), "linewidth": 0}
            axis.scatter(rows["x"], rows["y"], s=6, **look)
        axis.set(title=LOSS_NAMES[name], xticks=[], yticks=[])
    if len(classes) <= 20:
        handles, labels = axes[0, 0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=5, markerscale=2, fontsize=8, frameon=False)
    return figure


def confusion(counts: Tensor, classes: Sequence[str]) -> Figure:
    """Confusion matrix as shares of each true class, from ``counts`` int64 [C,C], rows true, columns predicted."""
    shares = counts / counts.sum(dim=1, keepdim=True).clamp(min=1)
    figure, axis = plt.subplots(figsize=(5.2, 4.4))
    frame = pd.DataFrame(shares.numpy(), *[[plain(name) for name in classes]] * 2)
    look = {"annot_kws": {"size": 7}, "cmap": "Blues", "vmin": 0, "vmax": 1, "xticklabels": True, "yticklabels": True}
    sns.heatmap(frame, annot=len(classes) <= 12, fmt=".2f", **look, cbar=False, ax=axis)
    axis.set(xlabel="predicted", ylabel="true")
    return figure


def classifier_diagram(*, features: int, embedding_size: int, n_classes: int) -> Figure:
    """The two networks of Figure 1, by cross-entropy and by a contrastive loss, with the sizes of their vectors."""
    figure, axes = plt.subplots(2, 1, figsize=(8.4, 3.9), height_ratios=(1.3, 2.05))
    backbone = ["image", "backbone", f"pooling\n$\\mathbb{{R}}^{{{features}}}$"]
    projection = f"projection head\n$\\mathbb{{R}}^{{{embedding_size}}}$, length 1"
    linear = f"linear head\n{n_classes} logits"
    _chain(axes[0], [*backbone, linear, "softmax"], {3: r"trained by $\mathcal{L}_{CE}$"})
    notes = {3: r"trained by $\mathcal{L}_{SCL}$ or $\mathcal{L}_{TL}$, then dropped", 4: "fitted on frozen features"}
    _chain(axes[1], [*backbone, projection, linear], notes, bypass=(2, 4))
    for axis, title in zip(axes, ("(a) cross-entropy", "(b) contrastive")):
        axis.set_title(title, loc="left", fontsize=10)
    return figure


def _chain(axis: Axes, boxes: Sequence[str], notes: Mapping[int, str], bypass: tuple[int, int] | None = None) -> None:
    centres, look = np.arange(len(boxes)) * 2.1, {"boxstyle": "round,pad=0.05", "fc": "#eef3f8", "ec": "#446"}
    for position, (centre, text) in enumerate(zip(centres, boxes)):
        axis.add_patch(FancyBboxPatch((centre - 0.75, -0.3), 1.5, 0.6, **look))
        axis.text(centre, 0, text, ha="center", va="center", fontsize=8)
        if position and not (bypass and position == bypass[1]):
            _arrow(axis, (centres[position - 1] + 0.8, 0), (centre - 0.8, 0))
    if bypass:
        _arrow(axis, (centres[bypass[0]], 0.37), (centres[bypass[1]], 0.37), bend=-0.35)
    for position, text in notes.items():
        axis.text(centres[position], -0.62, text, ha="center", va="center", fontsize=7.5, style="italic")
    axis.set(xlim=(-1, centres[-1] + 1), ylim=(-0.8, 1.25 if bypass else 0.5))
    axis.axis("off")


def _arrow(axis: Axes, start: tuple[float, float], end: tuple[float, float], bend: float = 0.0) -> None:
    look = {"arrowstyle": "-|>", "mutation_scale": 10, "color": "#446", "connectionstyle": f"arc3,rad={bend}"}
    axis.add_patch(FancyArrowPatch(start, end, **look))
