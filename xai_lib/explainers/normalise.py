"""From raw maps to the maps that metrics and figures want: each step by name, image by image.

Every function takes float maps [B,H,W] or [B,S,H,W] and returns new ones of the same shape; each map stands alone.
"""

from typing import Literal

import torch
from torch import Tensor

from xai_lib.explainers.cams import upsample
from xai_lib.explainers.registry import about

Normalisation = Literal["absolute", "signed", "rank"]
NORMALISATIONS: tuple[Normalisation, ...] = ("absolute", "signed", "rank")
_GRID = (-2, -1)  # dimensions of a map


def relu(maps: Tensor) -> Tensor:
    """Keep what speaks for the score: negative values become 0."""
    return maps.clamp(min=0)


def min_max(maps: Tensor, dims: tuple[int, ...] = _GRID) -> Tensor:
    """Scale each map to [0,1]: its lowest value becomes 0, its highest 1. A constant map becomes zeros."""
    lowest = maps.amin(dims, keepdim=True)
    extent = maps.amax(dims, keepdim=True) - lowest
    return (maps - lowest) / torch.where(extent == 0, 1, extent)


def by_rank(maps: Tensor) -> Tensor:
    """Replace each value by its rank in the map, from 0 to 1: every map then has the same distribution of values.

    Equal values share their mean rank, so a map's mean is 1/2 whatever its ties. A constant map ranks nothing and
    becomes zeros; a map with NaN becomes NaN. float32.
    """
    values = maps.flatten(-2).contiguous()
    ordered = values.sort(dim=-1).values
    below = torch.searchsorted(ordered, values)
    not_above = torch.searchsorted(ordered, values, right=True)
    ranks = (below + not_above - 1) / (2 * max(1, values.shape[-1] - 1))
    ranks = torch.where(ordered[..., :1] == ordered[..., -1:], 0, ranks)
    return torch.where(values.isnan().any(-1, keepdim=True), torch.nan, ranks).reshape(maps.shape)


def positive_share(maps: Tensor) -> Tensor:
    """Divide what is positive of each map by its highest value: in [0,1]; zeros if nothing is positive."""
    positive = maps.relu()
    highest = positive.amax(_GRID, keepdim=True)
    return positive / torch.where(highest == 0, 1, highest)


def reduce_colours(gradients: Tensor) -> Tensor:
    """One value per pixel, the largest absolute value of the colours (Simonyan et al. 2014).

    From gradients [B,3,H,W] or [B,S,3,H,W] to non-negative maps [B,H,W] or [B,S,H,W]; ValueError for other shapes.
    """
    _check_gradients(gradients)
    return gradients.abs().amax(-3)


def min_max_colours(gradients: Tensor) -> Tensor:
    """One value per pixel as the saliency paper writes it (§5.1): all colours together to [0,1], then the highest one.

    The scale keeps the sign's order: the lowest, most negative gradient of an image becomes 0, its highest 1, and a
    gradient of 0 lands in between. Constant gradients become zeros. Shapes and errors as :func:`reduce_colours`.
    """
    _check_gradients(gradients)
    return min_max(gradients, (-3, *_GRID)).amax(-3)


def unit_maps(raw: Tensor, method: str, size: tuple[int, int], how: Normalisation = "absolute") -> Tensor:
    """Raw maps of a method as maps in [0, 1] of the image's size: what every metric is given.

    The saliency paper's text and the code that it cites (§5.1, footnotes) differ; its numbers come from the code:

    - ``"absolute"``, the code: of gradients the largest absolute value of the colours, of all other maps the positive
      part; then to [0, 1].
    - ``"signed"``, the text: colours and pixels of a gradient together to [0, 1], then the largest of the three
      colours; negative weights of other maps are kept. Class activation maps are the same in both.
    - ``"rank"`` replaces values by their ranks, so that methods differ in the order of pixels alone.

    A map on a layer's grid loses its negative part there and is then enlarged, as in pytorch-grad-cam (which also
    scales it to [0, 1] in between; that changes nothing). An uninformed map without contrast, which scaling would
    empty, stays. Raw maps are as the explainer `method` returns them.

    Example:
        >>> unit_maps(torch.tensor([[[-1.0, 0.0, 2.0]]]), "lime", (1, 3))
        tensor([[[0., 0., 1.]]])
    """
    if how not in NORMALISATIONS:
        raise ValueError(f"Expected a normalisation out of {', '.join(NORMALISATIONS)}. Got {how!r}.")
    known = about(method)
    if how == "rank":
        maps = unit_maps(raw, method, size)
        return _unless_flat(maps, by_rank(maps), known.family)
    if known.colours:
        return min_max_colours(raw) if how == "signed" else min_max(reduce_colours(raw))
    maps = raw if how == "signed" and known.signed else relu(raw)
    maps = upsample(maps, size) if maps.shape[-2:] != torch.Size(size) else maps
    return _unless_flat(maps, min_max(maps), known.family)


def _check_gradients(gradients: Tensor) -> None:
    if gradients.ndim not in (4, 5):
        raise ValueError(f"Expected gradients [B,3,H,W] or [B,S,3,H,W]. Got shape {list(gradients.shape)}.")


def _unless_flat(maps: Tensor, scaled: Tensor, family: str) -> Tensor:
    """The scaled maps, but flat ones of uninformed methods as they were."""
    if family != "uninformed":
        return scaled
    flat = (maps == maps[..., :1, :1]).all(dim=-1, keepdim=True).all(dim=-2, keepdim=True)
    return torch.where(flat, maps.clamp(0, 1), scaled)
