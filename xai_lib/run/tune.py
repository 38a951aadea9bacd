"""Stage "tune": one network, fine-tuned from another; the dominance paper's kind of network."""

from dataclasses import asdict
from pathlib import Path

from xai_lib import files as artefacts
from xai_lib import models, pretrained, training
from xai_lib.models import Classifier
from xai_lib.run.cell import Cell
from xai_lib.run.settings import Settings
from xai_lib.run.stages import STAGES
from xai_lib.run.store import Store
from xai_lib.run.train import Trained, train_cell, trained
from xai_lib.training.recipes import FineTuning


def tune_cell(run: Settings, name: str, seed: int) -> Cell:
    """What a fine-tuning depends on: the network it starts from, images, recipe, seed and arithmetic.

    Raises:
        ValueError: if the run has no such fine-tuning; the message lists those that it has.
    """
    recipe, split = _recipe(run, name), run.train_split()
    if recipe.start == "ce":
        start = {"train": train_cell(run, "ce", seed).key}
    else:
        start = {"published": pretrained.start_file(recipe.architecture)}
    return Cell(
        "tune",
        {
            "version": STAGES["tune"].version,
            "start": start,
            "images": {"digest": split.digest, "number": len(split)},
            "recipe": asdict(recipe),
            "seed": seed,
            "numerics": asdict(training.numerics(run.device)),
        },
    )


def tuned(run: Settings, name: str, seed: int) -> Trained:
    """The network fine-tuned by ``name`` and ``seed``, now if the store lacks it; what it starts from comes first.

    Raises:
        ValueError: as :func:`tune_cell`.
        FileNotFoundError: if published weights are missing; the message says which file goes where.
    """
    cell, recipe = tune_cell(run, name, seed), _recipe(run, name)
    n_classes = len(run.train_split().classes)

    def work(folder: Path) -> None:
        start = _start(run, recipe, seed, n_classes)
        fitted = training.fit(recipe, run.train_split(), seed=seed, directory=folder, device=run.device, network=start)
        artefacts.write_tensors(folder / "classifier.pt", fitted.classifier.state_dict())
        artefacts.write_frame(folder / "history.csv", fitted.history)
        training.remove_checkpoint(folder)

    store, parents = Store(), [train_cell(run, "ce", seed)] if recipe.start == "ce" else []
    if parents and not store.is_done(cell):
        trained(run, "ce", seed)
    folder = store.compute(cell, work, parents=parents)
    classifier = models.build(recipe.architecture, n_classes, width=recipe.width, seed=seed)
    classifier.load_state_dict(artefacts.read_tensors(folder / "classifier.pt"))
    history = artefacts.read_frame(folder / "history.csv")
    return Trained(classifier.to(run.device).eval(), recipe, history, cell)


def _recipe(run: Settings, name: str) -> FineTuning:
    if name not in run.fine_tunings:
        choices = ", ".join(run.fine_tunings) or "none, which is what this run has"
        raise ValueError(f"Expected a fine-tuning out of {choices}. Got {name!r}.")
    return run.fine_tunings[name]


def _start(run: Settings, recipe: FineTuning, seed: int, n_classes: int) -> Classifier:
    if recipe.start == "ce":
        return trained(run, "ce", seed).classifier
    return pretrained.imagenet_start(recipe.architecture, n_classes, seed=seed, download=run.download)
