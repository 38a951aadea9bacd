"""Insertion and Deletion: how fast does the probability come, or go, when the most important pixels do first?

(Petsiuk et al. 2018, with the settings of their released evaluation; saliency paper §4.1.) Deletion is pixel flipping
towards another baseline; insertion walks from a baseline to the image.
"""

import math
from typing import Literal

import torch
from torch import Tensor

from xai_lib.forward import Model
from xai_lib.metrics.maps import is_empty, is_finite
from xai_lib.metrics.perturbation import Baseline, Ties, check_inputs, class_probabilities, ranks, replacement
from xai_lib.metrics.pixel_flipping import area, fractions_removed
from xai_lib.metrics.registry import register

Start = Baseline | Literal["blur"]


def deletion_curve(
    model: Model,
    x: Tensor,
    attribution: Tensor,
    target: Tensor,
    *,
    index: Tensor,
    seed: int = 0,
    step: int | None = None,
    baseline: Start = "zero",
    kernel: int = 11,
    sigma: float = 5.0,
    ties: Ties = "random",
    chunk: int | None = None,
) -> Tensor:
    """Probability of the target while pixels are removed, those with the highest attribution first.

    Only the order of a map's values matters. A constant map other than zeros goes in the order of the ties.

    Args:
        model: images [B,C,H,W] -> logits [B,K], in evaluation mode; only run forward, in float32.
        x: normalised images, float [B,C,H,W].
        attribution: maps, float [B,H,W], of any sign and scale.
        target: class that is followed, int64 [B].
        index: image indices, int64 [B].
        seed: of random ties.
        step: pixels replaced at a time, with all their colours; None is the image's width (released: 224 at 224
            pixels, so 224 steps). The last step may be smaller.
        baseline: what removed pixels become. "zero" is the mean colour of the data set (released), "minimum" the
            lowest value of the normalised image (black), "blur" the blurred image, or a tensor that broadcasts to
            x's shape.
        kernel: side of the blur, in pixels, odd. The released 11 pixels belong to 224: at 32 they blur 7 times more.
        sigma: standard deviation of the blur's Gaussian, in pixels.
        ties: order of equal values: drawn for each image, row by row from the top left ("stable") or from the bottom
            right ("reversed", as released up to its unstable sort).
        chunk: perturbed images in one forward pass; None suits the device.

    Returns:
        Softmax probabilities, float32 [B,S+1], from the untouched image to the baseline; NaN for an empty (all-zero)
        map or one with a value that is not finite.

    Raises:
        TypeError, ValueError: if types, shapes or choices are not these, a target is not a class, the model is in
            training mode, or a logit is not finite.
    """
    check_inputs(x, attribution, target)
    end = _image(x, baseline, kernel, sigma)
    return _curve(model, x, end, attribution, target, step, ties, seed, index, chunk)


def insertion_curve(
    model: Model,
    x: Tensor,
    attribution: Tensor,
    target: Tensor,
    *,
    index: Tensor,
    seed: int = 0,
    step: int | None = None,
    baseline: Start = "blur",
    kernel: int = 11,
    sigma: float = 5.0,
    ties: Ties = "random",
    chunk: int | None = None,
) -> Tensor:
    """Probability of the target while pixels are put into a baseline, those with the highest attribution first.

    Arguments and errors are those of :func:`deletion_curve`; the baseline, here the start, is the blurred image as
    released.

    Returns:
        Softmax probabilities, float32 [B,S+1], from the baseline to the untouched image; NaN as there.
    """
    check_inputs(x, attribution, target)
    start = _image(x, baseline, kernel, sigma)
    return _curve(model, start, x, attribution, target, step, ties, seed, index, chunk)


@register(
    "deletion",
    title="D",
    better="lower",
    range=(0.0, 1.0),
    paper="Petsiuk et al. 2018",
    equation="saliency paper §4.1 (D), as a fraction",
)
def deletion(
    model: Model,
    x: Tensor,
    attribution: Tensor,
    target: Tensor,
    *,
    index: Tensor,
    seed: int = 0,
    step: int | None = None,
    baseline: Start = "zero",
    kernel: int = 11,
    sigma: float = 5.0,
    ties: Ties = "random",
    chunk: int | None = None,
) -> Tensor:
    """Area under :func:`deletion_curve` over the fraction of pixels removed, by trapezoids. Lower is better.

    Where the step divides the number of pixels this is the released area, in which every step counts alike.

    Arguments and errors are those of :func:`deletion_curve`.

    Returns:
        float32 [B] in [0, 1]; NaN where the curve is.
    """
    curve = deletion_curve(
        model,
        x,
        attribution,
        target,
        index=index,
        seed=seed,
        step=step,
        baseline=baseline,
        kernel=kernel,
        sigma=sigma,
        ties=ties,
        chunk=chunk,
    )
    return area(curve, fractions_removed(attribution[0].numel(), _pixels(step, x)))


@register(
    "insertion",
    title="I",
    better="higher",
    range=(0.0, 1.0),
    paper="Petsiuk et al. 2018",
    equation="saliency paper §4.1 (I), as a fraction",
)
def insertion(
    model: Model,
    x: Tensor,
    attribution: Tensor,
    target: Tensor,
    *,
    index: Tensor,
    seed: int = 0,
    step: int | None = None,
    baseline: Start = "blur",
    kernel: int = 11,
    sigma: float = 5.0,
    ties: Ties = "random",
    chunk: int | None = None,
) -> Tensor:
    """Area under :func:`insertion_curve` over the fraction of pixels put in, by trapezoids. Higher is better.

    Arguments and errors are those of :func:`insertion_curve`.

    Returns:
        float32 [B] in [0, 1]; NaN where the curve is.
    """
    curve = insertion_curve(
        model,
        x,
        attribution,
        target,
        index=index,
        seed=seed,
        step=step,
        baseline=baseline,
        kernel=kernel,
        sigma=sigma,
        ties=ties,
        chunk=chunk,
    )
    return area(curve, fractions_removed(attribution[0].numel(), _pixels(step, x)))


def blurred(x: Tensor, kernel: int = 11, sigma: float = 5.0) -> Tensor:
    """Images convolved with the released Gaussian kernel, zeros (the mean colour) beyond the border: like x.

    The release makes its kernel by blurring one bright pixel in a square of `kernel` pixels whose border reflects: what
    a Gaussian of that sigma, cut at 4 sigma, has outside of the square is folded back into it. At 11 pixels and sigma 5
    the kernel is nearly flat.

    Args:
        x: normalised images, float [B,C,H,W].
        kernel: side of the square, odd.
        sigma: standard deviation in pixels, above 0.

    Raises:
        ValueError: if `kernel` is not odd or `sigma` not above 0.
    """
    if type(kernel) is not int or kernel < 1 or kernel % 2 == 0:
        raise ValueError(f"Expected kernel as an odd number of pixels. Got {kernel!r}.")
    if not 0 < sigma < math.inf:
        raise ValueError(f"Expected sigma above 0 pixels. Got {sigma!r}.")
    reach = int(4 * sigma + 0.5)
    offsets = torch.arange(-reach, reach + 1)
    weights = (-0.5 * (offsets.double() / sigma) ** 2).exp()
    folded = (offsets + kernel // 2) % (2 * kernel)
    folded = torch.minimum(folded, 2 * kernel - 1 - folded)
    line = torch.zeros(kernel, dtype=torch.float64).index_add_(0, folded, weights / weights.sum())
    channels = x.shape[1]
    square = torch.outer(line, line).to(x).expand(channels, 1, kernel, kernel)
    with torch.autocast(x.device.type, enabled=False):
        return torch.nn.functional.conv2d(x.detach(), square, padding=kernel // 2, groups=channels)


def _curve(
    model: Model,
    start: Tensor,
    end: Tensor,
    attribution: Tensor,
    target: Tensor,
    step: int | None,
    ties: Ties,
    seed: int,
    index: Tensor,
    chunk: int | None,
) -> Tensor:
    n, step = attribution[0].numel(), _pixels(step, start)
    rank = ranks(attribution.detach().to(start.device), ties=ties, seed=seed, index=index)[:, None]
    replaced = torch.tensor([*range(0, n, step), n], device=start.device)
    curve = class_probabilities(model, start, end, rank, replaced, target.to(start.device), chunk)
    undefined = is_empty(attribution) | ~is_finite(attribution)
    return curve.masked_fill(undefined.to(curve.device)[:, None], torch.nan)


def _image(x: Tensor, baseline: Start, kernel: int, sigma: float) -> Tensor:
    if isinstance(baseline, str) and baseline == "blur":
        return blurred(x, kernel, sigma)
    return replacement(x, baseline)


def _pixels(step: int | None, x: Tensor) -> int:
    """How many pixels a step replaces."""
    if step is None:
        return x.shape[3]
    if type(step) is not int or step < 1:
        raise ValueError(f"Expected step as a whole number of at least 1. Got {step!r}.")
    return step
