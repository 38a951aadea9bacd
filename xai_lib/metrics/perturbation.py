"""A model's probabilities while an image is replaced, a set of values at a time, in the order a map gives.

Removing pixels in favour of a baseline, or inserting them into one, is the same walk with other end points.
"""

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

from xai_lib import randomness
from xai_lib.checks import check_choice, check_counts, check_images, check_index, described
from xai_lib.forward import Model, class_probability, outputs
from xai_lib.metrics.maps import check_maps, defined, is_defined

Ties = Literal["random", "stable", "reversed"]


def ranks(attribution: Tensor, *, ties: Ties, seed: int, index: Tensor) -> Tensor:
    """Place of each pixel in the order from the highest to the lowest attribution, int64 [B,H,W] from 0 to H·W-1.

    `ties` are as in :mod:`xai_lib.metrics`: by "stable", a map with many is scored on where the image begins;
    "reversed" is what an ascending stable sort gives that is read backwards.
    """
    check_choice("ties", ties, ("reversed", "random", "stable"))
    check_index(index, attribution)
    values = attribution.flatten(1)
    if ties == "random":
        draws = randomness.uniform(seed, index.to(values.device), "ties", (values.shape[1],))
        shuffled = draws.argsort(dim=1, stable=True)
        order = shuffled.gather(1, values.gather(1, shuffled).argsort(dim=1, descending=True, stable=True))
    elif ties == "stable":
        order = values.argsort(dim=1, descending=True, stable=True)
    else:
        order = values.argsort(dim=1, stable=True).flip(1)
    return order.argsort(dim=1).reshape(attribution.shape)


def counts(n: int, step: int) -> Tensor:
    """How many of n values each point has replaced, int64 [S+1]: 0, step, 2·step, … and n; ValueError if step < 1."""
    check_counts(step=step)
    return torch.tensor([*range(0, n, step), n])


def class_probabilities(
    model: Model, start: Tensor, end: Tensor, rank: Tensor, replaced: Tensor, target: Tensor, chunk: int | None,
    read: Callable[[Tensor, Tensor], Tensor] = class_probability,
) -> Tensor:  # fmt: skip
    """Softmax probability of a class along the way from one image to another, or what `read` takes of the logits.

    Point s of an image's curve is ``where(rank < replaced[s], end, start)``: float32 [B,S] on start's device. Points of
    several images share forward passes. Images are float [B,c,H,W], and `end` broadcasts to them, first dimension B;
    ranks are int64 [B,c,H,W], or [B,1,H,W] to replace pixels with all their colours; `replaced` int64 [S].
    """

    def make(image: Tensor, point: Tensor) -> Tensor:
        gone = rank[image] < replaced[point][:, None, None, None]  # [n,1 or c,H,W]
        return torch.where(gone, end[image], start[image])

    return outputs(model, make, read, start, target, len(replaced), chunk)


def replacement_curve(
    model: Model, start: Tensor, end: Tensor, attribution: Tensor, target: Tensor, *, index: Tensor, seed: int,
    step: int, ties: Ties, chunk: int | None, read: Callable[[Tensor, Tensor], Tensor] = class_probability,
) -> Tensor:  # fmt: skip
    """As :func:`class_probabilities`, `step` pixels at a time, those with the highest attribution first.

    float32 [B,S+1,...], from `start` to `end`; NaN for an empty map or one with a value that is not finite.
    """
    rank = ranks(attribution.detach().to(start.device), ties=ties, seed=seed, index=index)[:, None]
    replaced = counts(attribution[0].numel(), step).to(start.device)
    curve = class_probabilities(model, start, end, rank, replaced, target.to(start.device), chunk, read)
    return defined(curve, is_defined(attribution).to(curve.device).reshape(-1, *[1] * (curve.ndim - 1)))


def check_inputs(x: Tensor, attribution: Tensor, target: Tensor) -> None:
    """TypeError if images or maps are no floats; ValueError if not [B,c,H,W], maps [B,H,W] and classes, int64 [B]."""
    check_maps(attribution)
    check_images(x)
    if attribution.shape != (len(x), *x.shape[2:]):
        expected = "Expected images [B,c,H,W] and one map [H,W] of their size for each."
        raise ValueError(f"{expected} Got images {list(x.shape)} and maps {list(attribution.shape)}.")
    check_targets(target, x)


def check_targets(target: Tensor, x: Tensor, what: str = "class") -> None:
    """Refuse classes (or what `what` says) that are not one per image, int64: ValueError."""
    if not isinstance(target, Tensor) or target.dtype != torch.int64 or target.shape != (len(x),):
        raise ValueError(f"Expected one {what} per image, int64 [{len(x)}]. Got {described(target)}.")
