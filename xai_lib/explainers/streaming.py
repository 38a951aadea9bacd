"""Run a network on many variants of the same images (masked, ablated, …) with a bounded number in memory."""

from collections.abc import Callable

import torch
from torch import Tensor

from xai_lib.explainers.scores import Score, checked_scores

_PIXELS_AT_ONCE = 1 << 16  # in one forward pass: 64 images at 32 pixels
_PIXELS_AT_ONCE_GPU = 1 << 22


def images_at_once(x: Tensor, chunk: int | None) -> int:
    """Images in one forward pass: `chunk`, or for None a number that suits the device and the size of images `x`.

    Raises:
        ValueError: if `chunk` is below 1.
    """
    if chunk is None:
        pixels = _PIXELS_AT_ONCE if x.device.type == "cpu" else _PIXELS_AT_ONCE_GPU
        return max(8, pixels // (x.shape[2] * x.shape[3]))
    if chunk < 1:
        raise ValueError(f"Expected chunk of at least 1 image. Got {chunk}.")
    return chunk


def scores_of_variants(logits_of: Callable[[Tensor], Tensor], variants: int, *, at_once: int, score: Score) -> Tensor:
    """Scores of every variant of every image; only the logits of `at_once` variants are in memory together.

    Args:
        logits_of: numbers of variants, int64 [V], to the logits [V,B,C] of these variants of all images.
        variants: how many there are.
        at_once: the most variants in one call of `logits_of`.
        score: logits [B,C] -> [B] or [B,S], called variant by variant, so that it may hold one target per image.

    Returns:
        float32 [B,variants] or [B,S,variants].

    Raises:
        TypeError, ValueError: as :func:`xai_lib.explainers.scores.checked_scores`.
    """
    found = [
        checked_scores(score, logits).float()
        for numbers in torch.arange(variants).split(at_once)
        for logits in logits_of(numbers)
    ]
    return torch.stack(found, dim=-1)
