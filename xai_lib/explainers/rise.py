"""RISE: the mean of random masks, each weighted by the score that the masked image keeps (saliency paper §3.3)."""

import math

import torch
from torch import Tensor, nn

from xai_lib import randomness
from xai_lib.explainers.passes import perturbed_scores
from xai_lib.explainers.registry import register
from xai_lib.explainers.scores import Score
from xai_lib.forward import images_at_once, undisturbed

_MASKS_DRAWN_AT_ONCE = 64  # part of what is drawn: another number gives other masks


@register("rise", title="RISE", paper="Petsiuk et al. 2018", family="occlusion", explains="probability")
def rise(
    model: nn.Module,
    x: Tensor,
    *,
    score: Score,
    seed: int,
    index: Tensor,
    layer: nn.Module | str | None = None,
    n_masks: int = 1000,
    grid: int = 7,
    p: float = 0.5,
    chunk: int | None = None,
) -> Tensor:
    """RISE: ``Σ score(x ⊙ M) M / (n_masks · p)`` over random masks M of an image's own (saliency paper §3.3).

    A mask is a grid of independent zeros and ones, enlarged bilinearly to one cell more than the image and cropped
    at a random place within a cell; its mean is p everywhere. What a mask hides becomes 0, the mean colour of
    normalised images. The masks are streamed: memory does not grow with their number.

    Args:
        model: the network; only run forward.
        x: normalised images, float [B,c,H,W].
        score: what is explained, from logits [B,C] to [B] or [B,S]; S scores share the forward passes. The paper
            explains a class's softmax probability.
        seed: the run's seed.
        index: image indices, int64 [B]: an image's masks depend on seed and index alone.
        layer: not used.
        n_masks: random masks for each image.
        grid: cells along a side of the image.
        p: probability that a cell is kept, in (0,1].
        chunk: masked images in one forward pass; None is a number that suits the device and bounds the memory.

    Returns:
        In units of the score, float32 [B,H,W] or [B,S,H,W] on x's device: an estimate of the expected score given
        that the pixel is kept. Higher where the score needs the pixel.

    Raises:
        TypeError, ValueError: as :func:`xai_lib.explainers.passes.perturbed_scores`.
        ValueError: if there is not one index per image, or a setting is out of its range.
    """
    _check_settings(n_masks, grid, p)
    with undisturbed(model, x) as images, torch.autocast(x.device.type, enabled=False):
        if len(index) != len(images):
            raise ValueError(f"Expected one index per image, {len(images)} in all. Got {len(index)}.")
        chunk = images_at_once(images, chunk)
        at_once = max(1, chunk // max(1, len(images)))  # of each image
        total: Tensor | int = 0
        for first in range(0, n_masks, _MASKS_DRAWN_AT_ONCE):
            drawn = _draw(seed, index.to(x.device), first, grid, p, images.shape[-2:])
            kept = [part[:, : n_masks - first].split(at_once, dim=1) for part in drawn]
            for cells, down, across in zip(*kept, strict=True):
                masks = _masks(cells, down, across, images.shape[-2:]).to(images.dtype)  # [B,n,H,W]
                scores = perturbed_scores(model, images[:, None] * masks[:, :, None], score, chunk)
                total = total + _weighted_sum(scores, masks).double()
        return (total / (n_masks * p)).float()


def _draw(
    seed: int, index: Tensor, first: int, grid: int, p: float, size: tuple[int, int]
) -> tuple[Tensor, Tensor, Tensor]:
    """The masks from number `first` on: cells float32 [B,n,grid,grid] of 0 and 1, shifts down and across int64 [B,n].

    They are drawn in blocks of a fixed size, so that neither the chunk nor the number of masks moves them.
    """
    purpose, n = f"rise/masks from {first}", _MASKS_DRAWN_AT_ONCE
    cells = (randomness.uniform(seed, index, f"{purpose}/cells", (n, grid, grid)) < p).float()
    down, across = (
        randomness.integers(seed, index, f"{purpose}/{way}", math.ceil(side / grid), (n,))
        for way, side in zip(("down", "across"), size, strict=True)
    )
    return cells, down, across


def _masks(cells: Tensor, down: Tensor, across: Tensor, size: tuple[int, int]) -> Tensor:
    """Enlarge grids [B,n,s,s] bilinearly and crop them at their shifts [B,n]: masks in [0,1], float32 [B,n,H,W].

    Bilinear enlarging is a product with a small matrix on either side, and a crop takes rows of these.
    """
    rows, columns = (_enlarging(cells.shape[-1], side, cells.device) for side in size)
    return rows[down] @ cells @ columns[across].mT


def _enlarging(grid: int, side: int, device: torch.device) -> Tensor:
    """For each shift within a cell, the matrix that enlarges `grid` values to `side` pixels: [cell,side,grid].

    The grid is enlarged to grid + 1 cells of ⌈side / grid⌉ pixels, with values mirrored beyond the first and the
    last, as the authors' code does.
    """
    cell = math.ceil(side / grid)
    enlarged = (grid + 1) * cell
    place = ((torch.arange(enlarged, device=device) + 0.5) * grid / enlarged - 0.5).abs()
    place = (grid - 1) - ((grid - 1) - place).abs()
    near = (1 - (place[:, None] - torch.arange(grid, device=device)).abs()).clamp(min=0)  # [enlarged,grid]
    return near.unfold(0, side, 1)[:cell].mT.contiguous()


def _weighted_sum(scores: Tensor, masks: Tensor) -> Tensor:
    """Σ over n of scores [B,n] or [B,n,S] times masks [B,n,H,W]: [B,H,W] or [B,S,H,W]."""
    weights = scores.reshape(*scores.shape[:2], -1).to(masks.dtype).mT  # [B,S,n]
    sums = (weights @ masks.flatten(2)).unflatten(2, masks.shape[2:])
    return sums if scores.ndim == 3 else sums[:, 0]


def _check_settings(n_masks: int, grid: int, p: float) -> None:
    for what, number in (("n_masks", n_masks), ("grid", grid)):
        if type(number) is not int or number < 1:
            raise ValueError(f"Expected {what} as a whole number of at least 1. Got {number!r}.")
    if not 0 < p <= 1:
        raise ValueError(f"Expected p as the probability that a cell is kept, in (0,1]. Got {p}.")
