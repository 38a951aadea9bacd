"""Class activation maps, written again: by autograd through the whole network and by pytorch-grad-cam."""

from functools import partial
from unittest import mock

import numpy as np
import pytorch_grad_cam
import torch
from pytorch_grad_cam.utils.image import scale_cam_image
from pytorch_grad_cam.utils.svd_on_activations import get_2d_projection
from torch import nn
from torch.nn import functional

from derivations import replicates
from derivations.networks import large, lively, small
from xai_lib.explainers import normalise

# In-place ReLUs follow, or are, some of these layers.
ON_SMALL = [{"layer": layer} for layer in ("stem", "stem.0", "middle", "last", "last.0", "relu")]
OUR_LAYERS = [
    {"network": network, "layer": layer} for network in ("resnet8", "resnet18") for layer in lively(network).layers()
]


def activations_and_gradients(model, x, target, layer):
    """[B,K,h,w] both, of each image's class, by autograd through the whole network."""
    kept = {}
    module = (
        model.layers()[layer] if hasattr(model, "layers") and layer in model.layers() else model.get_submodule(layer)
    )
    first = module.register_forward_hook(lambda _module, _inputs, output: kept.update(a=output * 1))
    second = module.register_forward_hook(lambda _module, _inputs, _output: kept["a"] * 1)
    logits = model(x)
    first.remove()
    second.remove()
    (gradient,) = torch.autograd.grad(logits.gather(1, target[:, None]).sum(), kept["a"])
    return kept["a"].detach(), gradient


def by_formula(formula, model, x, target, layer):
    return formula(*activations_and_gradients(model, x, target, layer))


for _of, _formula, _atol in (
    ("grad_cam", lambda a, g: (g.mean((2, 3), keepdim=True) * a).mean(1), 1e-6),
    ("hires_cam", lambda a, g: (a * g).sum(1), 1e-5),
    ("layer_cam", lambda a, g: (a * g.relu()).sum(1), 1e-5),
    ("xgrad_cam", lambda a, g: torch.einsum("bk,bkhw->bhw", (a * g).sum((2, 3)) / (a.sum((2, 3)) + 1e-7), a), 1e-4),
):
    replicates(f"explainers.cams.{_of}", inputs=small, cases=ON_SMALL, rtol=1e-4, atol=_atol)(
        partial(by_formula, _formula)
    )


class Bypassed(nn.Module):
    """What the layer returns is added to, or concatenated with, something of the image that passes by it."""

    def __init__(self, join, width):
        super().__init__()
        self.layer = nn.Sequential(nn.Conv2d(3, 6, 3, padding=1), nn.ReLU())
        self.aside, self.behind = nn.Conv2d(3, 6, 3, padding=1), nn.Conv2d(width, 7, 3)
        self.join = join

    def forward(self, x):
        return self.behind(self.join(self.layer(x), self.aside(x))).relu_().mean((2, 3))


def bypassed(join, width):
    return small("layer", model=lively(partial(Bypassed, join, width)))


@replicates("explainers.perturbed_cams.ablation_cam", inputs=bypassed, each=True, rtol=1e-4, atol=1e-4,
            cases=[{"join": torch.add, "width": 6}, {"join": lambda *ab: torch.cat(ab, 1), "width": 12}])  # fmt: skip
@replicates("explainers.perturbed_cams.ablation_cam", inputs=small, cases=ON_SMALL, each=True, rtol=1e-4, atol=1e-4)
def ablation_cam(model, x, target, layer):
    """A channel of the layer set to 0 at a time."""
    module = model.get_submodule(layer)
    a, _ = activations_and_gradients(model, x[None], target[None], layer)
    score, total = model(x[None])[0, target], 0
    for k in range(a.shape[1]):
        without = a.clone()
        without[:, k] = 0
        handle = module.register_forward_hook(lambda _module, _inputs, _output, without=without: without)
        total = total + (score - model(x[None])[0, target]) * a[0, k]
        handle.remove()
    return total


@replicates("explainers.perturbed_cams.score_cam", inputs=small, each=True, rtol=1e-4, atol=1e-5,
            cases=[{"layer": layer} for layer in ("stem", "middle", "last", "relu")])  # fmt: skip
def score_cam(model, x, target, layer):
    """Wang et al.'s algorithm, a channel at a time, with the baseline that cancels."""
    a, _ = activations_and_gradients(model, x[None], target[None], layer)
    rises = []
    for channel in a[0]:
        large = functional.interpolate(channel[None, None], x.shape[1:], mode="bilinear")[0, 0]
        span = large.max() - large.min()
        mask = (large - large.min()) / span if span > 0 else torch.zeros_like(large)
        rises.append(model((x * mask)[None])[0, target] - model(torch.full_like(x, 0.5)[None])[0, target])
    weights = torch.stack(rises).exp() / torch.stack(rises).exp().sum()
    return (weights[:, None, None] * a[0]).sum(0)


def as_pytorch_grad_cam(grid, given):
    """What pytorch-grad-cam makes of a raw grid: ReLU, min-max, upsampling, min-max."""
    scaled = scale_cam_image(normalise.relu(grid).numpy(), given["x"].shape[-2:])
    return torch.from_numpy(scale_cam_image(np.maximum(scaled, 0)))


def times_channels(grid, given):
    """The library's weights are summed over channels, and its scaling adds a constant: the factor matters a little."""
    a, _ = activations_and_gradients(given["model"], given["x"], given["target"], given["layer"])
    return as_pytorch_grad_cam(a.shape[1] * grid, given)


def by_library(method, model, x, target, layer, factor):
    module = model.layers()[layer] if layer in model.layers() else model.get_submodule(layer)
    # Score-CAM alone enlarges masks with the corners aligned.
    unaligned = mock.patch.object(nn, "UpsamplingBilinear2d", lambda size: nn.Upsample(size, mode="bilinear"))
    with unaligned, getattr(pytorch_grad_cam, method)(model, [module]) as reference:
        return torch.from_numpy(reference(x, [lambda logits, c=int(c): factor * logits[c] for c in target]))


TWO = OUR_LAYERS[1:4:2]
# Grad-CAM++ adds 1e-6 to a denominator of the order of the squared gradient: a large score makes that nothing.
LARGE_SCORE = [case | {"factor": 1e4} for case in OUR_LAYERS]
for _of, _method, _cases, _after, _atol in (
    ("cams.grad_cam", "GradCAM", OUR_LAYERS, times_channels, 1e-5),
    ("cams.grad_cam_plus_plus", "GradCAMPlusPlus", LARGE_SCORE, as_pytorch_grad_cam, 1e-4),
    ("perturbed_cams.score_cam", "ScoreCAM", TWO, as_pytorch_grad_cam, 1e-4),
    # The library divides by the score, which is positive for the class that is predicted.
    ("perturbed_cams.ablation_cam", "AblationCAM", [c | {"predicted": True} for c in TWO], as_pytorch_grad_cam, 1e-3),
):
    replicates(f"explainers.{_of}", inputs=large, cases=_cases, after=_after, atol=_atol)(partial(by_library, _method))


@replicates("explainers.cams.eigen_cam", inputs=large, cases=OUR_LAYERS, atol=1e-5)
def eigen_cam(model, x, target, layer):
    """The first left singular vector, with a positive mean."""
    a, _ = activations_and_gradients(model, x, target, layer)
    u = torch.linalg.svd(a.flatten(2).mT.double(), full_matrices=False).U[:, :, 0]
    return (u * u.sum(1, keepdim=True).sign()).reshape(len(x), *a.shape[2:])


def tools_projections(model, x, target, layer):
    """pytorch-grad-cam's, with the sign that they have in common with the mean activation, because theirs turns."""
    a, _ = activations_and_gradients(model, x, target, layer)
    projections = torch.from_numpy(get_2d_projection(a.numpy()))
    return projections * (projections * a.mean(1)).sum((1, 2), keepdim=True).sign()


def as_the_tool_shows_them(model, x, target, layer):
    return as_pytorch_grad_cam(tools_projections(model, x, target, layer), {"x": x})


replicates("explainers.cams.eigen_cam_tool", inputs=large, cases=OUR_LAYERS, share=1e-4)(tools_projections)
replicates("explainers.cams.eigen_cam_tool", inputs=large, cases=OUR_LAYERS, after=as_pytorch_grad_cam, atol=1e-4)(
    as_the_tool_shows_them
)
