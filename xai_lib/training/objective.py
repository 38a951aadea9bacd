"""What a recipe trains: the network, the loss of its outputs, and an accuracy that can be shown meanwhile."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from xai_lib import losses, models
from xai_lib.training.recipes import FineTuning, Recipe


def initial_network(recipe: Recipe, n_classes: int, seed: int) -> nn.Module:
    """The untrained network whose output the recipe's loss takes, on the processor."""
    classifier = models.build(recipe.architecture, n_classes, width=recipe.width, seed=seed)
    if recipe.loss == "ce":
        return classifier
    if recipe.triplets == "released":
        return models.Classifier(classifier.backbone, nn.Identity())
    dim = classifier.head.in_features
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        head = models.projection(dim, recipe.projection_hidden or dim, recipe.projection_out)
    return models.Embedder(classifier.backbone, head)


def objective(recipe: Recipe, outputs: Tensor, labels: Tensor) -> Tensor:
    """The recipe's loss of outputs [B,V,k] with labels [B]; every view is an anchor."""
    flat, labels = outputs.flatten(0, 1), labels.repeat_interleave(outputs.shape[1])
    if recipe.loss == "ce":
        smoothing = recipe.label_smoothing if isinstance(recipe, FineTuning) else 0.0
        return functional.cross_entropy(flat, labels, label_smoothing=smoothing)
    if recipe.loss == "scl":
        return losses.supervised_contrastive(flat, labels, temperature=recipe.temperature)
    return losses.triplet_semi_hard(flat, labels, margin=recipe.margin, variant=recipe.triplets)


def semi_hard_share(recipe: Recipe, outputs: Tensor, labels: Tensor) -> Tensor:
    """Share of the triplets of outputs [B,V,k] that are semi-hard; NaN for a loss without triplets."""
    if recipe.loss != "tl":
        return torch.tensor(math.nan, device=outputs.device)
    labels = labels.repeat_interleave(outputs.shape[1])
    return losses.semi_hard_share(outputs.flatten(0, 1), labels, margin=recipe.margin, variant=recipe.triplets)


def accuracy(recipe: Recipe, outputs: Tensor, labels: Tensor) -> Tensor:
    """Share of right answers in outputs [B,V,k]: see ``loop.train``."""
    if recipe.loss == "ce":
        return (outputs.argmax(-1) == labels[:, None]).float().mean()
    first, last = functional.normalize(outputs[:, 0], dim=1), functional.normalize(outputs[:, -1], dim=1)
    similarity = (first @ last.T).fill_diagonal_(-math.inf)  # [B,B], without the image itself
    return (labels[similarity.argmax(1)] == labels).float().mean()
