"""Gradients at the image's values: plain, averaged, guided; signed, one a colour (``normalise`` makes one a pixel)."""

from collections import OrderedDict
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from xai_lib import randomness
from xai_lib.baselines import Baseline, replacement
from xai_lib.checks import check_counts, check_index
from xai_lib.explainers.passes import Within, layer_maps
from xai_lib.explainers.registry import Layer, register
from xai_lib.explainers.scores import Score, checked_scores
from xai_lib.forward import images_at_once, undisturbed

# What else can be a ReLU, and the argument that says so: the lowest value that passes, by name and by place.
_CLIPPED = {"hardtanh": "min_val", "hardtanh_": "min_val", "clamp": "min", "clamp_": "min", "clip": "min",
            "clip_": "min", "clamp_min": "min", "clamp_min_": "min", "_threshold": "threshold"}  # fmt: skip
_OTHERS = {each.lower(): each for each in (
    "GELU", "SiLU", "Mish", "Hardswish", "Hardtanh", "ELU", "SELU", "CELU", "PReLU", "Softplus", "Tanh", "Sigmoid",
    "Hardsigmoid")} | {"leaky_relu": "LeakyReLU"}  # fmt: skip


@register("gradient", title="Gradient", paper="Simonyan et al. 2014", family="gradient", colours=True)
def gradient(model: nn.Module, x: Tensor, *, score: Score, layer: Layer = None) -> Tensor:
    """The gradient ∂score/∂x at the image, in units of score per unit of x (Simonyan et al. 2014; saliency paper §3.1).

    Example:
        >>> gradient(nn.Flatten(), torch.tensor([[[[2.0, 3.0, 5.0]]]]), score=lambda logits: logits.prod(1))
        tensor([[[[15., 10.,  6.]]]])
    """
    return _gradients(model, x, score)


@register("integrated-gradients", title="IG", paper="Sundararajan et al. 2017", family="gradient", colours=True,
          complete="image")  # fmt: skip
def integrated_gradients(
    model: nn.Module, x: Tensor, *, score: Score, layer: Layer = None, steps: int = 32, baseline: Baseline = "zero",
    chunk: int | None = None,
) -> Tensor:  # fmt: skip
    """Integrated gradients, (x - b) ∫₀¹ ∂score/∂x (b + t (x - b)) dt (Sundararajan et al. 2017; saliency paper §3.1).

    The integral is a Gauss-Legendre sum of `steps` points on the way; the paper does not say how many. A map adds up to
    score(x) - score(b), but for the sum's error (completeness, Proposition 1). In units of the score. A pass holds at
    least one point of every image. `baseline` is b, where the way begins (:func:`xai_lib.baselines.replacement`).

    Example:
        >>> square = lambda logits: logits.square().sum(1)
        >>> integrated_gradients(nn.Flatten(), torch.tensor([[[[2.0, 3.0]]]]), score=square, steps=2)
        tensor([[[[4., 9.]]]])
    """
    check_counts(steps=steps)
    nodes, weights = map(torch.tensor, np.polynomial.legendre.leggauss(steps))
    total = torch.zeros((), device=x.device)
    with undisturbed(model, x) as images:
        start = replacement(images, baseline)
        way = images - start
        for positions in torch.arange(steps).split(_at_once(x, chunk)):
            along = ((nodes[positions] + 1) / 2).to(x)[:, None, None, None, None]
            gradients = _gradients_at(model, start + along * way, score)  # [n,B,3,H,W] or [n,B,S,3,H,W]
            total = total + sum(map(torch.mul, gradients, (weights[positions] / 2).to(gradients)))
        return total * (way if total.ndim == 4 else way[:, None]).float()


@register("smoothgrad", title="SmoothGrad", paper="Smilkov et al. 2017", family="gradient", colours=True)
def smoothgrad(
    model: nn.Module, x: Tensor, *, score: Score, seed: int, index: Tensor, layer: Layer = None, draws: int = 16,
    sigma: float = 0.15, chunk: int | None = None,
) -> Tensor:  # fmt: skip
    """SmoothGrad: the mean of ∂score/∂x over noisy copies of the image (Smilkov et al. 2017, §3).

    In units of the score per unit of `x`. A pass holds at least one copy of every image. `draws` are noisy copies of
    each image; `sigma` is the standard deviation of the Gaussian noise, as a share of the image's highest minus its
    lowest value: the authors recommend 0.1 to 0.2.

    Example:
        >>> x, total = torch.rand(1, 3, 1, 1), lambda logits: logits.sum(1)
        >>> smoothgrad(nn.Flatten(), x, score=total, seed=0, index=torch.tensor([7]), draws=2).flatten()
        tensor([1., 1., 1.])
    """
    check_counts(draws=draws)
    if sigma < 0:
        raise ValueError(f"Expected sigma as a share of at least 0. Got {sigma}.")
    check_index(index, x)
    total = torch.zeros((), device=x.device)
    with undisturbed(model, x) as images:
        spread = sigma * (images.amax((1, 2, 3), keepdim=True) - images.amin((1, 2, 3), keepdim=True))  # [B,1,1,1]
        for positions in torch.arange(draws).split(_at_once(x, chunk)):
            names = [f"smoothgrad/{draw}" for draw in positions.tolist()]
            noise = torch.stack([randomness.normal(seed, index.to(x.device), name, x.shape[1:]) for name in names])
            total = total + _gradients_at(model, images + spread * noise.to(x), score).sum(0)
        return total / draws


@register("guided-backprop", title="GuidedBP", paper="Springenberg et al. 2015", family="gradient", colours=True)
def guided_backprop(model: nn.Module, x: Tensor, *, score: Score, layer: Layer = None) -> Tensor:
    """Guided backpropagation: ∂score/∂x with negative values set to 0 behind every ReLU (Springenberg et al. 2015).

    (Saliency paper §3.1.) Every ReLU that runs in the forward pass is guided, clipped ones (ReLU6) as well: modules,
    also those that run several times or in place, and calls of functions (:func:`is_relu`). Other activations, and
    ReLUs inside a compiled or scripted network, are not seen; a network that runs none is refused, because the map
    would be the plain gradient. Not negative as far as the first ReLU; the layers before it mix the signs.

    Example:
        >>> model, x = nn.Sequential(nn.ReLU(), nn.Flatten()), torch.tensor([[[[1.0, 2.0, -1.0]]]])
        >>> guided_backprop(model, x, score=lambda logits: 3 * logits[:, 0] - logits[:, 1] + logits[:, 2])
        tensor([[[[3., 0., 0.]]]])
    """
    guided = _GuidedReLUs()
    maps = _gradients(Within(model, guided), x, score)
    if not guided.found:
        others = ", ".join(sorted(guided.others)) or "no activation function that can be seen"
        expected = "Expected a network with ReLUs, which guided backpropagation changes."
        raise ValueError(f"{expected} Got {type(model).__name__}, which ran {others}: use the gradient instead.")
    return maps


def is_relu(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """Whether a call of a PyTorch function is that of a ReLU, ``max(0, x)``, also where it is clipped above."""
    lowest = kwargs.get(_CLIPPED.get(name), args[1] if len(args) > 1 else None)
    return name in ("relu", "relu_", "relu6") or (name in _CLIPPED and not isinstance(lowest, Tensor) and lowest == 0)


class _GuidedReLUs(TorchFunctionMode):
    """Clamps the gradient that reaches the output of each ReLU; the ReLU's own backward pass does the rest."""

    def __init__(self) -> None:
        super().__init__()
        self.found, self.others = False, set[str]()  # whether there was any, and the names of other activations

    def __torch_function__(
        self, func: Any, types: tuple[type, ...], args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        output, name = func(*args, **(kwargs or {})), getattr(func, "__name__", "")
        if isinstance(output, Tensor) and output.requires_grad:
            if is_relu(name, args, kwargs or {}):
                output.register_hook(lambda gradient: None if gradient is None else gradient.clamp(min=0))
                self.found = True
            elif name.removesuffix("_") in _OTHERS:
                self.others.add(_OTHERS[name.removesuffix("_")])
        return output


def _gradients(model: nn.Module, images: Tensor, score: Score) -> Tensor:
    """The gradient of each score at the images, float32 [B,3,H,W] or [B,S,3,H,W]."""
    from_images = nn.Sequential(OrderedDict(images=nn.Identity(), network=model))
    return layer_maps(from_images, images, score, "images", lambda _, gradient: gradient)


def _gradients_at(model: nn.Module, points: Tensor, score: Score) -> Tensor:
    """The gradients at several points for each image, [n,B,3,H,W], in one pass: float32 [n,B,…]."""
    parts = (len(points), -1)
    each = lambda logits: torch.cat([checked_scores(score, part) for part in logits.unflatten(0, parts)])  # noqa: E731
    return _gradients(model, points.flatten(0, 1), each).unflatten(0, parts)


def _at_once(x: Tensor, chunk: int | None) -> int:
    """How many points of all images one pass holds."""
    return max(1, images_at_once(x, chunk) // max(1, len(x)))
