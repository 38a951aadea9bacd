"""Which of a mosaic's four images does a map point at? (Focus; dominance paper §3.4.)

A mosaic is a 2×2 grid of images. Its quadrants are numbered 0 top left, 1 top right, 2 bottom left, 3 bottom right.
"""

import torch
from torch import Tensor

from xai_lib.metrics.maps import check_maps, defined, is_finite
from xai_lib.metrics.registry import register


def quadrant_energy(attribution: Tensor) -> Tensor:
    """Positive relevance R of each image in a mosaic: the sum of the positive values in its quadrant (Eq. 5).

    From maps of mosaics, float [B,H,W] with H and W even, to float64 [B,4] of at least 0; negative values count as 0
    (Eq. 4), and a quadrant that holds NaN has NaN. TypeError or ValueError for other maps.
    """
    check_maps(attribution)
    _, height, width = attribution.shape
    if height % 2 or width % 2:
        got = f"{height} × {width}: explain mosaics of an even size, or upsample the maps to one"
        raise ValueError(f"Expected maps of 2×2 mosaics, of even height and width. Got {got}.")
    positive = attribution.detach().double().clamp(min=0)
    return positive.unflatten(2, (2, -1)).unflatten(1, (2, -1)).sum((2, 4)).flatten(1)


@register("focus", title="Focus", better="higher", range=(0.0, 1.0), paper="Arias-Duart et al. 2022",
          equation="dominance paper Eq. 5-6, which take over Focus")  # fmt: skip
def focus(attribution: Tensor, quadrants: Tensor) -> Tensor:
    """Share of a mosaic's positive attribution that lies in the named quadrants. Higher is better.

    Focus (Arias-Duart et al. 2022) names the quadrants that show the explained class, two of four. The dominance paper
    names those that show one cluster of the class (Eq. 6), where no share is better than another. Without any
    preference it is 0.5 on average if the two quadrants take balanced places.

    float32 [B] in [0, 1]; NaN for a map without a positive value or one that is not finite.

    Example:
        >>> focus(torch.tensor([[[1.0, 2.0], [-4.0, 1.0]]]), torch.tensor([[True, False, True, False]]))
        tensor([0.2500])
    """
    energy = quadrant_energy(attribution)
    if not isinstance(quadrants, Tensor) or quadrants.dtype != torch.bool:
        got = quadrants.dtype if isinstance(quadrants, Tensor) else type(quadrants).__name__
        raise TypeError(f"Expected quadrants as a bool tensor [B,4]. Got {got}.")
    if quadrants.shape != energy.shape:
        raise ValueError(f"Expected quadrants {list(energy.shape)}, one row a map. Got {list(quadrants.shape)}.")
    total = energy.sum(1)
    share = (energy * quadrants.to(energy.device)).sum(1) / total
    return defined(share, is_finite(attribution) & (total > 0))
