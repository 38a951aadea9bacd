"""Stage "train": one network, one loss, one seed."""

from dataclasses import asdict, dataclass
from pathlib import Path

import pandas as pd

from xai_lib import files as artefacts
from xai_lib import models, training
from xai_lib.models import Classifier
from xai_lib.run.cell import Cell
from xai_lib.run.settings import Settings
from xai_lib.run.stages import STAGES
from xai_lib.run.store import Store
from xai_lib.training.recipes import Recipe


@dataclass(frozen=True)
class Trained:
    """A trained network.

    Attributes:
        classifier: backbone and linear head in evaluation mode, on the run's device.
        recipe: how it was trained.
        history: one row an epoch, as ``training.train`` returns it.
        cell: its place in the store.
    """

    classifier: Classifier
    recipe: Recipe
    history: pd.DataFrame
    cell: Cell


def train_cell(run: Settings, loss: str, seed: int) -> Cell:
    """What a training depends on: images, recipe, seed and arithmetic."""
    split = run.train_split()
    return Cell(
        "train",
        {
            "version": STAGES["train"].version,
            "images": {"digest": split.digest, "number": len(split)},
            "recipe": asdict(run.recipe(loss)),
            "seed": seed,
            "numerics": asdict(training.numerics(run.device)),
        },
    )


def trained(run: Settings, loss: str, seed: int) -> Trained:
    """The network of ``loss`` and ``seed``, trained now if the store lacks it; a stopped training goes on."""
    recipe = run.recipe(loss)
    cell = train_cell(run, loss, seed)

    def work(folder: Path) -> None:
        fitted = training.fit(recipe, run.train_split(), seed=seed, directory=folder, device=run.device)
        artefacts.write_tensors(folder / "classifier.pt", fitted.classifier.state_dict())
        artefacts.write_frame(folder / "history.csv", fitted.history)
        training.remove_checkpoint(folder)

    folder = Store().compute(cell, work)
    classifier = models.build(recipe.architecture, len(run.train_split().classes), width=recipe.width, seed=seed)
    classifier.load_state_dict(artefacts.read_tensors(folder / "classifier.pt"))
    history = artefacts.read_frame(folder / "history.csv")
    return Trained(classifier.to(run.device).eval(), recipe, history, cell)
