"""A model's probabilities while an image is replaced, a set of values at a time, in the order a map gives.

Removing pixels in favour of a baseline, or inserting them into one, is the same walk with other end points.
"""

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn

from xai_lib import randomness

Model = Callable[[Tensor], Tensor]

_PIXELS_AT_ONCE = 1 << 16  # of perturbed images in one forward pass: 64 at 32 pixels, the fastest on a processor
_PIXELS_AT_ONCE_GPU = 1 << 22


def ranks(attribution: Tensor, *, ties: Literal["random", "stable"], seed: int, index: Tensor) -> Tensor:
    """Place of each pixel in the order from the highest to the lowest attribution, int64 [B,H,W] from 0 to H·W-1.

    Args:
        attribution: maps, float [B,H,W].
        ties: the order among equal values: "random" draws it for each image from seed and index, "stable" goes row by
            row from the top left (a map with many ties is then scored on where the image begins).
        seed: the run's seed.
        index: image indices, int64 [B].

    Raises:
        ValueError: if `ties` is another word, or there is not one index per image.
    """
    if ties not in ("random", "stable"):
        raise ValueError(f"Expected ties as 'random' or 'stable'. Got {ties!r}.")
    if len(index) != len(attribution):
        raise ValueError(f"Expected one index per image, {len(attribution)} in all. Got {len(index)}.")
    values = attribution.flatten(1)
    if ties == "random":
        draws = randomness.uniform(seed, index.to(values.device), "ties", (values.shape[1],))
        shuffled = draws.argsort(dim=1, stable=True)
        order = shuffled.gather(1, values.gather(1, shuffled).argsort(dim=1, descending=True, stable=True))
    else:
        order = values.argsort(dim=1, descending=True, stable=True)
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
    _check_mode(model)
    on_gpu = start.device.type != "cpu"
    if chunk is None:
        chunk = max(8, (_PIXELS_AT_ONCE_GPU if on_gpu else _PIXELS_AT_ONCE) // (start.shape[2] * start.shape[3]))
    if chunk < 1:
        raise ValueError(f"Expected chunk of at least 1 image. Got {chunk}.")
    points = len(replaced)
    curve = torch.empty(len(start) * points, device=start.device)
    with torch.inference_mode(), torch.autocast(start.device.type, enabled=False):
        for first in range(0, len(curve), chunk):
            row = torch.arange(first, min(first + chunk, len(curve)), device=start.device)
            image = row // points
            gone = rank[image] < replaced[row % points][:, None, None, None]  # [n,1 or C,H,W]
            images = torch.where(gone, end[image], start[image]).contiguous(memory_format=torch.channels_last)
            logits = model(images)
            if first == 0:
                _check_target(target, logits)
            curve[row] = logits.float().softmax(1).gather(1, target[image, None])[:, 0]
    if not curve.isfinite().all():
        raise ValueError("Expected finite logits. Got NaN or infinity: check the model's weights and the images.")
    return curve.reshape(len(start), points)


def _check_mode(model: Model) -> None:
    if isinstance(model, nn.Module) and any(getattr(m, "training", False) for m in model.modules()):
        raise ValueError("Expected the model in evaluation mode. Got one in training mode: call model.eval() first.")


def _check_target(target: Tensor, logits: Tensor) -> None:
    if ((target < 0) | (target >= logits.shape[1])).any():
        raise ValueError(f"Expected targets in 0 to {logits.shape[1] - 1}. Got {target.min()} to {target.max()}.")
