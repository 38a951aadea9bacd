"""How a map's energy in a mosaic is shared between two clusters: d of a mosaic (dominance paper §3.3-3.4, Eq. 3-7)."""

from collections.abc import Callable, Sequence
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from xai_lib import explainers
from xai_lib.checks import described
from xai_lib.explainers import cams, normalise
from xai_lib.explainers.adapter import raw_maps
from xai_lib.forward import images_at_once, logits_of
from xai_lib.metrics.mosaics import focus
from xai_lib.papers.dominance.method.mosaics import Mosaics, assemble

# (mosaics [B,3,h,w] normalised, target int64 [B], index int64 [B]) -> maps [B,h,w]; negative values do not count.
Explain = Callable[[Tensor, Tensor, Tensor], Tensor]
Scaling = Literal["relu", "min-max"]

_PIXELS_AT_ONCE = {"cpu": 1 << 17, "gpu": 1 << 22}  # of mosaics in one call: on a processor 32 of four 32-pixel images


def shares(
    mosaics: Mosaics, x: Tensor, target: Tensor, explain: Explain, *, resized: bool = True,
    scalings: Sequence[Scaling] = ("relu",),
) -> dict[Scaling, Tensor]:  # fmt: skip
    """d of each mosaic: the share of the energy Σ R(img) that its first cluster has (Eq. 5-6); the other has 1 - d. It
    is Focus if the first group is the target's images and the second is of other classes.

    Of M mosaics of the normalised images x, float [N,3,H,W], on whose device all is computed, and the class explained
    in each, int64 [M]. ``explain`` is told the mosaics' numbers from 0: see :func:`by_grad_cam`. ``resized`` scales
    mosaics to the size of one image first, as the paper does. "relu" counts negative values as 0: raw energy; "min-max"
    then scales each map to [0, 1], pytorch-grad-cam's default, which matters only where its lowest value is above 0.

    Returns for each scaling float32 [M] on the processor, in [0, 1]; NaN for a map without a positive value. TypeError,
    ValueError if a type, shape or length is not this, a scaling is another word, or a map has an odd size.

    Example:
        >>> from xai_lib.papers.dominance.method.mosaics import of_pairs
        >>> bright_and_dark = torch.tensor([3.0, 1.0])[:, None, None, None].expand(2, 3, 8, 8)
        >>> six = of_pairs(torch.tensor([0]), torch.tensor([1]))
        >>> target, grey = torch.zeros(6, dtype=torch.int64), lambda x, target, index: x.mean(1)
        >>> shares(six, bright_and_dark, target, grey, resized=False)["relu"]
        tensor([0.7500, 0.7500, 0.7500, 0.7500, 0.7500, 0.7500])
    """
    if len(mosaics) == 0:
        raise ValueError("Expected at least 1 mosaic. Got none.")
    if not isinstance(x, Tensor) or not x.is_floating_point() or x.ndim != 4:
        raise ValueError(f"Expected x as normalised images, a float tensor [N,3,H,W]. Got {described(x)}.")
    if mosaics.images.min() < 0 or mosaics.images.max() >= len(x):
        got = f"{int(mosaics.images.min())} to {int(mosaics.images.max())}: number the images within x"
        raise ValueError(f"Expected mosaics of positions 0 to {len(x) - 1}, those of x. Got {got}.")
    if target.dtype != torch.int64 or target.shape != (len(mosaics),):
        raise ValueError(f"Expected target as int64 [{len(mosaics)}], one a mosaic. Got {described(target)}.")
    if not scalings or not set(scalings) <= set(get_args(Scaling)):
        raise ValueError(f"Expected scalings out of {', '.join(get_args(Scaling))}. Got {list(scalings)}.")
    found: dict[Scaling, list[Tensor]] = {scaling: [] for scaling in scalings}
    whole = (mosaics.images, mosaics.first, target.to(x.device), torch.arange(len(mosaics), device=x.device))
    for images, first, classes, numbers in zip(*(part.split(_at_once(x, resized)) for part in whole), strict=True):
        shown = assemble(x[images.to(x.device)], resized)
        maps = explain(shown, classes, numbers)
        size, got = [len(shown), *shown.shape[2:]], list(maps.shape)
        if got != size:
            raise ValueError(f"Expected explain to return one map a mosaic, of its size, {size}. Got shape {got}.")
        for scaling, parts in found.items():
            scaled = normalise.relu(maps) if scaling == "relu" else normalise.min_max(normalise.relu(maps))
            parts.append(focus(scaled, first))
    return {scaling: torch.cat(parts).cpu() for scaling, parts in found.items()}


@torch.inference_mode()
def mosaic_logits(model: nn.Module, mosaics: Mosaics, x: Tensor, target: int, *, resized: bool = True) -> Tensor:
    """The logit of the class ``target`` of each whole mosaic, float32 [M] on the processor; x as of :func:`shares`."""
    parts = mosaics.images.to(x.device).split(_at_once(x, resized))
    return torch.cat([logits_of(model, assemble(x[images], resized))[:, target].float().cpu() for images in parts])


def by_grad_cam(model: nn.Module, layer: nn.Module | str | None = None) -> Explain:
    """Grad-CAM of the target's logit (Eq. 3-4), ReLU before upsampling; a map's scale, 1/Z or 1/K, moves no share."""
    return of_explainer(model, "grad-cam", layer)


def of_explainer(model: nn.Module, name: str, layer: nn.Module | str | None = None) -> Explain:
    """A registered explainer by name as :func:`shares` wants it: what of the target its own paper explains. Maps on a
    grid lose negative values before they are upsampled; gradients of colours become the largest absolute value; seed 0.
    """
    on_layer = explainers.about(name).on_layer

    def explain(x: Tensor, target: Tensor, index: Tensor) -> Tensor:
        maps = raw_maps(model, name, x, target, index, layer=layer)
        if maps.ndim == x.ndim:
            maps = normalise.reduce_colours(maps)
        return cams.upsample(normalise.relu(maps), x.shape[-2:]) if on_layer else maps

    return explain


def _at_once(x: Tensor, resized: bool) -> int:
    """Mosaics in one call; each has the pixels of four images, or of one."""
    return images_at_once(x, **{where: n // (1 if resized else 4) for where, n in _PIXELS_AT_ONCE.items()})
