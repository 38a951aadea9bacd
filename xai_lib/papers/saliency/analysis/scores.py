"""The scores of a run as one tidy frame, and methods and metrics in the order of the pages."""

from collections.abc import Sequence
from functools import cache

import pandas as pd

from xai_lib import metrics
from xai_lib.papers.saliency import experiment
from xai_lib.papers.saliency.method import TARGETS, lineup
from xai_lib.papers.saliency.method.lineup import READINGS
from xai_lib.run.settings import Study

BY_MEDIAN = ("completeness",)  # a ratio: its mean would be that of the images whose denominator is nearly 0


def under(scores: pd.DataFrame, reading: str = READINGS[0]) -> pd.DataFrame:
    """Scores of a part under one of :data:`lineup.READINGS`, else ValueError, without the column ``reading``. A method
    whose maps do not differ between them has its only scores under each.
    """
    if reading not in READINGS:
        raise ValueError(f"Expected a reading out of {', '.join(READINGS)}. Got {reading!r}.")
    own = scores["reading"] == reading
    only = (scores["reading"] == READINGS[0]) & ~scores["method"].isin(scores.loc[own, "method"])
    return scores[own | only].drop(columns="reading")


@cache
def scores(study: Study, reading: str = READINGS[0]) -> pd.DataFrame:
    """Scores for the true class under a reading: seed, method, index, metric, value."""
    fidelity = experiment.scores(study, "fidelity")
    found = [fidelity[fidelity["target"] == TARGETS[0]], *(experiment.scores(study, n) for n in ("repeated", "metric"))]
    columns = ["seed", "method", "index", "metric", "value"]
    return pd.concat([under(frame, reading)[columns] for frame in found if len(frame)], ignore_index=True)


def of_metrics(study: Study, names: Sequence[str], methods: Sequence[str] | None = None) -> pd.DataFrame:
    """The rows of :func:`scores` of some metrics, and of some methods where they are given."""
    found = scores(study)
    found = found[found["metric"].isin(names)]
    return found if methods is None else found[found["method"].isin(methods)]


def directions(names: Sequence[str]) -> dict[str, str]:
    """Which direction of each metric is better: metric -> "higher" or "lower"."""
    return {name: metrics.about(name).better for name in names}


def present(study: Study, names: Sequence[str] | None = None) -> tuple[str, ...]:
    """Those of the metrics (None: all) that the run's images can give, in the order of the pages: new ones last."""
    found = set(scores(study)["metric"])
    return tuple(name for name in names or (*lineup.METRICS, *lineup.added_metrics()) if name in found)


def in_order(frame: pd.DataFrame) -> pd.DataFrame:
    """Rows in the order of the pages: metrics, then methods; those of the registry alone last."""
    ranks = {"metric": ("probability", *lineup.METRICS, *lineup.added_metrics()), "method": lineup.methods()}
    keys, key = [name for name in ranks if name in frame], lambda names: pd.Categorical(names, ranks[names.name])
    return frame.sort_values(keys, key=key, kind="stable", ignore_index=True)
