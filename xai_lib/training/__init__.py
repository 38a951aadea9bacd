"""Training: recipes, a resumable loop, a linear probe; :func:`fit` makes a Classifier of any loss in one call."""

from dataclasses import replace
from typing import Any

import torch
from torch import nn

from xai_lib.data.split import Split
from xai_lib.models import Classifier
from xai_lib.training.arithmetic import Numerics, numerics
from xai_lib.training.evaluation import accuracy, predict, temperature
from xai_lib.training.loop import TrainingResult, kept_epochs, kept_state, remove_checkpoint, train
from xai_lib.training.objective import initial_network
from xai_lib.training.probe import fit_probe
from xai_lib.training.recipes import FineTuning, Recipe


def fit(recipe: Recipe, split: Split, *, seed: int, device: torch.device, **options: Any) -> TrainingResult:
    """As :func:`train`, but the network is a classifier whatever its loss: a contrastive one gets a linear probe."""
    split = split.to(device)
    result = train(recipe, split, seed=seed, device=device, **options)
    return replace(result, network=classifier_of(result.network, recipe, split, seed=seed))


def classifier_of(network: nn.Module, recipe: Recipe, split: Split, *, seed: int, probe: str = "paper") -> Classifier:
    """A trained network as a classifier: itself for cross entropy, else its backbone under a fitted linear probe.

    It is on the device of the training images; ``seed`` and ``probe``, its variant, are as of :func:`fit_probe`.
    """
    return network if recipe.loss == "ce" else fit_probe(network.backbone, split, variant=probe, seed=seed)
