"""How large or how concentrated a map is (contrastive paper §3.5)."""

import torch
from torch import Tensor


def complexity(attribution: Tensor) -> Tensor:
    """Entropy of the map as a distribution over pixels (CM, §3.5; Bhatt et al. 2020); lower is better.

    Args:
        attribution: float [B,H,W]; absolute values are taken.

    Returns:
        [B] in [0, ln(H·W)], in nats; NaN for an empty map.
    """
    share = _magnitudes(attribution)
    share = share / share.sum(dim=1, keepdim=True)
    return torch.special.entr(share).sum(dim=1).to(attribution.dtype)


def sparseness(attribution: Tensor) -> Tensor:
    """Gini index of the pixels' magnitudes (contrastive paper, Table 1; Chalasani et al. 2020); higher is better.

    Args:
        attribution: float [B,H,W]; absolute values are taken.

    Returns:
        [B] in [0, 1): 0 if all pixels are equal, near 1 if one has everything; NaN for an empty map.
    """
    ordered = _magnitudes(attribution).sort(dim=1).values  # ascending
    n = ordered.shape[1]
    weights = 2 * torch.arange(1, n + 1, device=ordered.device) - n - 1
    return ((weights * ordered).sum(dim=1) / (n * ordered.sum(dim=1))).to(attribution.dtype)


def _magnitudes(attribution: Tensor) -> Tensor:
    """Absolute values [B,H·W] in float64, in which sums over 50,000 pixels keep their digits."""
    if attribution.ndim != 3:
        raise ValueError(f"Expected maps [B,H,W]. Got {list(attribution.shape)}.")
    return attribution.flatten(1).abs().double()
