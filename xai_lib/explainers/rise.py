"""RISE: the mean of random masks, each weighted by the score that the masked image keeps (saliency paper §3.3)."""

import math

import torch
from torch import Tensor, nn

from xai_lib import randomness
from xai_lib.checks import check_counts, check_index
from xai_lib.explainers.passes import perturbed_scores
from xai_lib.explainers.registry import Layer, Score, register
from xai_lib.forward import images_at_once, undisturbed

_MASKS_DRAWN_AT_ONCE = 64  # part of what is drawn: another number gives other masks


@register("rise", title="RISE", paper="Petsiuk et al. 2018", family="occlusion", explains="probability")
def rise(
    model: nn.Module, x: Tensor, *, score: Score, seed: int, index: Tensor, layer: Layer = None, n_masks: int = 1000,
    grid: int = 7, p: float = 0.5, chunk: int | None = None,
) -> Tensor:  # fmt: skip
    """RISE: ``Σ score(x ⊙ M) M / (n_masks · p)`` over random masks M of an image's own (Petsiuk et al. 2018).

    (Saliency paper §3.3.) A mask is a grid of independent zeros and ones, enlarged bilinearly to one cell more than the
    image and cropped at a random place within a cell; its mean is p everywhere. What a mask hides becomes 0, the mean
    colour of normalised images. The paper explains a class's softmax probability.

    In units of the score, an estimate of its expectation given that the pixel is kept: higher where the score needs it.
    `n_masks` are for each image, `grid` cells along its side; `p` in (0,1] is the probability that a cell is kept.

    Example:
        >>> x, one = torch.ones(1, 3, 4, 4), torch.tensor([0])
        >>> settings = {"seed": 0, "index": one, "n_masks": 2, "grid": 2, "p": 1.0}  # a mask keeps everything
        >>> rise(nn.Flatten(), x, score=lambda logits: logits.mean(1), **settings).unique()
        tensor([1.])
    """
    check_counts(n_masks=n_masks, grid=grid)
    if not 0 < p <= 1:
        raise ValueError(f"Expected p as the probability that a cell is kept, in (0,1]. Got {p}.")
    with undisturbed(model, x) as images:
        check_index(index, images)
        chunk = images_at_once(images, chunk)
        at_once = max(1, chunk // max(1, len(images)))  # of each image
        rows, columns = (_enlarging(grid, side, x.device) for side in images.shape[-2:])
        total: Tensor | int = 0
        for first in range(0, n_masks, _MASKS_DRAWN_AT_ONCE):
            drawn = _draw(seed, index.to(x.device), first, grid, p, images.shape[-2:])
            kept = [part[:, : n_masks - first].split(at_once, dim=1) for part in drawn]
            for cells, down, across in zip(*kept, strict=True):
                masks = (rows[down] @ cells @ columns[across].mT).to(images.dtype)  # enlarged and cropped, [B,n,H,W]
                scores = perturbed_scores(model, images[:, None] * masks[:, :, None], score, chunk)
                total = total + torch.einsum("bn...,bnhw->b...hw", scores.to(masks.dtype), masks).double()
        return (total / (n_masks * p)).float()


def _draw(
    seed: int, index: Tensor, first: int, grid: int, p: float, size: tuple[int, int]
) -> tuple[Tensor, Tensor, Tensor]:
    """The masks from number `first` on: cells float32 [B,n,grid,grid] of 0 and 1, shifts down and across [B,n]."""
    purpose, n = f"rise/masks from {first}", _MASKS_DRAWN_AT_ONCE
    cells = (randomness.uniform(seed, index, f"{purpose}/cells", (n, grid, grid)) < p).float()
    down, across = (
        randomness.integers(seed, index, f"{purpose}/{way}", math.ceil(side / grid), (n,))
        for way, side in zip(("down", "across"), size, strict=True)
    )
    return cells, down, across


def _enlarging(grid: int, side: int, device: torch.device) -> Tensor:
    """For each shift within a cell, the matrix that enlarges `grid` values to `side` pixels: [cell,side,grid].

    The grid is enlarged bilinearly to grid + 1 cells of ⌈side / grid⌉ pixels, with values mirrored beyond the first
    and the last, as the authors' code does.
    """
    cell = math.ceil(side / grid)
    enlarged = (grid + 1) * cell
    place = ((torch.arange(enlarged, device=device) + 0.5) * grid / enlarged - 0.5).abs()
    place = (grid - 1) - ((grid - 1) - place).abs()
    near = (1 - (place[:, None] - torch.arange(grid, device=device)).abs()).clamp(min=0)  # [enlarged,grid]
    return near.unfold(0, side, 1)[:cell].mT.contiguous()
