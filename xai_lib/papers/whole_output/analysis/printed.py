"""Tables 1 to 5 of the whole-output paper: ours, an interval, and the published value beside it."""

import pandas as pd

from xai_lib import published
from xai_lib.papers.whole_output.analysis.scores import CONTRASTIVE, in_order, of_images, of_pairs
from xai_lib.papers.whole_output.experiment.explanations import Study
from xai_lib.papers.whole_output.method.explanation import METHODS
from xai_lib.statistics.over_images import summary

_NUMBERS = {"cauc": 1, "cdrop": 2}
_TABLE_3 = {"cauc-bases": "cauc", "cdrop": "cdrop", "salient-pixels": "salient-pixels"}


def methods(study: Study, metric: str, variant: str = "paper") -> pd.DataFrame:
    """Tables 1 ("cauc") and 2 ("cdrop"), for all four base explainers and with our two further rows.

    Returns:
        One row a model, base and method, as :func:`published.compare` gives; print has values for Grad-CAM and RISE.
        ``n_undefined`` counts images whose every pair has a degenerate map.
    """
    found = of_pairs(study, variant)
    ours = _summary(of_images(found[found["metric"] == metric]))
    return in_order(_beside(_NUMBERS[metric], ours))


def bases(study: Study, variant: str = "paper") -> pd.DataFrame:
    """Table 3: CWOX-2s by base explainer; one row a metric, model and base."""
    found = of_pairs(study, variant)
    found = found[found["metric"].isin(_TABLE_3) & (found["method"] == CONTRASTIVE)]
    ours = _summary(of_images(found))
    ours["metric"] = ours["metric"].map(_TABLE_3)
    return in_order(_beside(3, ours))


def matching(study: Study) -> pd.DataFrame:
    """The simulated observer's accuracy: model, base, method, :func:`over_images.summary`'s columns.

    What people scored is in Tables 4 and 5; :func:`people` has it. The two are not compared: no row of ours is theirs.
    """
    found = of_pairs(study)
    found = found[(found["metric"] == "matching-accuracy") & found["method"].isin(METHODS)]
    return in_order(_summary(of_images(found)))


def people() -> pd.DataFrame:
    """Tables 4 and 5, the user study: group, metric, method, value, spread, printed."""
    rows = pd.concat([published.table("whole_output", number) for number in (4, 5)], ignore_index=True)
    return rows[["group", "metric", "method", "value", "spread", "printed"]]


def _summary(found: pd.DataFrame) -> pd.DataFrame:
    return summary(found, by=["metric", "model", "base", "method"])


def _beside(number: int, ours: pd.DataFrame) -> pd.DataFrame:
    """Beside the printed values: those of ResNet-50 for networks of our own, where ``model`` is ""."""
    rows = published.table("whole_output", number)
    parts = []
    for model, group in ours.groupby("model", sort=False):
        of_model = rows[rows["model"] == (model or "resnet50")]
        compared = published.compare(of_model, group.drop(columns="model"))
        parts.append(compared.assign(model=model))
    return pd.concat(parts, ignore_index=True)
