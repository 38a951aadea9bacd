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


def test_activations_are_not_changed_by_a_later_in_place_operation(model, x):
    activations = layer_activations(model, x, "last")
    assert activations.min() < 0
    torch.testing.assert_close(activations, model.last(model.middle(model.stem(x))).detach())


def test_nothing_before_the_layer_is_recorded(model, x, target):
    seen = []
    model.middle.register_forward_hook(lambda module, inputs, output: seen.append(output.requires_grad))
    maps_of(model, x, class_score(target), "last")
    assert set(seen) == {False}


@pytest.mark.parametrize("recording", [True, False])
def test_recording_comes_back_after_an_error(model, x, recording):
    def failing(logits):
        assert not model.training
        raise RuntimeError("score failed")

    with torch.set_grad_enabled(recording):
        with pytest.raises(RuntimeError, match=r"score failed"):
            maps_of(model.train(), x, failing)
        assert torch.is_grad_enabled() is recording


def test_the_models_own_hooks_stay_and_are_obeyed(model, x, target):
    model.last.register_forward_hook(lambda module, inputs, output: 2 * output)
    torch.testing.assert_close(
        layer_activations(model, x, "last"), 2 * model.last[1](model.last[0](model.middle(model.stem(x)))).detach()
    )
    assert len(model.last._forward_hooks) == 1


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_the_callers_mode_is_left_as_it_was(model, x, target, mode):
    with mode():
        maps_of(model, x * 1, class_score(target))
        assert torch.is_grad_enabled() is False
        assert torch.is_inference_mode_enabled() is (mode is torch.inference_mode)


def test_a_model_made_of_inference_tensors_is_refused(x, target):
    with torch.inference_mode():
        model = nn.Sequential(nn.Conv2d(3, 5, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    with pytest.raises(ValueError, match=r"Expected a model built outside torch.inference_mode"):
        maps_of(model, x, class_score(target), "0")


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_a_network_that_writes_into_its_input_does_not_change_the_images(model, target, mode):
    with mode():
        x = torch.randn(4, 3, 16, 16).contiguous(memory_format=torch.channels_last)
    before = x.clone()
    maps_of(nn.Sequential(nn.ReLU(inplace=True), model), x, class_score(target), "1.last")
    assert torch.equal(x, before)


def test_several_scores_share_one_forward_pass(model, x):
    maps_of(model, x, lambda logits: logits)  # once before: the network's layout is found out
    runs = []
    model.stem.register_forward_hook(lambda *_: runs.append(1))
    maps_of(model, x, lambda logits: logits)
    assert len(runs) == 1


def test_an_empty_batch_gives_no_maps_and_half_precision_float32_ones(model, x, target):
    assert maps_of(model, x[:0], class_score(target[:0])).shape == (0, 4, 4)
    assert maps_of(model.bfloat16(), x.bfloat16(), class_score(target)).dtype == torch.float32


def test_maps_are_combined_in_float32_under_autocast(model, x, target):
    def combine(activations, gradient):
        assert activations.dtype == gradient.dtype == torch.float32
        product = activations.flatten(2) @ gradient.flatten(2).mT
        assert product.dtype == torch.float32
        return product

    with torch.autocast("cpu", torch.bfloat16):
        layer_maps(model, x, class_score(target), "last", combine)


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
        ("aside", ValueError, "Expected a score that depends on the output of layer 'aside'"),
        ("pair", TypeError, "Expected layer 'pair' to return one tensor .* Got tuple"),
    ],
)
def test_a_layer_that_cannot_be_explained_is_refused(x, target, layer, error, message):
    model = Branches().train()
    with pytest.raises(error, match=message):
        maps_of(model, x, class_score(target), layer)
    assert model.training
    assert not any(module._forward_hooks or module._backward_hooks for module in model.modules())


def test_a_layer_behind_the_pooling_is_refused(model, x, target):
    with pytest.raises(ValueError, match=r"layer 'head' to return activations \[4,K,h,w\].* Got shape \[4, 5\]"):
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
