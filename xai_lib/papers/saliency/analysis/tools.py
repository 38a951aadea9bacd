"""The paper's tools beside the library, on the images and methods that both have scored."""

import pandas as pd

from xai_lib import statistics
from xai_lib.papers.saliency import experiment
from xai_lib.papers.saliency.analysis.scores import in_order, scores
from xai_lib.papers.saliency.method.tools import CAMS, MAP_DIFFERENCE, MONOTONICITY, OF_MAPS, SENSITIVITY
from xai_lib.run.study import Study

_KEYS = ["metric", "method"]


def beside(study: Study) -> pd.DataFrame:
    """Means of the tools' scores and of ours of the same images: metric, method, by_tool, ours_there, n_tools."""
    grouped = _both(study).groupby(_KEYS, as_index=False)
    return grouped.agg(by_tool=("value", "mean"), ours_there=("value_ours", "mean"), n_tools=("index", "nunique"))


def agreement(study: Study) -> pd.DataFrame:
    """How far a tool is from the library, map by map: a row a metric of the same maps, and a row a tool's map.

    Columns what ("metric" or "map"), name (of the metric, or the method), n, difference (the largest), rho (Spearman's
    correlation over maps; of AD where the maps differ).
    """
    both, rows = _both(study), []
    ours = both[~both["method"].isin(CAMS)]
    for metric in (*OF_MAPS, *SENSITIVITY, MONOTONICITY):
        found = ours[ours["metric"] == metric].dropna()
        difference = (found["value"] - found["value_ours"]).abs().max()
        rows.append(("metric", metric, len(found), difference, _rho(found)))
    tools = experiment.scores(study, "tools")
    for method in CAMS:
        apart = tools[(tools["metric"] == MAP_DIFFERENCE) & (tools["method"] == method)]["value"]
        found = both[(both["metric"] == "average-drop") & (both["method"] == method)].dropna()
        rows.append(("map", method, len(apart), apart.max(), _rho(found)))
    return pd.DataFrame(rows, columns=["what", "name", "n", "difference", "rho"])


def _both(study: Study) -> pd.DataFrame:
    keys = ["seed", "index", *_KEYS]
    return in_order(experiment.scores(study, "tools").merge(scores(study), on=keys, suffixes=("", "_ours")))


def _rho(found: pd.DataFrame) -> float:
    return statistics.rank_agreement(found["value"].to_numpy(), found["value_ours"].to_numpy(), kind="spearman")
