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
    """Every image that was compared with the others of its class.

    Returns:
        index, dominance (relative: mean share against the others), kind, seed, label, logit, probability (of the
        class), training_distance.
    """
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
    """Spearman's correlation of dominance with logit and probability in each class.

    Returns:
        kind, seed, label, output, correlation, low, high (95 %, over images), n.
    """
    rows = []
    for key, here in images(study).groupby(_GROUP, sort=False):
        for output in OUTPUTS:
            found = statistics.rank_agreement(here["dominance"].to_numpy(), here[output].to_numpy(), kind="spearman")
            rows.append((*key, output, found.value, found.low, found.high, found.n))
    return pd.DataFrame(rows, columns=[*_GROUP, "output", "correlation", "low", "high", "n"])


def strength(study: Study, kind: str, output: str) -> tuple[float, np.ndarray]:
    """How strong the correlation is, whatever its sign: mean of |Spearman| over classes and networks, with resamples.

    Images are resampled, one resample for all networks of a class, independently of other classes; the relative
    dominance of an image is kept as it is.

    Returns:
        The mean and the same mean on each resample [R]; NaN where no class has a correlation.
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
    """The mean correlation over classes.

    Returns:
        kind, output, correlation (mean over networks, then classes), low, high (95 %, over classes), strength (mean of
        its absolute value), strength_low, strength_high (95 %, over images), by_chance (the strength to expect of
        numbers that have nothing to do with each other), classes, networks.
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
