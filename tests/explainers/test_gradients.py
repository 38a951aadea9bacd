import pytest
import torch
from torch import nn
from torch.nn import functional

from xai_lib.explainers import class_score
from xai_lib.explainers.gradients import gradient, guided_backprop, integrated_gradients

# Gradient


def test_the_way_of_a_score_reaches_the_image(model, x, target):
    log_probability = lambda logits: class_score(target)(logits.log_softmax(1))  # noqa: E731
    images = x.clone().requires_grad_()
    (expected,) = torch.autograd.grad(-functional.cross_entropy(model(images), target, reduction="sum"), images)
    torch.testing.assert_close(gradient(model, x, score=log_probability), expected, rtol=1e-4, atol=1e-6)


# Integrated gradients


def test_integrated_gradients_of_a_given_baseline_add_up_to_the_difference_of_the_scores(model, x, target):
    score = lambda logits: class_score(target)(logits.softmax(1))  # noqa: E731
    baseline = torch.full((3, 1, 1), 0.4)
    maps = integrated_gradients(model, x, score=score, steps=512, baseline=baseline)
    difference = (score(model(x)) - score(model(baseline.expand_as(x)))).detach()
    torch.testing.assert_close(maps.sum((1, 2, 3)), difference, rtol=0, atol=1e-2 * float(difference.abs().max()))


# Guided backpropagation


@pytest.mark.parametrize(
    "relu", [torch.relu, torch.relu_, torch.Tensor.relu, torch.Tensor.relu_, functional.relu, functional.relu_]
)
def test_every_way_to_call_a_relu_is_guided(model, x, target, relu):
    expected = guided_backprop(model, x, score=class_score(target))

    class Called(nn.Module):
        def forward(self, activations):
            return relu(activations)

    model.middle[0] = model.last[0] = model.relu = Called()
    assert torch.equal(guided_backprop(model, x, score=class_score(target)), expected)


def test_relus_of_the_score_are_not_guided(model, x, target):
    score = lambda logits: -functional.relu(class_score(target)(logits) + 100)  # noqa: E731
    expected = guided_backprop(model, x, score=lambda logits: -class_score(target)(logits))
    torch.testing.assert_close(guided_backprop(model, x, score=score), expected)


def test_a_network_without_relus_is_refused(x):
    model = nn.Sequential(nn.Conv2d(3, 5, 3), nn.SiLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()).train()
    with pytest.raises(
        ValueError, match=r"Expected a network with ReLUs.*Got Sequential, which ran SiLU: use the gradient"
    ):
        guided_backprop(model, x, score=lambda logits: logits[:, 0])
    assert model.training


def test_relus_are_as_before_afterwards(model, x, target):
    before = gradient(model, x, score=class_score(target))
    guided = guided_backprop(model, x, score=class_score(target))
    assert not torch.allclose(guided, before)
    assert torch.equal(gradient(model, x, score=class_score(target)), before)
