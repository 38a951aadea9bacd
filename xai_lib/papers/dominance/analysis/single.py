"""Every image its own cluster: dominance against what the network says of the image alone (§4, Figure 3).

Untrained networks stand beside trained ones: what they show follows from the architecture. What is left of the relation
with an image's logit, given the logit of its mosaics, is a partial rank correlation.
"""

import math
from functools import cache

import numpy as np
import pandas as pd
from scipy import stats

from xai_lib.papers.dominance import experiment
from xai_lib.papers.dominance.analysis.networks import extremes, first
from xai_lib.papers.dominance.method import single_images
from xai_lib.run.settings import Study
from xai_lib.statistics.agreement import spearman_draws
from xai_lib.statistics.cube import defined_mean
from xai_lib.statistics.intervals import RESAMPLES, percentile_interval

OUTPUTS = ("logit", "probability")  # those of the paper
LEFT = "logit, given its mosaics'"
RELATIONS = (*OUTPUTS, "mosaic_logit", LEFT)
_GROUP = ["kind", "seed", "size", "label"]


@cache
def images(study: Study) -> pd.DataFrame:
    """Every image compared with the others of its class: its mean share, the mean logit of its mosaics, its outputs."""
    rows = []
    for key, found in experiment.table(study, "pairs").groupby(_GROUP, sort=False):
        rows.append(single_images.of_images(found).reset_index().assign(**dict(zip(_GROUP, key))))
    own = ["kind", "seed", "label", "index"]
    said = experiment.table(study, "images")[[*own, *OUTPUTS, "training_distance"]]
    return pd.concat(rows, ignore_index=True).merge(said, on=own)


def shown(study: Study, kind: str) -> pd.DataFrame:
    """The images of two classes of the first network: where dominance and logit go together most, and least."""
    both = (first(frame, kind) for frame in (correlations(study), images(study)))
    found, rows = (frame[frame["size"] == experiment.RESCALED] for frame in both)
    chosen = extremes(found[found["output"] == "logit"], "correlation")
    parts = [rows[rows["label"] == label] for label in dict.fromkeys(row["label"] for row in chosen)]
    return pd.concat(parts, ignore_index=True)


def partial(x: np.ndarray, y: np.ndarray, given: np.ndarray) -> tuple[float, np.ndarray]:
    """Spearman's correlation of x and y [n] with the ranks of ``given`` held fixed, and the same of resamples [R]."""
    pairs = (x, y), (x, given), (y, given)
    xy, xz, yz = (np.r_[stats.spearmanr(*pair).statistic, spearman_draws(*pair)] for pair in pairs)
    with np.errstate(invalid="ignore", divide="ignore"):
        found = np.clip((xy - xz * yz) / np.sqrt((1 - xz**2) * (1 - yz**2)), -1, 1)
    return float(found[0]), found[1:]


@cache
def correlations(study: Study) -> pd.DataFrame:
    """Spearman's correlation of dominance with each of :data:`RELATIONS` in each class, with intervals over its ``n``
    images; ``draws`` are the same correlation of resamples [R].
    """
    found = []
    for key, here in images(study).groupby(_GROUP, sort=False):
        rows = here.dropna(subset="dominance")
        for output in RELATIONS:
            named = "logit" if output == LEFT else output
            x, y, given = (rows[name].to_numpy() for name in ("dominance", named, "mosaic_logit"))
            if len(rows) < 3 or not np.ptp(x) or not np.ptp(y):
                value, draws = math.nan, np.full(RESAMPLES, math.nan)
            elif output == LEFT:
                value, draws = partial(x, y, given)
            else:
                value, draws = float(stats.spearmanr(x, y).statistic), spearman_draws(x, y)
            found.append((*key, output, value, *percentile_interval(draws), len(rows), draws))
    return pd.DataFrame(found, columns=[*_GROUP, "output", "correlation", "low", "high", "n", "draws"])


def mean_correlation(study: Study, kind: str, output: str, size: str = experiment.RESCALED) -> tuple[float, np.ndarray]:
    """The mean of Spearman's correlation over networks and classes, and the same on each resample of images [R]; NaN
    without a value. A resample is of all networks of a class, independent of other classes; an image's dominance stays
    as it is. (The mean of absolute values would exceed zero for unrelated numbers as well.)
    """
    rows, labels = correlations(study).dropna(subset="correlation"), [*images(study)["label"].unique()]
    rows = rows[(rows["kind"] == kind) & (rows["size"] == size) & (rows["output"] == output)]
    # as many images have the same resamples: rolling gives every class other ones
    draws = [np.roll(drawn, labels.index(label)) for drawn, label in zip(rows["draws"], rows["label"])]
    return float(rows["correlation"].mean()), defined_mean(np.reshape(draws, (-1, RESAMPLES)), axis=0)


def over_classes(study: Study) -> pd.DataFrame:
    """:func:`mean_correlation` with its interval over images, and the smallest and largest of a network and class."""
    rows = []
    for (kind, size, output), here in correlations(study).groupby(["kind", "size", "output"], sort=False):
        value, draws = mean_correlation(study, kind, output, size)
        ends = *percentile_interval(draws), here["correlation"].min(), here["correlation"].max()
        counts = here.loc[here["correlation"].notna(), "label"].nunique(), here["seed"].nunique()
        rows.append((kind, size, output, value, *ends, *counts))
    columns = ["correlation", "low", "high", "smallest", "largest", "classes", "networks"]
    return pd.DataFrame(rows, columns=["kind", "size", "output", *columns])
