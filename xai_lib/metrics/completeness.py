"""Completeness: do a map's values add up to what the image does to the class score?

(Sundararajan et al. 2017; saliency paper §4.1, §5.1.) It is a claim about raw maps, on the grid on which they are made:
normalising one to [0,1] breaks it, and so does enlarging, which multiplies a sum by the number of pixels in a cell.
"""

import math

import torch
from torch import Tensor

from xai_lib.baselines import Baseline, replacement
from xai_lib.checks import check_images
from xai_lib.forward import Model, outputs
from xai_lib.metrics.maps import check_maps, defined, is_finite
from xai_lib.metrics.perturbation import check_targets
from xai_lib.metrics.registry import register


def logit_difference(
    model: Model, x: Tensor, target: Tensor, *, baseline: Baseline = "zero", nothing: Tensor | None = None,
    chunk: int | None = None,
) -> Tensor:  # fmt: skip
    """The class's logit for x minus that for the baseline, or minus `nothing`, float32 [B]."""
    images = torch.stack([x, replacement(x, baseline)], dim=1)  # [B,2,C,H,W]
    read = lambda logits, target: logits.gather(1, target[:, None])[:, 0]  # noqa: E731
    logits = outputs(model, lambda image, point: images[image, point], read, x, target.to(x.device), 2, chunk)
    return logits[:, 0] - (logits[:, 1] if nothing is None else nothing.to(logits))


@register("completeness", title="Completeness gap", better="lower", range=(0.0, math.inf),
          paper="Sundararajan et al. 2017",
          equation="saliency paper §4.1 (completeness), as a relative gap")  # fmt: skip
def completeness(
    model: Model, x: Tensor, attribution: Tensor, target: Tensor, *, baseline: Baseline = "zero",
    nothing: Tensor | None = None, chunk: int | None = None,
) -> Tensor:  # fmt: skip
    """``|Σ attribution − (y(x) − y(baseline))| / |y(x) − y(baseline)|`` for the class's logit y. Lower is better.

    0 is complete (Sundararajan et al. 2017); an empty map has 1. Of raw maps in units of the logit, on their own grid,
    float [B,h,w], or with a value for each colour [B,c,H,W]. float32 [B] of at least 0; NaN for a map that is not
    finite, or where the two logits are equal.
    `baseline` is the explainer's. `nothing` is for one whose baseline is no image (``about(name).complete``): in place
    of y(baseline), the logit where its map would be empty, float [B].

    Example:
        >>> x, maps = torch.ones(2, 3, 1, 2), torch.tensor([[[1.0, 1.0]], [[3.0, 3.0]]])
        >>> completeness(lambda x: x.sum((2, 3)), x, maps, torch.tensor([0, 0]))  # a logit is the sum of a colour
        tensor([0., 2.])
    """
    maps = _one_map(x, attribution, target)
    difference = logit_difference(model, x, target, baseline=baseline, nothing=nothing, chunk=chunk).double()
    total = maps.to(difference).flatten(1).sum(1)
    return defined((total - difference).abs() / difference.abs(), (difference != 0) & is_finite(maps).to(x.device))


@register("completeness-quantus", title="Completeness, Quantus", better="higher", range=(0.0, 1.0),
          paper="Sundararajan et al. 2017",
          equation="saliency paper §5.1 (Completeness), as its tool computes it: equality of floats")  # fmt: skip
def completeness_quantus(
    model: Model, x: Tensor, attribution: Tensor, target: Tensor, *, baseline: Baseline = "minimum",
    chunk: int | None = None,
) -> Tensor:  # fmt: skip
    """1 if the map's float32 sum equals the difference of the two logits to the last bit, else 0. Higher is better.

    (After Sundararajan et al. 2017.) So quantus 0.6 decides, with the lowest value of the image as its baseline (it
    also divides maps by their maximum first, unless told otherwise). For a map with one value a pixel it puts the
    baseline into the first colour only. A map in [0,1], as the paper scored all of them, adds up to its mean times the
    number of pixels: to thousands at 224 pixels, where logits differ by some ten, so that every method fails. A
    complete raw map passes where its sum has no rounding. Arguments are those of :func:`completeness`. float32 [B], 0
    or 1; NaN for a map that is not finite.

    Example:
        >>> x, colours = torch.ones(1, 3, 1, 2), lambda x: x.sum((2, 3))
        >>> completeness_quantus(colours, x, torch.tensor([[[1.0, 1.0]]]), torch.tensor([0]), baseline="zero")
        tensor([1.])
    """
    maps = _one_map(x, attribution, target)
    end = replacement(x, baseline)
    if attribution.ndim == 3:
        end = torch.cat([end[:, :1], x[:, 1:]], dim=1)
    difference = logit_difference(model, x, target, baseline=end, chunk=chunk)
    total = torch.from_numpy(attribution.detach().float().cpu().flatten(1).numpy().sum(axis=1))
    return defined((total.to(x.device) == difference).float(), is_finite(maps).to(x.device))


def _one_map(x: Tensor, attribution: Tensor, target: Tensor) -> Tensor:
    """Checked maps, the colours summed: [B,h,w]."""
    check_images(x)
    if isinstance(attribution, Tensor) and attribution.ndim == 4 and attribution.shape == x.shape:
        attribution = attribution.detach().sum(1, dtype=torch.float64)
    check_maps(attribution)
    if len(attribution) != len(x):
        raise ValueError(f"Expected one map per image, {len(x)} in all. Got {len(attribution)}.")
    check_targets(target, x)
    return attribution.detach()
