"""Dominance matrices and hierarchies, of each network and class (§3.4, Figures 2 and 5)."""

import itertools
from collections.abc import Iterator, Sequence
from functools import cache

import numpy as np
import pandas as pd
from scipy import stats

from xai_lib.papers.dominance import experiment
from xai_lib.papers.dominance.experiment.dominance import K_MEANS, Hierarchies
from xai_lib.papers.dominance.method import hierarchy, matrix
from xai_lib.statistics.comparison import SIGNIFICANCE

_GROUP = ["kind", "seed", "clustering", "label"]


@cache
def pairs(of: Hierarchies) -> pd.DataFrame:
    """Every pair of clusters: kind, seed, clustering, label, and the columns of :func:`matrix.pairs`."""
    groups = experiment.mosaic_shares(of).groupby(_GROUP, sort=False)
    return _stacked((dict(zip(_GROUP, key)), matrix.pairs(values)) for key, values in groups)


@cache
def ranked(of: Hierarchies) -> pd.DataFrame:
    """Every cluster: kind, seed, clustering, label, and the columns of :func:`hierarchy.hierarchy`."""
    groups = experiment.mosaic_shares(of).groupby(_GROUP, sort=False)
    return _stacked((dict(zip(_GROUP, key)), hierarchy.hierarchy(values)) for key, values in groups)


def matrices(of: Hierarchies, kind: str, labels: Sequence[str]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Class -> dominance [P,P] and Holm-corrected p-values of the t test [P,P], clusters by number (A, B, …).

    Of some classes of the first network of a kind.
    """
    found = {label: pairs_of(of, kind, label) for label in labels}
    return {label: (matrix.matrix(rows), matrix.matrix(rows, "p_t_holm")) for label, rows in found.items()}


def ranked_matrices(of: Hierarchies, kind: str) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """:func:`matrices` of all classes, with the clusters by rank, the most dominant first."""
    order = _of(ranked(of), kind, 0)
    found = {}
    for label, both in matrices(of, kind, order["label"].unique()).items():
        ranks = order.loc[order["label"] == label].sort_values("cluster")["rank"].to_numpy()
        place = np.ix_(ranks.argsort(), ranks.argsort())
        found[label] = tuple(square[place] for square in both)
    return found


def pairs_of(of: Hierarchies, kind: str, label: str, seed: int = 0) -> pd.DataFrame:
    """The pairs of one class of one network."""
    rows = _of(pairs(of), kind, seed)
    return rows[rows["label"] == label]


def classes(of: Hierarchies, kind: str, seed: int = 0) -> pd.DataFrame:
    """One row a class: how firm its hierarchy is.

    Returns:
        label, most, least (clusters, of those with a value), dominance_most, dominance_least with low and high,
        certain (share of resamples in which the least dominant cluster is last), decided (pairs that differ,
        Holm-corrected), pairs, cyclic and triples (intransitive triples, and all), misfit (of Bradley-Terry).
    """
    rows = []
    of_pairs = _of(pairs(of), kind, seed)
    for label, clusters in _of(ranked(of), kind, seed).groupby("label", sort=False):
        clusters = clusters.sort_values("rank")  # those without a value are last
        top, bottom = clusters.iloc[0], clusters.iloc[max(clusters["dominance"].count() - 1, 0)]
        here = of_pairs[of_pairs["label"] == label]
        dominance = matrix.matrix(here)
        counted = hierarchy.triples(dominance)
        rows.append(
            {
                "label": label,
                "most": int(top["cluster"]),
                "dominance_most": top["dominance"],
                "least": int(bottom["cluster"]),
                "dominance_least": bottom["dominance"],
                "low": bottom["low"],
                "high": bottom["high"],
                "certain": bottom["last"],
                "decided": int((here["p_t_holm"] < SIGNIFICANCE).sum()),
                "pairs": len(here),
                "cyclic": counted.cyclic,
                "triples": counted.n,
                "misfit": hierarchy.misfit(dominance, hierarchy.bradley_terry(dominance)),
            }
        )
    return pd.DataFrame(rows)


def spread(of: Hierarchies) -> pd.DataFrame:
    """How far clusters are apart, with images dealt to clusters at random beside them.

    Returns:
        kind, seed, clustering, label, spread (standard deviation of dominance over pairs, around 0.5), range (of
        relative dominance, largest minus smallest), mean (dominance of a pair's first cluster: of clusters the larger
        one), n (mosaics), n_undefined (those with an empty map), significant (share of pairs with p < 0.05, t test),
        significant_holm, significant_wilcoxon (both corrected over the class's pairs), cyclic, triples.
    """
    rows = []
    by_cluster = ranked(of).groupby(_GROUP, sort=False)["dominance"]
    ranges = by_cluster.max() - by_cluster.min()
    for key, here in pairs(of).groupby(_GROUP, sort=False):
        counted = hierarchy.triples(matrix.matrix(here))
        rows.append(
            dict(zip(_GROUP, key))
            | {
                "spread": float(np.sqrt(((here["dominance"] - 0.5) ** 2).mean())),
                "range": float(ranges[key]),
                "mean": float(here["dominance"].mean()),
                "n": int(here["n"].sum() + here["n_undefined"].sum()),
                "n_undefined": int(here["n_undefined"].sum()),
                "significant": float((here["p_t"] < SIGNIFICANCE).mean()),
                "significant_holm": float((here["p_t_holm"] < SIGNIFICANCE).mean()),
                "significant_wilcoxon": float((here["p_wilcoxon_holm"] < SIGNIFICANCE).mean()),
                "cyclic": counted.cyclic,
                "triples": counted.n,
            }
        )
    return pd.DataFrame(rows)


def variants(of: Hierarchies) -> pd.DataFrame:
    """Other explainers, scalings and sizes on the same mosaics, against the paper's way.

    Returns:
        explainer, resized, scaling, spread (as :func:`spread`, mean over networks and classes), correlation (Spearman,
        of relative dominance with that of Grad-CAM on whole images without a scaling; mean over networks and classes),
        same_least (share of networks and classes whose least dominant cluster is the same, of those that have one),
        n_undefined, n.
    """
    by = ["explainer", "resized", "scaling"]
    group = ["kind", "seed", "label"]
    values = experiment.variant_shares(of)
    relative = {
        key: {which: _relative(rows) for which, rows in here.groupby(group, sort=False)}
        for key, here in values.groupby(by, sort=False)
    }
    reference = relative["grad-cam", False, "relu"]
    rows = []
    for key, here in values.groupby(by, sort=False):
        found = relative[key]
        both = [(found[which], reference[which]) for which in reference]
        means = here.groupby([*group, "first", "second"])["value"].mean()
        rows.append(
            dict(zip(by, key))
            | {
                "spread": float(np.sqrt(((means - 0.5) ** 2).groupby(group).mean()).mean()),
                "correlation": _mean([_spearman(*pair) for pair in both]),
                "same_least": _mean([_same_least(*pair) for pair in both]),
                "n_undefined": int(here["value"].isna().sum()),
                "n": len(here),
            }
        )
    return pd.DataFrame(rows)


def between_trainings(of: Hierarchies) -> pd.DataFrame:
    """Would another training rank the same images alike? Over images, since clusters differ between networks.

    Returns:
        kind, a, b (seeds), label, correlation (Spearman over a class's evaluation images, of the relative dominance
        of the cluster that each is in).
    """
    images = experiment.cluster_images(of)
    hierarchy_of = ranked(of)
    hierarchy_of = hierarchy_of[hierarchy_of["clustering"] == K_MEANS]
    images = images.merge(hierarchy_of[["kind", "seed", "label", "cluster", "dominance"]])
    rows = []
    for (kind, label), here in images.groupby(["kind", "label"], sort=False):
        table = here.pivot(index="index", columns="seed", values="dominance")
        for a, b in itertools.combinations(table.columns, 2):
            correlation = _spearman(table[a].to_numpy(), table[b].to_numpy())
            rows.append({"kind": kind, "a": a, "b": b, "label": label, "correlation": correlation})
    return pd.DataFrame(rows, columns=["kind", "a", "b", "label", "correlation"])


def _of(rows: pd.DataFrame, kind: str, seed: int, clustering: str = K_MEANS) -> pd.DataFrame:
    return rows[(rows["kind"] == kind) & (rows["seed"] == seed) & (rows["clustering"] == clustering)]


def _stacked(parts: Iterator[tuple[dict, pd.DataFrame]]) -> pd.DataFrame:
    return pd.concat([frame.assign(**named)[[*named, *frame]] for named, frame in parts], ignore_index=True)


def _relative(values: pd.DataFrame) -> np.ndarray:
    """Mean dominance of each cluster of a class over the others [P]."""
    means = values.groupby(["first", "second"])["value"].mean().rename("dominance").reset_index()
    dominance = matrix.matrix(means)
    np.fill_diagonal(dominance, np.nan)
    return np.array([_mean(row) for row in dominance])


def _spearman(x: np.ndarray, y: np.ndarray) -> float:
    defined = ~(np.isnan(x) | np.isnan(y))
    x, y = x[defined], y[defined]
    return float(stats.spearmanr(x, y).statistic) if len(x) > 1 and np.ptp(x) and np.ptp(y) else float("nan")


def _same_least(a: np.ndarray, b: np.ndarray) -> float:
    """Whether the smallest of a and of b [P] are in one place; NaN if one of them has no value."""
    if np.isnan(a).all() or np.isnan(b).all():
        return float("nan")
    return float(np.nanargmin(a) == np.nanargmin(b))


def _mean(values: Sequence[float]) -> float:
    """Mean of those that are defined; NaN where none is."""
    values = np.asarray(values)[~np.isnan(values)]
    return float(values.mean()) if len(values) else float("nan")
