"""The networks of the dominance part: accuracy, clusters, Focus."""

import numpy as np
import pandas as pd
import torch
from sklearn.metrics import adjusted_rand_score

from xai_lib import statistics
from xai_lib.papers.dominance import experiment
from xai_lib.papers.dominance.method import clusters
from xai_lib.run.settings import Study


def first(rows: pd.DataFrame, kind: str) -> pd.DataFrame:
    """Rows of the first network of a kind, the one that pages show: columns kind and seed."""
    return rows[(rows["kind"] == kind) & (rows["seed"] == 0)]


def extremes(rows: pd.DataFrame, column: str) -> tuple[pd.Series, pd.Series]:
    """The rows with the highest and the lowest value of a column; some row where there is no value."""
    ordered = rows.sort_values(column, kind="stable")  # those without a value are last
    return ordered.iloc[max(ordered[column].count() - 1, 0)], ordered.iloc[0]


def accuracy(study: Study) -> pd.DataFrame:
    """Accuracy and mean probability of the true class: kind, metric, and :func:`statistics.summarise`'s columns."""
    images = experiment.table(study, "images")
    values = {"accuracy": (images["label"] == images["predicted"]).astype(float), "probability": images["probability"]}
    rows = pd.concat([images.assign(metric=name, value=value) for name, value in values.items()])
    return _in_order(study, statistics.summarise(rows, by=("kind", "metric"), ranges=(0.0, 1.0)))


def sizes(study: Study) -> pd.DataFrame:
    """Clusters of each network: kind, seed, smallest, median, largest (evaluation images), fewest (training images)."""
    shares = experiment.table(study, "shares")
    grouped = shares[shares["clustering"] == experiment.K_MEANS].groupby(["kind", "seed"], sort=False)
    columns = {"smallest": ("evaluation", "min"), "median": ("evaluation", "median"), "largest": ("evaluation", "max")}
    return grouped.agg(**columns, fewest=("training", "min")).reset_index()


def chosen(study: Study) -> pd.DataFrame:
    """How many clusters each class would have by two rules, NaN where none qualifies; silhouette is of P clusters."""
    rows, by = [], ["kind", "seed", "label"]
    for key, here in experiment.table(study, "choice").groupby(by, sort=False):
        silhouettes = here.set_index("n_clusters")["silhouette"]
        own, gap = silhouettes.get(study.run.dominance.n_clusters, np.nan), clusters.by_gap(here) or np.nan
        rows.append((*key, own, silhouettes.max(), clusters.by_silhouette(here), gap))
    return pd.DataFrame(rows, columns=[*by, "silhouette", "best_silhouette", "by_silhouette", "by_gap"])


def modes(study: Study) -> pd.DataFrame:
    """On planted images: are the clusters the planted modes? kind, seed, ari (mean over classes), lowest, highest."""
    rows = []
    for key, here in experiment.table(study, "images").groupby(["kind", "seed"], sort=False):
        found = [adjusted_rand_score(of_class["mode"], of_class["cluster"]) for _, of_class in here.groupby("label")]
        rows.append((*key, np.mean(found), min(found), max(found)))
    return pd.DataFrame(rows, columns=["kind", "seed", "ari", "lowest", "highest"])


def agreement_with_modes(study: Study, kind: str) -> np.ndarray:
    """Adjusted Rand index of clusters and planted modes, [S networks, C classes, 1 + R]: real clusters, then dealt."""

    def of_class(rows: pd.DataFrame) -> list[float]:
        assigned = torch.tensor(rows["cluster"].to_numpy())
        dealt = [clusters.shuffled(assigned, seed=deal) for deal in range(study.run.dominance.n_deals)]
        return [adjusted_rand_score(rows["mode"], of_images) for of_images in (assigned, *dealt)]

    rows = experiment.table(study, "images")
    by_seed = [here for _, here in rows[rows["kind"] == kind].groupby("seed", sort=False)]
    return np.array([[of_class(rows) for _, rows in here.groupby("label", sort=False)] for here in by_seed])


def focus(study: Study) -> pd.DataFrame:
    """Focus of each kind of network and explainer: kind, explainer, :func:`statistics.summarise`'s columns."""
    values = experiment.table(study, "focus").rename(columns={"mosaic": "index"})
    return _in_order(study, statistics.summarise(values, by=("kind", "explainer"), ranges=(0.0, 1.0)))


def _in_order(study: Study, summary: pd.DataFrame) -> pd.DataFrame:
    """Kinds in the order of the networks, the paper's first."""
    place = experiment.kinds(study).index
    return summary.sort_values("kind", key=lambda kinds: kinds.map(place), kind="stable", ignore_index=True)
