"""Figures of dominance and training images: are clusters of low dominance rare in training, and does it find them?"""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from xai_lib.page.style import COLOURS, MARKERS, PAGE_WIDTH, SMALL, TEXT

_SHARES: Mapping[str, str] = {
    "training_share": "share of the training images",
    "representation": "share in training / in evaluation",
}


def training_share(frame: pd.DataFrame) -> Figure:
    """Training images of clusters by rank of dominance (Figure 4 of the paper): a thin line a class, the mean thick.

    Args:
        frame: rows with label, rank (1 is the most dominant cluster), training_share (in [0,1]), representation (1, the
            dotted line: as frequent as in evaluation).
    """
    figure, axes = plt.subplots(1, 2, figsize=(PAGE_WIDTH, 3.0), sharex=True)
    for axis, (column, title) in zip(axes, _SHARES.items()):
        for _, rows in frame.sort_values("rank").groupby("label", sort=False):
            axis.plot(rows["rank"], rows[column], color="0.6", linewidth=0.8)
        means = frame.groupby("rank")[column].mean()
        axis.plot(means.index, means, "o-", color=COLOURS[0], linewidth=2.4, markersize=5)
        axis.set_xticks(means.index)
        axis.set_ylim(0, None)
        axis.set_title(title, fontsize=TEXT)
        axis.tick_params(labelsize=SMALL)
    axes[1].axhline(1, color="0.4", linestyle=":", linewidth=1.4, zorder=1)
    figure.supxlabel("rank of the cluster (1: most dominant)", fontsize=SMALL)
    return figure


def class_correlations(frame: pd.DataFrame, means: pd.DataFrame) -> Figure:
    """Rank correlation of dominance and share of training images: a row a class, and the mean with its interval.

    Args:
        frame: rows with label (the class's name), share ("training_share" or "representation"), correlation in [-1,1];
            several rows of a class and share, of several trainings, are several dots.
        means: rows with share, mean, low, high.
    """
    labels = list(frame["label"].unique())
    shares = [share for share in _SHARES if share in set(frame["share"])]
    size = (PAGE_WIDTH, 0.25 * (len(labels) + 1) + 1.1)
    figure, axes = plt.subplots(1, len(shares), figsize=size, sharex=True, sharey=True, squeeze=False)
    for axis, share in zip(axes[0], shares):
        rows = frame[frame["share"] == share]
        mean = means[means["share"] == share]
        axis.axvline(0, color="0.4", linestyle=":", linewidth=1.4, zorder=1)
        axis.axhline(len(labels) - 0.5, color="0.4", linewidth=0.8)
        axis.scatter(rows["correlation"], rows["label"].map(labels.index), s=26, color="0.45", alpha=0.8, linewidth=0)
        axis.errorbar(
            mean["mean"],
            [len(labels)],
            xerr=[mean["mean"] - mean["low"], mean["high"] - mean["mean"]],
            fmt="D",
            color=COLOURS[0],
            markersize=6,
            linewidth=2,
        )
        axis.set_title(_SHARES[share], fontsize=TEXT)
        axis.tick_params(labelsize=SMALL)
    axes[0, 0].set_yticks(range(len(labels) + 1), [*labels, "mean"])
    axes[0, 0].set(xlim=(-1.05, 1.05), ylim=(len(labels) + 0.6, -0.6))
    figure.supxlabel("rank correlation with dominance; mean with 95 % interval", fontsize=SMALL)
    return figure


def power(frame: pd.DataFrame) -> Figure:
    """How often the most suspect cluster is the one that is rare in training, against how rare it is.

    A line a score, with 95 % intervals over trainings. The score "random", if there, is the dotted line of chance.

    Args:
        frame: rows with score, rarity (share of the class's training images, in [0,1]), hit (rate in [0,1]), low, high,
            trainings (how many; the fewest are written down).
    """
    rarities = sorted(frame["rarity"].unique())
    scores = [score for score in frame["score"].unique() if score != "random"]
    figure, axis = plt.subplots(figsize=(PAGE_WIDTH, 3.9))
    for number, score in enumerate(scores):
        rows = frame[frame["score"] == score].sort_values("rarity")
        axis.errorbar(
            rows["rarity"].map(rarities.index) + (number - (len(scores) - 1) / 2) * 0.08,
            rows["hit"],
            yerr=[rows["hit"] - rows["low"], rows["high"] - rows["hit"]],
            fmt=f"{MARKERS[number % len(MARKERS)]}-",
            color=COLOURS[number % len(COLOURS)],
            markersize=5.5,
            linewidth=1.6,
            elinewidth=1.1,
            label=score,
        )
    chance = frame[frame["score"] == "random"].sort_values("rarity")
    if len(chance):
        axis.plot(chance["rarity"].map(rarities.index), chance["hit"], ":", color="0.3", linewidth=1.6, label="chance")
    axis.set_xticks(range(len(rarities)), [f"{100 * rarity:g} %" for rarity in rarities])
    axis.set_ylim(-0.02, 1.02)
    axis.set_xlabel("share of the class's training images that are of the rare mode", fontsize=SMALL)
    axis.set_ylabel(f"rare cluster found first\n({frame['trainings'].min()} trainings)", fontsize=SMALL)
    axis.tick_params(labelsize=SMALL)
    handles, labels = axis.get_legend_handles_labels()
    if len(chance):  # matplotlib names lines before those with error bars
        handles, labels = handles[1:] + handles[:1], labels[1:] + labels[:1]
    figure.legend(handles, labels, loc="outside upper center", ncols=3, fontsize=SMALL, frameon=False)
    return figure
