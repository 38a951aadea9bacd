"""Uninformed maps: what an explanation must beat, made without asking the network.

They take the arguments of every explainer, so that they can stand in its place, and return non-negative float32 maps
[B,H,W] on x's device. ``model``, ``score`` and ``layer`` are not used.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from xai_lib import randomness
from xai_lib.explainers.registry import register
from xai_lib.explainers.scores import Score

_NOT_A_METHOD = "control"


@register("uniform", title="Uniform", paper=_NOT_A_METHOD, family="uninformed", class_specific=False)
def uniform(
    model: nn.Module | None, x: Tensor, *, score: Score | None = None, layer: nn.Module | str | None = None
) -> Tensor:
    """The same value, 1, everywhere: a map that ranks nothing."""
    return _ones(x)


@register("random", title="Random", paper=_NOT_A_METHOD, family="uninformed", class_specific=False)
def random(
    model: nn.Module | None,
    x: Tensor,
    *,
    seed: int,
    index: Tensor,
    score: Score | None = None,
    layer: nn.Module | str | None = None,
) -> Tensor:
    """Independent uniform numbers in [0,1), a pixel each: the order of the pixels is random.

    Args:
        model: not used.
        x: images [B,3,H,W], for their number, size and device.
        seed: the run's seed.
        index: image indices, int64 [B]: an image's map depends on seed and index alone.
        score: not used.
        layer: not used.

    Raises:
        ValueError: if there is not one index per image.
    """
    height, width = _ones(x).shape[1:]
    if len(index) != len(x):
        raise ValueError(f"Expected one index per image, {len(x)} in all. Got {len(index)}.")
    return randomness.uniform(seed, index.to(x.device), "control/random", (height, width))


@register("centred-gaussian", title="Centred Gaussian", paper=_NOT_A_METHOD, family="uninformed", class_specific=False)
def centred_gaussian(
    model: nn.Module | None, x: Tensor, *, score: Score | None = None, layer: nn.Module | str | None = None
) -> Tensor:
    """A bell, 1 at its top, in the image's centre, where photographers put objects; σ is a quarter of each side."""
    ones = _ones(x)
    down, across = (torch.exp(-0.5 * (_centred(side, x.device) / (side / 4)) ** 2) for side in ones.shape[1:])
    return ones * (down[:, None] * across)


@register("edge-map", title="Edge map", paper=_NOT_A_METHOD, family="uninformed", class_specific=False)
def edge_map(
    model: nn.Module | None, x: Tensor, *, score: Score | None = None, layer: nn.Module | str | None = None
) -> Tensor:
    """The strength of the image's edges: the Sobel gradient's magnitude on the mean of the colours, edges repeated."""
    ones = _ones(x)
    grey = functional.pad(x.detach().float().mean(dim=1, keepdim=True), (1, 1, 1, 1), mode="replicate")
    across = torch.tensor([[-1.0, 0.0, 1.0], [-2.0, 0.0, 2.0], [-1.0, 0.0, 1.0]], device=x.device) / 8
    slopes = functional.conv2d(grey, torch.stack([across, across.T])[:, None])  # [B,2,H,W], per pixel
    return ones * torch.linalg.vector_norm(slopes, dim=1)


@register("fake-cam", title="Fake-CAM", paper="Poppi et al. 2021", family="uninformed", class_specific=False)
def fake_cam(
    model: nn.Module | None, x: Tensor, *, score: Score | None = None, layer: nn.Module | str | None = None
) -> Tensor:
    """1 everywhere but in the top left pixel, which is 0 (saliency paper §5.1).

    As a mask it keeps almost all of the image, so a metric that multiplies the image by the map is flattered. As a
    ranking it says only which pixel comes last: all others are tied, and insertion and deletion are then scores of
    the rule that breaks ties (row by row from the top, or a random order), not of the map.
    """
    maps = _ones(x)
    maps[:, 0, 0] = 0
    return maps


def _ones(x: Tensor) -> Tensor:
    if x.ndim != 4:
        raise ValueError(f"Expected x as images [B,3,H,W]. Got shape {list(x.shape)}.")
    return torch.ones(len(x), *x.shape[2:], device=x.device)


def _centred(side: int, device: torch.device) -> Tensor:
    """Distance of each pixel's centre from the middle of a side, in pixels."""
    return torch.arange(side, device=device) - (side - 1) / 2
