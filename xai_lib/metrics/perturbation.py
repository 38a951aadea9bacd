"""A model's probabilities while an image is replaced, a set of values at a time, in the order a map gives.

Removing pixels in favour of a baseline, or inserting them into one, is the same walk with other end points.
"""

from typing import Literal

import torch
from torch import Tensor

from xai_lib import randomness
from xai_lib.forward import Model, check_images, class_probability, outputs
from xai_lib.metrics.maps import check_maps

Ties = Literal["random", "stable", "reversed"]
Baseline = Literal["minimum", "zero"] | Tensor


def ranks(attribution: Tensor, *, ties: Ties, seed: int, index: Tensor) -> Tensor:
    """Place of each pixel in the order from the highest to the lowest attribution, int64 [B,H,W] from 0 to H·W-1.

    Args:
        attribution: maps, float [B,H,W].
        ties: the order among equal values: "random" draws it for each image from seed and index, "stable" goes row by
            row from the top left (a map with many ties is then scored on where the image begins), "reversed" row by
            row from the bottom right (as an ascending stable sort does that is read backwards).
        seed: the run's seed.
        index: image indices, int64 [B].

    Raises:
        ValueError: if `ties` is another word, or there is not one index per image.
    """
    if ties not in ("random", "stable", "reversed"):
        raise ValueError(f"Expected ties as 'reversed', 'random' or 'stable'. Got {ties!r}.")
    if len(index) != len(attribution):
        raise ValueError(f"Expected one index per image, {len(attribution)} in all. Got {len(index)}.")
    values = attribution.flatten(1)
    if ties == "random":
        draws = randomness.uniform(seed, index.to(values.device), "ties", (values.shape[1],))
        shuffled = draws.argsort(dim=1, stable=True)
        order = shuffled.gather(1, values.gather(1, shuffled).argsort(dim=1, descending=True, stable=True))
    elif ties == "stable":
        order = values.argsort(dim=1, descending=True, stable=True)
    else:
        order = values.argsort(dim=1, stable=True).flip(1)
    return inverse(order).reshape(attribution.shape)


def inverse(order: Tensor) -> Tensor:
    """Rank of each position from the order of positions: the inverse of each row's permutation, int64 [B,N]."""
    places = torch.arange(order.shape[1], device=order.device).expand_as(order)
    return torch.empty_like(order).scatter_(1, order, places)


def class_probabilities(
    model: Model, start: Tensor, end: Tensor, rank: Tensor, replaced: Tensor, target: Tensor, chunk: int | None
) -> Tensor:
    """Softmax probability of a class along the way from one image to another.

    Point s of an image's curve is ``where(rank < replaced[s], end, start)``. Points of several images share forward
    passes, in float32 also under autocast.

    Args:
        model: images [B,C,H,W] -> logits [B,K], in evaluation mode; only run forward.
        start: images, float [B,C,H,W].
        end: what replaces them, broadcast to start's shape, first dimension B.
        rank: int64 [B,C,H,W], or [B,1,H,W] to replace pixels with all their colours.
        replaced: how many ranks are replaced at each point, int64 [S].
        target: class, int64 [B].
        chunk: perturbed images in one forward pass; None is a number that suits the device and bounds the memory.

    Returns:
        float32 [B,S] on start's device.

    Raises:
        ValueError: if a module of the model is in training mode, a target is not a class, a probability is not a
            finite number, or `chunk` is below 1.
    """

    def make(image: Tensor, point: Tensor) -> Tensor:
        gone = rank[image] < replaced[point][:, None, None, None]  # [n,1 or C,H,W]
        return torch.where(gone, end[image], start[image])

    return outputs(model, make, class_probability, start, target, len(replaced), chunk)


def replacement(x: Tensor, baseline: Baseline) -> Tensor:
    """What removed values become, expanded to the shape [B,C,H,W] of the images.

    Args:
        x: normalised images, float [B,C,H,W].
        baseline: "minimum" is the lowest value of the normalised image (black), "zero" the mean colour of the data
            set; or a tensor that broadcasts to x's shape.

    Raises:
        ValueError: if `baseline` is another word or does not broadcast.
    """
    if isinstance(baseline, Tensor):
        try:
            return baseline.to(x).expand(x.shape)
        except RuntimeError as error:
            raise ValueError(
                f"Expected a baseline that broadcasts to images {list(x.shape)}. Got shape {list(baseline.shape)}."
            ) from error
    if baseline not in ("minimum", "zero"):
        raise ValueError(
            f"Expected baseline as 'minimum', 'zero' or a tensor (insertion, deletion: or 'blur'). Got {baseline!r}."
        )
    lowest = x.amin(dim=(1, 2, 3), keepdim=True)
    return (lowest if baseline == "minimum" else torch.zeros_like(lowest)).expand(x.shape)


def check_inputs(x: Tensor, attribution: Tensor, target: Tensor) -> None:
    """Refuse what are not images with a map and a class for each.

    Raises:
        TypeError: if images or maps are not float tensors.
        ValueError: if the shapes are not [B,C,H,W], [B,H,W] and [B], or the classes not int64.
    """
    check_maps(attribution)
    check_images(x)
    if attribution.shape != (len(x), *x.shape[2:]):
        raise ValueError(
            f"Expected images [B,C,H,W] and one map [H,W] of their size for each. "
            f"Got images {list(x.shape)} and maps {list(attribution.shape)}."
        )
    if target.dtype != torch.int64 or target.shape != (len(x),):
        raise ValueError(
            f"Expected one class per image, int64 [{len(x)}]. Got {target.dtype} with shape {list(target.shape)}."
        )
