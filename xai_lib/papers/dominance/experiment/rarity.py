"""Stage "rarity": a training on planted images whose rare modes are known, and what would have shown them.

Networks of their own, by cross-entropy and the recipe for few images whatever the run's scale, so that a training takes
a minute or two on a processor. Which class has which rarity changes from training to training.
"""

from dataclasses import asdict, replace
from pathlib import Path

import pandas as pd
import torch
from torch import Tensor
from tqdm import tqdm

from xai_lib import files as artefacts
from xai_lib import models, training
from xai_lib.data import Split, planted
from xai_lib.papers.dominance.method import clusters, detection, energy, features, hierarchy, outputs, pairwise, share
from xai_lib.run.cell import Cell
from xai_lib.run.settings import Settings
from xai_lib.run.stages import STAGES
from xai_lib.run.store import Store
from xai_lib.training import Recipe, recipes

_RECIPE, _LOSS = "small/few-images", "ce"
_N_TRAIN, _N_TEST = 10_000, 2000  # where the scale names no numbers
_BATCH = 256
_SEED = 0


def rarity_cell(run: Settings, number: int) -> Cell:
    """What a training and its scores depend on."""
    scale = run.scale
    n_train, n_test = _numbers(run)
    return Cell(
        "rarity",
        {
            "version": STAGES["rarity"].version,
            "recipe": asdict(_recipe(run)),
            "images": {"version": planted.VERSION, "training": n_train, "test": n_test, "size": run.networks.size},
            "rarities": dict(detection.rarities_of(number)),
            "seed": number,
            "n_clusters": run.dominance.n_clusters,
            "n_mosaics": run.dominance.n_mosaics,
            "numerics": asdict(training.numerics(run.device)),
        },
    )


def rarity_scores(run: Settings, number: int) -> Path:
    """The folder of one training's scores, computed now if the store lacks it; a stopped training goes on."""

    def work(folder: Path) -> None:
        train, test = _splits(run, number)
        fitted = training.fit(_recipe(run), train, seed=number, directory=folder, device=run.device)
        network = models.fold_batchnorm(fitted.classifier)
        artefacts.write_frame(folder / "clusters.csv", _scores(run, network, train, test, number))
        training.remove_checkpoint(folder)

    return Store().compute(rarity_cell(run, number), work)


def rare_clusters(run: Settings) -> pd.DataFrame:
    """Every cluster of every training.

    Returns:
        Columns seed (number of the training), rarity (share of the class's rare mode in its training images), label
        (class name), clustering ("k-means", or "modes": the planted ones), cluster, dominance, training and evaluation
        (images), representation, logit, probability, training_distance (means), rare_share (share of the cluster's
        images that are of the rare mode) and rare_mode_in (share of that mode's images that it holds).
    """
    frames = [
        artefacts.read_frame(rarity_scores(run, number) / "clusters.csv").assign(seed=number)
        for number in tqdm(range(run.dominance.rarity_trainings), desc="rarity", leave=False, disable=None)
    ]
    return pd.concat(frames, ignore_index=True)


def _scores(run: Settings, network: models.Classifier, train: Split, test: Split, number: int) -> pd.DataFrame:
    here, there = (_features(run, network, split) for split in (test, train))
    with torch.inference_mode():
        logits = network.head(here.to(run.device)).cpu()
    frames = []
    for label, name in enumerate(test.classes):
        members, seen = ((split.labels.cpu() == label).nonzero()[:, 0] for split in (test, train))
        found = clusters.kmeans(here[members], run.dominance.n_clusters, seed=_SEED)
        modes, trained_modes = (_modes(split)[rows] for split, rows in ((test, members), (train, seen)))
        clusterings = {
            "k-means": (found.assigned, clusters.assign(there[seen], found.centres)[0]),
            "modes": (modes, trained_modes),
        }
        said = outputs.outputs(label, logits[members], here[members], there[seen])
        x = test.normalise(test.images[members].to(run.device))
        for clustering, (assigned, trained) in clusterings.items():
            rows = _of_clusters(run, network, x, label, assigned, trained, said, modes == planted.rare_mode(name))
            rarity = detection.rarities_of(number)[name]
            frames.append(rows.assign(label=name, clustering=clustering, rarity=rarity))
    return pd.concat(frames, ignore_index=True)


def _of_clusters(
    run: Settings,
    network: models.Classifier,
    x: Tensor,
    label: int,
    assigned: Tensor,
    trained: Tensor,
    said: pd.DataFrame,
    rare: Tensor,
) -> pd.DataFrame:
    """One row a cluster of one class: what each score says of it, and how much of the rare mode it holds."""
    explain = energy.by_grad_cam(network)
    values = pairwise.pairwise(
        x, label, assigned, explain, n=run.dominance.n_mosaics, seed=_SEED, purpose=f"rarity/{label}"
    )
    counted = share.shares(trained.numpy(), assigned.numpy(), 1 + int(torch.cat([trained, assigned]).max()))
    means = said.assign(cluster=assigned.numpy(), rare_share=rare.float().numpy()).groupby("cluster").mean()
    held = pd.Series(rare.numpy()).groupby(assigned.numpy()).sum() / int(rare.sum())
    return (
        hierarchy.hierarchy(values)[["cluster", "dominance"]]
        .merge(counted[["cluster", "training", "evaluation", "representation"]], on="cluster")
        .merge(means.reset_index(), on="cluster")
        .assign(rare_mode_in=lambda rows: rows["cluster"].map(held))
    )


def _features(run: Settings, network: models.Classifier, split: Split) -> Tensor:
    batches = (split.normalise(batch.images.to(run.device)) for batch in split.batches(_BATCH))
    return features.pooled(network, batches)


def _modes(split: Split) -> Tensor:
    return torch.tensor(split.factors["mode"].to_numpy())


def _splits(run: Settings, number: int) -> tuple[Split, Split]:
    """Training images with rare modes, and test images in which all modes are equally frequent."""
    parameters = planted.Parameters(rarities=detection.rarities_of(number))
    train, test = (
        planted.generate(n, part, size=run.networks.size, seed=number, parameters=parameters)
        for n, part in zip(_numbers(run), ("train", "test"))
    )
    return train, test


def _numbers(run: Settings) -> tuple[int, int]:
    return run.networks.n_train or _N_TRAIN, run.networks.n_test or _N_TEST


def _recipe(run: Settings) -> Recipe:
    return replace(recipes.get(_RECIPE, _LOSS), epochs=run.scale.epochs(_LOSS), width=run.networks.width)
