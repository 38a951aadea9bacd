import copy
import re
from functools import partial
from types import MethodType

import pytest
import torch
from derivations.explainers import Pooled
from derivations.networks import SmallNet, fresh, lively
from derivations.networks import images as images_of
from torch import nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

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


class PreActivated(nn.Sequential):
    """Two residual blocks in which batch normalisation comes before each convolution, registered after all of these."""

    def __init__(self, merged=False):
        super().__init__()
        self.stem = nn.Conv2d(3, 6, 3, padding=1, bias=False)
        self.convolutions = nn.ModuleList([nn.Conv2d(6, 6, 3, padding=1, bias=False) for _ in range(4)])
        self.norms = nn.ModuleList([nn.BatchNorm2d(6) for _ in range(4)])
        self.head = nn.Linear(6, 5)

    def forward(self, x):
        x = self.stem(x)
        for block in (0, 2):
            inner = self.convolutions[block](self.norms[block](x).relu())
            x = x + self.convolutions[block + 1](self.norms[block + 1](inner).relu())
        return self.head(x.relu().mean((2, 3)))


@every
def test_batch_normalisation_is_merged_into_what_it_follows_when_it_runs(x, target, explain):
    """In a pre-activation network that is one convolution of each block, in whatever order modules are registered."""
    model, seen = lively(PreActivated), []
    merged = copy.deepcopy(model)
    for number in (0, 2):
        pair = merged.convolutions[number], merged.norms[number + 1]
        merged.convolutions[number], merged.norms[number + 1] = fuse_conv_bn_eval(*pair), nn.Identity()
    explain = explain if explain is lrp else partial(excitation_backprop, layer="stem")
    maps = explain(model, x, score=lambda logits: seen.append(logits.detach()) or class_score(target)(logits))
    torch.testing.assert_close(maps, explain(merged, x, score=class_score(target)), rtol=1e-3, atol=1e-5)
    torch.testing.assert_close(seen[0], model(x), rtol=1e-5, atol=1e-6)  # the network's own


def test_batch_normalisation_stays_where_something_else_reads_the_convolution_too(x, target):
    """Relevance then passes it unchanged; without biases what arrives is the logit."""

    class Read(Sums):
        def forward(self, x):
            x = self.first(x)
            return self.head((self.norm(x).relu() + self.second(x).relu()).mean((2, 3)))

    model = fresh(partial(Read, None))
    model.norm = nn.BatchNorm2d(6).eval()
    model.norm.bias.data.fill_(3.0)
    for module in (model.first, model.second, model.head):
        module.bias.data.zero_()
    total = lrp(model, x, score=class_score(target)).sum((1, 2, 3))
    expected = class_score(target)(model(x)).detach()
    torch.testing.assert_close(total, expected, rtol=0, atol=2e-3 * float(expected.abs().max()))


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


class Doubles(torch.autograd.Function):
    """Not seen by functions of PyTorch; its gradient is no rule."""

    @staticmethod
    def forward(ctx, x):
        return x.relu() * 1

    @staticmethod
    def backward(ctx, gradient):
        return 2 * gradient


class Called(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


class Standardised(nn.Conv2d):
    def forward(self, x):
        return functional.conv2d(x, self.weight - self.weight.mean(), self.bias, padding=1)


def gated(x):
    return x * x.mean((2, 3), keepdim=True).sigmoid()


COVERED = {
    "relu6": nn.ReLU6(),
    "relu6 in place": nn.ReLU6(inplace=True),
    "relu": Called(torch.relu),
    "clamp": Called(partial(torch.clamp, min=0)),
    "cat": Called(lambda x: torch.cat([x.relu(), x[:, :0]], 1)),
    "constants": Called(lambda x: ((2 * x - 1) / 3).relu()),
    "pool": nn.Sequential(nn.ReLU(), nn.MaxPool2d(2), nn.AvgPool2d(2), nn.Upsample(scale_factor=2, mode="bilinear")),
    "identity": nn.Sequential(nn.Identity(), nn.Dropout(), nn.ReLU()),
    "sync": nn.Sequential(nn.SyncBatchNorm(8), nn.ReLU()),
}
REFUSED = {
    "group norm": (nn.GroupNorm(1, 8), "group_norm in 'middle.3' (GroupNorm)"),
    "gelu": (nn.GELU(), "gelu in 'middle.3' (GELU)"),
    "hardswish": (nn.Hardswish(), "hardswish in 'middle.3' (Hardswish)"),
    "gate": (Called(gated), " in 'middle.3' (Called)"),
    "product": (Called(lambda x: x * x), "mul in 'middle.3' (Called)"),
    "softmax": (nn.Softmax(1), "softmax in 'middle.3' (Softmax)"),
    "broadcast": (Called(lambda x: x[:, :1] * torch.ones(8, 1, 1)), "mul in 'middle.3' (Called)"),
    "function": (Called(lambda x: functional.conv2d(x, torch.ones(8, 8, 1, 1))), "conv2d in 'middle.3' (Called)"),
    "standardised": (Standardised(8, 8, 3), "conv2d in 'middle.3' (Standardised)"),
    "weight norm": (nn.utils.parametrizations.weight_norm(nn.Conv2d(8, 8, 1)), "conv2d in 'middle.3'"),
    "batch statistics": (nn.BatchNorm2d(8, track_running_stats=False), "batch_norm in 'middle.3' (BatchNorm2d)"),
    "own": (Called(Doubles.apply), "Doubles in 'middle.3' (Called)"),
    "hidden": (Called(lambda x: Doubles.apply(x).flatten(1).unflatten(1, x.shape[1:])), "that conserves relevance"),
    "script": (torch.jit.script(nn.ReLU()), "TorchScript in 'middle.3'"),
}


@pytest.mark.parametrize("inner", [pytest.param(inner, id=name) for name, inner in COVERED.items()])
def test_what_rules_cover_conserves_relevance(model, x, target, inner):
    """Shares add up to one; LRP has the logits of the network, and without biases of the modules adds up to them."""
    model.middle.append(copy.deepcopy(inner).eval())
    shares = excitation_backprop(model, x, score=class_score(target), layer="stem", upsample=False)
    torch.testing.assert_close(shares.sum((1, 2)), torch.ones(4), rtol=0, atol=1e-3)
    assert shares.min() >= 0
    seen = []
    maps = lrp(model, x, score=lambda logits: seen.append(logits.detach()) or class_score(target)(logits))
    torch.testing.assert_close(seen[0], model(x), rtol=1e-4, atol=1e-5)
    assert maps.isfinite().all()


@every
@pytest.mark.parametrize(("inner", "said"), [pytest.param(*case, id=name) for name, case in REFUSED.items()])
def test_what_no_rule_covers_is_refused_by_its_name(model, x, target, explain, inner, said):
    model.middle.append(inner.eval())
    explain = explain if explain is lrp else partial(excitation_backprop, layer="stem")
    with pytest.raises(ValueError, match=re.escape(said)) as error:
        explain(model, x, score=class_score(target))
    assert "\n" not in str(error.value)


@every
def test_the_same_maps_under_autocast(model, x, target, explain):
    """Also where the network turns it on itself."""
    expected = explain(model, x, score=class_score(target))
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(explain(model, x, score=class_score(target)), expected)
        assert torch.is_autocast_enabled("cpu")
    model.forward = MethodType(torch.autocast("cpu", torch.bfloat16)(SmallNet.forward), model)
    assert model(x).dtype == torch.bfloat16
    torch.testing.assert_close(explain(model, x, score=class_score(target)), expected)


def test_shares_of_negative_activations_are_refused(model, x, target):
    model.relu = nn.SiLU()
    with pytest.raises(ValueError, match=r"Got activations below 0 in 'head' \(Linear\)"):
        excitation_backprop(model, x, score=class_score(target), layer="relu")


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
