import numpy as np
import pytest
import torch
from pytorch_grad_cam import AblationCAM
from pytorch_grad_cam.utils.image import scale_cam_image
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torch import nn

from xai_lib import models
from xai_lib.explainers import class_score, normalise
from xai_lib.explainers.perturbed_cams import ablation_cam


class Bypassed(nn.Module):
    """What the layer returns is added to, or concatenated with, something of the image that passes by it."""

    def __init__(self, join):
        super().__init__()
        self.layer = nn.Sequential(nn.Conv2d(3, 6, 3, padding=1), nn.ReLU())
        self.aside = nn.Conv2d(3, 6, 3, padding=1)
        self.behind = nn.LazyConv2d(7, 3)
        self.join = join
        with torch.random.fork_rng():
            torch.manual_seed(0)
            for parameter in [*self.layer.parameters(), *self.aside.parameters()]:
                parameter.data = torch.randn(parameter.shape)
            self(torch.zeros(1, 3, 16, 16))

    def forward(self, x):
        return self.behind(self.join(self.layer(x), self.aside(x))).relu_().mean((2, 3))


def plain(model, x, target, layer):
    """A channel of the layer set to 0 at a time, image by image: losses [B,K] and activations [B,K,h,w]."""
    kept = {}
    handle = layer.register_forward_hook(lambda module, inputs, output: kept.update(a=output.detach().clone()))
    scores = model(x).gather(1, target[:, None])
    handle.remove()
    losses = []
    for k in range(kept["a"].shape[1]):
        without = kept["a"].clone()
        without[:, k] = 0
        handle = layer.register_forward_hook(lambda module, inputs, output, without=without: without)
        losses.append(scores - model(x).gather(1, target[:, None]))
        handle.remove()
    return torch.cat(losses, 1).detach(), kept["a"]


@pytest.mark.parametrize("layer", ["stem", "stem.0", "middle", "last", "last.0", "relu"])
def test_equals_ablating_a_channel_at_a_time(model, x, target, layer):
    losses, activations = plain(model, x, target, model.get_submodule(layer))
    assert losses.abs().max() > 0.1
    expected = (losses[:, :, None, None] * activations).sum(1)
    maps = ablation_cam(model, x, score=class_score(target), layer=layer, upsample=False)
    torch.testing.assert_close(maps, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("join", [torch.add, lambda a, b: torch.cat([a, b], 1)])
def test_what_passes_by_the_layer_stays_the_images_own(x, target, join):
    model = Bypassed(join).eval()
    losses, activations = plain(model, x, target, model.layer)
    expected = (losses[:, :, None, None] * activations).sum(1)
    maps = ablation_cam(model, x, score=class_score(target), layer="layer", upsample=False)
    torch.testing.assert_close(maps, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("layer", ["block1", "block3"])
def test_equals_pytorch_grad_cam(layer):
    model = models.build("resnet8", 10, width=8, seed=0).eval()
    generator = torch.Generator().manual_seed(0)
    model.head.weight.data = torch.randn(model.head.weight.shape, generator=generator)
    x = torch.randn(4, 3, 32, 32, generator=generator)
    target = model(x).argmax(1)  # a positive score, by which the library divides
    module = model.get_submodule(f"backbone.{layer}")
    grid = ablation_cam(model, x, score=class_score(target), layer=module, upsample=False)
    with AblationCAM(model, [module]) as reference:
        expected = reference(x, [ClassifierOutputTarget(int(c)) for c in target])
    scaled = scale_cam_image(np.maximum(scale_cam_image(normalise.relu(grid).numpy(), (32, 32)), 0))
    np.testing.assert_allclose(scaled, expected, rtol=0, atol=1e-3)


def test_a_negative_score_does_not_turn_the_map(model, x, target):
    score = class_score(target)
    shifted = ablation_cam(model, x, score=lambda logits: score(logits) - 100, layer="relu")
    torch.testing.assert_close(shifted, ablation_cam(model, x, score=score, layer="relu"), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("chunk", [1, 5, 1000])
def test_no_more_than_chunk_copies_run_at_once(model, x, target, chunk):
    expected = ablation_cam(model, x, score=class_score(target), layer="last")
    sizes, before = [], []
    model.relu.register_forward_hook(lambda module, inputs, output: sizes.append(len(output)))
    model.stem.register_forward_hook(lambda module, inputs, output: before.append(len(output)))
    maps = ablation_cam(model, x, score=class_score(target), layer="last", chunk=chunk)
    assert max(sizes) == min(chunk, 13)
    assert max(before) == min(chunk, 4)  # what lies before the layer runs once for all copies
    torch.testing.assert_close(maps, expected, rtol=1e-4, atol=1e-5)


def test_a_chunk_below_one_is_refused(model, x, target):
    with pytest.raises(ValueError, match=r"Expected chunk of at least 1 image. Got 0"):
        ablation_cam(model, x, score=class_score(target), layer="last", chunk=0)
