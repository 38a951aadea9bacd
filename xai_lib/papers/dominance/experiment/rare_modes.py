"""Stage "rarity": a training on planted images whose rare modes are known, and what would have shown them.

Networks of their own, by cross-entropy and the recipe for few images whatever the run's scale, so that a training takes
a minute or two on a processor. Which class has which rarity changes from training to training.
"""

from collections.abc import Mapping
from pathlib import Path

import pandas as pd
import torch
from torch import Tensor

from xai_lib import files, models
from xai_lib import training as trainings
from xai_lib.data import Split, planted
from xai_lib.papers.dominance.experiment import parts
from xai_lib.papers.dominance.experiment.parts import MODES, SEED
from xai_lib.papers.dominance.method import clusters, dominance, energy_share, single_images
from xai_lib.papers.dominance.method.relative_dominance import hierarchy
from xai_lib.run.stage import stage
from xai_lib.training.recipes import Recipe


@stage("rarity", version=1)
def rarity(
    folder: Path,
    *,
    recipe: Recipe,
    rarities: Mapping[str, float],
    n_train: int,
    n_test: int,
    size: int,
    generator: int,
    seed: int,
    n_clusters: int,
    n_mosaics: int,
    device: torch.device,
) -> None:
    """One training and its scores, a row a cluster; a stopped training goes on.

    Images are planted by version ``generator`` and ``seed``; in evaluation all modes are equally frequent.
    """
    parameters = planted.Parameters(rarities=rarities)
    train, test = (
        planted.generate(n, part, size=size, seed=seed, parameters=parameters)
        for n, part in ((n_train, "train"), (n_test, "test"))
    )
    fitted = trainings.fit(recipe, train, seed=seed, directory=folder, device=device)
    network = models.fold_batchnorm(fitted.classifier)
    scored = _scores(network, train, test, n_clusters, n_mosaics, device)
    files.write_frame(folder / "clusters.csv", scored.assign(rarity=scored["label"].map(rarities)))
    trainings.remove_checkpoint(folder)


def _scores(
    network: models.Classifier, train: Split, test: Split, n_clusters: int, n_mosaics: int, device: torch.device
) -> pd.DataFrame:
    here, there = (clusters.pooled(network, parts.batches(part, device)) for part in (test, train))
    with torch.inference_mode():
        logits = network.head(here.to(device)).cpu()
    frames = []
    for label, name in enumerate(test.classes):
        members, seen = (parts.positions(part, label) for part in (test, train))
        _, clusterings = parts.clusterings(label, train, there, test, here, n_clusters)
        said = single_images.outputs(label, logits[members], here[members], there[seen])
        said["rare_share"] = (clusterings[MODES][1] == planted.rare_mode(name)).float().numpy()
        x, explain = test.normalise(test.images[members].to(device)), energy_share.by_grad_cam(network)
        for clustering, (trained, assigned) in clusterings.items():
            draws = {"n": n_mosaics, "seed": SEED, "purpose": f"rarity/{label}"}
            values = dominance.pairwise(x, label, assigned, explain, **draws)
            frames.append(_of_clusters(values, trained, assigned, said).assign(label=name, clustering=clustering))
    return pd.concat(frames, ignore_index=True)


def _of_clusters(values: pd.DataFrame, trained: Tensor, assigned: Tensor, said: pd.DataFrame) -> pd.DataFrame:
    """One row a cluster of one class: what each score says of it, and how much of the rare mode it holds."""
    by_cluster = said.groupby(assigned.numpy())
    held = by_cluster["rare_share"].sum().astype(float) / said["rare_share"].sum()
    return (
        hierarchy(values)[["cluster", "dominance"]]
        .merge(parts.counted(trained, assigned)[["cluster", "training", "evaluation", "representation"]], on="cluster")
        .merge(by_cluster.mean().rename_axis("cluster").reset_index(), on="cluster")
        .assign(rare_mode_in=lambda rows: rows["cluster"].map(held))
    )
