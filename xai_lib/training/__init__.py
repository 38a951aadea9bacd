"""Training: recipes, a resumable loop, a linear probe; :func:`fit` makes a Classifier of any loss in one call."""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import torch
from torch import nn

from xai_lib.data.split import Split
from xai_lib.models import Classifier
from xai_lib.training.arithmetic import Numerics, numerics
from xai_lib.training.evaluation import accuracy, predict, temperature
from xai_lib.training.loop import (
    TrainingDivergedError,
    TrainingResult,
    kept_epochs,
    kept_state,
    remove_checkpoint,
    train,
)
from xai_lib.training.objective import initial_network
from xai_lib.training.probe import fit_probe
from xai_lib.training.recipes import FineTuning, Recipe


@dataclass(frozen=True)
class Fitted:
    """A network that classifies, in evaluation mode, whatever loss it was trained with.

    ``history`` is that of :class:`TrainingResult`.
    """

    classifier: Classifier
    history: pd.DataFrame


def fit(
    recipe: Recipe, split: Split, *, seed: int, directory: Path, device: torch.device, precision: str = "auto",
    progress: bool = True, network: nn.Module | None = None, keep: int = 0,
) -> Fitted:  # fmt: skip
    """Train by ``recipe`` and, for a contrastive loss, fit the linear probe: arguments as of :func:`train`."""
    split = split.to(device)
    how = {"precision": precision, "progress": progress, "network": network, "keep": keep}
    result = train(recipe, split, seed=seed, directory=directory, device=device, **how)
    return Fitted(classifier_of(result.network, recipe, split, seed=seed), result.history)


def classifier_of(network: nn.Module, recipe: Recipe, split: Split, *, seed: int, probe: str = "paper") -> Classifier:
    """A trained network as a classifier: itself for cross entropy, else its backbone under a fitted linear probe.

    Args:
        network: what ``recipe`` trains, on the split's device.
        recipe: how it was trained.
        split: training images.
        seed: of the probe.
        probe: variant of the probe, see :func:`fit_probe`.
    """
    if recipe.loss == "ce":
        return network
    return fit_probe(network.backbone, split, variant=probe, seed=seed)
