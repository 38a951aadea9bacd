"""Gradients at the image's values, plain, averaged or guided: raw and signed, a value per colour.

One value per pixel is a step of its own: see ``normalise``. ``layer`` is taken, as by every explainer, and not used.
"""

from collections import OrderedDict
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from xai_lib import randomness
from xai_lib.explainers.passes import layer_maps
from xai_lib.explainers.registry import register
from xai_lib.explainers.scores import Score, checked_scores
from xai_lib.forward import images_at_once, undisturbed

_RELUS = ("relu", "relu_")


@register("gradient", title="Gradient", paper="Simonyan et al. 2014", family="gradient")
def gradient(model: nn.Module, x: Tensor, *, score: Score, layer: nn.Module | str | None = None) -> Tensor:
    """The gradient of the score with respect to the normalised image (Simonyan et al. 2014; saliency paper §3.1).

    Args:
        model: the network.
        x: normalised images, float [B,3,H,W].
        score: what is explained, from logits [B,C] to [B] or [B,S]; S scores share one forward pass.
        layer: not used.

    Returns:
        Signed, in units of the score per unit of `x`, float32 [B,3,H,W] or [B,S,3,H,W] on x's device.

    Raises:
        TypeError, ValueError: as :func:`xai_lib.explainers.passes.layer_maps`.
    """
    return _gradients(model, x, score)


@register("integrated-gradients", title="IG", paper="Sundararajan et al. 2017", family="gradient")
def integrated_gradients(
    model: nn.Module,
    x: Tensor,
    *,
    score: Score,
    layer: nn.Module | str | None = None,
    steps: int = 32,
    baseline: Literal["zero", "minimum"] | Tensor = "zero",
    chunk: int | None = None,
) -> Tensor:
    """Integrated gradients: difference from a baseline times the mean gradient on the straight way (§3.1 of the paper).

    The integral is a Gauss-Legendre sum. A map adds up to score(x) - score(baseline), but for the sum's error
    (completeness, Sundararajan et al. 2017, Proposition 1).

    Args:
        model: the network.
        x: normalised images, float [B,3,H,W].
        score: what is explained, from logits [B,C] to [B] or [B,S].
        layer: not used.
        steps: points on the way; the paper does not say how many.
        baseline: where the way begins. "zero" is the mean colour of the data set, "minimum" the lowest value of the
            normalised image, a tensor anything that broadcasts to `x`.
        chunk: images in one pass, which holds at least one point of every image; None is a number that suits the
            device. The memory does not grow with `steps`.

    Returns:
        Signed, in units of the score, float32 [B,3,H,W] or [B,S,3,H,W] on x's device.

    Raises:
        TypeError: as :func:`xai_lib.explainers.passes.layer_maps`.
        ValueError: as there, or if `steps` or `chunk` is below 1 or the baseline is something else.
    """
    _check_count("steps", steps)
    nodes, weights = map(torch.tensor, np.polynomial.legendre.leggauss(steps))
    total = torch.zeros((), device=x.device)
    with undisturbed(model, x) as images:
        start = _baseline(images, baseline)
        way = images - start
        for positions in torch.arange(steps).split(_at_once(x, chunk)):
            along = ((nodes[positions] + 1) / 2).to(x)[:, None, None, None, None]
            gradients = _gradients_at(model, start + along * way, score)  # [n,B,3,H,W] or [n,B,S,3,H,W]
            total = total + sum(map(torch.mul, gradients, (weights[positions] / 2).to(gradients)))
        return total * (way if total.ndim == 4 else way[:, None]).float()


@register("smoothgrad", title="SmoothGrad", paper="Smilkov et al. 2017", family="gradient")
def smoothgrad(
    model: nn.Module,
    x: Tensor,
    *,
    score: Score,
    seed: int,
    index: Tensor,
    layer: nn.Module | str | None = None,
    draws: int = 16,
    sigma: float = 0.15,
    chunk: int | None = None,
) -> Tensor:
    """SmoothGrad: the mean gradient over noisy copies of the image (Smilkov et al. 2017, §3).

    Args:
        model: the network.
        x: normalised images, float [B,3,H,W].
        score: what is explained, from logits [B,C] to [B] or [B,S].
        seed: the run's seed.
        index: image indices, int64 [B]: an image's noise depends on seed and index alone.
        layer: not used.
        draws: noisy copies of each image.
        sigma: standard deviation of the Gaussian noise, as a share of the image's highest minus its lowest value; the
            authors recommend 0.1 to 0.2.
        chunk: images in one pass, which holds at least one copy of every image; None is a number that suits the
            device. The memory does not grow with `draws`.

    Returns:
        Signed, in units of the score per unit of `x`, float32 [B,3,H,W] or [B,S,3,H,W] on x's device.

    Raises:
        TypeError: as :func:`xai_lib.explainers.passes.layer_maps`.
        ValueError: as there, or if there is not one index per image, `draws` or `chunk` is below 1, or `sigma` is
            negative.
    """
    _check_count("draws", draws)
    if sigma < 0:
        raise ValueError(f"Expected sigma as a share of at least 0. Got {sigma}.")
    if len(index) != len(x):
        raise ValueError(f"Expected one index per image, {len(x)} in all. Got {len(index)}.")
    total = torch.zeros((), device=x.device)
    with undisturbed(model, x) as images:
        spread = sigma * (images.amax((1, 2, 3), keepdim=True) - images.amin((1, 2, 3), keepdim=True))  # [B,1,1,1]
        for positions in torch.arange(draws).split(_at_once(x, chunk)):
            noise = [_noise(seed, index.to(x.device), draw, x.shape[1:]) for draw in positions.tolist()]
            total = total + _gradients_at(model, images + spread * torch.stack(noise).to(x), score).sum(0)
        return total / draws


@register("guided-backprop", title="GuidedBP", paper="Springenberg et al. 2015", family="gradient")
def guided_backprop(model: nn.Module, x: Tensor, *, score: Score, layer: nn.Module | str | None = None) -> Tensor:
    """Guided backpropagation: the gradient, with negative values set to 0 behind every ReLU (saliency paper §3.1).

    Every ReLU that runs in the forward pass is guided: modules, also those that run several times or in place, and
    calls of ``functional.relu``, ``torch.relu`` and ``Tensor.relu``. Other activations, and ReLUs inside a compiled
    or scripted network, are not seen.

    Args:
        model: the network.
        x: normalised images, float [B,3,H,W].
        score: what is explained, from logits [B,C] to [B] or [B,S]; S scores share one forward pass.
        layer: not used.

    Returns:
        Signed (not negative as far as the first ReLU; the layers before it mix the signs), float32 [B,3,H,W] or
        [B,S,3,H,W] on x's device.

    Raises:
        TypeError: as :func:`xai_lib.explainers.passes.layer_maps`.
        ValueError: as there, or if no ReLU runs: the map would be the plain gradient.
    """
    return _gradients(_Guided(model), x, score)


class _Guided(nn.Module):
    """The network, in whose backward pass every ReLU passes positive gradients only."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        with _GuidedReLUs() as guided:
            logits = self.network(x)
        if not guided.count:
            raise ValueError(
                "Expected a network with ReLUs, which guided backpropagation changes. "
                f"Got {type(self.network).__name__}, which ran none: use the gradient instead."
            )
        return logits


class _GuidedReLUs(TorchFunctionMode):
    """Clamps the gradient that reaches the output of each ReLU; the ReLU's own backward pass does the rest."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_function__(
        self, func: Any, types: tuple[type, ...], args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        output = func(*args, **(kwargs or {}))
        if getattr(func, "__name__", None) in _RELUS and output.requires_grad:
            output.register_hook(lambda gradient: gradient.clamp(min=0))
            self.count += 1
        return output


def _gradients(model: nn.Module, images: Tensor, score: Score) -> Tensor:
    """The gradient of each score at the images, float32 [B,3,H,W] or [B,S,3,H,W]."""
    from_images = nn.Sequential(OrderedDict(images=nn.Identity(), network=model))
    return layer_maps(from_images, images, score, "images", lambda _, gradient: gradient)


def _gradients_at(model: nn.Module, points: Tensor, score: Score) -> Tensor:
    """The gradients at several points for each image, [n,B,3,H,W], in one pass: float32 [n,B,…]."""
    n = len(points)

    def each(logits: Tensor) -> Tensor:
        return torch.cat([checked_scores(score, part) for part in logits.unflatten(0, (n, -1))])

    return _gradients(model, points.flatten(0, 1), each).unflatten(0, (n, -1))


def _noise(seed: int, index: Tensor, draw: int, shape: tuple[int, ...]) -> Tensor:
    return randomness.normal(seed, index, f"smoothgrad/{draw}", shape)


def _baseline(x: Tensor, baseline: object) -> Tensor:
    if isinstance(baseline, Tensor):
        try:
            return baseline.to(x).expand(x.shape)
        except RuntimeError:
            raise ValueError(
                f"Expected a baseline that broadcasts to images {list(x.shape)}. Got shape {list(baseline.shape)}."
            ) from None
    if baseline not in ("zero", "minimum"):
        raise ValueError(f"Expected baseline as 'zero', 'minimum' or a tensor. Got {baseline!r}.")
    lowest = x.amin((1, 2, 3), keepdim=True)
    return (lowest if baseline == "minimum" else torch.zeros_like(lowest)).expand(x.shape)


def _at_once(x: Tensor, chunk: int | None) -> int:
    """How many points of all images one pass holds."""
    return max(1, images_at_once(x, chunk) // max(1, len(x)))


def _check_count(what: str, number: int) -> None:
    if type(number) is not int or number < 1:
        raise ValueError(f"Expected {what} as a whole number of at least 1. Got {number!r}.")
