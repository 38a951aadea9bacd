"""Effective complexity, in its two readings: the pixels that a map marks at all, and those that the model needs.

(Nguyen & Martínez 2020; saliency paper §4.3.) The saliency paper defines the second and tabulates the first, whose
threshold nearly every pixel of most maps exceeds: its 50175 for Fake-CAM is that map's definition: 224² - 1 ones.
"""

import math

from torch import Tensor

from xai_lib.baselines import Baseline, replacement
from xai_lib.forward import Model
from xai_lib.metrics.maps import defined, is_defined, sizes
from xai_lib.metrics.perturbation import Ties, check_inputs, class_probabilities, counts, ranks
from xai_lib.metrics.registry import register, score_of


@register("effective-complexity", title="EC, as tabulated", better="lower", range=(0.0, math.inf),
          paper="Nguyen & Martínez 2020", equation="saliency paper Table 3 (EC): pixels above a threshold")  # fmt: skip
def effective_complexity(attribution: Tensor, *, threshold: float = 1e-5) -> Tensor:
    """Number of pixels whose absolute value is above a share of the map's largest (after Nguyen & Martínez 2020).

    Lower is better. float32 [B], from 1 to H·W pixels; NaN for an empty map or one with a value that is not finite.
    `threshold` is the share, in [0, 1); quantus' default is 1e-5.

    Example:
        >>> import torch
        >>> effective_complexity(torch.tensor([[[4.0, -1.0, 0.1]]]), threshold=0.1)
        tensor([2.])
    """
    values = sizes(attribution)
    if not 0 <= threshold < 1:
        raise ValueError(f"Expected threshold as a share in [0, 1). Got {threshold!r}.")
    count = (values / values.amax(1, keepdim=True) > threshold).sum(1)
    return defined(count, is_defined(attribution))


def retention_loss(
    model: Model, x: Tensor, attribution: Tensor, target: Tensor, *, index: Tensor, seed: int = 0, step: int = 32,
    baseline: Baseline = "zero", ties: Ties = "random", chunk: int | None = None,
) -> Tensor:  # fmt: skip
    """Squared error of the target's probability if only the k highest pixels of a map are kept.

    float32 [B,S] in [0, 1], 0 at the last point, where all pixels are kept; NaN for a map that is empty or not finite.
    `step` more pixels are kept at each point, at the last perhaps fewer; `baseline` is what removed pixels become.
    """
    check_inputs(x, attribution, target)
    target, kept = target.to(x.device), counts(attribution[0].numel(), step)[1:].to(x.device)
    rank = ranks(attribution.detach().to(x.device), ties=ties, seed=seed, index=index)[:, None]
    probability = class_probabilities(model, replacement(x, baseline), x, rank, kept, target, chunk).double()
    return defined((probability - probability[:, -1:]) ** 2, is_defined(attribution).to(x.device)[:, None])


@register("effective-complexity-minimum", title="EC, by its formula", better="lower", range=(0.0, math.inf),
          paper="Nguyen & Martínez 2020",
          equation="saliency paper §4.3 (EC), its formula: fewest pixels within a tolerance")  # fmt: skip
@score_of(retention_loss)
def effective_complexity_minimum(loss: Tensor, *, attribution: Tensor, step: int, tolerance: float = 0.01) -> Tensor:
    """The fewest of a map's highest pixels that keep :func:`retention_loss` within a tolerance. Lower is better.

    The smallest of step, 2·step, … and all pixels; with more pixels the loss may be larger again. As printed
    (Nguyen & Martínez 2020), at least one pixel is kept, hence one step, also where the model gives the same
    probability without any. `tolerance` is the largest squared error of a probability, in [0, 1): 0.01 is an
    error of 0.1. float32 [B], from `step` to H·W pixels; NaN where the loss is.

    Example:
        >>> import torch
        >>> mean = lambda x: torch.stack([x.mean((1, 2, 3)), 1 - x.mean((1, 2, 3))], 1).log()  # is P(class 0)
        >>> x, maps, one = torch.ones(1, 1, 2, 2), torch.tensor([[[4.0, 3.0], [2.0, 1.0]]]), torch.tensor([0])
        >>> effective_complexity_minimum(mean, x, maps, one, index=one, step=1, tolerance=0.1)
        tensor([3.])
    """
    if not 0 <= tolerance < 1:
        raise ValueError(f"Expected tolerance as a squared error of a probability in [0, 1). Got {tolerance!r}.")
    kept = counts(attribution[0].numel(), step)[1:].to(loss.device)
    first = (loss <= tolerance).int().argmax(1)  # the loss with all pixels is 0
    return defined(kept[first], ~loss[:, 0].isnan())
