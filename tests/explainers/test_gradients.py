from functools import partial

import pytest
import torch
from captum.attr import GuidedBackprop, IntegratedGradients, Saliency
from torch import nn
from torch.nn import functional
from torchvision.models import googlenet, resnet50

from xai_lib import models, randomness
from xai_lib.explainers import about, class_score
from xai_lib.explainers.gradients import gradient, guided_backprop, integrated_gradients, smoothgrad

INDEX = torch.tensor([7, 2, 40, 11])
SEEDED = partial(smoothgrad, seed=0, index=INDEX, draws=3)
EVERY = {
    "gradient": gradient,
    "integrated-gradients": partial(integrated_gradients, steps=5),
    "smoothgrad": SEEDED,
    "guided-backprop": guided_backprop,
}
every = pytest.mark.parametrize("explain", EVERY.values(), ids=EVERY.keys())


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


@pytest.mark.parametrize("network", ["resnet8", "resnet50", "googlenet"])
def test_gradient_equals_captum(network):
    model, images, target = lively(network)
    expected = Saliency(model).attribute(images.clone().requires_grad_(), target=target, abs=False)
    maps = gradient(model, images, score=class_score(target))
    torch.testing.assert_close(maps, expected, rtol=1e-4, atol=1e-5 * float(expected.abs().max()))


def test_the_way_of_a_score_reaches_the_image(model, x, target):
    log_probability = lambda logits: class_score(target)(logits.log_softmax(1))  # noqa: E731
    images = x.clone().requires_grad_()
    (expected,) = torch.autograd.grad(-functional.cross_entropy(model(images), target, reduction="sum"), images)
    torch.testing.assert_close(gradient(model, x, score=log_probability), expected, rtol=1e-4, atol=1e-6)


# Integrated gradients


@pytest.mark.parametrize("steps", [1, 7, 32])
@pytest.mark.parametrize("baseline", ["zero", "minimum"])
def test_integrated_gradients_equal_captum(model, x, target, steps, baseline):
    start = x.amin((1, 2, 3), keepdim=True).expand_as(x) if baseline == "minimum" else torch.zeros_like(x)
    expected = IntegratedGradients(model).attribute(x, start, target=target, n_steps=steps, method="gausslegendre")
    maps = integrated_gradients(model, x, score=class_score(target), steps=steps, baseline=baseline)
    torch.testing.assert_close(maps, expected.float(), rtol=1e-4, atol=1e-6)


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


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"steps": 0}, r"Expected steps as a whole number of at least 1. Got 0"),
        ({"steps": 2.0}, r"Expected steps as a whole number of at least 1. Got 2.0"),
        ({"chunk": 0}, r"Expected chunk of at least 1 image. Got 0"),
        ({"baseline": "black"}, r"Expected baseline as 'zero', 'minimum' or a tensor. Got 'black'"),
        ({"baseline": torch.zeros(5)}, r"broadcasts to images \[4, 3, 16, 16\]. Got shape \[5\]"),
    ],
)
def test_integrated_gradients_refuse_wrong_settings(model, x, target, settings, message):
    with pytest.raises(ValueError, match=message):
        integrated_gradients(model, x, score=class_score(target), **settings)


# SmoothGrad


def test_smoothgrad_equals_the_mean_of_gradients_of_noisy_images(model, x, target):
    score = class_score(target)
    expected = torch.zeros_like(x)
    for draw in range(6):
        noise = randomness.normal(3, INDEX, f"smoothgrad/{draw}", (3, 16, 16))
        sigma = torch.stack([0.2 * (image.max() - image.min()) for image in x])
        expected += gradient(model, x + sigma[:, None, None, None] * noise, score=score) / 6
    maps = smoothgrad(model, x, score=score, seed=3, index=INDEX, draws=6, sigma=0.2)
    torch.testing.assert_close(maps, expected, rtol=1e-4, atol=1e-6)


def test_smoothgrad_without_noise_is_the_gradient(model, x, target):
    maps = smoothgrad(model, x, score=class_score(target), seed=0, index=INDEX, draws=2, sigma=0.0)
    torch.testing.assert_close(maps, gradient(model, x, score=class_score(target)))


def test_smoothgrad_of_a_square_is_the_image_and_noise_of_the_right_size():
    x = torch.randn(2, 3, 32, 32)
    maps = smoothgrad(Square(), x, score=lambda logits: logits[:, 0], seed=0, index=INDEX[:2], draws=4, sigma=0.1)
    extent = x.amax((1, 2, 3)) - x.amin((1, 2, 3))
    torch.testing.assert_close((maps - x).std((1, 2, 3)), 0.1 * extent / 2, rtol=0.05, atol=0)


def test_smoothgrad_depends_on_seed_and_image_index_alone(model, x, target):
    maps = SEEDED(model, x, score=class_score(target))
    order = torch.tensor([2, 0])
    part = partial(smoothgrad, index=INDEX[order], draws=3)
    score = class_score(target[order])
    torch.testing.assert_close(part(model, x[order], score=score, seed=0), maps[order], rtol=0, atol=1e-6)
    assert (part(model, x[order], score=score, seed=1) - maps[order]).abs().max() > 1e-3


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"draws": 0}, r"Expected draws as a whole number of at least 1. Got 0"),
        ({"sigma": -0.1}, r"Expected sigma as a share of at least 0. Got -0.1"),
        ({"chunk": 0}, r"Expected chunk of at least 1 image. Got 0"),
        ({"index": INDEX[:3]}, r"Expected one index per image, 4 in all. Got 3"),
    ],
)
def test_smoothgrad_refuses_wrong_settings(model, x, target, settings, message):
    with pytest.raises(ValueError, match=message):
        smoothgrad(model, x, score=class_score(target), **({"seed": 0, "index": INDEX} | settings))


# Guided backpropagation


def test_guided_backprop_by_hand():
    # Behind the ReLU of 1 · x - 2 arrive 3 and -4, which is dropped; the ReLU itself drops where it gave 0.
    model = nn.Sequential(nn.Conv2d(1, 1, 1), nn.ReLU(), nn.Flatten(), nn.Linear(3, 1))
    model[0].weight.data, model[0].bias.data = torch.tensor([[[[5.0]]]]), torch.tensor([-2.0])
    model[3].weight.data = torch.tensor([[3.0, -4.0, 7.0]])
    maps = guided_backprop(model, torch.tensor([[[[1.0, 1.0, 0.1]]]]), score=lambda logits: logits[:, 0])
    assert maps.tolist() == [[[[15.0, 0.0, 0.0]]]]


@pytest.mark.filterwarnings("ignore:Setting backward hooks on ReLU")
@pytest.mark.parametrize("network", ["resnet8", "resnet50"])
def test_guided_backprop_equals_captum(network):
    model, images, target = lively(network)
    expected = GuidedBackprop(model).attribute(images.clone().requires_grad_(), target=target)
    maps = guided_backprop(model, images, score=class_score(target))
    torch.testing.assert_close(maps, expected, rtol=1e-4, atol=1e-5 * float(expected.abs().max()))


def test_guided_backprop_reaches_relus_that_are_functions(monkeypatch):
    model, images, target = lively("googlenet")
    maps = guided_backprop(model, images, score=class_score(target))
    monkeypatch.setattr(functional, "relu", lambda activations, inplace=False: GuidedReLU.apply(activations))
    expected = gradient(model, images, score=class_score(target))
    torch.testing.assert_close(maps, expected, rtol=1e-4, atol=1e-5 * float(expected.abs().max()))


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


# All


@every
def test_maps_are_of_the_images_shape_and_float32(model, x, target, explain):
    maps = explain(model.double(), x.double(), score=class_score(target))
    assert maps.shape == x.shape
    assert maps.dtype == torch.float32
    assert not maps.requires_grad
    single = explain(model.float(), x, score=class_score(target))
    torch.testing.assert_close(maps, single, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("name", EVERY)
def test_what_is_registered(name):
    found = about(name)
    assert (found.family, found.explains, found.class_specific, found.on_layer) == ("gradient", "logit", True, False)
    assert found.random is (name == "smoothgrad")
    assert found.needs == ()


@every
def test_several_scores_equal_separate_calls(model, x, explain):
    together = explain(model, x, score=lambda logits: logits[:, :3])
    assert together.shape == (4, 3, 3, 16, 16)
    for s in range(3):
        alone = explain(model, x, score=lambda logits, s=s: logits[:, s])
        torch.testing.assert_close(together[:, s], alone, rtol=0, atol=1e-6)


@every
def test_batched_equals_one_by_one(model, x, target, explain):
    batched = explain(model, x, score=class_score(target))
    for b in range(4):
        own = {"index": INDEX[b : b + 1]} if getattr(explain, "func", None) is smoothgrad else {}
        single = explain(model, x[b : b + 1], score=class_score(target[b : b + 1]), **own)
        torch.testing.assert_close(single[0], batched[b], rtol=0, atol=1e-6)


@pytest.mark.parametrize("explain", [partial(integrated_gradients, steps=10), partial(SEEDED, draws=10)])
@pytest.mark.parametrize(("chunk", "largest"), [(1, 4), (11, 8), (1000, 40)])
def test_passes_hold_no_more_than_the_chunk_and_every_image_once(model, x, target, explain, chunk, largest):
    expected = explain(model, x, score=class_score(target))
    sizes = []
    model.register_forward_hook(lambda _module, _inputs, output: sizes.append(len(output)))
    maps = explain(model, x, score=class_score(target), chunk=chunk)
    assert max(sizes) == largest
    assert sum(sizes) == 40
    torch.testing.assert_close(maps, expected, rtol=0, atol=1e-6)


@every
@pytest.mark.parametrize("fails", [False, True])
def test_the_network_and_the_images_are_left_as_they_were(model, x, target, explain, fails):
    model.train()
    model.middle.eval()
    model.head.weight.requires_grad_(False)
    state = {name: value.clone() for name, value in model.state_dict().items()}
    modes = [module.training for module in model.modules()]
    before = x.clone()

    def score(logits):
        if fails:
            raise RuntimeError("score failed")
        return class_score(target)(logits)

    if fails:
        with pytest.raises(RuntimeError, match=r"score failed"):
            explain(model, x, score=score)
    else:
        explain(model, x, score=score)
    assert [module.training for module in model.modules()] == modes
    assert not any(module._forward_hooks or module._backward_hooks for module in model.modules())
    assert all(parameter.grad is None for parameter in model.parameters())
    assert [name for name, p in model.named_parameters() if not p.requires_grad] == ["head.weight"]
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    assert torch.equal(x, before)
    assert not x.requires_grad


@every
@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_it_works_where_the_caller_does_not_record(model, x, target, explain, mode):
    expected = explain(model, x, score=class_score(target))
    with mode():
        assert torch.equal(explain(model, x * 1, score=class_score(target)), expected)


@every
def test_images_and_scores_that_cannot_be_explained_are_refused(model, x, target, explain):
    with pytest.raises(ValueError, match=r"Expected x as images \[B,c,H,W\]. Got shape \[4, 3, 16\]"):
        explain(model, x[..., 0], score=class_score(target))
    with pytest.raises(TypeError, match=r"Expected x as normalised images.*Got torch.uint8"):
        explain(model, x.byte(), score=class_score(target))
    with pytest.raises(ValueError, match=r"Expected score to return one number per image, \[4\]"):
        explain(model, x, score=lambda logits: logits.sum())
    with pytest.raises(ValueError, match=r"Expected one target per image, 4 in all. Got 3"):
        explain(model, x, score=class_score(target[:3]))


@every
@pytest.mark.parametrize("network", ["resnet50", "googlenet"])
def test_torchvisions_networks_can_be_explained(explain, network):
    model, images, target = lively(network)
    own = {"index": INDEX[:2]} if getattr(explain, "func", None) is smoothgrad else {}
    maps = explain(model, images, score=class_score(target), **own)
    assert maps.shape == (2, 3, 64, 64)
    assert (maps.flatten(1).std(1) > 0).all()
    assert maps.isfinite().all()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@every
def test_maps_on_the_gpu_equal_those_on_the_cpu(model, x, target, explain):
    expected = explain(model, x, score=class_score(target))
    maps = explain(model.cuda(), x.cuda(), score=class_score(target))
    assert maps.device.type == "cuda"
    error = (maps.cpu() - expected).flatten(1).norm(dim=1) / expected.flatten(1).norm(dim=1)
    assert error.max() < 0.05  # TF32 in the convolutions; a unit near 0 may switch


class Square(nn.Module):
    def forward(self, x):
        return x.square().sum((1, 2, 3))[:, None] / 2


class GuidedReLU(torch.autograd.Function):
    """The paper's recurrence: R^l = (A^l > 0)(R^{l+1} > 0) R^{l+1}."""

    @staticmethod
    def forward(ctx, activations):
        ctx.save_for_backward(activations > 0)
        return activations.clamp(min=0)

    @staticmethod
    def backward(ctx, relevance):
        (on,) = ctx.saved_tensors
        return on * (relevance > 0) * relevance


def lively(network):
    """A network with random weights, two images and their targets."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = {
            "resnet8": partial(models.build, "resnet8", 10, seed=0),
            "resnet50": partial(resnet50, num_classes=10),
            "googlenet": partial(googlenet, num_classes=10, aux_logits=False, init_weights=False),
        }[network]()
        return model.eval(), torch.randn(2, 3, 64, 64), torch.tensor([3, 8])
