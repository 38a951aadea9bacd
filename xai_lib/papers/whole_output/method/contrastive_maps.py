"""From saliency maps of rivals to contrastive heat maps (whole-output paper §4.2 and §5): pure functions on maps."""

from typing import Literal, get_args

import torch
from torch import Tensor

Variant = Literal["paper", "released"]

# Of the cluster map's values; above it lies its support in the released examples.
PERCENTILES = {"grad-cam": 50, "excitation-backprop": 60, "rise": 70, "lime": 85}


def subtracted(own: Tensor, rest: Tensor) -> Tensor:
    """Evidence for one group rather than another: ``ReLU(own - rest)`` (Equation 1).

    Args:
        own: maps, float [...,H,W].
        rest: maps of the union of all rivals, of the same shape.
    """
    return (own - rest).relu()


def released_subtracted(own: Tensor, rivals: Tensor) -> Tensor:
    """The released code's contrast: ``ReLU(R · own - Σ rivals)``, each of the R rivals with the same weight.

    Args:
        own: maps, float [...,H,W].
        rivals: a map of each rival, float [...,R,H,W], R at least 1.
    """
    return (rivals.shape[-3] * own - rivals.sum(-3)).relu()


def scout(own: Tensor, rest: Tensor) -> Tensor:
    """Evidence for one group where there is little for another (CWOX-1sB; Wang & Vasconcelos 2020, SCOUT).

    ``relu(own) ⊙ (max relu(rest) - relu(rest))``. Negative values become 0 first, ours where maps are signed: a
    product of two negative values would count as evidence.

    Args:
        own: maps, float [...,H,W].
        rest: maps of the union of all rivals, of the same shape; the maximum is over the pixels of each.
    """
    rest = rest.relu()
    return own.relu() * (rest.amax((-2, -1), keepdim=True) - rest)


def support(cluster_map: Tensor, variant: Variant, base: str, *, epsilon: float = 0.0) -> Tensor:
    """The pixels on which the classes of a cluster are contrasted (supp in Equation 2).

    Args:
        cluster_map: non-negative maps, float [...,H,W].
        variant: "paper" takes the pixels above ε times the map's maximum. The paper does not say what ε is, nor on
            which scale: a share of the maximum is our reading. "released" takes those above a percentile of the
            map's values, and above 0 where that is more.
        base: name of the base explainer, on which the percentile depends.
        epsilon: ε, from 0 to below 1; for "paper" alone.

    Returns:
        bool [...,H,W].

    Raises:
        ValueError: if `variant` or `base` is another word, or `epsilon` is out of its range.
    """
    if variant not in get_args(Variant):
        raise ValueError(f"Expected variant as 'paper' or 'released'. Got {variant!r}.")
    if base not in PERCENTILES:
        raise ValueError(f"Expected base as one of {', '.join(PERCENTILES)}. Got {base!r}.")
    if not 0 <= epsilon < 1:
        raise ValueError(f"Expected epsilon as a share of the map's maximum, from 0 to below 1. Got {epsilon}.")
    if variant == "paper":
        return cluster_map > epsilon * cluster_map.amax((-2, -1), keepdim=True)
    return cluster_map > torch.quantile(cluster_map.flatten(-2), PERCENTILES[base] / 100, dim=-1)[..., None, None]
