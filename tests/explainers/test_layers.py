import pytest
import torch
from derivations.networks import fresh, images
from torch import nn

from xai_lib.explainers import cams, class_score
from xai_lib.explainers.layers import at_depth, find_layer, last_spatial_layer


class WithDefault(nn.Sequential):
    def layers(self):
        return {"first": self[0], "second": self[1]}

    def default_layer(self):
        return self[1]


def test_a_layer_is_found_by_its_name_or_as_a_module(model):
    assert find_layer(model, "last.1") == find_layer(model, model.last[1]) == ("last.1", model.last[1])


def test_the_models_own_list_and_default_are_known():
    model = WithDefault(nn.ReLU(), nn.Tanh())
    assert find_layer(model, None) == ("1", model[1])
    assert find_layer(model, "first") == ("first", model[0])


def test_a_shared_module_is_found_under_both_names():
    relu = nn.ReLU()
    assert find_layer(nn.Sequential(relu, nn.Tanh(), relu), "2")[1] is relu


@pytest.mark.parametrize(
    ("layer", "error", "message"),
    [
        (None, ValueError, r"SmallNet has no default_layer\(\). Got None. Name one of: stem, .*head"),
        ("lasst", ValueError, r"Expected the name of a layer of this model: last, .*stem.*head.*Got 'lasst'"),
        ("", ValueError, r"Got ''"),
        (nn.ReLU(), ValueError, r"Got a ReLU that is not part of it"),
        (3, TypeError, r"Expected layer as a module, a dotted name or None"),
        (["last"], TypeError, r"Expected layer as a module, a dotted name or None"),
    ],
)
def test_what_is_no_layer_of_the_model_is_refused(model, layer, error, message):
    with pytest.raises(error, match=message):
        find_layer(model, layer)


@pytest.mark.parametrize("find", [find_layer, last_spatial_layer])
def test_a_model_that_is_no_module_is_refused(find, x):
    with pytest.raises(TypeError, match=r"Expected model as a torch.nn.Module. Got function"):
        find(lambda x: x, x)


# An earlier one, by its share of the layers


@pytest.mark.parametrize(
    ("network", "layer", "expected"),
    [("resnet8", None, "backbone.block2"), ("resnet18", None, "backbone.layer3.0"), ("resnet50", "layer4", "layer2"),
     ("small", "relu", "last"), ("small", "last.1", "last.1")],
)  # fmt: skip
def test_two_thirds_of_the_way_to_a_layer(network, layer, expected):
    model = fresh(network)
    assert at_depth(model, layer, 2 / 3) == expected
    assert at_depth(model, layer, 1) == find_layer(model, layer)[0]


# The last layer, found by running


@pytest.mark.parametrize(
    ("network", "expected"), [("resnet8", "backbone"), ("resnet50", "layer4"), ("googlenet", "inception5b")]
)
def test_the_outermost_block_before_the_pooling_is_found(network, expected):
    assert last_spatial_layer(fresh(network), torch.zeros(1, 3, 64, 64)) == expected


def test_in_a_plain_network_it_is_the_last_relu(model, x):
    assert last_spatial_layer(model, x) == "relu"


def test_the_layer_found_gives_the_map_of_the_default_layer(target):
    model, x, score = fresh("resnet8"), images(4, 32), class_score(target)
    expected = cams.grad_cam(model, x, score=score)
    torch.testing.assert_close(cams.grad_cam(model, x, score=score, layer=last_spatial_layer(model, x)), expected)


class Odd(nn.Module):
    """What runs behind `conv` is no candidate: run twice, a pair, whole numbers, one place, another batch."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.twice = nn.ReLU()
        self.pair = Apply(lambda a: (a, a))
        self.whole = Apply(lambda a: a.long())
        self.halves = Apply(lambda a: a.reshape(2 * len(a), 2, *a.shape[2:]))
        self.place = nn.AdaptiveAvgPool2d(1)

    def forward(self, x):
        a = self.twice(self.twice(self.conv(x)))
        self.pair(a)
        self.whole(a)
        self.halves(a)
        return self.place(a).flatten(1)


class Apply(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, a):
        return self.function(a)


def test_only_what_an_explainer_takes_is_found(x):
    assert last_spatial_layer(Odd(), x) == "conv"


def test_a_network_without_such_a_layer_lists_what_ran(x):
    model = nn.Sequential(nn.Flatten(), nn.Linear(768, 5)).train()
    with pytest.raises(ValueError, match=r"Got these, .*: 0 \[4, 768\], 1 \[4, 5\]. Name the layer yourself"):
        last_spatial_layer(model, x)
    assert model.training
    assert not any(module._forward_hooks for module in model.modules())


def test_finding_leaves_the_network_as_it_was(model, x):
    model.train()
    model.middle.eval()
    modes = [module.training for module in model.modules()]
    statistics = model.stem[1].running_mean.clone()
    last_spatial_layer(model, x)
    with pytest.raises(RuntimeError):
        last_spatial_layer(model, x[:, :2])
    assert [module.training for module in model.modules()] == modes
    assert not any(module._forward_hooks for module in model.modules())
    assert torch.equal(model.stem[1].running_mean, statistics)
