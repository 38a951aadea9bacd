"""Are the least dominant clusters rare in training? (§4, Figures 4 and 5.)"""

from collections.abc import Iterable
from functools import cache

import pandas as pd

from xai_lib import statistics
from xai_lib.papers.dominance import experiment
from xai_lib.papers.dominance.analysis import hierarchies
from xai_lib.papers.dominance.experiment.dominance import K_MEANS, Hierarchies
from xai_lib.papers.dominance.method import share

# What dominance is correlated with -> how it is called. The first is the paper's.
SHARES = {
    "training_share": "share of the training images",
    "representation": "training share / evaluation share",
    "training_distance": "distance to the training images",
}
# What the network says of the images of a cluster.
OUTPUTS = {"logit": "mean logit", "probability": "mean probability"}


@cache
def clusters(of: Hierarchies, clustering: str = K_MEANS) -> pd.DataFrame:
    """Every cluster: kind, seed, label, cluster, dominance, rank, low, high, the columns of :func:`share.shares`, and

    for K-means training_distance, logit and probability (means over its evaluation images).
    """
    by = ["kind", "seed", "label", "cluster"]
    ranked = hierarchies.ranked(of)
    ranked = ranked[ranked["clustering"] == clustering].drop(columns="clustering")
    shares = experiment.training_shares(of)
    shares = shares[shares["clustering"] == clustering].drop(columns="clustering")
    both = ranked.merge(shares, on=by)
    if clustering != K_MEANS:
        return both
    means = experiment.cluster_images(of).groupby(by)[["training_distance", "logit", "probability"]].mean()
    return both.merge(means.reset_index(), on=by)


def correlations(of: Hierarchies, clustering: str = K_MEANS) -> pd.DataFrame:
    """Spearman's correlation of dominance with each of :data:`SHARES` in each class: kind, share, and those of

    :func:`share.correlations`.
    """
    parts = [
        share.correlations(rows, name).assign(kind=kind, share=name)
        for kind, rows in clusters(of, clustering).groupby("kind", sort=False)
        for name in SHARES
        if name in rows
    ]
    return pd.concat(parts, ignore_index=True)


def over_classes(of: Hierarchies, names: Iterable[str] = tuple(SHARES)) -> pd.DataFrame:
    """The claim as one number: mean correlation, its interval over classes, and a permutation test.

    Args:
        of: the run.
        names: what dominance is correlated with: of :data:`SHARES`, or of :data:`OUTPUTS`.

    Returns:
        kind, share, correlation (mean over networks, then classes), low, high (95 %, over classes), p_value (of the
        permutation test), positive (classes above 0), classes, networks.
    """
    rows = []
    for kind, here in clusters(of).groupby("kind", sort=False):
        for name in names:
            by_class = share.correlations(here, name).groupby("label", sort=False)["correlation"].mean()
            interval = statistics.mean_interval(by_class.to_numpy())
            rows.append(
                {
                    "kind": kind,
                    "share": name,
                    "correlation": interval.mean,
                    "low": interval.low,
                    "high": interval.high,
                    "p_value": share.permutation_test(here, name).p_value,
                    "positive": int((by_class > 0).sum()),
                    "classes": int(by_class.notna().sum()),
                    "networks": here["seed"].nunique(),
                }
            )
    return pd.DataFrame(rows)


def least(of: Hierarchies, name: str = "training_share") -> pd.DataFrame:
    """The least dominant cluster of each class: kind, and the columns of :func:`share.least`."""
    parts = [share.least(rows, name).assign(kind=kind) for kind, rows in clusters(of).groupby("kind", sort=False)]
    return pd.concat(parts, ignore_index=True)


def least_in_numbers(of: Hierarchies) -> pd.DataFrame:
    """How often the least dominant cluster has the fewest training images.

    Returns:
        kind, seed, share, same (classes), classes, expected (by luck), p_value (exact), share_of_least (mean).
    """
    rows = []
    for name in ("training_share", "representation"):
        for (kind, seed), found in least(of, name).groupby(["kind", "seed"], sort=False):
            rows.append(
                {
                    "kind": kind,
                    "seed": seed,
                    "share": name,
                    "same": int(found["same"].sum()),
                    "classes": len(found),
                    "expected": float(found["chance"].sum()),
                    "p_value": share.at_chance(found),
                    "share_of_least": float(found["share_of_least"].mean()),
                }
            )
    columns = ["kind", "seed", "share", "same", "classes", "expected", "p_value", "share_of_least"]
    return pd.DataFrame(rows, columns=columns)


def by_rank(of: Hierarchies, kind: str) -> pd.DataFrame:
    """Figure 4: label, rank (1 most dominant), training_share, representation; means over the networks of a kind."""
    rows = clusters(of)
    rows = rows[(rows["kind"] == kind) & rows["dominance"].notna()]
    return rows.groupby(["label", "rank"], sort=False)[["training_share", "representation"]].mean().reset_index()
