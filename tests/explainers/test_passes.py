"""What running a network for an explanation must leave as it was, and what it must refuse."""

import pytest
import torch
from torch import nn

from xai_lib.explainers import class_score
from xai_lib.explainers.passes import layer_activations, layer_maps


def gradient_sum(activations, gradient):
    return (activations * gradient).sum(1)


def maps_of(model, x, score, layer="last"):
    return layer_maps(model, x, score, layer, gradient_sum)


def plain_maps(model, x, target, layer):
    """The same by ordinary autograd through the whole network."""
    kept = {}
    handle = model.get_submodule(layer).register_forward_hook(lambda module, inputs, output: kept.update(a=output * 1))
    rest = model.get_submodule(layer).register_forward_hook(lambda module, inputs, output: kept["a"])
    logits = model(x)
    handle.remove()
    rest.remove()
    (gradient,) = torch.autograd.grad(logits.gather(1, target[:, None]).sum(), kept["a"])
    return (kept["a"] * gradient).sum(1).detach()


def hooks(model):
    return [len(module._forward_hooks) + len(module._backward_hooks) for module in model.modules()]


@pytest.mark.parametrize("layer", ["stem", "stem.0", "middle", "last", "last.0", "relu"])
def test_gradients_equal_those_of_plain_autograd(model, x, target, layer):
    # "last.0" is an in-place ReLU, and in-place ReLUs follow "stem", "middle" and "last".
    expected = plain_maps(model, x, target, layer)
    assert expected.abs().max() > 1e-3
    torch.testing.assert_close(maps_of(model, x, class_score(target), layer), expected, rtol=1e-5, atol=1e-6)


def test_activations_are_not_changed_by_a_later_in_place_operation(model, x):
    activations = layer_activations(model, x, "last")
    assert activations.min() < 0
    torch.testing.assert_close(activations, model.last(model.middle(model.stem(x))).detach())


def test_nothing_before_the_layer_is_recorded(model, x, target):
    seen = []
    model.middle.register_forward_hook(lambda module, inputs, output: seen.append(output.requires_grad))
    maps_of(model, x, class_score(target), "last")
    assert seen == [False]


def test_no_gradient_is_left_behind(model, x, target):
    x.requires_grad_()
    maps = maps_of(model, x, class_score(target), "middle")
    assert all(parameter.grad is None for parameter in model.parameters())
    assert x.grad is None
    assert not maps.requires_grad


def test_a_gradient_that_was_there_stays(model, x, target):
    model(x).sum().backward()
    before = [parameter.grad.clone() for parameter in model.parameters()]
    maps_of(model, x, class_score(target))
    assert all(torch.equal(a, p.grad) for a, p in zip(before, model.parameters(), strict=True))


def test_each_modules_mode_comes_back(model, x, target):
    expected = maps_of(model, x, class_score(target))
    model.train()
    model.middle.eval()
    modes = [module.training for module in model.modules()]
    statistics = model.stem[1].running_mean.clone()
    assert torch.equal(maps_of(model, x, class_score(target)), expected)
    layer_activations(model, x, "last")
    assert [module.training for module in model.modules()] == modes
    assert torch.equal(model.stem[1].running_mean, statistics)


@pytest.mark.parametrize("recording", [True, False])
def test_modes_hooks_and_recording_come_back_after_an_error(model, x, recording):
    model.train()
    before = hooks(model)

    def failing(logits):
        assert not model.training
        raise RuntimeError("score failed")

    with torch.set_grad_enabled(recording):
        with pytest.raises(RuntimeError, match=r"score failed"):
            maps_of(model, x, failing)
        assert torch.is_grad_enabled() is recording
    assert all(module.training for module in model.modules())
    assert hooks(model) == before


def test_hooks_are_gone_after_success(model, x, target):
    before = hooks(model)
    maps_of(model, x, class_score(target))
    layer_activations(model, x, "last")
    assert hooks(model) == before


def test_the_models_own_hooks_stay_and_are_obeyed(model, x, target):
    model.last.register_forward_hook(lambda module, inputs, output: 2 * output)
    torch.testing.assert_close(
        layer_activations(model, x, "last"), 2 * model.last[1](model.last[0](model.middle(model.stem(x)))).detach()
    )
    assert len(model.last._forward_hooks) == 1


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_it_works_where_the_caller_does_not_record(model, x, target, mode):
    expected = maps_of(model, x, class_score(target))
    with mode():
        assert torch.equal(maps_of(model, x * 1, class_score(target)), expected)
        assert torch.is_grad_enabled() is False
        assert torch.is_inference_mode_enabled() is (mode is torch.inference_mode)


def test_a_model_made_of_inference_tensors_is_refused(x, target):
    with torch.inference_mode():
        model = nn.Sequential(nn.Conv2d(3, 5, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    with pytest.raises(ValueError, match=r"Expected a model built outside torch.inference_mode"):
        maps_of(model, x, class_score(target), "0")


def test_frozen_parameters_do_not_matter(model, x, target):
    expected = maps_of(model, x, class_score(target))
    model.requires_grad_(False)
    assert torch.equal(maps_of(model, x, class_score(target)), expected)
    assert not any(parameter.requires_grad for parameter in model.parameters())


def test_images_are_not_changed(model, x, target):
    before = x.clone()
    maps_of(model, x, class_score(target))
    assert torch.equal(x, before)
    assert not x.requires_grad


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_a_network_that_writes_into_its_input_does_not_change_the_images(model, target, mode):
    with mode():
        x = torch.randn(4, 3, 16, 16).contiguous(memory_format=torch.channels_last)
    before = x.clone()
    maps_of(nn.Sequential(nn.ReLU(inplace=True), model), x, class_score(target), "1.last")
    assert torch.equal(x, before)


def test_several_scores_equal_separate_calls(model, x, target):
    other = (target + 1) % 5
    together = maps_of(model, x, class_score(torch.stack([target, other], 1)))
    assert together.shape == (4, 2, 4, 4)
    torch.testing.assert_close(together[:, 0], maps_of(model, x, class_score(target)), rtol=0, atol=1e-6)
    torch.testing.assert_close(together[:, 1], maps_of(model, x, class_score(other)), rtol=0, atol=1e-6)


def test_several_scores_share_one_forward_pass(model, x):
    runs = []
    model.stem.register_forward_hook(lambda *_: runs.append(1))
    maps_of(model, x, lambda logits: logits)
    assert len(runs) == 1


def test_one_score_may_keep_its_axis(model, x, target):
    assert maps_of(model, x, class_score(target[:, None])).shape == (4, 1, 4, 4)


def test_an_empty_batch_gives_no_maps(model, x, target):
    assert maps_of(model, x[:0], class_score(target[:0])).shape == (0, 4, 4)


def test_half_precision_networks_give_float32_maps(model, x, target):
    maps = maps_of(model.bfloat16(), x.bfloat16(), class_score(target))
    assert maps.dtype == torch.float32


def test_maps_are_combined_in_float32_under_autocast(model, x, target):
    def combine(activations, gradient):
        assert activations.dtype == gradient.dtype == torch.float32
        product = activations.flatten(2) @ gradient.flatten(2).mT
        assert product.dtype == torch.float32
        return product

    with torch.autocast("cpu", torch.bfloat16):
        layer_maps(model, x, class_score(target), "last", combine)


@pytest.mark.parametrize("shape", [(3, 16, 16), (4, 3, 16), (1, 4, 3, 16, 16)])
def test_images_of_another_shape_are_refused(model, shape):
    with pytest.raises(ValueError, match=r"Expected x as images \[B,c,H,W\]. Got shape"):
        layer_activations(model, torch.zeros(shape), "last")


@pytest.mark.parametrize("images", [torch.zeros(4, 3, 16, 16, dtype=torch.uint8), [[0.0]]])
def test_images_of_another_type_are_refused(model, images):
    with pytest.raises(TypeError, match=r"Expected x as normalised images, a float tensor.*Got (torch.uint8|list)"):
        layer_activations(model, images, "last")


class Branches(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 5, 3)
        self.shared = nn.ReLU()
        self.unused = nn.Conv2d(3, 5, 3)
        self.aside = nn.Conv2d(3, 5, 3)
        self.pair = Pair()

    def forward(self, x):
        self.aside(x)
        self.pair(x)
        return self.shared(self.shared(self.conv(x)) - 1).mean((2, 3))


class Pair(nn.Module):
    def forward(self, x):
        return x, x


@pytest.mark.parametrize(
    ("layer", "error", "message"),
    [
        ("unused", ValueError, "Expected layer 'unused' to run in a forward pass. Got a pass that never reached it"),
        ("shared", ValueError, "Expected layer 'shared' to run once in a forward pass. Got a second run"),
        ("aside", ValueError, "Expected a score that depends on the output of layer 'aside'"),
        ("pair", TypeError, "Expected layer 'pair' to return one tensor .* Got tuple"),
    ],
)
def test_a_layer_that_cannot_be_explained_is_refused(x, target, layer, error, message):
    model = Branches().train()
    with pytest.raises(error, match=message):
        maps_of(model, x, class_score(target), layer)
    assert model.training
    assert sum(hooks(model)) == 0


def test_a_layer_behind_the_pooling_is_refused(model, x, target):
    with pytest.raises(ValueError, match=r"layer 'head' to return activations \[4,K,h,w\]. Got shape \[4, 5\]"):
        maps_of(model, x, class_score(target), "head")


def test_a_score_that_does_not_depend_on_the_network_is_refused(model, x):
    with pytest.raises(ValueError, match=r"Got one without a gradient"):
        maps_of(model, x, lambda logits: torch.ones(len(logits)))


def test_a_model_that_returns_no_logits_is_refused(x, target):
    model = nn.Sequential(nn.Conv2d(3, 5, 3), nn.Conv2d(5, 5, 3))
    with pytest.raises(ValueError, match=r"Expected the model to return logits \[4,C\]. Got shape \[4, 5, 12, 12\]"):
        maps_of(model, x, class_score(target), "0")


def test_numbers_that_are_not_finite_are_refused(model, x, target):
    x[2] = torch.nan
    with pytest.raises(ValueError, match=r"at positions \[2\]"):
        maps_of(model, x, class_score(target))
    with pytest.raises(ValueError, match=r"Expected finite activations. Got NaN or infinity from layer 'last'"):
        layer_activations(model, x, "last")
