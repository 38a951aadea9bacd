"""The image multiplied by its map: does the prediction keep, gain or lose confidence? (Saliency paper §4.1.)

Four scores read the same two forward passes: call :func:`masked_outputs` once and then each ``…_of``.
All are fractions; the paper prints per cent, and 100 − AD for Average Drop.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from xai_lib.forward import Model, outputs
from xai_lib.metrics.maps import is_finite
from xai_lib.metrics.perturbation import Baseline, check_inputs, replacement
from xai_lib.metrics.registry import register

_ROUNDING = 1e-6  # by which a map in [0,1] may leave it when it is interpolated


@dataclass(frozen=True)
class MaskedOutputs:
    """What the model says of a class with the whole image and with the masked one.

    Attributes:
        probability: softmax probability, float64 [B]: close to 1 it is told from 1, where float32 is not.
        masked_probability: of the masked image, float64 [B]; NaN where a map is not finite.
        logit: float64 [B].
        masked_logit: float64 [B]; NaN where a map is not finite.
    """

    probability: Tensor
    masked_probability: Tensor
    logit: Tensor
    masked_logit: Tensor


def masked_outputs(
    model: Model,
    x: Tensor,
    attribution: Tensor,
    target: Tensor,
    *,
    baseline: Baseline = "zero",
    chunk: int | None = None,
) -> MaskedOutputs:
    """The model's output for x and for ``x ⊙ m + (1 − m) ⊙ baseline``.

    An empty (all-zero) map leaves only the baseline: a defined, if poor, explanation.

    Args:
        model: images [B,C,H,W] -> logits [B,K], in evaluation mode; only run forward, in float32.
        x: normalised images, float [B,C,H,W].
        attribution: maps, float [B,H,W] in [0,1]; all colours of a pixel get the same factor.
        target: class that is followed, int64 [B].
        baseline: what shows where the map is 0. "zero" is the mean colour of the data set, which is what remains when
            the normalised image is multiplied by the map, as the paper writes it; "minimum" the lowest value of the
            normalised image (black); or a tensor that broadcasts to x's shape.
        chunk: images in one forward pass; None suits the device.

    Raises:
        TypeError, ValueError: if types, shapes or choices are not these, a map leaves [0,1], a target is not a class,
            the model is in training mode, or a logit is not finite.
    """
    check_inputs(x, attribution, target)
    finite = is_finite(attribution)
    maps = attribution.detach().masked_fill(~finite[:, None, None], 0)
    if len(maps) and (maps.min() < -_ROUNDING or maps.max() > 1 + _ROUNDING):
        raise ValueError(
            f"Expected maps in [0,1] to multiply images by. Got values from {maps.min():.4g} to {maps.max():.4g}: "
            "normalise them first (explainers.normalise.min_max)."
        )
    maps, finite, target = maps.to(x)[:, None], finite.to(x.device), target.to(x.device)
    whole = outputs(model, lambda image, _: x[image], _probability_and_logit, x, target, 1, chunk)[:, 0]
    behind = replacement(x, baseline)

    def masked(image: Tensor, _: Tensor) -> Tensor:
        return x[image] * maps[image] + (1 - maps[image]) * behind[image]

    rest = outputs(model, masked, _probability_and_logit, x, target, 1, chunk)[:, 0]
    rest = rest.masked_fill(~finite[:, None], torch.nan)
    return MaskedOutputs(whole[:, 0], rest[:, 0], whole[:, 1], rest[:, 1])


def average_drop_of(outputs: MaskedOutputs) -> Tensor:
    """Share of the probability that masking takes away, float32 [B]; NaN where there was none."""
    drop = (outputs.probability - outputs.masked_probability).clamp(min=0)
    return (drop / outputs.probability).float()


def average_increase_of(outputs: MaskedOutputs) -> Tensor:
    """1 where masking raises the probability, however little, else 0: float32 [B]."""
    raised = (outputs.probability < outputs.masked_probability).float()
    return raised.masked_fill(outputs.masked_probability.isnan(), torch.nan)


def average_gain_of(outputs: MaskedOutputs) -> Tensor:
    """Share of the missing probability that masking adds, float32 [B]; NaN where none was missing."""
    gain = (outputs.masked_probability - outputs.probability).clamp(min=0)
    return (gain / (1 - outputs.probability)).float()


def local_accuracy_of(outputs: MaskedOutputs) -> Tensor:
    """Distance between the two probabilities, float32 [B]."""
    return (outputs.probability - outputs.masked_probability).abs().float()


def local_accuracy_logit_of(outputs: MaskedOutputs) -> Tensor:
    """Distance between the two logits, float32 [B]."""
    return (outputs.logit - outputs.masked_logit).abs().float()


@register(
    "average-drop",
    title="AD",
    better="lower",
    range=(0.0, 1.0),
    paper="Chattopadhay et al. 2018",
    equation="saliency paper §4.1 (AD), as a fraction",
)
def average_drop(
    model: Model,
    x: Tensor,
    attribution: Tensor,
    target: Tensor,
    *,
    baseline: Baseline = "zero",
    chunk: int | None = None,
) -> Tensor:
    """``max(0, p − p_masked) / p``. Lower is better.

    Arguments and errors are those of :func:`masked_outputs`.

    Returns:
        float32 [B] in [0, 1]; NaN for a map that is not finite, or where p is 0.
    """
    return average_drop_of(masked_outputs(model, x, attribution, target, baseline=baseline, chunk=chunk))


@register(
    "average-increase",
    title="AI",
    better="higher",
    range=(0.0, 1.0),
    paper="Chattopadhay et al. 2018",
    equation="saliency paper §4.1 (AI), as a fraction",
)
def average_increase(
    model: Model,
    x: Tensor,
    attribution: Tensor,
    target: Tensor,
    *,
    baseline: Baseline = "zero",
    chunk: int | None = None,
) -> Tensor:
    """1 if ``p < p_masked``, else 0: its mean over images is the paper's AI. Higher is better.

    The smallest rise counts in full, so a map of almost only ones (Fake-CAM) scores like a coin.

    Arguments and errors are those of :func:`masked_outputs`.

    Returns:
        float32 [B], 0 or 1; NaN for a map that is not finite.
    """
    return average_increase_of(masked_outputs(model, x, attribution, target, baseline=baseline, chunk=chunk))


@register(
    "average-gain",
    title="AG",
    better="higher",
    range=(0.0, 1.0),
    paper="Zhang et al. 2023",
    equation="saliency paper §4.1 (AG), as a fraction",
)
def average_gain(
    model: Model,
    x: Tensor,
    attribution: Tensor,
    target: Tensor,
    *,
    baseline: Baseline = "zero",
    chunk: int | None = None,
) -> Tensor:
    """``max(0, p_masked − p) / (1 − p)``. Higher is better.

    Arguments and errors are those of :func:`masked_outputs`.

    Returns:
        float32 [B] in [0, 1]; NaN for a map that is not finite, or where p is 1.
    """
    return average_gain_of(masked_outputs(model, x, attribution, target, baseline=baseline, chunk=chunk))


@register(
    "local-accuracy",
    title="LA",
    better="lower",
    range=(0.0, 1.0),
    paper="Lundberg and Lee 2017",
    equation="saliency paper §4.1 (LA), f as a probability",
)
def local_accuracy(
    model: Model,
    x: Tensor,
    attribution: Tensor,
    target: Tensor,
    *,
    baseline: Baseline = "zero",
    chunk: int | None = None,
) -> Tensor:
    """``|p − p_masked|``. Lower is better.

    Arguments and errors are those of :func:`masked_outputs`.

    Returns:
        float32 [B] in [0, 1]; NaN for a map that is not finite.
    """
    return local_accuracy_of(masked_outputs(model, x, attribution, target, baseline=baseline, chunk=chunk))


@register(
    "local-accuracy-logit",
    title="LA, of logits",
    better="lower",
    range=(0.0, math.inf),
    paper="Lundberg and Lee 2017",
    equation="saliency paper §4.1 (LA), f as a logit",
)
def local_accuracy_logit(
    model: Model,
    x: Tensor,
    attribution: Tensor,
    target: Tensor,
    *,
    baseline: Baseline = "zero",
    chunk: int | None = None,
) -> Tensor:
    """``|y − y_masked|`` for logits y. Lower is better.

    Arguments and errors are those of :func:`masked_outputs`.

    Returns:
        float32 [B] of at least 0; NaN for a map that is not finite.
    """
    return local_accuracy_logit_of(masked_outputs(model, x, attribution, target, baseline=baseline, chunk=chunk))


def _probability_and_logit(logits: Tensor, target: Tensor) -> Tensor:
    logits = logits.double()
    both = torch.stack([logits.softmax(1), logits], dim=2)  # [n,K,2]
    return both[torch.arange(len(target), device=target.device), target]
