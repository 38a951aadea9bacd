"""How much of the image a map occupies: its entropy, and how unequally its attribution is spread.

Both look at absolute values and at relative size only: a positive factor on a map changes nothing, nor does the
place of the pixels.
"""

import math

import numpy as np
import torch
from torch import Tensor

from xai_lib.metrics.maps import check_maps
from xai_lib.metrics.registry import register


@register(
    "complexity",
    title="Complexity",
    better="lower",
    range=(0.0, math.inf),
    paper="Bhatt et al. 2020",
    equation="contrastive paper §3.5 (CM)",
)
def complexity(attribution: Tensor) -> Tensor:
    """Entropy of the map's absolute values taken as shares of their sum, in nats.

    0 if one pixel holds everything, ln(H·W) if all pixels are alike (6.93 at 32 pixels, 10.82 at 224). Lower is better.

    Args:
        attribution: maps, float [B,H,W], of any sign and scale.

    Returns:
        float32 [B] in [0, ln(H·W)]; NaN for an empty map or one with a value that is not finite.

    Raises:
        TypeError, ValueError: if `attribution` is not a float tensor [B,H,W].
    """
    sizes = _sizes(attribution)
    sizes = sizes / sizes.amax(1, keepdim=True)  # NaN from here on where the score is undefined
    total = sizes.sum(1, dtype=torch.float64)
    weighted = (sizes * sizes.clamp(min=torch.finfo(sizes.dtype).tiny).log()).sum(1, dtype=torch.float64)
    return (total.log() - weighted / total).float()  # -Σ p ln p with p = size / total


@register(
    "sparseness",
    title="Sparseness",
    better="higher",
    range=(0.0, 1.0),
    paper="Chalasani et al. 2020",
    equation="contrastive paper Table 1",
)
def sparseness(attribution: Tensor) -> Tensor:
    """Gini index of the map's absolute values.

    0 if all pixels are alike, 1 − 1/(H·W) if one pixel holds everything. Higher is better.

    Args:
        attribution: maps, float [B,H,W], of any sign and scale.

    Returns:
        float32 [B] in [0, 1); NaN for an empty map or one with a value that is not finite.

    Raises:
        TypeError, ValueError: if `attribution` is not a float tensor [B,H,W].
    """
    ascending = _sorted(_sizes(attribution))  # [B,N]
    ascending = ascending / ascending[:, -1:]  # NaN from here on where the score is undefined
    n = ascending.shape[1]
    weight = 2 * torch.arange(1, n + 1, device=ascending.device, dtype=ascending.dtype) - n - 1
    weighted = (ascending * weight).sum(1, dtype=torch.float64)
    return (weighted / (n * ascending.sum(1, dtype=torch.float64))).float()


def _sizes(attribution: Tensor) -> Tensor:
    """Absolute values, float32 or float64 [B,N]."""
    check_maps(attribution)
    sizes = attribution.detach().abs().flatten(1)
    return sizes if sizes.dtype == torch.float64 else sizes.float()


def _sorted(values: Tensor) -> Tensor:
    """Each row in ascending order; on a processor by numpy, which sorts values alone and about 20 times faster."""
    if values.device.type == "cpu":
        return torch.from_numpy(np.sort(values.numpy(), axis=1))
    return values.sort(dim=1).values
