"""Training: recipes, a resumable loop, a linear probe; :func:`fit` makes a Classifier of any loss in one call."""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import torch
from torch import nn

from xai_lib.data.split import Split
from xai_lib.models import Classifier
from xai_lib.training.arithmetic import Numerics, numerics
from xai_lib.training.evaluation import Evaluation, evaluate, predict
from xai_lib.training.loop import TrainingDivergedError, TrainingResult, remove_checkpoint, train
from xai_lib.training.probe import Probe, fit_probe
from xai_lib.training.recipes import FineTuning, Recipe

__all__ = [
    "Evaluation",
    "FineTuning",
    "Fitted",
    "Numerics",
    "Probe",
    "Recipe",
    "TrainingDivergedError",
    "TrainingResult",
    "evaluate",
    "fit",
    "fit_probe",
    "numerics",
    "predict",
    "remove_checkpoint",
    "train",
]


@dataclass(frozen=True)
class Fitted:
    """A network that classifies, whatever loss it was trained with.

    Attributes:
        classifier: in evaluation mode.
        embedder: the network the contrastive loss saw; ``None`` for cross entropy.
        history: one row an epoch, as ``TrainingResult.history``.
        numerics: arithmetic of the training.
        fitted: accuracy, mean confidence and confusion on the training images, not augmented.
        held_out: the same on ``val``; ``None`` without it.
    """

    classifier: Classifier
    embedder: nn.Module | None
    history: pd.DataFrame
    numerics: Numerics
    fitted: Evaluation
    held_out: Evaluation | None


def fit(
    recipe: Recipe,
    split: Split,
    *,
    seed: int,
    directory: Path,
    device: torch.device,
    precision: str = "auto",
    probe_variant: str = "paper",
    progress: bool = True,
    val: Split | None = None,
    network: nn.Module | None = None,
) -> Fitted:
    """Train by ``recipe`` and, for a contrastive loss, fit the linear probe: arguments as of :func:`train`."""
    split = split.to(device)
    result = train(
        recipe,
        split,
        seed=seed,
        directory=directory,
        device=device,
        precision=precision,
        progress=progress,
        val=val,
        network=network,
    )
    if recipe.loss == "ce":
        classifier, embedder = result.network, None
        fitted = evaluate(classifier, split)
    else:
        probe = fit_probe(result.network.backbone, split, variant=probe_variant, seed=seed)
        classifier, embedder, fitted = probe.classifier, result.network, probe.fitted
    held_out = None if val is None else evaluate(classifier, val.to(device))
    return Fitted(classifier, embedder, result.history, result.numerics, fitted, held_out)
