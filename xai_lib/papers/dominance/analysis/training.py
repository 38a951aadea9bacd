"""Are the least dominant clusters rare in training? (§4, Figures 4 and 5.)"""

import itertools
import math
from collections.abc import Iterable
from functools import cache

import pandas as pd

from xai_lib.papers.dominance import experiment
from xai_lib.papers.dominance.analysis import dealt, hierarchies
from xai_lib.papers.dominance.method import training_share
from xai_lib.run.settings import Study
from xai_lib.statistics import Comparison

# What dominance is correlated with -> how it is called. The first is the paper's.
SHARES = {
    "training_share": "share of the training images",
    "representation": "training share / evaluation share",
    "training_distance": "distance to the training images",
}
SHARES_OF_IMAGES = {"training_share": "training share", "representation": SHARES["representation"]}
RANKS = {  # what is asked of the clusters at some ranks -> how it is called
    "least": "the least dominant cluster",
    "lowest two": "the two least dominant (ranks 3 and 4 in print)",
    "most": "the most dominant cluster",
    "same": "how often the least dominant has the least",
}
# What the network says of the images of a cluster.
OUTPUTS = {"logit": "mean logit", "probability": "mean probability"}


@cache
def clusters(study: Study) -> pd.DataFrame:
    """Every cluster of K-means: :func:`hierarchies.ranked`, the table "shares", and the means over its images."""
    by = ["kind", "seed", "label", "cluster"]
    both = (hierarchies.ranked(study), experiment.table(study, "shares"))
    order, shares = (rows[rows["clustering"] == experiment.K_MEANS].drop(columns="clustering") for rows in both)
    means = experiment.table(study, "images").groupby(by)[["training_distance", "logit", "probability"]].mean()
    return order.merge(shares, on=by).merge(means.reset_index(), on=by)


def correlations(study: Study) -> pd.DataFrame:
    """:func:`training_share.correlations` with each of :data:`SHARES`, for each kind."""
    both = itertools.product(clusters(study).groupby("kind", sort=False), SHARES)
    parts = [training_share.correlations(rows, name).assign(kind=kind, share=name) for (kind, rows), name in both]
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
            counts = (by_class.round(9) > 0).sum(), by_class.notna().sum(), here["seed"].nunique()
            rows.append((kind, name, permuted.value, *permuted.interval(), permuted.p_value(), *counts))
    columns = ["kind", "share", "correlation", "low", "high", "p_value", "positive", "classes", "networks"]
    return pd.DataFrame(rows, columns=columns)


def least(study: Study) -> pd.DataFrame:
    """The least dominant cluster of each network and class, with the one that has the ``fewest`` training images."""
    known = clusters(study).dropna(subset=["dominance", "training_share"])
    grouped = known.groupby(["kind", "seed", "label"], sort=False)
    lowest, fewest = (known.loc[grouped[name].idxmin()] for name in ("dominance", "training_share"))
    fewest = fewest["cluster"].to_numpy()
    return lowest.assign(fewest=fewest, same=lowest["cluster"] == fewest)


@cache
def of_ranks(study: Study, name: str) -> pd.DataFrame:
    """What training shows of the clusters at some ranks, real and dealt: kind, seed, label, deal, and of the share
    ``name`` the value of the least dominant cluster ("least"), the mean of the two least dominant ("lowest two", ranks
    3 and 4 of the paper's 0 to 4), the value of the most dominant, and whether the least dominant's is the smallest.
    """
    shares = clusters(study)[["kind", "seed", "label", "cluster", name]]
    rows = []
    for key, here in dealt.relative(study).merge(shares).groupby(dealt.BY, sort=False):
        by_rank = here.dropna(subset=["dominance", name]).sort_values("rank")[name].to_numpy()
        if len(by_rank):
            same = float(by_rank[-1] == by_rank.min())
            rows.append((*key, by_rank[-1], by_rank[-2:].mean(), by_rank[0], same))
    return pd.DataFrame(rows, columns=[*dealt.BY, *RANKS])


def against_dealt(study: Study, kind: str, name: str, rank: str) -> Comparison:
    """One of :data:`RANKS` of the clusters of a kind of network, against dealt ones."""
    found = dealt.table(of_ranks(study, name).query("kind == @kind"), rank)
    bounded = name == "training_share" or rank == "same"
    return dealt.against_dealt(found, a=rank, range=(0.0, 1.0 if bounded else math.inf))


def ranks_in_numbers(study: Study) -> pd.DataFrame:
    """Each of :data:`RANKS` beside the same of dealt clusters, means over networks and classes, and the difference."""
    rows = []
    for key in itertools.product(clusters(study)["kind"].unique(), SHARES_OF_IMAGES, RANKS):
        (kind, name, rank), found = key, against_dealt(study, *key)
        here = of_ranks(study, name)
        here = here[(here["kind"] == kind) & (here["deal"] == hierarchies.REAL)]
        real = here.groupby("label")[rank].mean().mean()
        said = *found.estimate.interval(), found.p_value, found.n_classes, found.n_seeds
        rows.append((*key, real, real - found.difference, found.difference, *said))
    columns = ["kind", "share", "rank", "value", "dealt", "difference", "low", "high", "p_value", "classes", "networks"]
    return pd.DataFrame(rows, columns=columns)


def exception(study: Study, kind: str, label: str = "airplane") -> dict[str, float] | None:
    """Numbers about the class that does not follow the claim in print, means over the networks of a kind; None where
    the images have no such class. ``below`` counts classes of a lower correlation of dominance and training share;
    ``narrower`` is the place of its pairs' spread, 1 the narrowest; ``smallest`` is its smallest cluster.
    """
    rows = clusters(study).query("kind == @kind")
    of_class = training_share.correlations(rows, "training_share").groupby("label")["correlation"].mean()
    if label not in of_class:
        return None
    spread = hierarchies.spread(study).query("kind == @kind and clustering == @experiment.K_MEANS")
    spread = spread.groupby("label")["spread"].mean()
    found = {"correlation": of_class[label], "others": of_class.drop(label).mean(), "classes": len(of_class)}
    found |= {"below": int((of_class < of_class[label]).sum()), "spread": spread[label]}
    smallest = int(rows.loc[rows["label"] == label, "evaluation"].min())
    return found | {"narrower": int(spread.rank()[label]), "smallest": smallest}


def by_rank(study: Study, kind: str) -> pd.DataFrame:
    """Figure 4: label, rank (1 most dominant), training_share, representation; means over the networks of a kind."""
    rows = clusters(study).query("kind == @kind").dropna(subset="dominance")
    return rows.groupby(["label", "rank"], sort=False)[["training_share", "representation"]].mean().reset_index()
