from functools import partial

import pytest
import torch
from torch import nn
from torch.nn import functional
from torchvision.models import googlenet, resnet18, resnet50
from zennit.canonizers import SequentialMergeBatchNorm
from zennit.composites import EpsilonPlusFlat, ExcitationBackprop
from zennit.torchvision import ResNetCanonizer

from xai_lib import models
from xai_lib.explainers import about, cams, class_score
from xai_lib.explainers.relevance import excitation_backprop, lrp

EVERY = {"lrp": lrp, "excitation-backprop": partial(excitation_backprop, layer="middle")}
every = pytest.mark.parametrize("explain", EVERY.values(), ids=EVERY.keys())


class Pooled(nn.Module):
    """The small network with its pooling as a module, which zennit alone can see."""

    def __init__(self, small):
        super().__init__()
        self.stem, self.middle, self.last = small.stem, small.middle, small.last
        self.relu, self.pool, self.head = small.relu, nn.AdaptiveAvgPool2d(1), small.head

    def forward(self, x):
        return self.head(self.pool(self.relu(self.last(self.middle(self.stem(x))))).flatten(1))


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


def add_in_place_aside(first, second):
    first.add_(second)
    return first


def iadd(first, second):
    first += second
    return first


# LRP


def test_lrp_of_a_linear_network_by_hand():
    # Head: relevance a·w of each feature; mean: in proportion to the activations; flat rule: the same to each colour.
    model = nn.Sequential(nn.Conv2d(3, 2, 1, bias=False), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    model.append(nn.Linear(2, 1, bias=False))
    model[0].weight.data = torch.tensor([[1.0, 0, 0], [0, 1.0, 0]])[..., None, None]
    model[4].weight.data = torch.tensor([[3.0, -1.0]])
    x = torch.tensor([[[[1.0, 3.0]], [[2.0, 2.0]], [[7.0, -7.0]]]])
    maps = lrp(model, x, score=lambda logits: logits[:, 0])
    by_pixel = torch.tensor([3 * 1 / 2 - 2 / 2, 3 * 3 / 2 - 2 / 2])
    torch.testing.assert_close(maps, by_pixel.expand(1, 3, 1, 2) / 3, rtol=1e-5, atol=0)


def test_lrp_equals_zennit_where_zennit_sees_every_layer(model, x, target):
    expected = by_zennit(Pooled(model), x, target, EpsilonPlusFlat(canonizers=[SequentialMergeBatchNorm()]))
    torch.testing.assert_close(lrp(model, x, score=class_score(target)), expected, rtol=1e-4, atol=1e-6)


def test_a_mean_is_treated_as_the_pooling_layer_is(model, x, target):
    pooled = Pooled(model)
    for explain in EVERY.values():
        maps = explain(model, x, score=class_score(target))
        torch.testing.assert_close(maps, explain(pooled, x, score=class_score(target)), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("network", [resnet18, resnet50])
def test_lrp_equals_zennit_with_its_residual_networks(network):
    model, images, target = lively(partial(network, num_classes=10))
    expected = by_zennit(model, images, target, EpsilonPlusFlat(canonizers=[ResNetCanonizer()]))
    maps = lrp(model, images, score=class_score(target))
    torch.testing.assert_close(maps, expected, rtol=1e-3, atol=1e-4 * float(expected.abs().max()))


@pytest.mark.parametrize(
    "write", [torch.add, torch.Tensor.add, iadd, add_in_place_aside, lambda first, second: first + second]
)
def test_relevance_is_shared_by_every_way_to_add(x, target, write):
    model = Sums(write)
    for module in (model.first, model.second, model.head):
        module.bias.data.zero_()
    score = class_score(target)
    maps = lrp(model, x, score=score)
    expected = score(model(x)).detach()
    torch.testing.assert_close(maps.sum((1, 2, 3)), expected, rtol=0, atol=2e-3 * float(expected.abs().max()))


def test_relevance_is_conserved_without_biases():
    # In narrow networks a unit of a 1×1 projection may have no positive input, to which the z⁺-rule could pass any.
    model, images, _ = lively(partial(models.build, "resnet8", 10, width=64, seed=0))
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
    model, images, target = lively(partial(models.build, architecture, 10, width=16, seed=0))
    explain = lrp if explain is lrp else excitation_backprop
    maps = explain(model, images, score=class_score(target))
    folded = explain(models.fold_batchnorm(model), images, score=class_score(target))
    assert (folded - maps).norm() < 1e-3 * maps.norm()  # sums near 0 enlarge the rounding


def test_epsilon_is_that_of_the_rule(model, x, target):
    larger = lrp(model, x, score=class_score(target), epsilon=10.0)
    assert larger.abs().sum() < 0.5 * lrp(model, x, score=class_score(target)).abs().sum()


@pytest.mark.parametrize("epsilon", [0, -1.0, float("nan")])
def test_epsilon_must_be_positive(model, x, target, epsilon):
    with pytest.raises(ValueError, match=r"Expected epsilon above 0. Got"):
        lrp(model, x, score=class_score(target), epsilon=epsilon)


# Excitation backprop


def test_excitation_backprop_by_hand():
    # Probability of each feature: mean activation times positive weight; of each place: its share of the mean.
    model = nn.Sequential(nn.Identity(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 1))
    model[3].weight.data, model[3].bias.data = torch.tensor([[2.0, 1.0, -5.0]]), torch.tensor([100.0])
    activations = torch.tensor([[[[1.0, 3.0]], [[4.0, -1.0]], [[7.0, 7.0]]]])  # means 2, 1.5, 7
    maps = excitation_backprop(model, activations, score=lambda logits: logits[:, 0], layer="0")
    torch.testing.assert_close(maps, torch.tensor([[[(1 + 1.5) / 5.5, 3 / 5.5]]]), rtol=1e-5, atol=0)


def test_batch_normalisation_without_a_convolution_passes_probability_on():
    model = nn.Sequential(nn.Identity(), nn.BatchNorm2d(3), nn.ReLU(), nn.Flatten(), nn.Linear(12, 1))
    model[1].running_var.fill_(9.0)
    nn.init.ones_(model[4].weight)
    maps = excitation_backprop(model, torch.ones(1, 3, 2, 2), score=lambda logits: logits[:, 0], layer="0")
    torch.testing.assert_close(maps.sum(), torch.tensor(1.0), rtol=0, atol=1e-3)


@pytest.mark.parametrize("layer", ["stem", "middle", "last"])
def test_excitation_backprop_equals_zennit(model, x, target, layer):
    composite = ExcitationBackprop(zero_params=["bias"], canonizers=[SequentialMergeBatchNorm()])
    expected = by_zennit(Pooled(model), x, target, composite, layer=layer).sum(1)
    maps = excitation_backprop(model, x, score=class_score(target), layer=layer, upsample=False)
    torch.testing.assert_close(maps, expected, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("layer", ["stem", "middle", "last"])
def test_probability_is_conserved(model, x, target, layer):
    maps = excitation_backprop(model, x, score=class_score(target), layer=layer, upsample=False)
    torch.testing.assert_close(maps.sum((1, 2)), torch.ones(4), rtol=0, atol=1e-3)
    assert maps.min() >= 0


def test_probability_is_conserved_in_residual_networks():
    model, images, target = lively(partial(models.build, "resnet18", 10, width=8, seed=0))
    for layer in model.layers():
        maps = excitation_backprop(model, images, score=class_score(target), layer=layer, upsample=False)
        torch.testing.assert_close(maps.sum((1, 2)), torch.ones(2), rtol=0, atol=1e-3)
        assert maps.min() >= 0, layer


def test_excitation_backprop_is_linear_in_the_score(model, x, target):
    other = (target + 1) % 5
    explain = partial(excitation_backprop, model, x, layer="middle")
    difference = explain(score=lambda logits: class_score(target)(logits) - 3 * class_score(other)(logits))
    expected = explain(score=class_score(target)) - 3 * explain(score=class_score(other))
    torch.testing.assert_close(difference, expected, rtol=0, atol=1e-6)


def test_the_grid_upsampled_later_is_the_map(model, x, target):
    explain = partial(excitation_backprop, model, x, score=class_score(target), layer=model.last)
    grid = explain(upsample=False)
    assert grid.shape == (4, 4, 4)
    assert torch.equal(cams.upsample(grid, (16, 16)), explain())


def test_the_default_layer_is_the_models():
    model, images, target = lively(partial(models.build, "resnet8", 10, seed=0))
    explain = partial(excitation_backprop, model, images, score=class_score(target))
    assert torch.equal(explain(), explain(layer=model.default_layer()))
    with pytest.raises(ValueError, match=r"Expected the name of a layer of this model: .*Got 'block9'"):
        explain(layer="block9")


# Both


def test_what_is_registered():
    assert (about("lrp").family, about("lrp").on_layer) == ("relevance", False)
    assert (about("excitation-backprop").family, about("excitation-backprop").on_layer) == ("relevance", True)
    for name in ("lrp", "excitation-backprop"):
        assert about(name).class_specific
        assert about(name).explains == "logit"


@every
def test_shape_and_type(model, x, target, explain):
    maps = explain(model.double(), x.double(), score=class_score(target))
    assert maps.shape == ((4, 3, 16, 16) if explain is lrp else (4, 16, 16))
    assert maps.dtype == torch.float32
    assert not maps.requires_grad
    torch.testing.assert_close(maps, explain(model.float(), x, score=class_score(target)), rtol=1e-3, atol=1e-5)


@every
def test_several_scores_equal_separate_calls(model, x, explain):
    together = explain(model, x, score=lambda logits: logits[:, :3])
    for s in range(3):
        alone = explain(model, x, score=lambda logits, s=s: logits[:, s])
        torch.testing.assert_close(together[:, s], alone, rtol=1e-4, atol=1e-6)


@every
def test_batched_equals_one_by_one(model, x, explain):
    batched = explain(model, x, score=lambda logits: logits)
    single = torch.cat([explain(model, image[None], score=lambda logits: logits) for image in x])
    torch.testing.assert_close(batched, single, rtol=1e-4, atol=1e-6)


@every
@pytest.mark.parametrize("fails", [False, True])
def test_the_network_and_the_images_are_left_as_they_were(model, x, target, explain, fails):
    model.train()
    model.middle.eval()
    model.head.weight.requires_grad_(False)
    state = {name: value.clone() for name, value in model.state_dict().items()}
    parameters = list(model.parameters())
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
    assert not any(m._forward_hooks or m._forward_pre_hooks or m._backward_hooks for m in model.modules())
    assert all(new is old for new, old in zip(model.parameters(), parameters, strict=True))
    assert all(parameter.grad is None for parameter in parameters)
    assert [name for name, p in model.named_parameters() if not p.requires_grad] == ["head.weight"]
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    assert torch.equal(x, before)


@every
@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_it_works_where_the_caller_does_not_record(model, x, target, explain, mode):
    expected = explain(model, x, score=class_score(target))
    with mode():
        torch.testing.assert_close(explain(model, x * 1, score=class_score(target)), expected)


@every
def test_a_convolution_that_runs_twice_is_refused(model, x, target, explain):
    model.last = nn.Sequential(model.last, nn.Conv2d(12, 12, 1))
    model.last.append(model.last[1])
    with pytest.raises(ValueError, match=r"run once in a forward pass. Got a second run of 'last.1'"):
        explain(model, x, score=class_score(target))


@every
def test_a_model_that_returns_no_logits_is_refused(model, x, target, explain):
    model.head = Twice()
    with pytest.raises(ValueError, match=r"Expected the model to return logits \[4,C\]. Got tuple"):
        explain(model, x, score=class_score(target))


def test_googlenet_can_be_explained():
    model, images, target = lively(partial(googlenet, num_classes=10, aux_logits=False, init_weights=False))
    maps = lrp(model, images, score=class_score(target))
    assert maps.isfinite().all()
    assert (maps.flatten(1).std(1) > 0).all()
    maps = excitation_backprop(model, images, score=class_score(target), layer="inception4e", upsample=False)
    torch.testing.assert_close(maps.sum((1, 2)), torch.ones(2), rtol=0, atol=1e-3)


def test_resnet50_can_be_explained_at_a_layer():
    model, images, target = lively(partial(resnet50, num_classes=10))
    maps = excitation_backprop(model, images, score=class_score(target), layer="layer3", upsample=False)
    torch.testing.assert_close(maps.sum((1, 2)), torch.ones(2), rtol=0, atol=1e-3)
    assert maps.min() >= 0


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@every
def test_maps_on_the_gpu_equal_those_on_the_cpu(model, x, target, explain):
    expected = explain(model, x, score=class_score(target))
    maps = explain(model.cuda(), x.cuda(), score=class_score(target))
    assert maps.device.type == "cuda"
    error = (maps.cpu() - expected).flatten(1).norm(dim=1) / expected.flatten(1).norm(dim=1)
    assert error.max() < 0.05  # TF32 in the convolutions


class Twice(nn.Module):
    def forward(self, features):
        return features, features


def by_zennit(model, x, target, composite, layer=None):
    """Relevance at the images, of a class's logit; or at a layer, of 1 at that logit."""
    outputs = []
    x = x.clone().requires_grad_()
    with composite.context(model):
        if layer is not None:
            dict(model.named_modules())[layer].register_forward_hook(
                lambda _module, _inputs, y: outputs.append(y) or +y
            )
        logits = model(x)
        start = functional.one_hot(target, logits.shape[1]).float()
        at = x if layer is None else outputs[0]
        return torch.autograd.grad(logits, at, start * logits.detach() if layer is None else start)[0]


def lively(build):
    """A network with random weights and statistics, two images and their targets."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = build().eval()
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.normal_(std=0.3)
                module.running_var.uniform_(0.5, 1.5)
            if isinstance(module, nn.Linear):
                nn.init.normal_(module.weight)
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight)
        return model, torch.randn(2, 3, 64, 64), torch.tensor([3, 8])
