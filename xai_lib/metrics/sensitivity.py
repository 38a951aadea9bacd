"""Sensitivity: how far does a map move when the image hardly does? Its largest and its average value over draws.

(Yeh et al. 2019; Bhatt et al. 2020; saliency paper §4.2.)

A map that does not depend on the image, Fake-CAM say, has a sensitivity of 0 by either variant. The saliency paper's
Table 3 prints 0.96 for it, and between 0.91 and 1.22 for every other method. The ratio of variant "released" comes near
1 for all of them if each map, passed as `reference`, is compared with one and the same explanation of the noisy image,
such as the plain gradient, which quantus computes where no explainer is named. Whether that happened is not printed.
"""

import math
from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

from xai_lib import randomness
from xai_lib.checks import check_choice, check_counts, check_images
from xai_lib.forward import images_at_once
from xai_lib.metrics.maps import check_maps, defined, is_defined, is_finite
from xai_lib.metrics.perturbation import check_targets
from xai_lib.metrics.registry import register, score_of

Explain = Callable[[Tensor, Tensor, Tensor], Tensor]  # (x [B,c,H,W], target [B], index [B]) -> maps [B,H,W] in [0,1]
Variant = Literal["paper", "released"]


def sensitivities(
    explain: Explain, x: Tensor, target: Tensor, *, index: Tensor, seed: int = 0, draws: int = 10, radius: float = 0.2,
    variant: Variant = "paper", reference: Tensor | None = None, chunk: int | None = None,
) -> Tensor:  # fmt: skip
    """How far the map moves for each of several noisy versions of an image: ‖S(x) − S(x')‖, root of the sum of squares.

    Every value of the image is moved by its own uniform number in [-radius, radius], so x' lies in a cube around x.
    All maps explain the same class, and a random explainer gets an image's own `index` every time: only the image
    differs. float32 [B,draws] of at least 0; NaN where one of the maps is not finite, or that of the image is empty.

    The first draws stay the same if more are drawn; `radius` is in units of the normalised image. The variant "paper"
    is the norm itself, as printed, in units of the map and growing with the number of pixels; "released" divides it by
    ‖S(x)‖, as quantus 0.6 does (earlier releases divide by ‖x‖). `reference` are maps S(x) of the untouched images that
    are at hand, float [B,H,W]; None computes them. `chunk` is how many noisy images one call of the explainer gets.
    """
    check_images(x)
    check_targets(target, x)
    check_targets(index, x, "index")
    check_counts(draws=draws)
    if not 0 <= radius < math.inf:
        raise ValueError(f"Expected radius of at least 0. Got {radius!r}.")
    check_choice("variant", variant, ("paper", "released"))
    chunk = images_at_once(x, chunk, gpu=1 << 21, least=1)
    index, target = index.to(x.device), target.to(x.device)
    maps = explain(x, target, index) if reference is None else reference.to(x.device)
    check_maps(maps, "maps")
    if len(maps) != len(x):
        raise ValueError(f"Expected one map per image, {len(x)} in all. Got {len(maps)}.")
    maps = maps.detach()
    moved = torch.empty(draws * len(x), dtype=torch.float64, device=x.device)
    for rows in torch.arange(len(moved), device=x.device).split(chunk):
        image = rows % len(x)
        noisy = x[image] + radius * _noise(x, index, rows, seed)
        others = explain(noisy, target[image], index[image])
        check_maps(others, "maps of noisy images")
        if others.shape != maps[image].shape:
            shapes = f"the others, {list(maps[image].shape)}. Got {list(others.shape)}"
            raise ValueError(f"Expected maps of noisy images in the shape of {shapes}.")
        distances = _norms(maps[image].double() - others.detach().double())
        moved[rows] = torch.where(is_finite(others), distances, torch.nan)
    moved = moved.reshape(draws, len(x)).T
    if variant == "released":
        moved = moved / _norms(maps)[:, None]
    return defined(moved, is_defined(maps)[:, None])


@register("max-sensitivity", title="MS", better="lower", range=(0.0, math.inf), paper="Yeh et al. 2019",
          equation="saliency paper §4.2 (MS)")  # fmt: skip
@score_of(sensitivities)
def max_sensitivity(moved: Tensor) -> Tensor:
    """The largest of an image's :func:`sensitivities` (Yeh et al. 2019). Lower is better.

    A lower bound of the maximum over the cube: it grows with the number of draws. float32 [B] of at least 0, or NaN.

    Example:
        >>> x, first = torch.ones(1, 3, 4, 4), torch.tensor([0])
        >>> max_sensitivity(lambda x, target, index: 1 + 0 * x[:, 0], x, first, index=first)
        tensor([0.])
    """
    return moved.amax(1)


@register("average-sensitivity", title="AS", better="lower", range=(0.0, math.inf), paper="Bhatt et al. 2020",
          equation="saliency paper §4.2 (AS), with uniform noise in a cube for the sphere")  # fmt: skip
@score_of(sensitivities)
def average_sensitivity(moved: Tensor) -> Tensor:
    """The mean of an image's :func:`sensitivities` (Bhatt et al. 2020). Lower is better.

    float32 [B] of at least 0; NaN where one of the sensitivities is.

    Example:
        >>> x, first = torch.ones(1, 3, 4, 4), torch.tensor([0])
        >>> score = average_sensitivity(lambda x, target, index: x[:, 0], x, first, index=first, radius=0.5)
        >>> 0 < score.item() < 0.5 * 16**0.5
        True
    """
    return moved.mean(1)


def _noise(x: Tensor, index: Tensor, rows: Tensor, seed: int) -> Tensor:
    """Uniform numbers in [-1,1) for rows of all draws laid end to end: row r is image r % B in draw r // B."""
    drawn = {draw: rows[rows // len(x) == draw] % len(x) for draw in (rows // len(x)).unique().tolist()}
    size = tuple(x.shape[1:])
    parts = [randomness.uniform(seed, index[one], f"sensitivity/draw {draw}", size) for draw, one in drawn.items()]
    return (2 * torch.cat(parts) - 1).to(x.dtype)


def _norms(maps: Tensor) -> Tensor:
    return torch.linalg.vector_norm(maps.double().flatten(1), dim=1)
