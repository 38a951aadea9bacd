"""What a network has computed of an image, one number a channel (dominance paper §3.1)."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from xai_lib.explainers.passes import layer_activations


def pooled(model: nn.Module, batches: Iterable[Tensor], layer: nn.Module | str | None = None) -> Tensor:
    """The mean over the grid of each channel of a layer (dominance paper Eq. 1).

    At the last block of a ResNet, which is the default, these are the features that its linear head reads.

    Args:
        model: the network; its modes and hooks are afterwards as they were.
        batches: normalised images, each float [B,3,H,W] on the model's device. How they are divided changes nothing.
        layer: see :func:`xai_lib.explainers.layers.find_layer`.

    Returns:
        float32 [N,D] on the CPU, in the order of the images.

    Raises:
        TypeError, ValueError: as :func:`xai_lib.explainers.passes.layer_activations`, or if there is no batch.
    """
    features = [layer_activations(model, x, layer).mean(dim=(2, 3)).cpu() for x in batches]
    if not features:
        raise ValueError("Expected at least one batch of images. Got none.")
    return torch.cat(features)


def checked(features: Tensor) -> Tensor:
    """Features [N,D] as float64 on the CPU, in which distances of near images keep their digits.

    Raises:
        TypeError: if `features` is not a float tensor.
        ValueError: if `features` is not [N,D] with at least one image and one feature, or a value is not finite.
    """
    if not isinstance(features, Tensor) or not features.is_floating_point():
        got = features.dtype if isinstance(features, Tensor) else type(features).__name__
        raise TypeError(f"Expected features as a float tensor [N,D]. Got {got}.")
    if features.ndim != 2 or features.numel() == 0:
        raise ValueError(f"Expected features [N,D] of at least one image. Got shape {list(features.shape)}.")
    if not features.isfinite().all():
        raise ValueError(f"Expected finite features. Got {int((~features.isfinite()).sum())} NaN or infinite values.")
    return features.detach().to("cpu", torch.float64)
