"""The networks of the dominance part: accuracy, clusters, Focus."""

import numpy as np
import pandas as pd
from sklearn.metrics import adjusted_rand_score

from xai_lib import statistics
from xai_lib.papers.dominance import experiment
from xai_lib.papers.dominance.experiment.dominance import Hierarchies
from xai_lib.papers.dominance.method import choice


def accuracy(of: Hierarchies) -> pd.DataFrame:
    """Accuracy and mean probability of the true class: kind, metric, and :func:`statistics.summarise`'s columns."""
    images = experiment.cluster_images(of)
    correct = (images["label"] == images["predicted"]).astype(float)
    rows = [
        images.assign(metric="accuracy", value=correct),
        images.assign(metric="probability", value=images["probability"]),
    ]
    return _in_order(of, statistics.summarise(pd.concat(rows), by=("kind", "metric")))


def sizes(of: Hierarchies) -> pd.DataFrame:
    """Clusters of each network: kind, seed, smallest, median, largest (evaluation images), fewest (training images)."""
    shares = experiment.training_shares(of)
    shares = shares[shares["clustering"] == "k-means"]
    grouped = shares.groupby(["kind", "seed"], sort=False)
    return pd.DataFrame(
        {
            "smallest": grouped["evaluation"].min(),
            "median": grouped["evaluation"].median(),
            "largest": grouped["evaluation"].max(),
            "fewest": grouped["training"].min(),
        }
    ).reset_index()


def chosen(of: Hierarchies) -> pd.DataFrame:
    """How many clusters each class would have by two rules.

    Returns:
        kind, seed, label, silhouette (of P clusters), best_silhouette, by_silhouette, by_gap (numbers of clusters; NaN
        where none qualifies).
    """
    rows = []
    for key, here in experiment.choices(of).groupby(["kind", "seed", "label"], sort=False):
        at = here.set_index("n_clusters")["silhouette"]
        rows.append(
            dict(zip(("kind", "seed", "label"), key))
            | {
                "silhouette": at.get(of.run.dominance.n_clusters, np.nan),
                "best_silhouette": at.max(),
                "by_silhouette": choice.by_silhouette(here),
                "by_gap": choice.by_gap(here) or np.nan,
            }
        )
    return pd.DataFrame(rows)


def first_choices(of: Hierarchies, kind: str) -> pd.DataFrame:
    """The rows of :func:`cells.choices` of the first network of a kind."""
    return of_first(experiment.choices(of), kind)


def of_first(rows: pd.DataFrame, kind: str) -> pd.DataFrame:
    """Rows of the first network of a kind, the one that pages show: columns kind and seed."""
    return rows[(rows["kind"] == kind) & (rows["seed"] == 0)]


def modes(of: Hierarchies) -> pd.DataFrame:
    """On planted images: are the clusters the planted modes? kind, seed, ari (mean over classes), lowest, highest."""
    rows = []
    for (kind, seed), here in experiment.cluster_images(of).groupby(["kind", "seed"], sort=False):
        found = [adjusted_rand_score(rows_of["mode"], rows_of["cluster"]) for _, rows_of in here.groupby("label")]
        rows.append({"kind": kind, "seed": seed, "ari": np.mean(found), "lowest": min(found), "highest": max(found)})
    return pd.DataFrame(rows)


def focus(of: Hierarchies) -> pd.DataFrame:
    """Focus of each kind of network and explainer: kind, explainer, :func:`statistics.summarise`'s columns."""
    values = experiment.focus_values(of).rename(columns={"mosaic": "index"})
    return _in_order(of, statistics.summarise(values, by=("kind", "explainer")))


def _in_order(of: Hierarchies, summary: pd.DataFrame) -> pd.DataFrame:
    """Kinds in the order of the networks, the paper's first."""
    order = {kind: place for place, kind in enumerate(of.kinds)}
    return summary.sort_values("kind", key=lambda kinds: kinds.map(order), kind="stable", ignore_index=True)
