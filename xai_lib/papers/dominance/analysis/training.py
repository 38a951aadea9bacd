"""Are the least dominant clusters rare in training? (§4, Figures 4 and 5.)"""

from collections.abc import Iterable
from functools import cache

import pandas as pd

from xai_lib.papers.dominance import experiment
from xai_lib.papers.dominance.analysis import hierarchies
from xai_lib.papers.dominance.experiment import K_MEANS
from xai_lib.papers.dominance.method import training_share
from xai_lib.run.study import Study

# What dominance is correlated with -> how it is called. The first is the paper's.
SHARES = {
    "training_share": "share of the training images",
    "representation": "training share / evaluation share",
    "training_distance": "distance to the training images",
}
# What the network says of the images of a cluster.
OUTPUTS = {"logit": "mean logit", "probability": "mean probability"}


@cache
def clusters(study: Study) -> pd.DataFrame:
    """Every cluster of K-means: :func:`hierarchies.ranked`, the table "shares", and the means over its images."""
    by = ["kind", "seed", "label", "cluster"]
    both = (hierarchies.ranked(study), experiment.table(study, "shares"))
    order, shares = (rows[rows["clustering"] == K_MEANS].drop(columns="clustering") for rows in both)
    means = experiment.table(study, "images").groupby(by)[["training_distance", "logit", "probability"]].mean()
    return order.merge(shares, on=by).merge(means.reset_index(), on=by)


def correlations(study: Study) -> pd.DataFrame:
    """:func:`training_share.correlations` with each of :data:`SHARES`, for each kind."""
    parts = [
        training_share.correlations(rows, name).assign(kind=kind, share=name)
        for kind, rows in clusters(study).groupby("kind", sort=False)
        for name in SHARES
    ]
    return pd.concat(parts, ignore_index=True)


def over_classes(study: Study, names: Iterable[str] = tuple(SHARES)) -> pd.DataFrame:
    """The claim as one number: mean correlation over networks, then classes, with :data:`SHARES` or :data:`OUTPUTS`;
    the interval and p-value of a permutation within classes, and the classes above 0.
    """
    rows = []
    for kind, here in clusters(study).groupby("kind", sort=False):
        for name in names:
            by_class = training_share.correlations(here, name).groupby("label", sort=False)["correlation"].mean()
            permuted = training_share.permutation_test(here, name)
            counts = (by_class > 0).sum(), by_class.notna().sum(), here["seed"].nunique()
            rows.append((kind, name, permuted.value, *permuted.interval(), permuted.p_value(), *counts))
    columns = ["kind", "share", "correlation", "low", "high", "p_value", "positive", "classes", "networks"]
    return pd.DataFrame(rows, columns=columns)


def least(study: Study, name: str = "training_share") -> pd.DataFrame:
    """The least dominant cluster of each class: the columns of :func:`training_share.least`, and kind."""
    by_kind = clusters(study).groupby("kind", sort=False)
    return pd.concat([training_share.least(rows, name).assign(kind=kind) for kind, rows in by_kind], ignore_index=True)


def least_in_numbers(study: Study) -> pd.DataFrame:
    """In how many classes the least dominant cluster has the fewest training images, by luck, and the exact p-value."""
    rows = []
    for name in ("training_share", "representation"):
        for key, found in least(study, name).groupby(["kind", "seed"], sort=False):
            counts, share = (int(found["same"].sum()), len(found)), float(found["share_of_least"].mean())
            rows.append((*key, name, *counts, float(found["chance"].sum()), training_share.at_chance(found), share))
    columns = ["kind", "seed", "share", "same", "classes", "expected", "p_value", "share_of_least"]
    return pd.DataFrame(rows, columns=columns)


def by_rank(study: Study, kind: str) -> pd.DataFrame:
    """Figure 4: label, rank (1 most dominant), training_share, representation; means over the networks of a kind."""
    rows = clusters(study)
    rows = rows[(rows["kind"] == kind) & rows["dominance"].notna()]
    return rows.groupby(["label", "rank"], sort=False)[["training_share", "representation"]].mean().reset_index()
