"""Effective complexity, in its two readings: the pixels that a map marks at all, and those that the model needs.

(Nguyen & Martínez 2020; saliency paper §4.3.) The saliency paper prints the second and tabulates the first, whose
threshold nearly every pixel of most maps exceeds: its 50175 for Fake-CAM is that map's definition, one of 224² pixels 0
and all others 1.
"""

import math
from typing import Literal

import torch
from torch import Tensor

from xai_lib import randomness
from xai_lib.forward import Model
from xai_lib.metrics.maps import check_maps, defined, is_empty, is_finite
from xai_lib.metrics.perturbation import check_inputs, class_probabilities, ranks
from xai_lib.metrics.registry import register


@register(
    "effective-complexity",
    title="EC, as computed",
    better="lower",
    range=(0.0, math.inf),
    paper="Nguyen & Martínez 2020",
    equation="saliency paper §4.3 (EC), as computed: pixels above a threshold",
)
def effective_complexity(attribution: Tensor, *, threshold: float = 1e-5) -> Tensor:
    """Number of pixels whose absolute value is above a share of the map's largest. Lower is better.

    Args:
        attribution: maps, float [B,H,W], of any sign and scale.
        threshold: share of the largest absolute value, in [0, 1); quantus' default is 1e-5.

    Returns:
        float32 [B], from 1 to H·W pixels; NaN for an empty map or one with a value that is not finite.

    Raises:
        TypeError: if `attribution` is not a float tensor.
        ValueError: if it is not [B,H,W], or `threshold` is not in [0, 1).
    """
    check_maps(attribution)
    if not 0 <= threshold < 1:
        raise ValueError(f"Expected threshold as a share in [0, 1). Got {threshold!r}.")
    sizes = attribution.detach().abs().flatten(1)
    sizes = sizes if sizes.dtype == torch.float64 else sizes.float()
    count = (sizes / sizes.amax(1, keepdim=True) > threshold).sum(1)
    return defined(count, is_finite(attribution) & ~is_empty(attribution))


def retention_loss(
    model: Model,
    x: Tensor,
    attribution: Tensor,
    target: Tensor,
    *,
    index: Tensor,
    seed: int = 0,
    step: int = 32,
    baseline: Literal["zero", "uniform"] | Tensor = "zero",
    samples: int = 10,
    ties: Literal["random", "stable"] = "random",
    chunk: int | None = None,
) -> Tensor:
    """Expected squared error of the target's probability if only the k highest pixels of a map are kept.

    Args:
        model: images [B,C,H,W] -> logits [B,K], in evaluation mode; only run forward, in float32.
        x: normalised images, float [B,C,H,W].
        attribution: maps, float [B,H,W], of any sign and scale; the highest values are kept first.
        target: class that is followed, int64 [B].
        index: image indices, int64 [B].
        seed: of random ties and of the removed pixels' values.
        step: pixels kept more at each point; the last step may be smaller.
        baseline: what removed pixels become. "zero" is the mean colour of the data set; "uniform" draws each value
            between the lowest and the highest of the image, and the expectation is a mean over `samples` draws; or a
            tensor that broadcasts to x's shape.
        samples: draws of an image's removed pixels if the baseline is "uniform": so many times the forward passes.
        ties: order of equal values: drawn for each image, or row by row ("stable").
        chunk: images in one forward pass; None suits the device.

    Returns:
        float32 [B,S] in [0, 1] at the numbers of pixels :func:`pixels_kept`, 0 at the last; NaN for an empty (all-zero)
        map or one with a value that is not finite.

    Raises:
        TypeError, ValueError: if types, shapes or choices are not these, a target is not a class, the model is in
            training mode, or a logit is not finite.
    """
    _check(x, attribution, target, step, samples)
    index, target = index.to(x.device), target.to(x.device)
    rank = ranks(attribution.detach().to(x.device), ties=ties, seed=seed, index=index)[:, None]
    kept = pixels_kept(attribution[0].numel(), step).to(x.device)
    total = torch.zeros(len(x), len(kept), dtype=torch.float64, device=x.device)
    draws = samples if isinstance(baseline, str) and baseline == "uniform" else 1
    for draw in range(draws):
        filling = _filling(x, baseline, seed, index, draw)
        probability = class_probabilities(model, filling, x, rank, kept, target, chunk).double()
        total += (probability - probability[:, -1:]) ** 2
    where = is_finite(attribution) & ~is_empty(attribution)
    return defined(total / draws, where.to(x.device)[:, None])


def pixels_kept(n_pixels: int, step: int) -> Tensor:
    """Numbers of pixels that are tried, int64 [S]: step, 2·step, … and `n_pixels`, all of them."""
    return torch.tensor([*range(step, n_pixels, step), n_pixels])


@register(
    "effective-complexity-minimum",
    title="EC, as printed",
    better="lower",
    range=(0.0, math.inf),
    paper="Nguyen & Martínez 2020",
    equation="saliency paper §4.3 (EC), as printed: fewest pixels within a tolerance",
)
def effective_complexity_minimum(
    model: Model,
    x: Tensor,
    attribution: Tensor,
    target: Tensor,
    *,
    index: Tensor,
    tolerance: float = 0.01,
    seed: int = 0,
    step: int = 32,
    baseline: Literal["zero", "uniform"] | Tensor = "zero",
    samples: int = 10,
    ties: Literal["random", "stable"] = "random",
    chunk: int | None = None,
) -> Tensor:
    """The fewest of a map's highest pixels that keep :func:`retention_loss` within a tolerance. Lower is better.

    The smallest number on the grid of :func:`pixels_kept`; with more pixels the loss may be larger again. As printed,
    at least one pixel is kept, hence one step, also where the model gives the same probability without any.

    Args:
        tolerance: largest expected squared error of a probability, in [0, 1): 0.01 is an error of 0.1.
        model, x, attribution, target, index, seed, step, baseline, samples, ties, chunk: as in :func:`retention_loss`.

    Returns:
        float32 [B], from `step` to H·W pixels; NaN where the loss is.

    Raises:
        TypeError, ValueError: as :func:`retention_loss`, or if `tolerance` is not in [0, 1).
    """
    if not 0 <= tolerance < 1:
        raise ValueError(f"Expected tolerance as a squared error of a probability in [0, 1). Got {tolerance!r}.")
    loss = retention_loss(
        model,
        x,
        attribution,
        target,
        index=index,
        seed=seed,
        step=step,
        baseline=baseline,
        samples=samples,
        ties=ties,
        chunk=chunk,
    )
    kept = pixels_kept(attribution[0].numel(), step).to(loss.device)
    first = (loss <= tolerance).int().argmax(1)  # the loss with all pixels is 0
    return defined(kept[first], ~loss[:, 0].isnan())


def _filling(x: Tensor, baseline: Literal["zero", "uniform"] | Tensor, seed: int, index: Tensor, draw: int) -> Tensor:
    """What removed pixels become, float [B,C,H,W]."""
    if isinstance(baseline, Tensor):
        try:
            return baseline.to(x).expand(x.shape)
        except RuntimeError as error:
            raise ValueError(
                f"Expected a baseline that broadcasts to images {list(x.shape)}. Got shape {list(baseline.shape)}."
            ) from error
    if baseline not in ("zero", "uniform"):
        raise ValueError(f"Expected baseline as 'zero', 'uniform' or a tensor. Got {baseline!r}.")
    if baseline == "zero":
        return torch.zeros_like(x)
    lowest, highest = x.amin((1, 2, 3), keepdim=True), x.amax((1, 2, 3), keepdim=True)
    share = randomness.uniform(seed, index, f"effective complexity/draw {draw}", tuple(x.shape[1:])).to(x.dtype)
    return lowest + share * (highest - lowest)


def _check(x: Tensor, attribution: Tensor, target: Tensor, step: int, samples: int) -> None:
    check_inputs(x, attribution, target)
    for what, number in (("step", step), ("samples", samples)):
        if type(number) is not int or number < 1:
            raise ValueError(f"Expected {what} as a whole number of at least 1. Got {number!r}.")
