"""Dominance matrices and hierarchies, of each network and class (§3.4, Figures 2 and 5)."""

import itertools
from collections.abc import Callable, Sequence
from functools import cache, partial

import numpy as np
import pandas as pd

from xai_lib.papers.dominance import experiment
from xai_lib.papers.dominance.analysis.networks import first
from xai_lib.papers.dominance.method import dominance, relative_dominance
from xai_lib.run.settings import Study
from xai_lib.statistics.agreement import rank_agreement
from xai_lib.statistics.comparison import SIGNIFICANCE
from xai_lib.statistics.cube import defined_mean

DEALT = "dealt"  # the clustering of K-means' clusters whose images were dealt to them at random, `deal` times
REAL = -1  # the deal of clusters that were not dealt
_GROUP = ["kind", "seed", "clustering", "label"]
_VARIANT = ["explainer", "size", "scaling"]
_correlation = partial(rank_agreement, kind="spearman")


@cache
def pairs(study: Study) -> pd.DataFrame:
    """Every pair of clusters: kind, seed, clustering, label, deal, and the columns of :func:`dominance.pairs`."""
    found = _of_each_class(study, dominance.pairs).assign(deal=REAL)
    return pd.concat([found, experiment.table(study, "dealt").assign(clustering=DEALT)], ignore_index=True)


@cache
def ranked(study: Study) -> pd.DataFrame:
    """Every cluster: kind, seed, clustering, label, and the columns of :func:`relative_dominance.hierarchy`."""
    return _of_each_class(study, relative_dominance.hierarchy)


def matrices(study: Study, kind: str, labels: Sequence[str]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Class -> dominance and Holm-corrected p-values of the t test, both [P,P] by number, of a kind's first network."""
    found = {label: pairs_of(study, kind, label) for label in labels}
    return {label: (dominance.matrix(rows), dominance.matrix(rows, "p_t_holm")) for label, rows in found.items()}


def ranked_matrices(study: Study, kind: str) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """:func:`matrices` of all classes, with the clusters by rank, the most dominant first."""
    order, found = _clusters(ranked(study), kind), {}
    for label, both in matrices(study, kind, order["label"].unique()).items():
        by_rank = order.loc[order["label"] == label].sort_values("cluster")["rank"].to_numpy().argsort()
        found[label] = tuple(square[np.ix_(by_rank, by_rank)] for square in both)
    return found


def pairs_of(study: Study, kind: str, label: str) -> pd.DataFrame:
    """The pairs of one class of the first network of a kind."""
    rows = _clusters(pairs(study), kind)
    return rows[rows["label"] == label]


def classes(study: Study, kind: str) -> pd.DataFrame:
    """The hierarchy of each class of a kind's first network, of clusters with a value; ``low``, ``high``, ``certain``
    (how often it is last in resamples) are of the least dominant; ``decided`` pairs differ after Holm.
    """
    rows = []
    for label, clusters in _clusters(ranked(study), kind).groupby("label", sort=False):
        clusters = clusters.sort_values("rank")  # those without a value are last
        top, bottom = clusters.iloc[0], clusters.iloc[max(clusters["dominance"].count() - 1, 0)]
        here = pairs_of(study, kind, label)
        ends = [*top[["cluster", "dominance"]], *bottom[["cluster", "dominance", "low", "high", "last"]]]
        decided = (here["p_t_holm"] < SIGNIFICANCE).sum()
        rows.append((label, *ends, decided, len(here), *relative_dominance.cyclic_triples(dominance.matrix(here))))
    columns = ["label", "most", "dominance_most", "least", "dominance_least", "low", "high", "certain", "decided"]
    return pd.DataFrame(rows, columns=[*columns, "pairs", "cyclic", "triples"])


@cache
def spread(study: Study) -> pd.DataFrame:
    """How far clusters are apart, of each class and deal: ``spread`` is the mean distance of D from 0.5 over its pairs,
    ``range`` of relative dominance, ``mean`` of the pairs' first (larger) clusters, ``significant`` a share of pairs,
    ``cyclic_share`` of triples; ``similar`` Spearman's correlation of that distance with that of the centres;
    ``nearest`` that distance of the pair whose centres are nearest.
    """
    rows, by = [], [*_GROUP, "deal"]
    placed = ["kind", "seed", "label", "first", "second"]
    centres = experiment.table(study, "centres")[[*placed, "distance"]]
    for key, here in pairs(study).merge(centres, on=placed, how="left").groupby(by, sort=False):
        square = dominance.matrix(here)
        cyclic, triples = relative_dominance.cyclic_triples(square)
        apart = (here["dominance"] - dominance.NO_DOMINANCE).abs()
        reach, mean = np.ptp(relative_dominance.relative(square)), here["dominance"].mean()
        similar = nearest = np.nan
        if key[2] != "modes":
            similar = _correlation(apart.to_numpy(), here["distance"].to_numpy())
            nearest = apart[here["distance"].idxmin()]
        n, n_undefined = here[["n", "n_undefined"]].sum()
        decided = [*((here[p] < SIGNIFICANCE).mean() for p in ("p_t", "p_t_holm")), cyclic, triples]
        share = cyclic / triples if triples else np.nan
        rows.append((*key, apart.mean(), reach, mean, n + n_undefined, n_undefined, *decided, share, similar, nearest))
    columns = ["spread", "range", "mean", "n", "n_undefined", "significant", "significant_holm"]
    columns += ["cyclic", "triples", "cyclic_share", "similar", "nearest"]
    return pd.DataFrame(rows, columns=[*by, *columns])


def variants(study: Study) -> pd.DataFrame:
    """Other explainers, scalings and sizes: means over networks and classes of how they agree with the paper's way."""
    group = ["kind", "seed", "label"]
    rows, reference = [], []
    for key, here in experiment.table(study, "variants").groupby(_VARIANT, sort=False):
        means = here.groupby([*group, "first", "second"], sort=False)["value"].mean().rename("dominance").reset_index()
        means["away"] = (means["dominance"] - dominance.NO_DOMINANCE).abs()
        by_class = means.groupby(group, sort=False)
        found = [relative_dominance.relative(dominance.matrix(of_class)) for _, of_class in by_class]
        reference = reference or found  # the paper's way is the first
        both = list(zip(found, reference, strict=True))
        agree = [float(defined_mean(np.array([how(*pair) for pair in both]), 0)) for how in (_correlation, _same_least)]
        rows.append((*key, by_class["away"].mean().mean(), *agree, here["value"].isna().sum(), len(here)))
    return pd.DataFrame(rows, columns=[*_VARIANT, "spread", "correlation", "same_least", "n_undefined", "n"])


def between_trainings(study: Study) -> pd.DataFrame:
    """Spearman's correlation of two trainings over a class's images, each with the dominance of its cluster."""
    order = ranked(study)
    order = order.loc[order["clustering"] == experiment.K_MEANS, ["kind", "seed", "label", "cluster", "dominance"]]
    images, rows = experiment.table(study, "images").merge(order), []
    for (kind, label), here in images.groupby(["kind", "label"], sort=False):
        by_seed = here.pivot(index="index", columns="seed", values="dominance")
        for a, b in itertools.combinations(by_seed.columns, 2):
            rows.append((kind, a, b, label, _correlation(by_seed[a].to_numpy(), by_seed[b].to_numpy())))
    return pd.DataFrame(rows, columns=["kind", "a", "b", "label", "correlation"])


def _clusters(rows: pd.DataFrame, kind: str) -> pd.DataFrame:
    """Those of the first network of a kind, of clusters that K-means found."""
    rows = first(rows, kind)
    return rows[rows["clustering"] == experiment.K_MEANS]


def _of_each_class(study: Study, compute: Callable[[pd.DataFrame], pd.DataFrame]) -> pd.DataFrame:
    groups = experiment.table(study, "mosaics").groupby(_GROUP, sort=False)
    parts = ((dict(zip(_GROUP, key)), compute(values)) for key, values in groups)
    return pd.concat([frame.assign(**named)[[*named, *frame]] for named, frame in parts], ignore_index=True)


def _same_least(a: np.ndarray, b: np.ndarray) -> float:
    """Whether the smallest of a and of b [P] are in one place; NaN if one of them has no value."""
    if np.isnan(a).all() or np.isnan(b).all():
        return float("nan")
    return float(np.nanargmin(a) == np.nanargmin(b))
