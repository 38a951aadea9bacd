"""Every image its own cluster: dominance against what the network says of the image alone (§4, Figure 3)."""

from functools import cache

import numpy as np
import pandas as pd

from xai_lib import statistics
from xai_lib.papers.dominance import experiment
from xai_lib.papers.dominance.analysis.networks import extremes, first
from xai_lib.papers.dominance.method import single_images
from xai_lib.run.study import Study
from xai_lib.statistics.agreement import spearman_draws
from xai_lib.statistics.cube import defined_mean
from xai_lib.statistics.intervals import RESAMPLES, percentile_interval

OUTPUTS = ("logit", "probability")
_GROUP = ["kind", "seed", "label"]


@cache
def images(study: Study) -> pd.DataFrame:
    """Every image that was compared with the others of its class: its mean share against them, and its outputs."""
    rows = []
    for key, found in experiment.table(study, "pairs").groupby(_GROUP, sort=False):
        numbers = sorted({*found["a"], *found["b"]})
        placed = found.assign(**{side: pd.Index(numbers).get_indexer(found[side]) for side in ("a", "b")})
        frame = pd.DataFrame({"index": numbers, "dominance": single_images.relative(placed, len(numbers))})
        rows.append(frame.assign(**dict(zip(_GROUP, key))))
    said = experiment.table(study, "images")[[*_GROUP, "index", *OUTPUTS, "training_distance"]]
    return pd.concat(rows, ignore_index=True).merge(said)


def shown(study: Study, kind: str) -> pd.DataFrame:
    """The images of two classes of the first network: where dominance and logit go together most, and least."""
    found = first(correlations(study), kind)
    chosen = extremes(found[found["output"] == "logit"], "correlation")
    rows = first(images(study), kind)
    parts = [rows[rows["label"] == label] for label in dict.fromkeys(row["label"] for row in chosen)]
    return pd.concat(parts, ignore_index=True)


@cache
def correlations(study: Study) -> pd.DataFrame:
    """Spearman's correlation of dominance with each of :data:`OUTPUTS` in each class; 95 % intervals over images."""
    rows = []
    for key, here in images(study).groupby(_GROUP, sort=False):
        for output in OUTPUTS:
            found = statistics.rank_agreement(here["dominance"].to_numpy(), here[output].to_numpy(), kind="spearman")
            rows.append((*key, output, found.value, found.low, found.high, found.n))
    return pd.DataFrame(rows, columns=[*_GROUP, "output", "correlation", "low", "high", "n"])


def strength(study: Study, kind: str, output: str) -> tuple[float, np.ndarray]:
    """The mean of |Spearman| over classes and networks, and the same on each resample of images [R]; NaN without a
    value. A resample is of all networks of a class, independent of other classes; an image's dominance stays as it is.
    """
    found = correlations(study)
    value = float(found.loc[(found["kind"] == kind) & (found["output"] == output), "correlation"].abs().mean())
    here, draws = images(study), []
    for place, (_, of_class) in enumerate(here[here["kind"] == kind].groupby("label", sort=False)):
        for _, rows in of_class.groupby("seed", sort=False):
            both = rows[["dominance", output]].dropna().to_numpy()
            if len(both) > 1:  # as many images have the same resamples: other ones for every class by rolling them
                draws.append(np.roll(np.abs(spearman_draws(*both.T)), place))
    return value, defined_mean(np.reshape(draws, (-1, RESAMPLES)), axis=0)


def over_classes(study: Study) -> pd.DataFrame:
    """The mean correlation over networks, then classes, with an interval over classes; and :func:`strength`, with one
    over images and beside what to expect of unrelated numbers (by_chance).
    """
    rows = []
    for (kind, output), here in correlations(study).groupby(["kind", "output"], sort=False):
        by_class = here.groupby("label", sort=False)["correlation"].mean()
        interval = statistics.mean_interval(by_class.to_numpy())
        value, draws = strength(study, kind, output)
        low, high = percentile_interval(draws)
        n = here.loc[here["correlation"].notna(), "n"]
        by_chance = float(np.sqrt(2 / (np.pi * (n - 1))).mean())  # the variance of rho is then 1 / (n - 1)
        counts = by_class.notna().sum(), here["seed"].nunique()
        rows.append((kind, output, interval.mean, interval.low, interval.high, value, low, high, by_chance, *counts))
    columns = ["kind", "output", "correlation", "low", "high", "strength", "strength_low", "strength_high", "by_chance"]
    return pd.DataFrame(rows, columns=[*columns, "classes", "networks"])
