"""Every image its own cluster: dominance against what the network says of the image alone (§4, Figure 3)."""

from functools import cache

import numpy as np
import pandas as pd

from xai_lib import statistics
from xai_lib.papers.dominance import experiment
from xai_lib.papers.dominance.analysis.networks import of_first
from xai_lib.papers.dominance.experiment.dominance import Hierarchies
from xai_lib.papers.dominance.method import single_images
from xai_lib.statistics.agreement import spearman_draws
from xai_lib.statistics.intervals import RESAMPLES, percentile_interval

OUTPUTS = ("logit", "probability")


@cache
def images(of: Hierarchies) -> pd.DataFrame:
    """Every image that was compared with the others of its class.

    Returns:
        kind, seed, label, index, dominance (relative: mean share against the others), logit, probability (of the
        class), training_distance.
    """
    rows = []
    for (kind, seed, label), found in experiment.paired_images(of).groupby(["kind", "seed", "label"], sort=False):
        numbers = sorted({*found["a"], *found["b"]})
        place = {number: position for position, number in enumerate(numbers)}
        relative = single_images.relative(found.assign(a=found["a"].map(place), b=found["b"].map(place)), len(numbers))
        frame = pd.DataFrame({"index": numbers, "dominance": relative})
        rows.append(frame.assign(kind=kind, seed=seed, label=label))
    return pd.concat(rows, ignore_index=True).merge(
        experiment.cluster_images(of)[["kind", "seed", "label", "index", *OUTPUTS, "training_distance"]]
    )


def shown(of: Hierarchies, kind: str) -> pd.DataFrame:
    """The images of two classes of the first network: where dominance and logit go together most, and least."""
    found = of_first(correlations(of), kind)
    found = found[found["output"] == "logit"]
    found = found.sort_values("correlation", kind="stable")  # those without a value are last
    last = max(found["correlation"].count() - 1, 0)
    labels = dict.fromkeys([found["label"].iloc[last], found["label"].iloc[0]])
    rows = of_first(images(of), kind)
    return pd.concat([rows[rows["label"] == label] for label in labels], ignore_index=True)


@cache
def correlations(of: Hierarchies) -> pd.DataFrame:
    """Spearman's correlation of dominance with logit and probability in each class.

    Returns:
        kind, seed, label, output, correlation, low, high (95 %, over images), n.
    """
    rows = []
    for (kind, seed, label), here in images(of).groupby(["kind", "seed", "label"], sort=False):
        for output in OUTPUTS:
            found = statistics.rank_agreement(here["dominance"].to_numpy(), here[output].to_numpy(), kind="spearman")
            rows.append(
                {
                    "kind": kind,
                    "seed": seed,
                    "label": label,
                    "output": output,
                    "correlation": found.value,
                    "low": found.low,
                    "high": found.high,
                    "n": found.n,
                }
            )
    return pd.DataFrame(rows)


def strength(of: Hierarchies, kind: str, output: str) -> tuple[float, np.ndarray]:
    """How strong the correlation is, whatever its sign: mean of |Spearman| over classes and networks, with resamples.

    Images are resampled, one resample for all networks of a class, independently of other classes; the relative
    dominance of an image is kept as it is.

    Returns:
        The mean and the same mean on each resample [R]; NaN where no class has a correlation.
    """
    found = correlations(of)
    value = float(found.loc[(found["kind"] == kind) & (found["output"] == output), "correlation"].abs().mean())
    here, draws = images(of), []
    for place, (_, of_class) in enumerate(here[here["kind"] == kind].groupby("label", sort=False)):
        for _, rows in of_class.groupby("seed", sort=False):
            both = rows[["dominance", output]].dropna().to_numpy()
            if len(both) > 1:  # as many images have the same resamples: other ones for every class by rolling them
                draws.append(np.roll(np.abs(spearman_draws(*both.T)), place))
    return value, _mean(np.reshape(draws, (-1, RESAMPLES)))


def over_classes(of: Hierarchies) -> pd.DataFrame:
    """The mean correlation over classes.

    Returns:
        kind, output, correlation (mean over networks, then classes), low, high (95 %, over classes), strength (mean of
        its absolute value), strength_low, strength_high (95 %, over images), by_chance (the strength to expect of
        numbers that have nothing to do with each other), classes, networks.
    """
    rows = []
    for (kind, output), here in correlations(of).groupby(["kind", "output"], sort=False):
        by_class = here.groupby("label", sort=False)["correlation"].mean()
        interval = statistics.mean_interval(by_class.to_numpy())
        value, draws = strength(of, kind, output)
        low, high = percentile_interval(draws)
        n = here.loc[here["correlation"].notna(), "n"]
        rows.append(
            {
                "kind": kind,
                "output": output,
                "correlation": interval.mean,
                "low": interval.low,
                "high": interval.high,
                "strength": value,
                "strength_low": low,
                "strength_high": high,
                "by_chance": float(np.sqrt(2 / (np.pi * (n - 1))).mean()),  # the variance of rho is then 1 / (n - 1)
                "classes": int(by_class.notna().sum()),
                "networks": here["seed"].nunique(),
            }
        )
    return pd.DataFrame(rows)


def _mean(table: np.ndarray) -> np.ndarray:
    """Means over the first axis of those that are defined; NaN where none is."""
    n = (~np.isnan(table)).sum(0)
    return np.where(n > 0, np.nansum(table, axis=0) / np.maximum(n, 1), np.nan)
