import pytest
import torch
from torch import nn
from torchvision.models import googlenet, resnet50

from xai_lib import models
from xai_lib.explainers import cams, class_score
from xai_lib.explainers.layers import last_spatial_layer


@pytest.mark.parametrize(
    ("build", "expected"),
    [
        (lambda: models.build("resnet8", 10, seed=0), "backbone"),
        (resnet50, "layer4"),
        (lambda: googlenet(aux_logits=False, init_weights=False), "inception5b"),
    ],
)
def test_the_outermost_block_before_the_pooling_is_found(build, expected):
    assert last_spatial_layer(build(), torch.zeros(1, 3, 64, 64)) == expected


def test_in_a_plain_network_it_is_the_last_relu(model, x):
    assert last_spatial_layer(model, x) == "relu"


def test_the_layer_found_gives_the_map_of_the_default_layer(target):
    model = models.build("resnet8", 5, seed=0)
    x = torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    score = class_score(target)
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


def test_finding_in_what_is_no_module_is_refused(x):
    with pytest.raises(TypeError, match=r"Expected model as a torch.nn.Module. Got function"):
        last_spatial_layer(lambda x: x, x)
