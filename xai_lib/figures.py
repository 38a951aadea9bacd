"""Figures that notebooks show. Each function draws one figure and returns it; none computes a result."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
from torch import Tensor

from xai_lib.datasets import planted
from xai_lib.datasets.split import Split

LOSS_NAMES = {"ce": "CE", "scl": "SCL", "tl": "TL"}
METHOD_NAMES = {"grad-cam": "Grad-CAM", "eigen-cam": "Eigen-CAM"}
MASK_COLOURS = {"object": "white", "part": "#F0E442", "second": "#56B4E9", "shortcut": "#D55E00"}
# Three colours of Okabe and Ito's palette, told apart by readers with any colour vision.
LOSS_COLOURS = {"ce": "#0072B2", "scl": "#D55E00", "tl": "#009E73"}


def use_style() -> None:
    """Set the look that all figures of the book share."""
    sns.set_theme(context="notebook", style="whitegrid", font_scale=0.9)
    plt.rcParams.update({"figure.dpi": 120, "savefig.bbox": "tight", "figure.constrained_layout.use": True})


def image_grid(
    images: Tensor, *, rows: Sequence[str] = ("",), columns: Sequence[str] = (), titles: Sequence[str] = ()
) -> Figure:
    """Small pictures in rows.

    Args:
        images: float [N,3,H,W] in [0,1], row by row.
        rows: a name at the left of each row.
        columns: a name above each column; without, ``titles`` stand above the pictures.
        titles: one text above each picture.
    """
    width = len(columns) or -(-len(images) // max(len(rows), -(-len(images) // 5)))
    height = -(-len(images) // width)
    figure, axes = plt.subplots(height, width, figsize=(1.25 * width, (1.5 if titles else 1.2) * height), squeeze=False)
    for position, axis in enumerate(axes.flat):
        axis.set(xticks=[], yticks=[])
        axis.grid(False)
        if position >= len(images):
            axis.axis("off")
            continue
        _show(axis, images[position])
        if titles:
            axis.set_title(titles[position], fontsize=9)
        elif columns and position < width:
            axis.set_title(columns[position], fontsize=9)
        if len(rows) > 1 and position % width == 0:
            axis.set_ylabel(rows[position // width], fontsize=8)
    return figure


def one_of_each(split: Split, *, by: str) -> list[int]:
    """Positions of the first image of each class and value of the factor ``by``, class by class."""
    keys = pd.DataFrame({"label": split.labels.numpy(), "by": split.factors[by].to_numpy()})
    return keys.drop_duplicates().sort_values(["label", "by"]).index.tolist()


def with_masks(split: Split, names: Sequence[str]) -> list[int]:
    """Position of the first image that has each of these masks."""
    return [int(split.masks[name].flatten(1).any(dim=1).nonzero()[0, 0]) for name in names]


def masks(split: Split, positions: Sequence[int]) -> Figure:
    """Images with the outlines of their masks."""
    columns = 4
    rows = -(-len(positions) // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(2.1 * columns, 2.3 * rows), squeeze=False)
    for axis, position in zip(axes.flat, positions):
        _show(axis, split.images[position] / 255)
        for name, colour in MASK_COLOURS.items():
            mask = split.masks[name][position]
            if mask.any():
                axis.contour(mask.numpy(), levels=[0.5], colors="black", linewidths=2.6)
                axis.contour(mask.numpy(), levels=[0.5], colors=colour, linewidths=1.5)
        axis.set_title(split.classes[int(split.labels[position])], fontsize=9)
    for axis in axes.flat:
        axis.axis("off")
    return figure


def variants(positions: Sequence[int], *, size: int) -> Figure:
    """The same scenes of the planted test images in every variant, a row a scene."""
    n = max(positions) + 1
    splits = [planted.generate(n, "test", size=size, variant=name) for name in (None, *planted.VARIANTS)]
    pictures = torch.stack([split.images[position] for position in positions for split in splits]) / 255
    names = [split_name.replace("-", " ") for split_name in ("as in training", *planted.VARIANTS)]
    return image_grid(pictures, rows=[planted.CLASSES[position % 10] for position in positions], columns=names)


def overlays(images: Tensor, maps: Mapping[tuple[str, str], Tensor], captions: Sequence[str]) -> Figure:
    """Heat maps over their images: a row an image, a column a (loss, method).

    Args:
        images: float [N,3,H,W] in [0,1].
        maps: for each (loss, method) float [N,H,W] in [0,1].
        captions: one text at the left of each row.
    """
    figure, axes = plt.subplots(
        len(images), len(maps) + 1, figsize=(1.25 * (len(maps) + 1), 1.3 * len(images)), squeeze=False
    )
    for row, image in enumerate(images):
        _show(axes[row, 0], image)
        axes[row, 0].set_ylabel(captions[row], fontsize=8)
        for column, heat in enumerate(maps.values(), start=1):
            _show(axes[row, column], image.mean(dim=0, keepdim=True).expand(3, -1, -1))
            axes[row, column].imshow(heat[row].cpu(), cmap="inferno", alpha=0.6, vmin=0, vmax=1)
    axes[0, 0].set_title("image", fontsize=9)
    for column, (loss, method) in enumerate(maps, start=1):
        axes[0, column].set_title(f"{LOSS_NAMES[loss]}\n{METHOD_NAMES[method]}", fontsize=9)
    for axis in axes.flat:
        axis.set(xticks=[], yticks=[])
        axis.grid(False)
    return figure


def loss_curves(x: Tensor, curves: Mapping[str, Sequence[float]], *, xlabel: str) -> Figure:
    """One panel a loss: its value against ``x``.

    Args:
        x: [N].
        curves: loss -> N values.
        xlabel: what ``x`` is.
    """
    figure, axes = plt.subplots(1, len(curves), figsize=(3.8 * len(curves), 2.8), squeeze=False)
    for axis, (loss, values) in zip(axes[0], curves.items()):
        axis.plot(x, values, color=LOSS_COLOURS[loss])
        axis.set(title=LOSS_NAMES[loss], xlabel=xlabel, ylabel="loss" if axis is axes[0, 0] else "")
    return figure


def training_curves(history: pd.DataFrame) -> Figure:
    """Loss and training speed against epochs, a line a seed.

    Args:
        history: rows with loss_name, seed, epoch, loss, images_per_second.
    """
    losses = [name for name in LOSS_NAMES if name in set(history["loss_name"])]
    figure, axes = plt.subplots(1, len(losses), figsize=(3.3 * len(losses), 2.8), squeeze=False)
    for axis, name in zip(axes[0], losses):
        rows = history[history["loss_name"] == name]
        for _, seed in rows.groupby("seed"):
            axis.plot(seed["epoch"], seed["loss"], color=LOSS_COLOURS[name], alpha=0.7, marker="o", markersize=3)
        axis.set(title=LOSS_NAMES[name], xlabel="epoch", ylabel="training loss" if axis is axes[0, 0] else "")
    return figure


def flipping_curves(curves: pd.DataFrame) -> Figure:
    """Pixel-flipping curves: mean over images and seeds, band of one standard deviation over seeds.

    Args:
        curves: rows with loss, method, seed, fraction (of pixels removed), probability (mean over images).
    """
    methods = [name for name in METHOD_NAMES if name in set(curves["method"])]
    figure, axes = plt.subplots(1, len(methods), figsize=(4.6 * len(methods), 3.4), sharey=True, squeeze=False)
    for axis, method in zip(axes[0], methods):
        for loss, rows in curves[curves["method"] == method].groupby("loss"):
            over_seeds = rows.groupby("fraction")["probability"].agg(["mean", "std"]).fillna(0.0)
            axis.plot(over_seeds.index, over_seeds["mean"], color=LOSS_COLOURS[loss], label=LOSS_NAMES[loss])
            axis.fill_between(
                over_seeds.index,
                over_seeds["mean"] - over_seeds["std"],
                over_seeds["mean"] + over_seeds["std"],
                color=LOSS_COLOURS[loss],
                alpha=0.2,
                linewidth=0,
            )
        axis.set(title=METHOD_NAMES[method], xlabel="fraction of pixels removed", xlim=(0, 1), ylim=(0, None))
    axes[0, 0].set_ylabel("probability of the true class")
    axes[0, -1].legend(title="loss")
    return figure


def distributions(scores: pd.DataFrame, metrics: Mapping[str, str]) -> Figure:
    """How each metric is spread over images, beside its mean.

    Args:
        scores: rows with loss, method, seed, index, metric, value.
        metrics: registry name of a metric -> title of its panel, in the order of the panels.
    """
    columns = 2
    rows = -(-len(metrics) // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(4.6 * columns, 2.7 * rows), squeeze=False)
    for axis in axes.flat[len(metrics) :]:
        axis.axis("off")
    for axis, (metric, title) in zip(axes.flat, metrics.items()):
        shown = scores[(scores["metric"] == metric) & scores["value"].notna()]
        shown = shown.assign(loss=shown["loss"].map(LOSS_NAMES), method=shown["method"].map(METHOD_NAMES))
        sns.boxplot(
            shown,
            x="method",
            y="value",
            hue="loss",
            hue_order=[name for name in LOSS_NAMES.values() if name in set(shown["loss"])],
            order=[name for name in METHOD_NAMES.values() if name in set(shown["method"])],
            palette={LOSS_NAMES[loss]: colour for loss, colour in LOSS_COLOURS.items()},
            width=0.7,
            fliersize=0.8,
            linewidth=0.8,
            showmeans=True,
            meanprops={"marker": "D", "markerfacecolor": "white", "markeredgecolor": "black", "markersize": 4},
            legend=axis is axes.flat[0],
            ax=axis,
        )
        axis.set(title=title, xlabel="", ylabel="")
    return figure


def embedding(points: pd.DataFrame, classes: Sequence[str]) -> Figure:
    """Two-dimensional pictures of the feature space, one a loss, coloured by class.

    Args:
        points: rows with loss, x, y, label.
        classes: names of the labels.
    """
    losses = [name for name in LOSS_NAMES if name in set(points["loss"])]
    figure, axes = plt.subplots(1, len(losses), figsize=(3.3 * len(losses), 3.9), squeeze=False)
    palette = sns.color_palette("tab10" if len(classes) <= 10 else "husl", len(classes))
    for axis, name in zip(axes[0], losses):
        rows = points[points["loss"] == name]
        for label, label_rows in rows.groupby("label"):
            axis.scatter(label_rows["x"], label_rows["y"], s=6, color=palette[label], label=classes[label], linewidth=0)
        axis.set(title=LOSS_NAMES[name], xticks=[], yticks=[])
    if len(classes) <= 20:
        handles, labels = axes[0, 0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=5, markerscale=2, fontsize=8, frameon=False)
    return figure


def confusion(counts: Tensor, classes: Sequence[str], *, title: str = "") -> Figure:
    """Confusion matrix as shares of each true class.

    Args:
        counts: int64 [C,C], rows true, columns predicted.
        classes: names of the C classes.
        title: text above the figure.
    """
    shares = counts / counts.sum(dim=1, keepdim=True).clamp(min=1)
    figure, axis = plt.subplots(figsize=(5.2, 4.4))
    sns.heatmap(
        shares.numpy(), annot=len(classes) <= 12, fmt=".2f", annot_kws={"size": 7}, cmap="Blues", vmin=0, vmax=1,
        xticklabels=classes, yticklabels=classes, cbar=False, ax=axis,
    )  # fmt: skip
    axis.set(xlabel="predicted", ylabel="true", title=title)
    return figure


def classifier_diagram(*, features: int, embedding_size: int, n_classes: int) -> Figure:
    """The two networks of Figure 1: one trained by cross-entropy, one by a contrastive loss.

    Args:
        features: size of the pooled features.
        embedding_size: output size of the projection head.
        n_classes: number of classes.
    """
    figure, axes = plt.subplots(2, 1, figsize=(8.4, 3.9), height_ratios=(1.3, 2.05))
    backbone = ["image", "backbone", f"pooling\n$\\mathbb{{R}}^{{{features}}}$"]
    _chain(axes[0], [*backbone, f"linear head\n{n_classes} logits", "softmax"], [(3, r"trained by $\mathcal{L}_{CE}$")])
    _chain(
        axes[1],
        [
            *backbone,
            f"projection head\n$\\mathbb{{R}}^{{{embedding_size}}}$, length 1",
            f"linear head\n{n_classes} logits",
        ],
        [(3, r"trained by $\mathcal{L}_{SCL}$ or $\mathcal{L}_{TL}$, then dropped"), (4, "fitted on frozen features")],
        bypass=(2, 4),
    )
    axes[0].set_title("(a) cross-entropy", loc="left", fontsize=10)
    axes[1].set_title("(b) contrastive", loc="left", fontsize=10)
    return figure


def _chain(
    axis: Axes, boxes: Sequence[str], notes: Sequence[tuple[int, str]], bypass: tuple[int, int] | None = None
) -> None:
    centres = np.arange(len(boxes)) * 2.1
    for position, (centre, text) in enumerate(zip(centres, boxes)):
        axis.add_patch(
            FancyBboxPatch((centre - 0.75, -0.3), 1.5, 0.6, boxstyle="round,pad=0.05", fc="#eef3f8", ec="#446")
        )
        axis.text(centre, 0, text, ha="center", va="center", fontsize=8)
        if position and not (bypass and position == bypass[1]):
            _arrow(axis, (centres[position - 1] + 0.8, 0), (centre - 0.8, 0))
    if bypass:
        _arrow(axis, (centres[bypass[0]], 0.37), (centres[bypass[1]], 0.37), bend=-0.35)
    for position, text in notes:
        axis.text(centres[position], -0.62, text, ha="center", va="center", fontsize=7.5, style="italic")
    axis.set(xlim=(-1, centres[-1] + 1), ylim=(-0.8, 1.25 if bypass else 0.5))
    axis.axis("off")


def _arrow(axis: Axes, start: tuple[float, float], end: tuple[float, float], bend: float = 0.0) -> None:
    axis.add_patch(
        FancyArrowPatch(
            start, end, arrowstyle="-|>", mutation_scale=10, color="#446", connectionstyle=f"arc3,rad={bend}"
        )
    )


def _show(axis: Axes, image: Tensor) -> None:
    axis.imshow(image.clamp(0, 1).permute(1, 2, 0).to("cpu", torch.float32), interpolation="nearest")
