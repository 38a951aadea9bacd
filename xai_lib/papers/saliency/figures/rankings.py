"""Figures of rankings: do metrics agree, which methods differ, what fools a metric, and what moves a rank."""

import textwrap
from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patches import Rectangle

from xai_lib.page.methods import colour, legend_of_families
from xai_lib.page.names import METHOD_NAMES, METRIC_NAMES
from xai_lib.page.style import PAGE_WIDTH

_PALETTE = "PuOr"  # two-sided, told apart by readers with any colour vision


def agreement(frame: pd.DataFrame) -> Figure:
    """Rank correlation of every two metrics; hatched and grey where the interval holds 0.

    From rows with metric_a, metric_b, tau in [-1, 1], low, high: each pair once, in the order of the metrics.
    """
    names = list(dict.fromkeys([*frame["metric_a"], *frame["metric_b"]]))
    side, table = min(PAGE_WIDTH - 1.5, 0.4 * len(names)), np.full((len(names), len(names)), np.nan)
    figure, axis = plt.subplots(figsize=(side + 1.5, side + 2.2))
    for row in frame.itertuples():
        a, b, decided = names.index(row.metric_a), names.index(row.metric_b), row.low > 0 or row.high < 0
        for y, x in ((a, b), (b, a)):
            table[y, x] = row.tau
            _number(axis, x, y, row.tau, faint=not decided, dark=abs(row.tau) > 0.7)
            if not decided:
                axis.add_patch(Rectangle((x - 0.5, y - 0.5), 1, 1, fill=False, hatch="///", ec="0.85", lw=0))
    shown, titles = axis.imshow(table, cmap=_PALETTE, vmin=-1, vmax=1), [METRIC_NAMES[name] for name in names]
    _label(shown, "Kendall's τ", columns=titles, rows=titles, rotation=90)
    return figure


def fooled(frame: pd.DataFrame) -> Figure:
    """How often a control scores better than a method does: a row a metric, a column a control.

    From rows with metric, control, superiority in [0,1] (0.5: as often better as worse), low, high, verdict; framed and
    bold where that is "fooled". A sentence where there are none.
    """
    metrics, controls = list(frame["metric"].unique()), list(frame["control"].unique())
    if not metrics:
        figure, axis = plt.subplots(figsize=(PAGE_WIDTH, 0.5))
        axis.text(0, 0, "It takes an uninformed map and a method that looks at the network to see this.", fontsize=8.5)
        axis.axis("off")
        return figure
    figure, axis = plt.subplots(figsize=(min(PAGE_WIDTH, 0.8 * len(controls) + 2.6), 0.27 * len(metrics) + 1.5))
    table = np.full((len(metrics), len(controls)), np.nan)
    for row in frame.itertuples():
        y, x, is_fooled = metrics.index(row.metric), controls.index(row.control), row.verdict == "fooled"
        table[y, x] = row.superiority
        _number(axis, x, y, row.superiority, bold=is_fooled, dark=abs(row.superiority - 0.5) > 0.35)
        if is_fooled:
            axis.add_patch(Rectangle((x - 0.5, y - 0.5), 1, 1, fill=False, ec="black", lw=1.6, zorder=3))
    shown = axis.imshow(table, cmap=f"{_PALETTE}_r", vmin=0, vmax=1, aspect="auto")
    titles = [METHOD_NAMES[name].replace(" ", "\n") for name in controls]
    scale = "share of images on which the control scores better"
    _label(shown, scale, columns=titles, rows=[METRIC_NAMES[name] for name in metrics])
    return figure


def critical_difference(ranks: pd.DataFrame, cd: float, title: str) -> Figure:
    """Mean ranks on a line, best at the left; a bar joins methods that do not differ (Demšar 2006, figure 1).

    From rows with method, mean_rank (1 is best); mean ranks must lie ``cd`` apart to differ, and NaN draws no bars.
    """
    ranks = ranks.sort_values("mean_rank", kind="stable")
    means, methods = ranks["mean_rank"].to_numpy(), list(ranks["method"])
    bars, half = _bars(means, cd), (len(means) + 1) // 2
    step, floor = 0.32, 0.45 + 0.17 * (1 + max((level for *_, level in bars), default=0))
    depth = floor + step * half
    figure, axis = plt.subplots(figsize=(PAGE_WIDTH, 0.72 * depth + 1.0))
    low, high, margin = 1, len(means), 0.28 * max(1, len(means) - 1)
    axis.plot([low, high], [0, 0], color="black", linewidth=1)
    for tick in range(low, high + 1):
        axis.plot([tick, tick], [0, -0.1], color="black", linewidth=1)
        axis.text(tick, -0.15, tick, ha="center", va="bottom", fontsize=8)
    for place, (mean, method) in enumerate(zip(means, methods)):
        left = place < half
        y = floor + step * (place if left else len(means) - 1 - place)
        end, align = (low - 0.02 * margin, "right") if left else (high + 0.02 * margin, "left")
        axis.plot([mean, mean, end], [0, y, y], color=colour(method), linewidth=0.9)
        label = f"{METHOD_NAMES[method]}  {mean:.2f}" if left else f"{mean:.2f}  {METHOD_NAMES[method]}"
        axis.text(end, y, f" {label} ", ha=align, va="center", fontsize=8.5, color=colour(method))
    for first, last, level in bars:
        y = 0.25 + 0.17 * level
        axis.plot([means[first] - 0.04, means[last] + 0.04], [y, y], color="black", linewidth=3, solid_capstyle="butt")
    if np.isfinite(cd):
        axis.plot([low, low + cd], [-0.75, -0.75], color="black", linewidth=1, marker="|", markersize=6)
        axis.text(low + cd / 2, -0.83, f"critical difference {cd:.2f}", ha="center", va="bottom", fontsize=8)
    axis.set(xlim=(low - margin, high + margin), ylim=(depth, -1.25))
    axis.set_title(title, fontsize=10)
    axis.axis("off")
    legend_of_families(figure, methods)
    return figure


def readings(frame: pd.DataFrame) -> Figure:
    """How ranks move from one reading of a metric to the next: a line a method, rank 1 at the top.

    From rows of one metric with method, reading, rank; readings are drawn in the order of the rows.
    """
    names, methods = list(frame["reading"].unique()), list(frame["method"].unique())
    figure, axis = plt.subplots(figsize=(PAGE_WIDTH, 0.24 * len(methods) + 1.2))
    for method, rows in frame.groupby("method", sort=False):
        places = rows["reading"].map(names.index)
        axis.plot(places, rows["rank"], "o-", color=colour(method), markersize=4, linewidth=1.4)
    for place, align, x in ((0, "right", -0.1), (-1, "left", len(names) - 0.9)):
        ranks = frame[frame["reading"] == names[place]].set_index("method")["rank"].dropna()
        for method, y in ranks.rank(method="first").items():  # ties would be written over each other
            axis.text(x, y, METHOD_NAMES[method], ha=align, va="center", fontsize=8, color=colour(method))
    axis.set_xticks(range(len(names)), [textwrap.fill(name, 10) for name in names], fontsize=8)
    axis.set_yticks(range(1, len(methods) + 1))
    axis.tick_params(axis="y", labelsize=8)
    axis.set(xlim=(-1.5, len(names) + 0.5), ylim=(len(methods) + 0.6, 0.4))
    axis.set_ylabel("rank", fontsize=8.5)
    axis.grid(axis="y", visible=False)
    legend_of_families(figure, methods)
    return figure


def _bars(means: np.ndarray, cd: float) -> list[tuple[int, int, int]]:
    """First and last place of each longest run of sorted mean ranks no further apart than ``cd``, and its own level."""
    found: list[tuple[int, int, int]] = []
    ends: list[int] = []  # last place taken on each level
    for first in range(len(means)):
        last = int((means <= means[first] + cd).sum()) - 1
        if last <= first or (found and last == found[-1][1]):
            continue
        level = next((level for level, end in enumerate(ends) if end < first), len(ends))
        ends[level : level + 1] = [last]
        found.append((first, last, level))
    return found


def _number(axis: Axes, x: int, y: int, value: float, *, faint: bool = False, bold: bool = False, dark: bool) -> None:
    """Write a value in a cell without its leading zero; white on ``dark`` cells."""
    text = f"{value:z.2f}".replace("0.", ".", 1).replace("-", "−") if np.isfinite(value) else "–"
    ink = "0.4" if faint else "white" if dark else "black"
    axis.text(x, y, text, ha="center", va="center", fontsize=7, color=ink, weight="bold" if bold else "normal")


def _label(shown: AxesImage, scale: str, *, columns: Sequence[str], rows: Sequence[str], rotation: float = 0) -> None:
    """Name the columns and rows of a matrix, and what its colours stand for."""
    axis = shown.axes
    axis.set_xticks(range(len(columns)), columns, rotation=rotation, fontsize=8)
    axis.set_yticks(range(len(rows)), rows, fontsize=8)
    axis.tick_params(top=False, labeltop=True, labelbottom=False, length=0, pad=2)
    axis.grid(False)
    bar = axis.figure.colorbar(shown, ax=axis, location="bottom", shrink=0.7, aspect=35)
    bar.set_label(scale, fontsize=8)
    bar.ax.tick_params(labelsize=8)
