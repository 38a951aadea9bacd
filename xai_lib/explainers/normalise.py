"""From raw maps to the maps that metrics and figures want: each step by name, image by image.

Every function takes float maps [B,H,W] or [B,S,H,W] and returns new ones of the same shape; each map stands alone.
"""

from typing import Literal

import torch
from torch import Tensor

_GRID = (-2, -1)


def relu(maps: Tensor) -> Tensor:
    """Keep what speaks for the score: negative values become 0."""
    return maps.clamp(min=0)


def min_max(maps: Tensor) -> Tensor:
    """Scale each map to [0,1]: its lowest value becomes 0, its highest 1. A constant map becomes zeros."""
    lowest = maps.amin(_GRID, keepdim=True)
    extent = maps.amax(_GRID, keepdim=True) - lowest
    return (maps - lowest) / torch.where(extent == 0, 1, extent)


def sum_to_one(maps: Tensor) -> Tensor:
    """Divide each map by its sum over the grid; an empty (all-zero) map becomes NaN.

    Raises:
        ValueError: if a value is negative: a share of the attribution then has no meaning.
    """
    if (maps < 0).any():
        raise ValueError(
            f"Expected maps without negative values. Got a minimum of {maps.min():g}: apply relu or min_max first."
        )
    total = maps.sum(_GRID, keepdim=True)
    return torch.where(total > 0, maps / total, torch.nan)


def reduce_colours(gradients: Tensor, how: Literal["max", "sum"] = "max") -> Tensor:
    """One value per pixel from a gradient per colour: the largest absolute value, or the sum of absolute values.

    Args:
        gradients: [B,3,H,W] or [B,S,3,H,W].
        how: "max" (Simonyan et al. 2014) or "sum".

    Returns:
        Non-negative maps [B,H,W] or [B,S,H,W].

    Raises:
        ValueError: if `gradients` has another number of dimensions, or `how` is something else.
    """
    if gradients.ndim not in (4, 5):
        raise ValueError(f"Expected gradients [B,3,H,W] or [B,S,3,H,W]. Got shape {list(gradients.shape)}.")
    if how not in ("max", "sum"):
        raise ValueError(f"Expected how as 'max' or 'sum'. Got {how!r}.")
    return gradients.abs().amax(-3) if how == "max" else gradients.abs().sum(-3)
