import pytest
import torch
from torch import nn
from torch.nn import functional

from xai_lib.explainers import class_score
from xai_lib.explainers.gradients import gradient, guided_backprop, integrated_gradients, smoothgrad

INDEX = torch.tensor([7, 2, 40, 11])


class Plane(nn.Module):
    """Two logits: Σ weight · x, and Σ x² / 2."""

    weight = torch.arange(12.0).reshape(3, 2, 2) - 5

    def forward(self, x):
        return torch.stack([(self.weight * x).sum((1, 2, 3)), x.square().sum((1, 2, 3)) / 2], 1)


# Gradient


def test_gradient_by_hand():
    x = torch.randn(2, 3, 2, 2)
    maps = gradient(Plane(), x, score=lambda logits: logits)
    torch.testing.assert_close(maps[:, 0], Plane.weight.expand(2, 3, 2, 2))
    torch.testing.assert_close(maps[:, 1], x)


def test_the_way_of_a_score_reaches_the_image(model, x, target):
    log_probability = lambda logits: class_score(target)(logits.log_softmax(1))  # noqa: E731
    images = x.clone().requires_grad_()
    (expected,) = torch.autograd.grad(-functional.cross_entropy(model(images), target, reduction="sum"), images)
    torch.testing.assert_close(gradient(model, x, score=log_probability), expected, rtol=1e-4, atol=1e-6)


# Integrated gradients


def test_integrated_gradients_of_a_square_by_hand():
    x, start = torch.randn(2, 3, 2, 2), torch.randn(3, 1, 2)
    square = lambda logits: logits[:, 1]  # noqa: E731
    maps = integrated_gradients(Plane(), x, score=square, steps=1, baseline=start)
    torch.testing.assert_close(maps, (x - start) * (x + start) / 2)


@pytest.mark.parametrize("baseline", ["zero", "minimum", torch.full((3, 1, 1), 0.4)])
def test_integrated_gradients_add_up_to_the_difference_of_the_scores(model, x, target, baseline):
    score = lambda logits: class_score(target)(logits.softmax(1))  # noqa: E731
    start = baseline if isinstance(baseline, torch.Tensor) else torch.zeros(1)
    start = x.amin((1, 2, 3), keepdim=True) if baseline == "minimum" else start
    maps = integrated_gradients(model, x, score=score, steps=512, baseline=baseline)
    difference = (score(model(x)) - score(model(start.expand_as(x)))).detach()
    torch.testing.assert_close(maps.sum((1, 2, 3)), difference, rtol=0, atol=1e-2 * float(difference.abs().max()))


# SmoothGrad


def test_smoothgrad_without_noise_is_the_gradient(model, x, target):
    maps = smoothgrad(model, x, score=class_score(target), seed=0, index=INDEX, draws=2, sigma=0.0)
    torch.testing.assert_close(maps, gradient(model, x, score=class_score(target)))


def test_smoothgrad_of_a_square_is_the_image_and_noise_of_the_right_size():
    x = torch.randn(2, 3, 32, 32)
    maps = smoothgrad(Square(), x, score=lambda logits: logits[:, 0], seed=0, index=INDEX[:2], draws=4, sigma=0.1)
    extent = x.amax((1, 2, 3)) - x.amin((1, 2, 3))
    torch.testing.assert_close((maps - x).std((1, 2, 3)), 0.1 * extent / 2, rtol=0.05, atol=0)


# Guided backpropagation


def test_guided_backprop_by_hand():
    # Behind the ReLU of 1 · x - 2 arrive 3 and -4, which is dropped; the ReLU itself drops where it gave 0.
    model = nn.Sequential(nn.Conv2d(1, 1, 1), nn.ReLU(), nn.Flatten(), nn.Linear(3, 1))
    model[0].weight.data, model[0].bias.data = torch.tensor([[[[5.0]]]]), torch.tensor([-2.0])
    model[3].weight.data = torch.tensor([[3.0, -4.0, 7.0]])
    maps = guided_backprop(model, torch.tensor([[[[1.0, 1.0, 0.1]]]]), score=lambda logits: logits[:, 0])
    assert maps.tolist() == [[[[15.0, 0.0, 0.0]]]]


@pytest.mark.parametrize("relu", [torch.relu, torch.relu_, torch.Tensor.relu, torch.Tensor.relu_, functional.relu_])
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
    with pytest.raises(ValueError, match=r"Expected a network with ReLUs.*Got Sequential, which ran none"):
        guided_backprop(model, x, score=lambda logits: logits[:, 0])
    assert model.training


def test_relus_are_as_before_afterwards(model, x, target):
    before = gradient(model, x, score=class_score(target))
    guided = guided_backprop(model, x, score=class_score(target))
    assert not torch.allclose(guided, before)
    assert torch.equal(gradient(model, x, score=class_score(target)), before)


class Square(nn.Module):
    def forward(self, x):
        return x.square().sum((1, 2, 3))[:, None] / 2
