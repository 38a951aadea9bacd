"""Pixel flipping: does the prediction fall without what a map calls important? (Bach et al. 2015; contrastive §3.5.)"""

import numpy as np
import torch
from torch import Tensor

from xai_lib.baselines import Baseline, replacement
from xai_lib.forward import Model
from xai_lib.metrics.maps import defined, is_defined
from xai_lib.metrics.perturbation import Ties, check_inputs, class_probabilities, counts, replacement_curve
from xai_lib.metrics.registry import register, score_of


def pixel_flipping_curve(
    model: Model, x: Tensor, attribution: Tensor, target: Tensor, *, index: Tensor, seed: int = 0, step: int = 32,
    baseline: Baseline = "minimum", ties: Ties = "random", chunk: int | None = None,
) -> Tensor:  # fmt: skip
    """Probability of the target while pixels are removed, those with the highest attribution first.

    Softmax probabilities, float32 [B,S+1], from the untouched to the fully removed image, at :func:`fractions_removed`;
    NaN for an empty (all-zero) map or one with a value that is not finite. Only the order of a map's values matters.
    `step` pixels are removed at a time, with all their colours, at the last perhaps fewer, and become the `baseline`:
    "minimum" is the paper's black. The target is in the paper the true class.
    """
    check_inputs(x, attribution, target)
    order = {"index": index, "seed": seed, "step": step, "ties": ties, "chunk": chunk}
    return replacement_curve(model, x, replacement(x, baseline), attribution, target, **order)


def flipping_logits(
    model: Model, x: Tensor, attribution: Tensor, *, index: Tensor, seed: int = 0, step: int = 32,
    chunk: int | None = None,
) -> Tensor:  # fmt: skip
    """All logits along :func:`pixel_flipping_curve`, for :func:`at_temperature`; pixels turn black: [B,S+1,C]."""
    none = torch.zeros(len(x), dtype=torch.int64, device=x.device)
    check_inputs(x, attribution, none)
    order = {"index": index, "seed": seed, "step": step, "ties": "random", "chunk": chunk}
    read = lambda logits, _: logits  # noqa: E731
    return replacement_curve(model, x, replacement(x, "minimum"), attribution, none, **order, read=read)


def at_temperature(logits: Tensor, target: Tensor, temperature: float) -> Tensor:
    """Probability of the target, softmax(z/T), from :func:`flipping_logits`: float32 [B,S+1]."""
    return (logits / temperature).softmax(2)[torch.arange(len(logits)), :, target]


def fractions_removed(n_pixels: int, step: int) -> Tensor:
    """Share of the pixels removed at each point of a curve, float32 [S+1], from 0 to 1."""
    return counts(n_pixels, step).float() / n_pixels


def area(curve: Tensor, fractions: Tensor) -> Tensor:
    """Area under curves [B,S+1] over the fraction removed [S+1], by trapezoids: float32 [B]."""
    return torch.trapezoid(curve.double(), fractions.to(curve.device).double(), dim=1).float()


@register("pixel-flipping", title="PF", better="lower", range=(0.0, 1.0), paper="Bach et al. 2015",
          equation="contrastive paper §3.5 (PF), as tabulated: area under f(x̃)")  # fmt: skip
@score_of(pixel_flipping_curve)
def pixel_flipping(curve: Tensor, *, attribution: Tensor, step: int) -> Tensor:
    """Area under :func:`pixel_flipping_curve` over the fraction of pixels removed (Bach et al. 2015). Lower is better.

    The contrastive paper prints the area under f(x) - f(x̃), for which higher would be better; its table, its arrows
    and its code have the area under f(x̃), as here. float32 [B] in [0, 1]; NaN where the curve is.

    Example:
        >>> mean = lambda x: torch.stack([x.mean((1, 2, 3)), 1 - x.mean((1, 2, 3))], 1).log()  # is P(class 0)
        >>> x, maps, one = torch.ones(1, 1, 2, 2), torch.tensor([[[4.0, 3.0], [2.0, 1.0]]]), torch.tensor([0])
        >>> pixel_flipping(mean, x, maps, one, index=one, step=1, baseline="zero")
        tensor([0.5000])
    """
    return area(curve, fractions_removed(attribution[0].numel(), step))


@register("pixel-flipping-matched", title="PF, one confidence", better="lower", range=(0.0, 1.0),
          paper="this companion, after Bach et al. 2015",
          equation="contrastive paper §3.5 (PF), of softmax(z/T)")  # fmt: skip
def pixel_flipping_matched(
    model: Model, x: Tensor, attribution: Tensor, target: Tensor, *, index: Tensor, temperature: float = 1.0,
    seed: int = 0, step: int = 32,
) -> Tensor:  # fmt: skip
    """As :func:`pixel_flipping` (Bach et al. 2015), of the network's logits divided by a temperature. Lower is better.

    A network that is less sure of everything has lower curves and a smaller area, whatever its maps say. Networks are
    compared at temperatures that give all of them one mean confidence on held-out images, see
    :func:`xai_lib.training.evaluation.temperature`: multiplying a network's logits then changes nothing.

    Example:
        >>> mean = lambda x: 2 * torch.stack([x.mean((1, 2, 3)), 1 - x.mean((1, 2, 3))], 1).log()
        >>> x, maps, one = torch.ones(1, 1, 2, 2), torch.tensor([[[4.0, 3.0], [2.0, 1.0]]]), torch.tensor([0])
        >>> pixel_flipping_matched(mean, x.mul(0.5), maps, one, index=one, temperature=2.0)
        tensor([0.5000])
    """
    logits = flipping_logits(model, x, attribution, index=index, seed=seed, step=step)
    return area(at_temperature(logits, target, temperature), fractions_removed(attribution[0].numel(), step))


def released_curve(
    model: Model, x: Tensor, attribution: Tensor, target: Tensor, *, step: int = 32, chunk: int | None = None
) -> Tensor:
    """The curve that the authors' tool (quantus 0.6) computes from maps of one channel.

    The map is repeated for each colour and single colour values are removed, `step` at a time: 96 steps at 32 pixels,
    and a pixel may lose its red but keep its blue. Equal values, of which each pixel now has three, fall as numpy's
    unstable sort leaves them, which may differ between processors. Removed values become the lowest of the image.
    float32 [B,S], from the first step, without the untouched image; NaN as in :func:`pixel_flipping_curve`.
    """
    check_inputs(x, attribution, target)
    maps = attribution.detach().cpu()
    values = (maps if maps.dtype == torch.float64 else maps.float())[:, None].expand(x.shape).flatten(1)
    order = torch.from_numpy(np.argsort(-values.numpy(), axis=1)).to(x.device)
    rank = order.argsort(dim=1).reshape(x.shape)
    removed = counts(values.shape[1], step)[1:].to(x.device)
    curve = class_probabilities(model, x, replacement(x, "minimum"), rank, removed, target.to(x.device), chunk)
    return defined(curve, is_defined(attribution).to(curve.device)[:, None])


@register("pixel-flipping-released", title="PF, released", better="lower", range=(0.0, 1.0), paper="Bach et al. 2015",
          equation="contrastive paper §3.5 (PF), as released: colour values, without the untouched image")  # fmt: skip
@score_of(released_curve)
def pixel_flipping_released(curve: Tensor) -> Tensor:
    """Area under :func:`released_curve` (after Bach et al. 2015), its S points spread evenly over [0, 1].

    Lower is better. quantus gives the same area at a spacing of 1, which is S - 1 times larger. float32 [B] in [0, 1];
    NaN where the curve is, or if it has only one point.

    Example:
        >>> mean = lambda x: torch.stack([x.mean((1, 2, 3)), 1 - x.mean((1, 2, 3))], 1).log()  # is P(class 0)
        >>> x = torch.tensor([[[[1.0, 0.5]]]])
        >>> pixel_flipping_released(mean, x, torch.tensor([[[2.0, 1.0]]]), torch.tensor([0]), step=1)
        tensor([0.5000])
    """
    return (torch.trapezoid(curve.double(), dim=1) / (curve.shape[1] - 1)).float()
