"""From raw maps to the maps that metrics and figures want: each step by name, image by image.

Every function takes float maps [B,H,W] or [B,S,H,W] and returns new ones of the same shape; each map stands alone.
"""

from typing import Literal

import torch
from torch import Tensor

_GRID = (-2, -1)
_COLOURS_AND_GRID = (-3, -2, -1)


def relu(maps: Tensor) -> Tensor:
    """Keep what speaks for the score: negative values become 0."""
    return maps.clamp(min=0)


def min_max(maps: Tensor) -> Tensor:
    """Scale each map to [0,1]: its lowest value becomes 0, its highest 1. A constant map becomes zeros."""
    return _scaled(maps, _GRID)


def by_rank(maps: Tensor) -> Tensor:
    """Replace each value by its rank in the map, from 0 to 1: every map then has the same distribution of values.

    Equal values share their mean rank, so a map's mean is 1/2 whatever its ties. A constant map ranks nothing and
    becomes zeros; a map with NaN becomes NaN.

    Returns:
        float32, of maps' shape.
    """
    values = maps.flatten(-2).contiguous()
    ordered = values.sort(dim=-1).values
    below = torch.searchsorted(ordered, values)
    not_above = torch.searchsorted(ordered, values, right=True)
    ranks = (below + not_above - 1) / (2 * max(1, values.shape[-1] - 1))
    ranks = torch.where(ordered[..., :1] == ordered[..., -1:], 0, ranks)
    return torch.where(values.isnan().any(-1, keepdim=True), torch.nan, ranks).reshape(maps.shape)


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
    _check_gradients(gradients)
    if how not in ("max", "sum"):
        raise ValueError(f"Expected how as 'max' or 'sum'. Got {how!r}.")
    return gradients.abs().amax(-3) if how == "max" else gradients.abs().sum(-3)


def min_max_colours(gradients: Tensor) -> Tensor:
    """One value per pixel as the saliency paper has it (§5.1): all colours together to [0,1], then the highest colour.

    The scale keeps the sign's order: the lowest, most negative gradient of an image becomes 0, its highest 1, and a
    gradient of 0 lands in between. Constant gradients become zeros.

    Args:
        gradients: [B,3,H,W] or [B,S,3,H,W].

    Returns:
        Maps in [0,1], [B,H,W] or [B,S,H,W].

    Raises:
        ValueError: if `gradients` has another number of dimensions.
    """
    _check_gradients(gradients)
    return _scaled(gradients, _COLOURS_AND_GRID).amax(-3)


def _scaled(values: Tensor, dims: tuple[int, ...]) -> Tensor:
    lowest = values.amin(dims, keepdim=True)
    extent = values.amax(dims, keepdim=True) - lowest
    return (values - lowest) / torch.where(extent == 0, 1, extent)


def _check_gradients(gradients: Tensor) -> None:
    if gradients.ndim not in (4, 5):
        raise ValueError(f"Expected gradients [B,3,H,W] or [B,S,3,H,W]. Got shape {list(gradients.shape)}.")
