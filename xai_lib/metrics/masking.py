"""The image multiplied by its map: does the prediction keep, gain or lose confidence? (Saliency paper §4.1.)

Five scores read the same two forward passes: call :func:`masked_outputs` once and then each ``…_of``; or call one by
its name, with the arguments of :func:`masked_outputs`. All are float32 [B], NaN for a map that is not finite, and those
of probabilities are fractions in [0, 1]; the paper prints per cent, and 100 − AD for Average Drop.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from xai_lib.baselines import Baseline, replacement
from xai_lib.forward import Model, outputs
from xai_lib.metrics.maps import is_finite
from xai_lib.metrics.perturbation import check_inputs
from xai_lib.metrics.registry import register, score_of

_ROUNDING = 1e-6  # by which a map in [0,1] may leave it when it is interpolated


@dataclass(frozen=True)
class MaskedOutputs:
    """Softmax probability and logit of a class, float64 [B], for the whole image and the masked one.

    Close to 1, float64 is told from 1 where float32 is not. Those of the masked image are NaN where a map is broken.
    """

    probability: Tensor
    masked_probability: Tensor
    logit: Tensor
    masked_logit: Tensor


def masked_outputs(
    model: Model, x: Tensor, attribution: Tensor, target: Tensor, *, baseline: Baseline = "zero",
    chunk: int | None = None,
) -> MaskedOutputs:  # fmt: skip
    """The model's output for x and for ``x ⊙ m + (1 − m) ⊙ baseline``.

    Of maps m, float [B,H,W] in [0,1]; a pixel's colours get the same factor. The baseline shows where the map is 0:
    "zero" is what remains when the normalised image is multiplied by the map, as the paper writes it. An empty
    (all-zero) map leaves only the baseline: a defined, if poor, explanation.

    ValueError if a map leaves [0,1], or as in :mod:`xai_lib.metrics`.

    Example:
        >>> x, maps = torch.ones(1, 2, 1, 2), torch.tensor([[[1.0, 0.0]]])
        >>> masked_outputs(lambda x: x.sum((2, 3)), x, maps, torch.tensor([0])).masked_logit
        tensor([1.], dtype=torch.float64)
    """
    check_inputs(x, attribution, target)
    finite = is_finite(attribution)
    maps = attribution.detach().masked_fill(~finite[:, None, None], 0)
    if len(maps) and (maps.min() < -_ROUNDING or maps.max() > 1 + _ROUNDING):
        got = f"values from {maps.min():.4g} to {maps.max():.4g}: normalise them first (explainers.normalise.min_max)"
        raise ValueError(f"Expected maps in [0,1] to multiply images by. Got {got}.")
    maps, finite, target = maps.to(x)[:, None], finite.to(x.device), target.to(x.device)
    whole = outputs(model, lambda image, _: x[image], _probability_and_logit, x, target, 1, chunk)[:, 0]
    behind = replacement(x, baseline)
    masked = lambda image, _: x[image] * maps[image] + (1 - maps[image]) * behind[image]  # noqa: E731
    rest = outputs(model, masked, _probability_and_logit, x, target, 1, chunk)[:, 0]
    rest = rest.masked_fill(~finite[:, None], torch.nan)
    return MaskedOutputs(whole[:, 0], rest[:, 0], whole[:, 1], rest[:, 1])


def _registered(name: str, **about: Any) -> Callable[[Callable], Callable]:
    """Decorator that registers a score of :class:`MaskedOutputs` as a metric and returns it unchanged."""
    return lambda score: register(name, **about)(score_of(masked_outputs)(score)) and score


@_registered("average-drop", title="AD", better="lower", range=(0.0, 1.0), paper="Chattopadhay et al. 2018",
             equation="saliency paper §4.1 (AD), as a fraction")  # fmt: skip
def average_drop_of(outputs: MaskedOutputs) -> Tensor:
    """``max(0, p − p_masked) / p``: the share that masking takes away (Chattopadhay et al. 2018). Lower is better.

    NaN also where p is 0.

    Example:
        >>> average_drop_of(MaskedOutputs(*torch.tensor([[0.8, 0.4], [0.2, 0.7], [0.0, 0.0], [0.0, 0.0]])))
        tensor([0.7500, 0.0000])
    """
    drop = (outputs.probability - outputs.masked_probability).clamp(min=0)
    return (drop / outputs.probability).float()


@_registered("average-increase", title="AI", better="higher", range=(0.0, 1.0), paper="Chattopadhay et al. 2018",
             equation="saliency paper §4.1 (AI), as a fraction")  # fmt: skip
def average_increase_of(outputs: MaskedOutputs) -> Tensor:
    """1 if ``p < p_masked``, else 0: its mean is the AI of Chattopadhay et al. 2018. Higher is better.

    The smallest rise counts in full, so a map of almost only ones (Fake-CAM) scores like a coin.

    Example:
        >>> average_increase_of(MaskedOutputs(*torch.tensor([[0.8, 0.4], [0.2, 0.7], [0.0, 0.0], [0.0, 0.0]])))
        tensor([0., 1.])
    """
    raised = (outputs.probability < outputs.masked_probability).float()
    return raised.masked_fill(outputs.masked_probability.isnan(), torch.nan)


@_registered("average-gain", title="AG", better="higher", range=(0.0, 1.0), paper="Zhang et al. 2023",
             equation="saliency paper §4.1 (AG), as a fraction")  # fmt: skip
def average_gain_of(outputs: MaskedOutputs) -> Tensor:
    """``max(0, p_masked − p) / (1 − p)``: what masking adds of what is missing (Zhang et al. 2023). Higher is better.

    NaN also where p is 1.

    Example:
        >>> average_gain_of(MaskedOutputs(*torch.tensor([[0.8, 0.4], [0.2, 0.7], [0.0, 0.0], [0.0, 0.0]])))
        tensor([0.0000, 0.5000])
    """
    gain = (outputs.masked_probability - outputs.probability).clamp(min=0)
    return (gain / (1 - outputs.probability)).float()


@_registered("local-accuracy", title="LA", better="lower", range=(0.0, 1.0), paper="Lundberg and Lee 2017",
             equation="saliency paper §4.1 (LA), f as a probability")  # fmt: skip
def local_accuracy_of(outputs: MaskedOutputs) -> Tensor:
    """``|p − p_masked|`` (Lundberg and Lee 2017, as the saliency paper takes it). Lower is better.

    Example:
        >>> local_accuracy_of(MaskedOutputs(*torch.tensor([[0.8, 0.4], [0.2, 0.7], [0.0, 0.0], [0.0, 0.0]])))
        tensor([0.6000, 0.3000])
    """
    return (outputs.probability - outputs.masked_probability).abs().float()


@_registered("local-accuracy-logit", title="LA, of logits", better="lower", range=(0.0, math.inf),
             paper="Lundberg and Lee 2017", equation="saliency paper §4.1 (LA), f as a logit")  # fmt: skip
def local_accuracy_logit_of(outputs: MaskedOutputs) -> Tensor:
    """``|y − y_masked|`` for logits y (Lundberg and Lee 2017, as the saliency paper takes it). Lower is better, from 0.

    Example:
        >>> local_accuracy_logit_of(MaskedOutputs(*torch.tensor([[0.8, 0.4], [0.2, 0.7], [1.0, 2.0], [3.0, 1.5]])))
        tensor([2.0000, 0.5000])
    """
    return (outputs.logit - outputs.masked_logit).abs().float()


def _probability_and_logit(logits: Tensor, target: Tensor) -> Tensor:
    logits = logits.double()
    both = torch.stack([logits.softmax(1), logits], dim=2)  # [n,K,2]
    return both[torch.arange(len(target), device=target.device), target]
