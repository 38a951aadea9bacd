"""The optimizer of a recipe, and its learning rate at any moment of the training."""

import math

import torch
from torch import nn
from torch.optim import Optimizer

from xai_lib.training.recipes import Recipe

_WARMUP_START = 0.1  # of the peak, for "cosine"


def learning_rate(recipe: Recipe, epoch: int, step: int, steps: int) -> float:
    """Learning rate of one step, of ``steps`` an epoch, in closed form; epoch and step count from 0.

    "cosine" (contrastive paper §4.1; warm-up as in the released code) holds one rate for a whole epoch: linear from a
    tenth of the peak over ``warmup_epochs``, then half a cosine to 0. "one-cycle" changes at each step (the rate is
    that of its middle): linear from 0 to the peak over ``warmup_share`` of all steps, then half a cosine to 0.
    """
    if recipe.schedule == "cosine":
        now, warmup, end = epoch, recipe.warmup_epochs, recipe.epochs
        start = _WARMUP_START
    else:
        now, end = epoch * steps + step + 0.5, recipe.epochs * steps
        warmup, start = recipe.warmup_share * end, 0.0
    if now < warmup:
        return recipe.learning_rate * (start + (1 - start) * now / warmup)
    return recipe.learning_rate * 0.5 * (1 + math.cos(math.pi * (now - warmup) / max(end - warmup, 1)))


def optimizer(recipe: Recipe, network: nn.Module) -> Optimizer:
    """The recipe's optimizer, fused where torch has that; 1-D parameters decay only if ``decay_norms_and_biases``."""
    decaying = [p for p in network.parameters() if p.requires_grad]
    groups, rate = [{"params": decaying, "weight_decay": recipe.weight_decay}], recipe.learning_rate
    if not recipe.decay_norms_and_biases:
        groups.append({"params": [p for p in decaying if p.ndim <= 1], "weight_decay": 0.0})
        groups[0]["params"] = [p for p in decaying if p.ndim > 1]
    if recipe.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=rate, momentum=recipe.momentum, nesterov=recipe.nesterov, fused=True)
    if recipe.optimizer == "adamw":
        return torch.optim.AdamW(groups, lr=rate, fused=True)
    return torch.optim.RAdam(groups, lr=rate)
