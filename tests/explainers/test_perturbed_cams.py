import pytest
import torch
from torch import nn
from torch.nn import functional

from xai_lib.explainers import class_score, normalise
from xai_lib.explainers.perturbed_cams import ablation_cam, score_cam

# Score-CAM


class GivenChannels(nn.Module):
    """Fixed activations for every image; the logits are sums over the image's first colour, times a factor."""

    def __init__(self, channels, factors):
        super().__init__()
        self.layer = nn.Identity()
        self.channels = channels
        self.factors = torch.tensor(factors)

    def forward(self, x):
        self.layer(self.channels.expand(len(x), *self.channels.shape))
        return x[:, 0].sum((1, 2))[:, None] * self.factors

    def default_layer(self):
        return self.layer


def test_a_constant_channel_hides_all_even_if_upsampling_rounds():
    channels = torch.stack([torch.full((3, 3), 0.1), torch.eye(3)])
    x = torch.full((1, 3, 32, 32), 1e-2)
    hidden = score_cam(GivenChannels(channels, [1.0, 0.0]), x, score=lambda logits: logits[:, 0], upsample=False)
    share = float((hidden[0, 0, 1]) / 0.1)  # there, only the constant channel is not 0: its weight
    mask = normalise.min_max(functional.interpolate(torch.eye(3)[None, None], (32, 32), mode="bilinear")[0])
    assert share == pytest.approx(float(torch.tensor([0.0, 1e-2 * float(mask.sum())]).softmax(0)[0]), abs=1e-5)


def test_an_empty_batch_gives_no_maps(model, x, target):
    assert score_cam(model, x[:0], score=class_score(target[:0]), layer="last").shape == (0, 16, 16)


# Ablation-CAM


def test_a_few_channels_are_those_that_vary_most():
    """The map is that of the same activations without the other channels; all of them are the map without a number."""
    torch.manual_seed(0)
    channels = torch.rand(5, 4, 4) * torch.tensor([1.0, 9.0, 3.0, 0.1, 2.0])[:, None, None]
    x, score = torch.rand(2, 3, 8, 8), lambda logits: logits[:, 0]
    few = score_cam(GivenChannels(channels, [1.0] * 5), x, score=score, n_channels=2)
    alone = score_cam(GivenChannels(channels[[1, 2]], [1.0] * 5), x, score=score)
    torch.testing.assert_close(few, alone)
    whole = GivenChannels(channels, [1.0] * 5)
    torch.testing.assert_close(score_cam(whole, x, score=score, n_channels=5), score_cam(whole, x, score=score))
    assert not torch.allclose(few, score_cam(whole, x, score=score))


def test_a_negative_score_does_not_turn_the_map(model, x, target):
    score = class_score(target)
    shifted = ablation_cam(model, x, score=lambda logits: score(logits) - 100, layer="relu")
    torch.testing.assert_close(shifted, ablation_cam(model, x, score=score, layer="relu"), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("chunk", [1, 5, 1000])
def test_what_lies_before_the_layer_runs_once_for_all_copies(model, x, target, chunk):
    before = []
    model.stem.register_forward_hook(lambda module, inputs, output: before.append(len(output)))
    ablation_cam(model, x, score=class_score(target), layer="last", chunk=chunk)
    assert max(before) == min(chunk, 4)
