import math
from dataclasses import replace

import pytest
import torch
from torch import nn

from xai_lib.training import optimisation, recipes

PAPER = recipes.get("paper/cifar10", "scl")
SMALL = recipes.get("small", "ce")


def torch_rates(recipe):
    """The released schedule by torch's own schedulers, one step an epoch."""
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=recipe.learning_rate)
    warmup = torch.optim.lr_scheduler.LinearLR(optimizer, 0.1, 1.0, total_iters=recipe.warmup_epochs)
    cosine = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, recipe.epochs - recipe.warmup_epochs)
    schedule = torch.optim.lr_scheduler.SequentialLR(optimizer, [warmup, cosine], [recipe.warmup_epochs])
    rates = []
    for _ in range(recipe.epochs):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return rates


@pytest.mark.filterwarnings("ignore:The epoch parameter")
def test_cosine_equals_torch_schedulers():
    ours = [optimisation.learning_rate(PAPER, epoch, step=7, steps=20) for epoch in range(PAPER.epochs)]
    assert ours == pytest.approx(torch_rates(PAPER), abs=1e-9)


def test_cosine_without_warmup_starts_at_the_peak_and_holds_it_for_an_epoch():
    recipe = recipes.get("paper/cifar10", "ce")
    assert optimisation.learning_rate(recipe, 0, 0, 390) == optimisation.learning_rate(recipe, 0, 389, 390) == 0.1
    assert optimisation.learning_rate(recipe, 100, 0, 390) == pytest.approx(0.05)


def test_one_cycle_rises_linearly_for_its_share_and_falls_to_zero():
    recipe = replace(SMALL, epochs=4)  # warm-up: 25 % of 40 steps
    rates = [optimisation.learning_rate(recipe, *divmod(k, 10), 10) for k in range(40)]
    assert rates[:10] == pytest.approx([0.4 * (k + 0.5) / 10 for k in range(10)])
    assert rates[10:] == pytest.approx([0.2 * (1 + math.cos(math.pi * (k + 0.5) / 30)) for k in range(30)])
    assert 0 < rates[-1] < 1e-3


def test_a_training_shorter_than_its_warmup_only_warms_up():
    recipe = replace(PAPER, epochs=3)
    rates = [optimisation.learning_rate(recipe, epoch, 0, 5) for epoch in range(3)]
    assert rates == pytest.approx([0.05, 0.095, 0.14])


@pytest.mark.parametrize("everywhere", [False, True])
def test_norms_and_biases_decay_only_if_asked(everywhere):
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Linear(4, 2))
    optimizer = optimisation.optimizer(replace(SMALL, decay_norms_and_biases=everywhere), network)
    decay = {p: group["weight_decay"] for group in optimizer.param_groups for p in group["params"]}
    assert len(decay) == len(list(network.parameters()))
    for p in network.parameters():
        assert decay[p] == (5e-4 if everywhere or p.ndim > 1 else 0.0)


@pytest.mark.parametrize(
    "name, kind", [("sgd", torch.optim.SGD), ("adamw", torch.optim.AdamW), ("radam", torch.optim.RAdam)]
)
def test_optimizer_by_name(name, kind):
    optimizer = optimisation.optimizer(replace(SMALL, optimizer=name), nn.Linear(2, 2))
    assert type(optimizer) is kind
    if name == "sgd":
        assert optimizer.param_groups[0]["momentum"] == 0.9
        assert optimizer.param_groups[0]["nesterov"]
