"""How much of the image a map occupies: its entropy, and how unequally its attribution is spread.

Both look at absolute values and at relative size only: a positive factor on a map changes nothing, nor does the
place of the pixels. float32 [B], NaN for an empty map or one with a value that is not finite.
"""

import math

import numpy as np
import torch
from torch import Tensor

from xai_lib.metrics.maps import sizes
from xai_lib.metrics.registry import register


@register("complexity", title="Complexity", better="lower", range=(0.0, math.inf), paper="Bhatt et al. 2020",
          equation="saliency paper §4.3 (Complexity); contrastive paper §3.5 (CM)")  # fmt: skip
def complexity(attribution: Tensor) -> Tensor:
    """Entropy -Σ p ln p of the shares p = |a| / Σ|a| of a map's pixels, in nats (Bhatt et al. 2020). Lower is better.

    0 if one pixel holds everything, ln(H·W) if all pixels are alike (6.93 at 32 pixels, 10.82 at 224).

    Example:
        >>> complexity(torch.tensor([[[2.0, -2.0]], [[7.0, 0.0]]]))  # ln 2, and nothing to choose from
        tensor([0.6931, 0.0000])
    """
    shares = sizes(attribution)
    shares = shares / shares.amax(1, keepdim=True)  # NaN from here on where the score is undefined
    total = shares.sum(1, dtype=torch.float64)
    weighted = (shares * shares.clamp(min=torch.finfo(shares.dtype).tiny).log()).sum(1, dtype=torch.float64)
    return (total.log() - weighted / total).float()


@register("sparseness", title="Sparseness", better="higher", range=(0.0, 1.0), paper="Chalasani et al. 2020",
          equation="saliency paper Table 3 (Sparseness); contrastive paper Table 1")  # fmt: skip
def sparseness(attribution: Tensor) -> Tensor:
    """Gini index Σ_i (2i - n - 1) a_i / (n Σ a) of a map's n ascending absolute values (Chalasani et al. 2020).

    Higher is better: 0 if all pixels are alike, 1 − 1/(H·W) if one pixel holds everything.

    Example:
        >>> sparseness(torch.tensor([[[2.0, -2.0]], [[7.0, 0.0]]]))
        tensor([0.0000, 0.5000])
    """
    values = sizes(attribution)  # [B,N]
    on_cpu = values.device.type == "cpu"  # there, numpy sorts values alone and about 20 times faster
    ascending = torch.from_numpy(np.sort(values.numpy(), axis=1)) if on_cpu else values.sort(dim=1).values
    ascending = ascending / ascending[:, -1:]  # NaN from here on where the score is undefined
    n = ascending.shape[1]
    weight = 2 * torch.arange(1, n + 1, device=ascending.device, dtype=ascending.dtype) - n - 1
    weighted = (ascending * weight).sum(1, dtype=torch.float64)
    return (weighted / (n * ascending.sum(1, dtype=torch.float64))).float()
