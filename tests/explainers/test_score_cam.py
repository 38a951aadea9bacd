import numpy as np
import pytest
import torch
from pytorch_grad_cam import ScoreCAM
from pytorch_grad_cam.utils.image import scale_cam_image
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torch import nn
from torch.nn import functional

from xai_lib import models
from xai_lib.explainers import class_score, normalise, of_class
from xai_lib.explainers.perturbed_cams import score_cam


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


def plain(model, x, target, layer):
    """Wang et al.'s algorithm, a channel at a time, with the baseline that cancels: maps [B,h,w]."""
    maps = []
    for image, c in zip(x, target, strict=True):
        kept = {}
        handle = model.get_submodule(layer).register_forward_hook(lambda m, i, o, kept=kept: kept.update(a=o[0] * 1))
        model(image[None])
        handle.remove()
        rises = []
        for channel in kept["a"]:
            large = functional.interpolate(channel[None, None], x.shape[2:], mode="bilinear")[0, 0]
            span = large.max() - large.min()
            mask = (large - large.min()) / span if span > 0 else torch.zeros_like(large)
            rises.append(model((image * mask)[None])[0, c] - model(torch.full_like(image, 0.5)[None])[0, c])
        weights = torch.stack(rises).exp() / torch.stack(rises).exp().sum()
        maps.append((weights[:, None, None] * kept["a"]).sum(0))
    return torch.stack(maps).detach()


def test_by_hand():
    channels = torch.tensor([[[2.0, 0.0], [0.0, 0.0]], [[0.0, 5.0], [5.0, 0.0]], [[7.0, 7.0], [7.0, 7.0]]])
    x = torch.zeros(1, 3, 2, 2)
    x[0, 0] = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    # Seen through the channels: 1; 2 + 3; nothing, for the constant one.
    weights = torch.tensor([1.0, 5.0, 0.0]).softmax(0)
    maps = score_cam(GivenChannels(channels, [1.0]), x, score=lambda logits: logits[:, 0])
    torch.testing.assert_close(maps[0], (weights[:, None, None] * channels).sum(0))


def test_a_constant_channel_hides_all_even_if_upsampling_rounds():
    channels = torch.stack([torch.full((3, 3), 0.1), torch.eye(3)])
    x = torch.full((1, 3, 32, 32), 1e-2)
    hidden = score_cam(GivenChannels(channels, [1.0]), x, score=lambda logits: logits[:, 0], upsample=False)
    share = float((hidden[0, 0, 1]) / 0.1)  # there, only the constant channel is not 0: its weight
    mask = normalise.min_max(functional.interpolate(torch.eye(3)[None, None], (32, 32), mode="bilinear")[0])
    assert share == pytest.approx(float(torch.tensor([0.0, 1e-2 * float(mask.sum())]).softmax(0)[0]), abs=1e-5)


@pytest.mark.parametrize("layer", ["stem", "middle", "last", "relu"])
def test_equals_the_algorithm_written_plainly(model, x, target, layer):
    expected = plain(model, x, target, layer)
    maps = score_cam(model, x, score=class_score(target), layer=layer, upsample=False)
    torch.testing.assert_close(maps, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("layer", ["block1", "block3"])
def test_equals_pytorch_grad_cam(monkeypatch, layer):
    # The library alone enlarges masks with the corners aligned.
    monkeypatch.setattr(nn, "UpsamplingBilinear2d", lambda size: nn.Upsample(size, mode="bilinear"))
    model, x, target = lively()
    module = model.get_submodule(f"backbone.{layer}")
    with ScoreCAM(model, [module]) as reference:
        expected = reference(x, [ClassifierOutputTarget(int(c)) for c in target])
    grid = score_cam(model, x, score=class_score(target), layer=module, upsample=False)
    scaled = scale_cam_image(np.maximum(scale_cam_image(normalise.relu(grid).numpy(), (32, 32)), 0))
    np.testing.assert_allclose(scaled, expected, rtol=0, atol=1e-4)


def test_a_number_added_to_the_score_cancels(model, x, target):
    score = class_score(target)
    expected = score_cam(model, x, score=score, layer="relu")
    shifted = score_cam(model, x, score=lambda logits: score(logits) - 3, layer="relu")
    torch.testing.assert_close(shifted, expected, rtol=1e-4, atol=1e-5)


def test_the_score_is_used_as_it_is(model, x, target):
    logit = score_cam(model, x, score=of_class(target, "logit"), layer="relu")
    probability = score_cam(model, x, score=of_class(target, "probability"), layer="relu")
    assert (logit - probability).abs().max() > 0.1


@pytest.mark.parametrize(("chunk", "most"), [(1, 1), (4, 4), (9, 8), (1000, 48)])
def test_no_more_than_chunk_images_run_at_once(model, x, target, chunk, most):
    expected = score_cam(model, x, score=class_score(target), layer="last")
    sizes = []
    model.stem.register_forward_hook(lambda module, inputs, output: sizes.append(len(output)))
    maps = score_cam(model, x, score=class_score(target), layer="last", chunk=chunk)
    assert max(sizes) == most
    assert sum(sizes) == 4 + 12 * 4
    torch.testing.assert_close(maps, expected, rtol=1e-4, atol=1e-5)


def test_several_scores_share_the_forward_passes(model, x):
    sizes = []
    model.stem.register_forward_hook(lambda module, inputs, output: sizes.append(len(output)))
    assert score_cam(model, x, score=lambda logits: logits, layer="last").shape == (4, 5, 16, 16)
    assert sum(sizes) == 4 + 12 * 4


def test_a_chunk_below_one_is_refused(model, x, target):
    with pytest.raises(ValueError, match=r"Expected chunk of at least 1 image. Got 0"):
        score_cam(model, x, score=class_score(target), layer="last", chunk=0)


def test_an_empty_batch_gives_no_maps(model, x, target):
    assert score_cam(model, x[:0], score=class_score(target[:0]), layer="last").shape == (0, 16, 16)


def lively():
    model = models.build("resnet8", 10, width=8, seed=0).eval()
    generator = torch.Generator().manual_seed(0)
    model.head.weight.data = torch.randn(model.head.weight.shape, generator=generator)
    return model, torch.randn(3, 3, 32, 32, generator=generator), torch.tensor([0, 3, 9])
