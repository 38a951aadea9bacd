"""Tables 1 to 4 of the saliency paper: ours, an interval, the published value beside it, and what its tools say."""

import math
from collections.abc import Sequence

import pandas as pd

from xai_lib import metrics, published, statistics
from xai_lib.papers.saliency import experiment
from xai_lib.papers.saliency.analysis.scores import BY_MEDIAN, directions, in_order, of_metrics, scores, under
from xai_lib.papers.saliency.method import lineup
from xai_lib.papers.saliency.method.tools import CAMS, MAP_DIFFERENCE, MONOTONICITY, OF_MAPS, SENSITIVITY
from xai_lib.run.settings import Study
from xai_lib.statistics.intervals import seeds_last, summary

PAPER_SIZE = 224  # pixels of an image's side in print
_BY = ("metric", "method")
_MEASURED = ["mean", "spread", "low", "high", "by_tool", "ours_there"]


def table_1(study: Study) -> pd.DataFrame:
    """Fidelity for the true class: one row a metric and method, with the published value (ImageNet, ResNet-50).

    AD and D are fractions that should be low, as defined; the paper prints their complements. The printed Monotonicity
    stands beside the formula of the text and beside what the tool computes. Added are ``rank`` and ``published_rank``
    among the paper's ten methods (1 is best), and the columns of :func:`beside`.
    """
    names = (*lineup.TABLE_1, MONOTONICITY)
    return _ranked(study, _beside(1, summary(of_metrics(study, names), by=_BY, ranges=metrics.ranges())))


def table_2(study: Study) -> pd.DataFrame:
    """Fidelity for the true, the predicted and the least probable class: a row a metric, method and target."""
    found = under(experiment.scores(study, "fidelity"))
    found = found[found["metric"].isin(lineup.FIDELITY)]
    return _beside(2, summary(found, by=(*_BY, "target"), ranges=metrics.ranges()))


def table_3(study: Study) -> pd.DataFrame:
    """Robustness and complexity, with the columns that :func:`table_1` adds. EC is a share of the pixels and Complexity
    one of its ceiling ln HW, on both sides: so they can be compared.
    """
    rows = _ranked(study, _beside(3, summary(of_metrics(study, lineup.TABLE_3), by=_BY, ranges=metrics.ranges())))
    ours, papers = study.run.networks.size**2, PAPER_SIZE**2
    for metric, ceiling in (("effective-complexity", float), ("complexity", math.log)):
        of_metric = rows["metric"] == metric
        rows.loc[of_metric, _MEASURED] /= ceiling(ours)
        rows.loc[of_metric, ["published"]] /= ceiling(papers)
    return rows


def table_4(study: Study) -> pd.DataFrame:
    """Fidelity on transformed images, the four settings averaged image by image: a row a metric, method, transform."""
    found = under(experiment.scores(study, "transformed"))
    found = found[found["metric"].isin(lineup.FIDELITY)]
    keys = ["seed", "method", "index", "metric", "transform"]
    averaged = found.groupby(keys, as_index=False, sort=False)["value"].mean()
    return _beside(4, summary(averaged, by=(*_BY, "transform"), ranges=metrics.ranges()))


def by_setting(study: Study) -> pd.DataFrame:
    """What the four settings hide: method, transform, setting, metric, mean (the probability among them)."""
    keys = ["method", "transform", "setting", "metric"]
    return seeds_last(under(experiment.scores(study, "transformed")), keys).rename("mean").reset_index()


def unprinted(study: Study, names: Sequence[str]) -> pd.DataFrame:
    """Metrics without a published value: columns of :func:`intervals.summary`, and the ``median`` over images."""
    found = of_metrics(study, names)
    medians = seeds_last(found, _BY, "median").rename("median")
    return in_order(summary(found, by=_BY, ranges=metrics.ranges()).join(medians, on=list(_BY)))


def leaderboard(study: Study, names: Sequence[str]) -> pd.DataFrame:
    """Means of every method: a row a method in the order of the page, a column a metric, named by :func:`column`."""
    rows = unprinted(study, names)
    rows["shown"] = rows["mean"].where(~rows["metric"].isin(BY_MEDIAN), rows["median"])
    wide = rows.pivot(index="method", columns="metric", values="shown")
    wide = wide.reindex(index=[name for name in lineup.methods() if name in wide.index], columns=list(names))
    return wide.rename(columns=column).rename_axis(columns=None).reset_index()


def column(metric: str) -> str:
    """What a metric's column of the leaderboard is called: its name, and that it holds medians where it does."""
    return f"{metric} (median)" if metric in BY_MEDIAN else metric


def beside(study: Study) -> pd.DataFrame:
    """Means of the tools' scores and of ours of the same images: metric, method, by_tool, ours_there, n_tools."""
    grouped = _both(study).groupby(list(_BY), as_index=False)
    return grouped.agg(by_tool=("value", "mean"), ours_there=("value_ours", "mean"), n_tools=("index", "nunique"))


def agreement(study: Study) -> pd.DataFrame:
    """How far a tool is from the library, map by map: a row a metric of the same maps, and a row a tool's map.

    Columns what ("metric" or "map"), name (of the metric, or the method), n, difference (the largest), rho (Spearman's
    correlation over maps; of AD where the maps differ).
    """
    both, tools, rows = _both(study), experiment.scores(study, "tools"), []
    ours = both[~both["method"].isin(CAMS)]
    for metric in (*OF_MAPS, *SENSITIVITY, MONOTONICITY):
        found = ours[ours["metric"] == metric].dropna()
        difference = (found["value"] - found["value_ours"]).abs().max()
        rows.append(("metric", metric, len(found), difference, _rho(found)))
    for method in CAMS:
        apart = tools[(tools["metric"] == MAP_DIFFERENCE) & (tools["method"] == method)]["value"]
        found = both[(both["metric"] == "average-drop") & (both["method"] == method)].dropna()
        rows.append(("map", method, len(apart), apart.max(), _rho(found)))
    return pd.DataFrame(rows, columns=["what", "name", "n", "difference", "rho"])


def _beside(number: int, ours: pd.DataFrame) -> pd.DataFrame:
    """Ours with the published values: no difference of them, as networks, images and sizes are others."""
    rows = published.table("saliency", number)
    as_tool = rows[rows["metric"] == "monotonicity"].assign(metric=MONOTONICITY)
    return in_order(published.compare(pd.concat([rows, as_tool]), ours))


def _ranked(study: Study, rows: pd.DataFrame) -> pd.DataFrame:
    papers, better = rows[rows["method"].isin(lineup.PAPER)], directions(rows["metric"].unique())
    for column, values in (("rank", "mean"), ("published_rank", "published")):
        turned = papers[values] * papers["metric"].map(lambda name: 1 if better[name] == "lower" else -1)
        rows[column] = turned.groupby(papers["metric"]).rank()
    return rows.merge(beside(study), on=list(_BY), how="left")


def _rho(found: pd.DataFrame) -> float:
    return statistics.rank_agreement(*found[["value", "value_ours"]].to_numpy().T, kind="spearman")


def _both(study: Study) -> pd.DataFrame:
    keys = ["seed", "index", *_BY]
    return in_order(experiment.scores(study, "tools").merge(scores(study), on=keys, suffixes=("", "_ours")))
