"""Stages of the dominance part: clusters of each class, their mosaics, who dominates, and trainings with rare modes."""

import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pandas as pd
import torch
from torch import Tensor, nn

from xai_lib import files, models
from xai_lib import training as trainings
from xai_lib.data import Split, planted
from xai_lib.explainers.subject import Subject
from xai_lib.forward import images_at_once
from xai_lib.papers.dominance.method import clusters, dominance, energy_share, mosaics, single_images, training_share
from xai_lib.papers.dominance.method.relative_dominance import hierarchy
from xai_lib.run.cell import Cell
from xai_lib.run.stage import computed, stage
from xai_lib.training.recipes import Recipe

K_MEANS, MODES = "k-means", "modes"
RESCALED, WHOLE = "rescaled", "whole"  # mosaics
SEED = 0  # of clusters and mosaics: the same for every network
EVALUATIONS = ("as in training", "balanced")  # how frequent rare modes are among evaluation images; print: the first
_PIXELS, _OTHER_SEEDS = 1 << 18, 1000  # pixels at a time: 256 images at 32 pixels, 8 at 224


@stage("dominance-clusters", version=2)
def cluster(folder: Path, *, subject: Subject, images: Split, training: Split, n_clusters: int) -> None:
    """Tables "images": where each evaluation image was put, what its network says of it, on planted images its mode;
    "shares": :func:`training_share.shares` of each clustering; "centres": how far the centres of clusters are apart.
    """
    here, there = _features(subject, images), _features(subject, training)
    with torch.inference_mode():
        logits = torch.cat([subject.network(x).float().cpu() for x in batches(images, subject.device)])
    listed, shares, centres = [], [], []
    for label, members in classes(images):
        found, assigned = clusterings(label, training, there, images, here, n_clusters)
        named, seen = {"label": images.classes[label]}, there[positions(training, label)]
        columns = {"index": images.index.cpu()[members]} | named
        columns["predicted"] = [images.classes[k] for k in logits[members].argmax(1).tolist()]
        columns |= {"cluster": found.assigned, "distance": found.distance}
        columns |= {"mode": assigned[MODES][1]} if MODES in assigned else {}
        listed.append(single_images.outputs(label, logits[members], here[members], seen).assign(**columns))
        shares += [counted(*both).assign(clustering=name, **named) for name, both in assigned.items()]
        first, second = torch.triu_indices(n_clusters, n_clusters, offset=1)
        apart = torch.cdist(found.centres, found.centres)[first, second]
        centres.append(pd.DataFrame({"first": first, "second": second, "distance": apart}).assign(**named))
    _write(folder, images=listed, shares=shares, centres=centres)


@stage("dominance-choice", version=1)
def choose(folder: Path, *, subject: Subject, images: Split) -> None:
    """Table "choice": how many clusters each class could have, see :func:`clusters.choose`."""
    here, frames = _features(subject, images), []
    for label, members in classes(images):
        found = clusters.choose(here[members], range(2, min(11, len(members))), seed=SEED)
        frames.append(found.assign(label=images.classes[label]))
    _write(folder, choice=frames)


@stage("dominance-mosaics", version=2)
def compare(folder: Path, *, subject: Subject, images: Split, clustering: Cell, n_mosaics: int, n_deals: int) -> None:
    """Table "mosaics": d of each mosaic of each pair of clusters by Grad-CAM, see :func:`dominance.pairwise`, of those
    by K-means and of the planted "modes". Table "dealt", the control: :func:`dominance.pairs` of K-means' clusters once
    images were dealt to them at random, ``n_deals`` times; of one deal, every network has the same order of images.
    """
    explain, frames, control = energy_share.by_grad_cam(subject.network, subject.layer), [], []
    how = {"n": n_mosaics, "seed": SEED, "resized": mosaic_sizes(subject.network)[RESCALED]}
    for label, name, x, rows in _class_by_class(subject, images, clustering):
        columns = {kind: column for kind, column in ((K_MEANS, "cluster"), (MODES, "mode")) if column in rows}
        assigned = {kind: torch.tensor(rows[column].to_numpy()) for kind, column in columns.items()}
        for kind, of_images in assigned.items():
            found = dominance.pairwise(x, label, of_images, explain, **how, purpose=f"{kind}/{name}")
            frames.append(found.drop(columns="scaling").assign(clustering=kind, label=name))
        for deal in range(n_deals):
            dealt = clusters.shuffled(assigned[K_MEANS], seed=deal)
            found = dominance.pairwise(x, label, dealt, explain, **how, purpose=f"deal {deal}/{name}")
            control.append(dominance.pairs(found).assign(deal=deal, label=name))
    _write(folder, mosaics=frames, dealt=control)


@stage("dominance-variants", version=2)
def vary(folder: Path, *, subject: Subject, images: Split, clustering: Cell, n_mosaics: int, by: Sequence[str]) -> None:
    """Table "variants": the same mosaics by other explainers, then whole ones by the first; maps also in [0, 1]."""
    frames, sizes = [], mosaic_sizes(subject.network)
    for label, name, x, rows in _class_by_class(subject, images, clustering):
        assigned = torch.tensor(rows["cluster"].to_numpy())
        draws = {"n": n_mosaics, "seed": SEED, "purpose": f"{K_MEANS}/{name}", "scalings": ("relu", "min-max")}
        for explainer, size in [*((name, RESCALED) for name in by), *((by[0], size) for size in [*sizes][1:])]:
            explain = energy_share.of_explainer(subject.network, explainer, subject.layer)
            found = dominance.pairwise(x, label, assigned, explain, resized=sizes[size], **draws)
            frames.append(found.assign(label=name, explainer=explainer, size=size))
    _write(folder, variants=frames)


@stage("dominance-pairs", version=2)
def pair(folder: Path, *, subject: Subject, images: Split, n_images: int, n_classes: int | None) -> None:
    """Table "pairs": every image its own cluster: the first of the first classes, all pairs, mosaics of each size."""
    explain, frames = energy_share.by_grad_cam(subject.network, subject.layer), []
    for label, members in classes(images)[:n_classes]:
        chosen = images.subset(members[:n_images]).materialised()
        x = chosen.normalise(chosen.images.to(subject.device))
        for size, resized in mosaic_sizes(subject.network).items():
            found = single_images.all_pairs(x, label, explain, subject.network, resized=resized)
            sides = {side: chosen.index.cpu().numpy()[found[side].to_numpy()] for side in ("a", "b")}
            frames.append(found.assign(**sides, size=size, label=images.classes[label]))
    _write(folder, pairs=frames)


@stage("dominance-focus", version=2)
def focus(folder: Path, *, subject: Subject, images: Split, n_mosaics: int, by: Sequence[str]) -> None:
    """Table "focus": Focus of explainers on mosaics of several classes."""
    drawn, target = mosaics.of_classes(images.labels.cpu(), n_mosaics, seed=SEED)
    names = [images.classes[label] for label in target.tolist()]
    shown, places = drawn.images.unique(return_inverse=True)
    x, frames = images.normalise(images.subset(shown).materialised().images.to(subject.device)), []
    how = {"target": target.to(x.device), "resized": mosaic_sizes(subject.network)[RESCALED]}
    for explainer in by:
        explain = energy_share.of_explainer(subject.network, explainer, subject.layer)
        (value,) = energy_share.shares(mosaics.Mosaics(places, drawn.first), x, explain=explain, **how).values()
        columns = {"explainer": explainer, "target": names, "mosaic": range(len(names)), "value": value}
        frames.append(pd.DataFrame(columns))
    _write(folder, focus=frames)


@stage("rarity", version=2)
def rarity(
    folder: Path, *, recipes: Mapping[str, Recipe], rarities: Mapping[str, float], n_train: int, n_test: int, size: int,
    generator: int, seed: int, n_clusters: int, n_mosaics: int, device: torch.device,
) -> None:  # fmt: skip
    """Trainings on images planted by version ``generator`` and ``seed``, whose rare modes have a look of their own: by
    each of ``recipes``, going on from the one before. Table "clusters": the scores of each network, a row a cluster, on
    images of each of :data:`EVALUATIONS`. A stopped training goes on.
    """
    how = {"size": size, "variant": planted.OWN_MODES, "parameters": planted.Parameters(rarities=rarities)}
    train = planted.generate(n_train, "train", seed=seed, **how)
    others = planted.generate(n_test, "train", seed=seed + _OTHER_SEEDS, **how)  # other images, modes as in training
    tests = dict(zip(EVALUATIONS, (others, planted.generate(n_test, "test", seed=seed, **how))))
    network, frames = None, []
    for name, recipe in recipes.items():
        (folder / name).mkdir(exist_ok=True)
        where = {"directory": folder / name, "device": device}
        network = trainings.fit(recipe, train, seed=seed, network=network, **where).network
        for evaluation, test in tests.items():
            scored = _scores(models.fold_batchnorm(network), train, test, n_clusters, n_mosaics, device)
            frames.append(scored.assign(network=name, evaluated_on=evaluation, rarity=scored["label"].map(rarities)))
    _write(folder, clusters=frames)
    for name in recipes:
        shutil.rmtree(folder / name)


def mosaic_sizes(network: nn.Module) -> dict[str, bool]:
    """Size of mosaics, the paper's first -> whether they are scaled to the size of one image. "whole" ones have twice
    its side; a network that scales whatever it gets to its own input sees them rescaled, and no others.
    """
    if any(isinstance(layer, nn.Upsample) for layer in network.modules()):
        return {RESCALED: False}
    return {RESCALED: True, WHOLE: False}


def read(file: Path) -> pd.DataFrame:
    """A table of a stage; names of classes stay texts."""
    return files.read_frame(file, ("label", "predicted", "target"))


def classes(images: Split) -> list[tuple[int, Tensor]]:
    """Each class that has images, with their positions."""
    return [(label, positions(images, label)) for label in images.labels.unique().tolist()]


def positions(images: Split, label: int) -> Tensor:
    """Positions of a class's images."""
    return (images.labels.cpu() == label).nonzero()[:, 0]


def batches(images: Split, device: torch.device) -> Iterator[Tensor]:
    """The images normalised, some at a time."""
    n = images_at_once(torch.empty(0, *images.images.shape[1:], device=device), cpu=_PIXELS, gpu=4 * _PIXELS)
    return (images.normalise(batch.images.to(device)) for batch in images.batches(n))


def clusterings(
    label: int, training: Split, there: Tensor, images: Split, here: Tensor, n_clusters: int
) -> tuple[clusters.Clustering, dict[str, tuple[Tensor, Tensor]]]:
    """Of a class: K-means, and by clustering the clusters of training (``there``) and evaluation images (``here``)."""
    seen, members = positions(training, label), positions(images, label)
    found = clusters.kmeans(here[members], n_clusters, seed=SEED)
    assigned = {K_MEANS: (clusters.assign(there[seen], found.centres)[0], found.assigned)}
    if images.name == "planted":
        both = ((training, seen), (images, members))
        assigned[MODES] = tuple(torch.tensor(part.factors["mode"].to_numpy())[rows] for part, rows in both)
    return found, assigned


def counted(trained: Tensor, assigned: Tensor) -> pd.DataFrame:
    """:func:`training_share.shares` of a class's clusters that have evaluation images: a rare mode may have none."""
    present, numbers = assigned.unique(return_inverse=True)
    places = torch.searchsorted(present, trained[torch.isin(trained, present)])
    return training_share.shares(places.numpy(), numbers.numpy(), len(present)).assign(cluster=present.numpy())


def _write(folder: Path, **tables: Sequence[pd.DataFrame]) -> None:
    for name, frames in tables.items():
        files.write_frame(folder / f"{name}.csv", pd.concat(frames, ignore_index=True))


def _class_by_class(
    subject: Subject, images: Split, clustering: Cell
) -> Iterator[tuple[int, str, Tensor, pd.DataFrame]]:
    """Each class: its number and name, its normalised images, and its rows of the part "clusters"."""
    rows = read(computed(clustering) / "images.csv")
    for label, members in classes(images):
        of_class, name = images.subset(members).materialised(), images.classes[label]
        yield label, name, of_class.normalise(of_class.images.to(subject.device)), rows[rows["label"] == name]


def _features(subject: Subject, images: Split) -> Tensor:
    return clusters.pooled(subject.network, batches(images, subject.device), subject.layer)


def _scores(
    network: models.Classifier, train: Split, test: Split, n_clusters: int, n_mosaics: int, device: torch.device
) -> pd.DataFrame:
    """One row a cluster: what each score says of it, and how much of it is of the rare mode."""
    here, there = (clusters.pooled(network, batches(part, device)) for part in (test, train))
    resized = mosaic_sizes(network)[RESCALED]
    with torch.inference_mode():
        logits = network.head(here.to(device)).cpu()
    frames = []
    for label, name in enumerate(test.classes):
        members, seen = (positions(part, label) for part in (test, train))
        _, found = clusterings(label, train, there, test, here, n_clusters)
        said = single_images.outputs(label, logits[members], here[members], there[seen])
        said["rare_share"] = (found[MODES][1] == planted.rare_mode(name)).float().numpy()
        said["accuracy"] = (logits[members].argmax(1) == label).float().numpy()
        x, explain = test.normalise(test.images[members].to(device)), energy_share.by_grad_cam(network)
        for clustering, (trained, assigned) in found.items():
            draws = {"n": n_mosaics, "seed": SEED, "purpose": f"rarity/{label}", "resized": resized}
            ranked = hierarchy(dominance.pairwise(x, label, assigned, explain, **draws))[["cluster", "dominance"]]
            sizes = counted(trained, assigned)[["cluster", "training", "evaluation", "representation"]]
            means = said.groupby(assigned.numpy()).mean().rename_axis("cluster").reset_index()
            frame = ranked.merge(sizes, on="cluster").merge(means, on="cluster")
            frames.append(frame.assign(label=name, clustering=clustering))
    return pd.concat(frames, ignore_index=True)
