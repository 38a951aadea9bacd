"""Tables 1 to 4 of the saliency paper: ours, an interval, and the published value beside it."""

from collections.abc import Sequence

import pandas as pd

from xai_lib import metrics, published
from xai_lib.papers.saliency import experiment
from xai_lib.papers.saliency.analysis.scores import BY_MEDIAN, in_order, of_metrics
from xai_lib.papers.saliency.method import lineup
from xai_lib.run.study import Study
from xai_lib.statistics.over_images import seeds_last, summary

_BY = ("metric", "method")


def table_1(study: Study) -> pd.DataFrame:
    """Fidelity for the true class: one row a metric and method, with the published value (ImageNet, ResNet-50).

    AD and D are fractions that should be low, as defined; the paper prints their complements.
    """
    return _beside(1, summary(of_metrics(study, lineup.TABLE_1), by=_BY, ranges=metrics.ranges()))


def table_2(study: Study) -> pd.DataFrame:
    """Fidelity for the true, the predicted and the least probable class: a row a metric, method and target."""
    found = experiment.scores(study, "fidelity")
    found = found[(found["reading"] == "paper") & found["metric"].isin(lineup.FIDELITY)]
    return _beside(2, summary(found, by=(*_BY, "target"), ranges=metrics.ranges()))


def table_3(study: Study) -> pd.DataFrame:
    """Robustness and complexity: a row a metric and method."""
    return _beside(3, summary(of_metrics(study, lineup.TABLE_3), by=_BY, ranges=metrics.ranges()))


def table_4(study: Study) -> pd.DataFrame:
    """Fidelity on transformed images, the four settings averaged image by image: a row a metric, method, transform."""
    found = experiment.scores(study, "transformed")
    found = found[found["metric"].isin(lineup.FIDELITY)]
    keys = ["seed", "method", "index", "metric", "transform"]
    averaged = found.groupby(keys, as_index=False, sort=False)["value"].mean()
    return _beside(4, summary(averaged, by=(*_BY, "transform"), ranges=metrics.ranges()))


def by_setting(study: Study) -> pd.DataFrame:
    """What the four settings hide: method, transform, setting, metric, mean (the probability among them)."""
    keys = ["method", "transform", "setting", "metric"]
    return seeds_last(experiment.scores(study, "transformed"), keys).rename("mean").reset_index()


def unprinted(study: Study, names: Sequence[str]) -> pd.DataFrame:
    """Metrics without a published value: a row a metric and method.

    The columns of :func:`over_images.summary`, and ``median``: over images, then averaged over networks. It is what
    tables show of :data:`scores.BY_MEDIAN`.
    """
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


def _beside(number: int, ours: pd.DataFrame) -> pd.DataFrame:
    return in_order(published.compare(published.table("saliency", number), ours))
