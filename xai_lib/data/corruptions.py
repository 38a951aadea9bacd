"""Corruptions of a finished image, at three severities. Correctly rounded operations only, as in ``drawing``."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional

from xai_lib import randomness

NAMES = ("noise", "blur", "contrast", "brightness", "pixelation")
SEVERITIES = (1, 2, 3)

Draw = Callable[[tuple[int, ...]], Tensor]  # a shape -> uniform numbers [B, *shape]


def corrupt(images: Tensor, name: str, severity: int, seed: int, index: Tensor, purpose: str) -> Tensor:
    """Corrupt images float32 [B,3,H,W] in [0,1] by one of :data:`NAMES`; float32 in [0,1] of the same shape."""
    ways = dict(zip(NAMES, (_noise, _blur, _contrast, _brightness, _pixelation)))
    return ways[name](images, severity, partial(randomness.uniform, seed, index, f"{purpose}/{name}")).clamp(0, 1)


def _noise(images: Tensor, severity: int, draw: Draw) -> Tensor:
    first, second = draw((2, *images.shape[1:])).unbind(1)
    return images + (first - second) * (0.12 * severity)  # triangular, deviation 0.049 a step


def _blur(images: Tensor, severity: int, draw: Draw) -> Tensor:
    """Average over neighbours, again and again: deviation 0.026, 0.036, 0.044 of the image side."""
    side = images.shape[-1]
    reach = max(1, side // 32)
    for _ in range(severity):
        for dimension, borders in ((2, (0, 0, reach, reach)), (3, (reach, reach, 0, 0))):
            padded = functional.pad(images, borders, mode="replicate")
            total = sum(padded.narrow(dimension, shift, side) for shift in range(2 * reach + 1))
            images = total * (1 / (2 * reach + 1))
    return images


def _contrast(images: Tensor, severity: int, draw: Draw) -> Tensor:
    return 0.5 + (images - 0.5) * (0.65, 0.45, 0.3)[severity - 1]


def _brightness(images: Tensor, severity: int, draw: Draw) -> Tensor:
    """Lighter or darker, as drawn."""
    towards = (draw(()) < 0.5).to(images.dtype)[:, None, None, None]
    return images + (towards - images) * (0.18 * severity)


def _pixelation(images: Tensor, severity: int, draw: Draw) -> Tensor:
    """Repeat one pixel over a block of 1/21, 1/16 or 1/11 of the image side."""
    side = images.shape[-1]
    blocks = (21, 16, 11)[severity - 1]
    cell = (torch.arange(side) * blocks).div(side, rounding_mode="floor")
    middle = ((cell * 2 + 1) * side).div(2 * blocks, rounding_mode="floor")
    return images[:, :, middle][:, :, :, middle]
