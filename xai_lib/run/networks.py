"""The networks of a run: trained here by each loss, fine-tuned from another, or torchvision's; each with its images."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from xai_lib import files, models, pretrained, training
from xai_lib.data import Split, some
from xai_lib.explainers.layers import last_spatial_layer
from xai_lib.explainers.subject import Subject
from xai_lib.models import Classifier
from xai_lib.run.cell import Cell
from xai_lib.run.settings import LOSSES, Settings
from xai_lib.run.stage import computed, stage
from xai_lib.training.recipes import FineTuning, Recipe
from xai_lib.your_images import with_normalisation

LOSS = "ce"  # the papers' networks are ordinary classifiers
REFERENCE = 2000  # training images from which IBA takes the layer's statistics
KEPT = 10  # epochs of each training whose networks are kept, at most


@dataclass(frozen=True)
class Trained:
    """A trained network."""

    classifier: Classifier  # backbone and linear head in evaluation mode, on the run's device
    recipe: Recipe | FineTuning  # how it was trained
    history: pd.DataFrame  # one row an epoch, as `training.train` returns it


@dataclass(frozen=True)
class Published:
    """A network with published ImageNet weights from which a fine-tuning starts."""

    architecture: str
    n_classes: int
    seed: int
    download: bool

    @property
    def identity(self) -> dict[str, Any]:
        """The weights, and what the new head depends on."""
        return {"published": pretrained.start_file(self.architecture), "classes": self.n_classes, "seed": self.seed}


@stage("train", version=2)
def train(folder: Path, *, images: Split, recipe: Recipe, seed: int, device: torch.device) -> None:
    """One network, one loss, one seed, and what it was after some of its epochs; a stopped training goes on."""
    _write(folder, training.fit(recipe, images, seed=seed, directory=folder, device=device, keep=KEPT))


@stage("checkpoint", version=1)
def checkpoint(
    folder: Path, *, network: Cell, epoch: int | None, probe: str, chosen_on: Split | None, device: torch.device
) -> None:
    """A training's classifier at a kept epoch (None: most accurate on ``chosen_on``), under a probe if contrastive."""
    recipe = network.arguments["recipe"]
    every = [epoch] if epoch else training.kept_epochs(recipe.epochs, KEPT)
    found = [_classifier_at(network, one, probe, device) for one in every]
    if chosen_on is not None:
        found.sort(key=lambda classifier: training.accuracy(classifier, chosen_on.to(device)))
    files.write_tensors(folder / "classifier.pt", found[-1].state_dict())


@stage("tune", version=1)
def tune(
    folder: Path, *, start: Cell | Published, images: Split, recipe: FineTuning, seed: int, device: torch.device
) -> None:
    """One network, fine-tuned from another: the dominance paper's kind of network."""
    if isinstance(start, Published):
        network = pretrained.imagenet_start(
            start.architecture, start.n_classes, seed=start.seed, download=start.download
        )
    else:
        network = load(start).classifier
    _write(folder, training.fit(recipe, images, seed=seed, directory=folder, device=device, network=network))


def load(cell: Cell) -> Trained:
    """The network of a cell of :data:`train`, :data:`tune` or :data:`checkpoint`, computed now if it is missing."""
    folder, training_cell = computed(cell), cell.arguments.get("network", cell)
    given = training_cell.arguments
    recipe, n_classes = given["recipe"], len(given["images"].classes)
    classifier = models.build(recipe.architecture, n_classes, width=recipe.width, seed=given["seed"])
    classifier.load_state_dict(files.read_tensors(folder / "classifier.pt"))
    history = files.read_frame(computed(training_cell) / "history.csv")
    return Trained(classifier.to(given["device"]).eval(), recipe, history)


def train_cell(run: Settings, loss: str, seed: int) -> Cell:
    """What a training depends on: images, recipe, seed and arithmetic."""
    return train.cell(images=run.train_split(), recipe=run.recipe(loss), seed=seed, device=run.device)


def kept(network: Cell) -> dict[int, Cell]:
    """The classifiers of a training's kept epochs (from 1), the last of which is the training's own."""
    given = network.arguments
    *early, last = training.kept_epochs(given["recipe"].epochs, KEPT)
    how = {"network": network, "probe": "paper", "chosen_on": None, "device": given["device"]}
    return {epoch: checkpoint.cell(epoch=epoch, **how) for epoch in early} | {last: network}


def tune_cell(run: Settings, name: str, seed: int) -> Cell:
    """What a fine-tuning depends on: the network it starts from, images, recipe, seed and arithmetic.

    ValueError if the run has no such fine-tuning; the message lists those that it has. FileNotFoundError if published
    weights are missing; the message says which file goes where.
    """
    if name not in run.fine_tunings:
        choices = ", ".join(run.fine_tunings) or "none, which is what this run has"
        raise ValueError(f"Expected a fine-tuning out of {choices}. Got {name!r}.")
    recipe, images = run.fine_tunings[name], run.train_split()
    if recipe.start == "ce":
        start = train_cell(run, "ce", seed)
    else:
        start = Published(recipe.architecture, len(images.classes), seed, run.download)
    return tune.cell(start=start, images=images, recipe=recipe, seed=seed, device=run.device)


def trained(run: Settings, loss: str, seed: int) -> Trained:
    """The network of ``loss`` and ``seed``, trained now if the store lacks it."""
    return load(train_cell(run, loss, seed))


def jobs(run: Settings) -> Iterator[tuple[str, dict[str, Any]]]:
    """The trainings of a run, as commands and their options: none where networks come with their weights."""
    if run.pretrained:
        return
    for loss in LOSSES:
        yield from (("train", {"loss": loss, "seed": seed}) for seed in run.seeds)
    for name in run.fine_tunings:
        yield from (("tune", {"name": name, "seed": seed}) for seed in run.tuned_seeds)


def explained_seeds(run: Settings) -> range:
    """Seeds of the cross-entropy trainings whose networks the saliency and whole-output parts explain."""
    return range(min(run.networks.saliency_seeds, run.networks.seeds))


def with_images(run: Settings, cell: Cell, n: int | None) -> Subject:
    """The network of a cell, its normalisations folded, with ``n`` test images, class-balanced (None: all)."""
    return Subject(
        load=lambda: models.fold_batchnorm(load(cell).classifier).to(memory_format=torch.channels_last),
        key=cell.key,
        parents=(cell,),
        layer=None,
        images=some(run.test_split(), n),
        reference=lambda: some(run.train_split(), REFERENCE),
        device=run.device,
        seed=cell.arguments["seed"],
    )


def from_published(run: Settings, name: str, n: int | None) -> Subject:
    """A network with published weights, explained at its last spatial layer, with ``n`` images of ImageNet.

    They have the run's size, and the normalisation that the network was trained with. FileNotFoundError if its weights
    are missing; the message says which file goes where.
    """
    network = pretrained.pretrained(name, download=run.download)
    takes = pretrained.inputs(name)
    images = with_normalisation(some(run.test_split(), n), takes.mean, takes.std)
    return Subject(
        load=lambda: models.fold_batchnorm(network).to(run.device, memory_format=torch.channels_last),
        key=pretrained.state_digest(network),
        parents=(),
        layer=last_spatial_layer(network, torch.zeros(1, *images.images.shape[1:])),
        images=images,
        reference=lambda: some(images, REFERENCE),
        device=run.device,
    )


def chosen(what: str, number: int, choices: Sequence[Any]) -> Any:
    """That of several which a command names by its place; ValueError if there is none."""
    if not 0 <= number < len(choices):
        raise ValueError(f"Expected a {what} from 0 to {len(choices) - 1}. Got {number}.")
    return choices[number]


def _classifier_at(network: Cell, epoch: int, probe: str, device: torch.device) -> Classifier:
    given = network.arguments
    recipe, images, seed = given["recipe"], given["images"].to(device), given["seed"]
    trained = training.initial_network(recipe, len(images.classes), seed).to(device, memory_format=torch.channels_last)
    trained.load_state_dict(training.kept_state(computed(network), epoch))
    return training.classifier_of(trained.eval(), recipe, images, seed=seed, probe=probe)


def _write(folder: Path, fitted: training.TrainingResult) -> None:
    files.write_tensors(folder / "classifier.pt", fitted.network.state_dict())
    files.write_frame(folder / "history.csv", fitted.history)
    training.remove_checkpoint(folder)
