"""Pixel flipping: does the prediction fall when the pixels that a map calls important are removed?

(Bach et al. 2015; contrastive paper §3.5.)
"""

import math

import numpy as np
import torch
from torch import Tensor

from xai_lib.forward import Model
from xai_lib.metrics.maps import is_empty, is_finite
from xai_lib.metrics.perturbation import Baseline, Ties, check_inputs, class_probabilities, inverse, ranks, replacement
from xai_lib.metrics.registry import register


def pixel_flipping_curve(
    model: Model,
    x: Tensor,
    attribution: Tensor,
    target: Tensor,
    *,
    index: Tensor,
    seed: int = 0,
    step: int = 32,
    baseline: Baseline = "minimum",
    ties: Ties = "random",
    chunk: int | None = None,
) -> Tensor:
    """Probability of the target while pixels are removed, those with the highest attribution first.

    Only the order of a map's values matters. A constant map other than zeros removes pixels in the order of the ties.

    Args:
        model: images [B,C,H,W] -> logits [B,K], in evaluation mode; only run forward, in float32.
        x: normalised images, float [B,C,H,W].
        attribution: maps, float [B,H,W], of any sign and scale.
        target: class that is followed (the paper takes the true one), int64 [B].
        index: image indices, int64 [B].
        seed: of random ties.
        step: pixels removed at a time, with all their colours; the last step may be smaller.
        baseline: what removed pixels become. "minimum" is the lowest value of the normalised image (the paper's
            black), "zero" the mean colour of the data set; or a tensor that broadcasts to x's shape.
        ties: order of equal values, see :func:`xai_lib.metrics.perturbation.ranks`.
        chunk: perturbed images in one forward pass; None suits the device.

    Returns:
        Softmax probabilities, float32 [B,S+1], from the untouched to the fully removed image, at
        :func:`fractions_removed`; NaN for an empty (all-zero) map or one with a value that is not finite.

    Raises:
        TypeError, ValueError: if types, shapes or choices are not these, a target is not a class, the model is in
            training mode, or a logit is not finite.
    """
    _check(x, attribution, target, step)
    rank = ranks(attribution.detach().to(x.device), ties=ties, seed=seed, index=index)[:, None]
    removed = torch.tensor(_pixels_removed(attribution[0].numel(), step), device=x.device)
    curve = class_probabilities(model, x, replacement(x, baseline), rank, removed, target.to(x.device), chunk)
    return _defined(curve, attribution)


def fractions_removed(n_pixels: int, step: int) -> Tensor:
    """Share of the pixels removed at each point of a curve, float32 [S+1], from 0 to 1."""
    return torch.tensor(_pixels_removed(n_pixels, step), dtype=torch.float32) / n_pixels


def area(curve: Tensor, fractions: Tensor) -> Tensor:
    """Area under curves [B,S+1] over the fraction removed [S+1], by trapezoids: float32 [B]."""
    return torch.trapezoid(curve.double(), fractions.to(curve.device).double(), dim=1).float()


def normalised(curve: Tensor) -> Tensor:
    """Curves [B,S+1] divided by their first point, the untouched image; NaN where that is 0."""
    return torch.where(curve[:, :1] > 0, curve / curve[:, :1], torch.nan)


@register(
    "pixel-flipping",
    title="PF",
    better="lower",
    range=(0.0, 1.0),
    paper="Bach et al. 2015",
    equation="contrastive paper §3.5 (PF), as tabulated: area under f(x̃)",
)
def pixel_flipping(
    model: Model,
    x: Tensor,
    attribution: Tensor,
    target: Tensor,
    *,
    index: Tensor,
    seed: int = 0,
    step: int = 32,
    baseline: Baseline = "minimum",
    ties: Ties = "random",
    chunk: int | None = None,
) -> Tensor:
    """Area under :func:`pixel_flipping_curve` over the fraction of pixels removed. Lower is better.

    The contrastive paper prints the area under f(x) - f(x̃), for which higher would be better; its table, its arrows
    and its code have the area under f(x̃), as here.

    Arguments and errors are those of :func:`pixel_flipping_curve`.

    Returns:
        float32 [B] in [0, 1]; NaN where the curve is.
    """
    curve = pixel_flipping_curve(
        model, x, attribution, target, index=index, seed=seed, step=step, baseline=baseline, ties=ties, chunk=chunk
    )
    return area(curve, fractions_removed(attribution[0].numel(), step))


@register(
    "pixel-flipping-normalised",
    title="PF, normalised",
    better="lower",
    range=(0.0, math.inf),
    paper="this companion, after Bach et al. 2015",
    equation="contrastive paper §3.5 (PF), each curve divided by f(x)",
)
def pixel_flipping_normalised(
    model: Model,
    x: Tensor,
    attribution: Tensor,
    target: Tensor,
    *,
    index: Tensor,
    seed: int = 0,
    step: int = 32,
    baseline: Baseline = "minimum",
    ties: Ties = "random",
    chunk: int | None = None,
) -> Tensor:
    """As :func:`pixel_flipping`, with every curve divided by its first point. Lower is better.

    A network that is less sure of everything has lower curves and a smaller area whatever its maps say; here every
    curve starts at 1.

    Arguments and errors are those of :func:`pixel_flipping_curve`.

    Returns:
        float32 [B] of at least 0; NaN where the curve is, or where the probability of the untouched image is 0.
    """
    curve = pixel_flipping_curve(
        model, x, attribution, target, index=index, seed=seed, step=step, baseline=baseline, ties=ties, chunk=chunk
    )
    return area(normalised(curve), fractions_removed(attribution[0].numel(), step))


def released_curve(
    model: Model, x: Tensor, attribution: Tensor, target: Tensor, *, step: int = 32, chunk: int | None = None
) -> Tensor:
    """The curve that the authors' tool (quantus 0.6) computes from maps of one channel.

    The map is repeated for each colour and single colour values are removed, `step` at a time: 96 steps at 32 pixels,
    and a pixel may lose its red but keep its blue. Equal values, of which each pixel now has three, fall as numpy's
    unstable sort leaves them, which may differ between processors. Removed values become the lowest of the image. The
    untouched image is not on the curve.

    Args:
        model: as in :func:`pixel_flipping_curve`.
        x: normalised images, float [B,C,H,W].
        attribution: maps, float [B,H,W].
        target: class that is followed, int64 [B].
        step: colour values removed at a time.
        chunk: perturbed images in one forward pass; None suits the device.

    Returns:
        Softmax probabilities, float32 [B,S], from the first step to the fully removed image; NaN as in
        :func:`pixel_flipping_curve`.

    Raises:
        TypeError, ValueError: as :func:`pixel_flipping_curve`.
    """
    _check(x, attribution, target, step)
    maps = attribution.detach().cpu()
    values = (maps if maps.dtype == torch.float64 else maps.float())[:, None].expand(x.shape).flatten(1)
    order = torch.from_numpy(np.argsort(-values.numpy(), axis=1)).to(x.device)
    rank = inverse(order).reshape(x.shape)
    removed = torch.tensor(_pixels_removed(values.shape[1], step)[1:], device=x.device)
    curve = class_probabilities(model, x, replacement(x, "minimum"), rank, removed, target.to(x.device), chunk)
    return _defined(curve, attribution)


@register(
    "pixel-flipping-released",
    title="PF, released",
    better="lower",
    range=(0.0, 1.0),
    paper="Bach et al. 2015",
    equation="contrastive paper §3.5 (PF), as released: colour values, without the untouched image",
)
def pixel_flipping_released(
    model: Model, x: Tensor, attribution: Tensor, target: Tensor, *, step: int = 32, chunk: int | None = None
) -> Tensor:
    """Area under :func:`released_curve` by trapezoids, its S points spread evenly over [0, 1]. Lower is better.

    quantus gives the same area at a spacing of 1, which is S - 1 times larger.

    Arguments and errors are those of :func:`released_curve`.

    Returns:
        float32 [B] in [0, 1]; NaN where the curve is, or if it has only one point.
    """
    curve = released_curve(model, x, attribution, target, step=step, chunk=chunk).double()
    return (torch.trapezoid(curve, dim=1) / (curve.shape[1] - 1)).float()


def _pixels_removed(n: int, step: int) -> list[int]:
    return [*range(0, n, step), n]


def _defined(curve: Tensor, attribution: Tensor) -> Tensor:
    undefined = is_empty(attribution) | ~is_finite(attribution)
    return curve.masked_fill(undefined.to(curve.device)[:, None], torch.nan)


def _check(x: Tensor, attribution: Tensor, target: Tensor, step: int) -> None:
    check_inputs(x, attribution, target)
    if type(step) is not int or step < 1:
        raise ValueError(f"Expected step as a whole number of at least 1. Got {step!r}.")
