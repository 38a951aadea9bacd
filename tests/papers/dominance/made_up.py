"""Numbers of made-up networks in the place of a run's: noise, until a test plants a truth."""

import itertools
from types import SimpleNamespace

import numpy as np
import pandas as pd
from selecting import rows

from xai_lib.data.planted import CLASSES
from xai_lib.papers.dominance import experiment
from xai_lib.papers.dominance.analysis.rarity import DESIGNS
from xai_lib.papers.dominance.experiment import PARTS, RankedNetwork
from xai_lib.papers.dominance.method import dominance
from xai_lib.papers.dominance.method.rare_modes import rarities_of
from xai_lib.run import settings
from xai_lib.run.settings import Study

NETWORKS = (("tuned", 0), ("tuned", 1), ("ce", 0))  # kind, seed; not in the order of the alphabet
LABELS = ("ship", "bird", "cat")
SIZES = (9, 7, 5, 3)  # evaluation images of clusters 0 to 3: of every class and network, but not the same images
CLUSTERINGS = ("k-means", "modes")
DEALS = 5
EXPLAINERS = ("eigen-cam", "excitation-backprop", "grad-cam", "gradient", "random")
VARIANTS = tuple(
    (*explained, scaling)
    for explained in (("grad-cam", "rescaled"), ("eigen-cam", "rescaled"), ("grad-cam", "whole"))
    for scaling in ("relu", "min-max")
)
PAIRED = 8  # images of a class that are compared one by one


def frames(
    networks=NETWORKS, *, labels=LABELS, sizes=SIZES, clusterings=CLUSTERINGS, n_mosaics=6, paired=PAIRED, missing=0.1
):
    """Name of a table of the experiment -> made-up rows; ``missing`` is the share of empty maps."""
    rng = np.random.default_rng(4)
    pairs, n, p = list(itertools.combinations(range(len(sizes)), 2)), sum(sizes), len(sizes)
    names = ("images", "shares", "centres", "choice", "mosaics", "dealt", "variants", "pairs", "focus")
    parts = {name: [] for name in names}

    def shares_of_energy(n):
        return np.where(rng.random(n) < missing, np.nan, rng.beta(8, 8, n))

    def of_mosaics():
        rows = [{"first": a, "second": b, "mosaic": number} for a, b in pairs for number in range(n_mosaics)]
        return pd.DataFrame(rows).assign(value=shares_of_energy(len(rows)))

    for (kind, seed), (place, label) in itertools.product(networks, enumerate(labels)):

        def add(name, columns, named={"kind": kind, "seed": seed, "label": label}, **more):  # noqa: B006
            parts[name].append(pd.DataFrame(columns).assign(**more, **named))

        index = 1000 * place + 3 * np.arange(n)
        clusters = rng.permutation(np.repeat(range(p), sizes))
        said = {"logit": rng.normal(5, 2, n), "probability": rng.random(n), "training_distance": rng.random(n)}
        where = {"index": index, "cluster": clusters, "distance": rng.random(n), "mode": rng.integers(0, 3, n)}
        add("images", where | said, predicted=rng.choice(labels, n))
        if kind.startswith(("tuned", "untrained")):
            for size in ("rescaled", "whole"):
                of_pairs = pd.DataFrame(itertools.combinations(index[:paired], 2), columns=["a", "b"])
                value, logit = shares_of_energy(len(of_pairs)), rng.normal(5, 2, len(of_pairs))
                add("pairs", of_pairs, value=value, n_undefined=6 * np.isnan(value), logit=logit, size=size)
        if kind.startswith("untrained"):
            continue
        add("centres", pd.DataFrame(pairs, columns=["first", "second"]).assign(distance=rng.random(len(pairs))))
        for deal in range(DEALS):
            add("dealt", dominance.pairs(of_mosaics()), deal=deal)
        for clustering in ("k-means", "modes"):
            training = rng.integers(1, 200, p)
            shares = {"training_share": training / training.sum(), "evaluation_share": np.array(sizes) / n}
            shares["representation"] = shares["training_share"] / shares["evaluation_share"]
            counts = {"cluster": range(p), "training": training, "evaluation": sizes}
            add("shares", counts | shares, clustering=clustering)
        for clustering in clusterings:
            add("mosaics", of_mosaics(), clustering=clustering)
        if kind.startswith("tuned"):
            for explainer, size, scaling in VARIANTS:
                add("variants", of_mosaics(), explainer=explainer, size=size, scaling=scaling)
            fits = {"silhouette": rng.random(5), "gap": rng.random(5), "gap_error": 0.05}
            add("choice", {"n_clusters": range(2, 7)} | fits)
        if label == labels[-1]:
            for explainer in EXPLAINERS:
                found = {"mosaic": range(8), "target": rng.choice(labels, 8), "value": shares_of_energy(8)}
                parts["focus"].append(pd.DataFrame(found).assign(explainer=explainer, kind=kind, seed=seed))
    return {name: pd.concat(found, ignore_index=True) for name, found in parts.items() if found}


def rare(trainings=6):
    """Made-up rows of ``experiment.rare_clusters``: cluster 2 of the modes is the rare one."""
    rng, frames = np.random.default_rng(1), []
    scores = ("dominance", "logit", "probability", "training_distance", "representation", "accuracy")
    for seed, label, design in itertools.product(range(trainings), CLASSES, DESIGNS):
        named = dict(zip(("network", "evaluated_on", "clustering"), design))
        share = 1.0 * (np.arange(5) == 2) if design[2] == "modes" else rng.random(5)
        rows = {"cluster": range(5), "evaluation": rng.integers(1, 9, 5), "rare_share": share}
        rows |= {name: rng.random(5) for name in scores}
        frames.append(pd.DataFrame(rows).assign(seed=seed, label=label, rarity=rarities_of(seed)[label], **named))
    return pd.concat(frames, ignore_index=True)


def run(**changes):
    """Settings whose scale fits these numbers."""
    values = {"n_clusters": len(SIZES), "n_mosaics": 6, "n_paired": PAIRED} | changes
    overrides = ", ".join(f"{name}={value}" for name, value in values.items())
    return settings.settings(scale="smoke", device="cpu", overrides=overrides)


def study(networks=NETWORKS):
    """Networks of which nothing but names is there; the paper's claims are asked of fine-tuned ones."""

    def named(kind, seed):
        return RankedNetwork(SimpleNamespace(seed=seed), kind, PARTS if kind.startswith("tuned") else PARTS[:3])

    return Study(run(n_deals=DEALS), tuple(named(*network) for network in networks))


def put_into(monkeypatch, frames):
    """Let the experiment's tables be these frames."""
    monkeypatch.setattr(experiment, "table", lambda study, name: frames[name])


def put(frame, column, value, **where):
    """Replace numbers of the rows with these values; a whole column is a series."""
    chosen = rows(frame, **where)
    frame.loc[chosen, column] = value[chosen] if isinstance(value, pd.Series) else value


def order(frame, strengths, noise=0.0):
    """Let a cluster's share on mosaics follow from two strengths [P], whoever the network and the class."""
    strengths, jitter = np.asarray(strengths, float), np.random.default_rng(2).standard_normal(len(frame))
    share = 1 / (1 + np.exp(strengths[frame["second"]] - strengths[frame["first"]])) + noise * jitter
    frame["value"] = np.clip(share, 0, 1)
