"""The scores of a benchmark as one tidy frame, and the metrics in the order of the pages."""

from functools import cache

import pandas as pd

from xai_lib import metrics
from xai_lib.papers.saliency import experiment
from xai_lib.papers.saliency.experiment import Bench
from xai_lib.papers.saliency.method import lineup
from xai_lib.papers.saliency.method.fidelity import TARGETS

FIDELITY = ("average-increase", "average-drop", "average-gain", "insertion", "deletion")
TABLE_1 = (*FIDELITY, "monotonicity")
TABLE_3 = ("max-sensitivity", "average-sensitivity", "sparseness", "complexity", "effective-complexity")
SANITY = ("parameter-randomisation", "parameter-randomisation-independent")
# Defined in the paper's §4 or by the tool it used, without a published value.
UNPRINTED = (
    "local-accuracy",
    "local-accuracy-logit",
    "completeness",
    "monotonicity-quantus",
    "monotonicity-arya",
    "effective-complexity-minimum",
    *SANITY,
)
LOCALISATION = ("pointing-game", "attribution-localisation")  # where the data set has masks
WITHOUT_VALUE = (*UNPRINTED, *LOCALISATION)
ALL = (*TABLE_1, *TABLE_3, *WITHOUT_VALUE)
BY_MEDIAN = ("completeness",)  # a ratio: its mean would be that of the images whose denominator is nearly 0
INFORMED = tuple(name for name in lineup.PAPER if name != "fake-cam")
UNINFORMED = ("fake-cam", *lineup.CONTROLS)


@cache
def scores(bench: Bench) -> pd.DataFrame:
    """Scores for the true class under the paper's reading: seed, method, index, metric, value."""
    fidelity = experiment.saliency_scores(bench, "fidelity")
    plain = fidelity[(fidelity["target"] == TARGETS[0]) & (fidelity["reading"] == "paper")]
    columns = ["seed", "method", "index", "metric", "value"]
    both = [plain[columns], experiment.saliency_scores(bench, "repeated")[columns]]
    return pd.concat(both, ignore_index=True)


def directions(names: tuple[str, ...]) -> dict[str, str]:
    """Which direction of each metric is better: metric -> "higher" or "lower"."""
    return {name: metrics.about(name).better for name in names}


def informed(bench: Bench) -> tuple[str, ...]:
    """The paper's methods that look at the network and take part."""
    return tuple(name for name in INFORMED if name in bench.methods)


def uninformed(bench: Bench) -> tuple[str, ...]:
    """Fake-CAM and the controls that take part."""
    return tuple(name for name in UNINFORMED if name in bench.methods)


def present(bench: Bench, names: tuple[str, ...] = ALL) -> tuple[str, ...]:
    """Those of the metrics that the benchmark's images can give, in the order of the pages."""
    found = set(scores(bench)["metric"])
    return tuple(name for name in names if name in found)


def in_order(frame: pd.DataFrame) -> pd.DataFrame:
    """Rows in the order of the pages: metrics, then methods."""
    ranks = {"metric": ("probability", *ALL), "method": lineup.ALL}
    keys = [name for name in ("metric", "method") if name in frame]
    return frame.sort_values(
        keys, key=lambda names: names.map({name: place for place, name in enumerate(ranks[names.name])}), kind="stable"
    ).reset_index(drop=True)
