from functools import partial

import pytest
import torch
from derivations.explainers import Pooled
from derivations.networks import fresh, lively
from derivations.networks import images as images_of
from torch import nn
from torch.nn import functional

from xai_lib import models
from xai_lib.explainers import class_score
from xai_lib.explainers.relevance import excitation_backprop, lrp

EVERY = {"lrp": lrp, "excitation-backprop": partial(excitation_backprop, layer="middle")}
every = pytest.mark.parametrize("explain", EVERY.values(), ids=EVERY.keys())


class Sums(nn.Module):
    """A residual network of its own making: no torchvision block, the sum written as `write` has it."""

    def __init__(self, write):
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 6, 3, padding=1), nn.Conv2d(6, 6, 3, padding=1)
        self.head = nn.Linear(6, 5)
        self.write = write

    def forward(self, x):
        x = functional.relu(self.first(x))
        return self.head(self.write(self.second(x), x).relu_().mean((-2, -1)))


def large(build):
    """A network, two images and their targets."""
    return lively(build), images_of(2, 64), torch.tensor([3, 8])


def add_in_place_aside(first, second):
    first.add_(second)
    return first


def iadd(first, second):
    first += second
    return first


# LRP


def test_a_mean_is_treated_as_the_pooling_layer_is(model, x, target):
    pooled = Pooled(model)
    for explain in EVERY.values():
        maps = explain(model, x, score=class_score(target))
        torch.testing.assert_close(maps, explain(pooled, x, score=class_score(target)), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    "write", [torch.add, torch.Tensor.add, iadd, add_in_place_aside, lambda first, second: first + second]
)
def test_relevance_is_shared_by_every_way_to_add(x, target, write):
    model = fresh(partial(Sums, write))
    for module in (model.first, model.second, model.head):
        module.bias.data.zero_()
    score = class_score(target)
    maps = lrp(model, x, score=score)
    expected = score(model(x)).detach()
    torch.testing.assert_close(maps.sum((1, 2, 3)), expected, rtol=0, atol=2e-3 * float(expected.abs().max()))


def test_relevance_is_conserved_without_biases():
    # In narrow networks a unit of a 1×1 projection may have no positive input, to which the z⁺-rule could pass any.
    model, images, _ = large(partial(models.build, "resnet8", 10, width=64, seed=0))
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.zero_()
    model.head.bias.data.zero_()
    scores = lambda logits: torch.stack([logits[:, 0], logits[:, 1] - 2 * logits[:, 7]], 1)  # noqa: E731
    total = lrp(model, images[..., :32, :32], score=scores).sum((2, 3, 4))
    expected = scores(model(images[..., :32, :32])).detach()
    torch.testing.assert_close(total, expected, rtol=0, atol=1e-3 * float(expected.abs().max()))


@every
@pytest.mark.parametrize("architecture", ["resnet8", "resnet18"])
def test_folded_batch_normalisation_changes_nothing(explain, architecture):
    model, images, target = large(partial(models.build, architecture, 10, width=16, seed=0))
    explain = lrp if explain is lrp else excitation_backprop
    maps = explain(model, images, score=class_score(target))
    folded = explain(models.fold_batchnorm(model), images, score=class_score(target))
    assert (folded - maps).norm() < 1e-3 * maps.norm()  # sums near 0 enlarge the rounding


def test_epsilon_is_that_of_the_rule(model, x, target):
    larger = lrp(model, x, score=class_score(target), epsilon=10.0)
    assert larger.abs().sum() < 0.5 * lrp(model, x, score=class_score(target)).abs().sum()


# Excitation backprop


def test_batch_normalisation_without_a_convolution_passes_probability_on():
    model = nn.Sequential(nn.Identity(), nn.BatchNorm2d(3), nn.ReLU(), nn.Flatten(), nn.Linear(12, 2))
    model[1].running_var.fill_(9.0)
    nn.init.ones_(model[4].weight)
    maps = excitation_backprop(model, torch.ones(1, 3, 2, 2), score=lambda logits: logits[:, 0], layer="0")
    torch.testing.assert_close(maps.sum(), torch.tensor(1.0), rtol=0, atol=1e-3)


@pytest.mark.parametrize(
    ("network", "layers"),
    [
        ("small", ("stem", "middle", "last")),
        ("resnet18", ("backbone.stem", "backbone.layer1.0", "backbone.layer2.1", "backbone.layer4.1")),
        ("resnet50", ("layer3",)),
        ("googlenet", ("inception4e",)),
    ],
)
def test_probability_is_conserved(network, layers):
    model, score = lively(network), class_score(torch.tensor([3, 4]))
    for layer in layers:
        maps = excitation_backprop(model, images_of(2, 64), score=score, layer=layer, upsample=False)
        torch.testing.assert_close(maps.sum((1, 2)), torch.ones(2), rtol=0, atol=1e-3)
        assert maps.min() >= 0, layer


def test_excitation_backprop_is_linear_in_the_score(model, x, target):
    other = (target + 1) % 5
    explain = partial(excitation_backprop, model, x, layer="middle")
    difference = explain(score=lambda logits: class_score(target)(logits) - 3 * class_score(other)(logits))
    expected = explain(score=class_score(target)) - 3 * explain(score=class_score(other))
    torch.testing.assert_close(difference, expected, rtol=0, atol=1e-6)


def test_the_default_layer_is_the_models():
    model, images, target = large("resnet8")
    explain = partial(excitation_backprop, model, images, score=class_score(target))
    assert torch.equal(explain(), explain(layer=model.default_layer()))
    with pytest.raises(ValueError, match=r"Expected the name of a layer of this model: .*Got 'block9'"):
        explain(layer="block9")


# Both


@every
def test_a_convolution_that_runs_twice_is_refused(model, x, target, explain):
    model.last = nn.Sequential(model.last, nn.Conv2d(12, 12, 1))
    model.last.append(model.last[1])
    with pytest.raises(ValueError, match=r"run once in a forward pass. Got a second run of 'last.1'"):
        explain(model, x, score=class_score(target))


@every
def test_a_model_that_returns_no_logits_is_refused(model, x, target, explain):
    model.head.register_forward_hook(lambda _module, _inputs, logits: (logits, logits))
    with pytest.raises(ValueError, match=r"Expected the model to return logits \[4,C\]. Got tuple"):
        explain(model, x, score=class_score(target))
