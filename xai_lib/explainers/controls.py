"""Uninformed maps: what an explanation must beat, made without asking the network.

They take the arguments of every explainer, so that they can stand in its place, and return non-negative float32 maps
[B,H,W] on x's device. ``model`` (which may be None), ``score`` and ``layer`` are not used.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from xai_lib import randomness
from xai_lib.checks import check_index
from xai_lib.explainers.registry import Explain, Layer, Score, register
from xai_lib.registry import named_as


def _of_images(make: Callable[[Tensor], Tensor]) -> Explain:
    """Decorator: an explainer from a function of images alone."""

    @named_as(make)
    def explain(model: nn.Module | None, x: Tensor, *, score: Score | None = None, layer: Layer = None) -> Tensor:
        return make(x)

    return explain


@register("uniform", title="Uniform", paper="control", family="uninformed", class_specific=False)
@_of_images
def uniform(x: Tensor) -> Tensor:
    """The same value, 1, everywhere: a map that ranks nothing.

    Example:
        >>> uniform(None, torch.zeros(1, 3, 1, 2))
        tensor([[[1., 1.]]])
    """
    return _ones(x)


@register("random", title="Random", paper="control", family="uninformed", class_specific=False)
def random(
    model: nn.Module | None, x: Tensor, *, seed: int, index: Tensor, score: Score | None = None, layer: Layer = None
) -> Tensor:
    """Independent uniform numbers in [0,1), a pixel each: the order of the pixels is random.

    Example:
        >>> maps = random(None, torch.zeros(2, 3, 4, 4), seed=0, index=torch.tensor([7, 7]))
        >>> torch.equal(maps[0], maps[1]), maps.min() >= 0, maps.max() < 1
        (True, tensor(True), tensor(True))
    """
    height, width = _ones(x).shape[1:]
    check_index(index, x)
    return randomness.uniform(seed, index.to(x.device), "control/random", (height, width))


@register("centred-gaussian", title="Centred Gaussian", paper="control", family="uninformed", class_specific=False)
@_of_images
def centred_gaussian(x: Tensor) -> Tensor:
    """A bell exp(-d²/2σ²), 1 in the image's centre, where photographers put objects; σ is a quarter of each side.

    Example:
        >>> centred_gaussian(None, torch.zeros(1, 3, 1, 3))
        tensor([[[0.4111, 1.0000, 0.4111]]])
    """
    ones = _ones(x)
    away = (torch.arange(side, device=x.device) - (side - 1) / 2 for side in ones.shape[1:])  # of pixels' centres
    down, across = (torch.exp(-0.5 * (line / (len(line) / 4)) ** 2) for line in away)
    return ones * (down[:, None] * across)


@register("edge-map", title="Edge map", paper="control", family="uninformed", class_specific=False)
@_of_images
def edge_map(x: Tensor) -> Tensor:
    """The strength of the image's edges: the Sobel gradient's magnitude on the mean of the colours, edges repeated.

    Example:
        >>> edge_map(None, torch.tensor([0.0, 3.0, 6.0]).expand(1, 3, 1, 3))
        tensor([[[1.5000, 3.0000, 1.5000]]])
    """
    _ones(x)
    grey = functional.pad(x.detach().float().mean(dim=1, keepdim=True), (1, 1, 1, 1), mode="replicate")
    across = torch.tensor([[-1.0, 0.0, 1.0], [-2.0, 0.0, 2.0], [-1.0, 0.0, 1.0]], device=x.device) / 8
    with torch.autocast(x.device.type, enabled=False):
        slopes = functional.conv2d(grey, torch.stack([across, across.T])[:, None])  # [B,2,H,W], per pixel
    return torch.linalg.vector_norm(slopes, dim=1)


@register("fake-cam", title="Fake-CAM", paper="Poppi et al. 2021", family="uninformed", class_specific=False)
@_of_images
def fake_cam(x: Tensor) -> Tensor:
    """1 everywhere but in the top left pixel, which is 0 (Poppi et al. 2021; saliency paper §5.1).

    As a mask it keeps almost all of the image, so a metric that multiplies the image by the map is flattered. As a
    ranking it says only which pixel comes last: all others are tied, and insertion and deletion are then scores of
    the rule that breaks ties (row by row from the top, or a random order), not of the map.

    Example:
        >>> fake_cam(None, torch.zeros(1, 3, 1, 3))
        tensor([[[0., 1., 1.]]])
    """
    maps = _ones(x)
    maps[:, 0, 0] = 0
    return maps


def _ones(x: Tensor) -> Tensor:
    if x.ndim != 4:
        raise ValueError(f"Expected x as images [B,3,H,W]. Got shape {list(x.shape)}.")
    return torch.ones(len(x), *x.shape[2:], device=x.device)
