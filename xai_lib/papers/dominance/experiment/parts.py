"""Stages of the dominance part: clusters of each class, their mosaics, who dominates, and trainings with rare modes."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pandas as pd
import torch
from torch import Tensor

from xai_lib import explainers, files, models
from xai_lib import training as trainings
from xai_lib.data import Split, planted
from xai_lib.explainers.subject import Subject
from xai_lib.papers.dominance.method import (
    clusters,
    dominance,
    energy_share,
    mosaics,
    number_of_clusters,
    single_images,
    training_share,
)
from xai_lib.papers.dominance.method.energy_share import Explain
from xai_lib.papers.dominance.method.relative_dominance import hierarchy
from xai_lib.run.cell import Cell
from xai_lib.run.stage import computed, stage
from xai_lib.training.recipes import Recipe

K_MEANS, SHUFFLED, MODES = "k-means", "shuffled", "modes"
SEED = 0  # of clusters and mosaics: the same for every network
_BATCH = 256


@stage("dominance-clusters", version=1)
def cluster(folder: Path, *, subject: Subject, images: Split, training: Split, n_clusters: int) -> None:
    """Tables "images": where each evaluation image was put, what its network says of it, on planted images its mode;
    and "shares": :func:`training_share.shares` of each clustering.
    """
    here, there = _features(subject, images), _features(subject, training)
    with torch.inference_mode():
        logits = torch.cat([subject.network(x).float().cpu() for x in batches(images, subject.device)])
    listed, shares = [], []
    for label, members in classes(images):
        found, assigned = clusterings(label, training, there, images, here, n_clusters)
        listed.append(
            single_images.outputs(label, logits[members], here[members], there[positions(training, label)]).assign(
                index=images.index.cpu()[members],
                label=images.classes[label],
                predicted=[images.classes[k] for k in logits[members].argmax(1).tolist()],
                cluster=found.assigned,
                distance=found.distance,
                **({"mode": assigned[MODES][1]} if MODES in assigned else {}),
            )
        )
        named = {"label": images.classes[label]}
        shares += [counted(*both).assign(clustering=name, **named) for name, both in assigned.items()]
    _write(folder, "images", listed)
    _write(folder, "shares", shares)


@stage("dominance-choice", version=1)
def choose(folder: Path, *, subject: Subject, images: Split) -> None:
    """Table "choice": how many clusters each class could have, see :func:`number_of_clusters.choose`."""
    here, frames = _features(subject, images), []
    for label, members in classes(images):
        found = number_of_clusters.choose(here[members], range(2, min(11, len(members))), seed=SEED)
        frames.append(found.assign(label=images.classes[label]))
    _write(folder, "choice", frames)


@stage("dominance-mosaics", version=1)
def compare(folder: Path, *, subject: Subject, images: Split, clustering: Cell, n_mosaics: int) -> None:
    """Table "mosaics": d of each mosaic of each pair of clusters by Grad-CAM, see :func:`dominance.pairwise`; beside
    those by K-means, images dealt at random ("shuffled") and the planted "modes".
    """
    explain, frames = energy_share.by_grad_cam(subject.network, subject.layer), []
    for label, name, x, rows in _class_by_class(subject, images, clustering):
        assigned = {K_MEANS: torch.tensor(rows["cluster"].to_numpy())}
        assigned[SHUFFLED] = clusters.shuffled(assigned[K_MEANS], seed=SEED)
        if "mode" in rows:
            assigned[MODES] = torch.tensor(rows["mode"].to_numpy())
        for kind, of_images in assigned.items():
            draws = {"n": n_mosaics, "seed": SEED, "purpose": f"{kind}/{name}"}
            found = dominance.pairwise(x, label, of_images, explain, **draws).drop(columns="scaling")
            frames.append(found.assign(clustering=kind, label=name))
    _write(folder, "mosaics", frames)


@stage("dominance-variants", version=1)
def vary(folder: Path, *, subject: Subject, images: Split, clustering: Cell, n_mosaics: int, by: Sequence[str]) -> None:
    """Table "variants": the same mosaics by other explainers, then resized by the first; maps also scaled to [0, 1]."""
    frames = []
    for label, name, x, rows in _class_by_class(subject, images, clustering):
        assigned = torch.tensor(rows["cluster"].to_numpy())
        draws = {"n": n_mosaics, "seed": SEED, "purpose": f"{K_MEANS}/{name}", "scalings": ("relu", "min-max")}
        for explainer, resized in [*((explainer, False) for explainer in by), (by[0], True)]:
            explain = _explain(subject, explainer)
            found = dominance.pairwise(x, label, assigned, explain, resized=resized, **draws)
            frames.append(found.assign(label=name, explainer=explainer, resized=resized))
    _write(folder, "variants", frames)


@stage("dominance-pairs", version=1)
def pair(folder: Path, *, subject: Subject, images: Split, n_images: int, n_classes: int | None) -> None:
    """Table "pairs": every image its own cluster, a and b by index: the first of the first classes, all pairs."""
    explain, frames = energy_share.by_grad_cam(subject.network, subject.layer), []
    for label, members in list(classes(images))[:n_classes]:
        chosen = images.subset(members[:n_images])
        index = chosen.index.cpu().numpy()
        found = single_images.all_pairs(chosen.normalise(chosen.images.to(subject.device)), label, explain)
        sides = {side: index[found[side].to_numpy()] for side in ("a", "b")}
        frames.append(found.assign(**sides, label=images.classes[label]))
    _write(folder, "pairs", frames)


@stage("dominance-focus", version=1)
def focus(folder: Path, *, subject: Subject, images: Split, n_mosaics: int, by: Sequence[str]) -> None:
    """Table "focus": Focus of explainers on mosaics of several classes."""
    drawn, target = mosaics.of_classes(images.labels.cpu(), n_mosaics, seed=SEED)
    names = [images.classes[label] for label in target.tolist()]
    x, frames = images.normalise(images.images.to(subject.device)), []
    for explainer in by:
        (value,) = energy_share.shares(drawn, x, target.to(x.device), _explain(subject, explainer)).values()
        columns = {"explainer": explainer, "target": names, "mosaic": range(len(names)), "value": value}
        frames.append(pd.DataFrame(columns))
    _write(folder, "focus", frames)


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
    """One training on images planted by version ``generator`` and ``seed``, and its scores, a row a cluster; in
    evaluation all modes are equally frequent. A stopped training goes on.
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


def read(file: Path) -> pd.DataFrame:
    """A table of a stage; names of classes stay texts."""
    return files.read_frame(file, ("label", "predicted", "target"))


def classes(images: Split) -> Iterator[tuple[int, Tensor]]:
    """Each class that has images, with their positions."""
    for label in images.labels.unique().tolist():
        yield label, positions(images, label)


def positions(images: Split, label: int) -> Tensor:
    """Positions of a class's images."""
    return (images.labels.cpu() == label).nonzero()[:, 0]


def batches(images: Split, device: torch.device) -> Iterator[Tensor]:
    """The images normalised, some at a time."""
    for batch in images.batches(_BATCH):
        yield images.normalise(batch.images.to(device))


def clusterings(
    label: int, training: Split, there: Tensor, images: Split, here: Tensor, n_clusters: int
) -> tuple[clusters.Clustering, dict[str, tuple[Tensor, Tensor]]]:
    """K-means of a class's evaluation images; of every clustering the clusters of its training and evaluation images,
    whose features are ``there`` and ``here``. Modes are known of planted images.
    """
    seen, members = positions(training, label), positions(images, label)
    found = clusters.kmeans(here[members], n_clusters, seed=SEED)
    assigned = {K_MEANS: (clusters.assign(there[seen], found.centres)[0], found.assigned)}
    if images.name == "planted":
        both = ((training, seen), (images, members))
        assigned[MODES] = tuple(torch.tensor(part.factors["mode"].to_numpy())[rows] for part, rows in both)
    return found, assigned


def counted(trained: Tensor, assigned: Tensor) -> pd.DataFrame:
    """:func:`training_share.shares` of the clusters of a class's training and evaluation images."""
    n_clusters = 1 + int(torch.cat([trained, assigned]).max())
    return training_share.shares(trained.numpy(), assigned.numpy(), n_clusters)


def _write(folder: Path, name: str, frames: Sequence[pd.DataFrame]) -> None:
    files.write_frame(folder / f"{name}.csv", pd.concat(frames, ignore_index=True))


def _class_by_class(
    subject: Subject, images: Split, clustering: Cell
) -> Iterator[tuple[int, str, Tensor, pd.DataFrame]]:
    """Each class: its number and name, its normalised images, and its rows of the part "clusters"."""
    rows = read(computed(clustering) / "images.csv")
    for label, members in classes(images):
        of_class, name = images.subset(members), images.classes[label]
        x = of_class.normalise(of_class.images.to(subject.device))
        yield label, name, x, rows[rows["label"] == name]


def _explain(subject: Subject, explainer: str) -> Explain:
    layer = subject.layer if explainers.about(explainer).on_layer else None
    return energy_share.of_explainer(subject.network, explainer, layer)


def _features(subject: Subject, images: Split) -> Tensor:
    return clusters.pooled(subject.network, batches(images, subject.device), subject.layer)


def _scores(
    network: models.Classifier, train: Split, test: Split, n_clusters: int, n_mosaics: int, device: torch.device
) -> pd.DataFrame:
    here, there = (clusters.pooled(network, batches(part, device)) for part in (test, train))
    with torch.inference_mode():
        logits = network.head(here.to(device)).cpu()
    frames = []
    for label, name in enumerate(test.classes):
        members, seen = (positions(part, label) for part in (test, train))
        _, found = clusterings(label, train, there, test, here, n_clusters)
        said = single_images.outputs(label, logits[members], here[members], there[seen])
        said["rare_share"] = (found[MODES][1] == planted.rare_mode(name)).float().numpy()
        x, explain = test.normalise(test.images[members].to(device)), energy_share.by_grad_cam(network)
        for clustering, (trained, assigned) in found.items():
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
        .merge(counted(trained, assigned)[["cluster", "training", "evaluation", "representation"]], on="cluster")
        .merge(by_cluster.mean().rename_axis("cluster").reset_index(), on="cluster")
        .assign(rare_mode_in=lambda rows: rows["cluster"].map(held))
    )
