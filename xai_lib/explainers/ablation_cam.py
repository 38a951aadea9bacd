"""Ablation-CAM: channels weighted by what the score loses without them (Desai & Ramaswamy 2020)."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from xai_lib.explainers import cams
from xai_lib.explainers.layers import find_layer
from xai_lib.explainers.passes import layer_activations, logits_behind
from xai_lib.explainers.registry import register
from xai_lib.explainers.score_cam import gathered, weighted_channels
from xai_lib.explainers.scores import Score, checked_scores
from xai_lib.forward import images_at_once, undisturbed


@register("ablation-cam", title="Ablation-CAM", paper="Desai & Ramaswamy 2020", family="cam")
def ablation_cam(
    model: nn.Module,
    x: Tensor,
    *,
    score: Score,
    layer: nn.Module | str | None = None,
    chunk: int | None = None,
    upsample: bool = True,
) -> Tensor:
    """Ablation-CAM without its ReLU (Desai & Ramaswamy §3): Σ_k w_k A_k with w_k what the score loses when A_k is 0.

    The paper divides the loss by the score itself: one number per image, which would turn the map upside down where
    the score is negative, so it is left out. pytorch-grad-cam sets a channel to -10⁷, not to 0, where some activation
    is not 0 or above; here it is always 0, as in the paper.

    Only what lies behind the layer is run again for every channel, unless the layer is one of several branches that
    are concatenated.

    Args:
        model: the network.
        x: normalised images, float [B,3,H,W].
        score: what is explained, from logits [B,C] to [B] or [B,S]; S scores share all forward passes.
        layer: a module, its dotted name, or None for the model's default layer.
        chunk: ablated copies in one forward pass, of one image, and no more exist at a time; None is a number that
            suits the device and bounds the memory.
        upsample: to the size of `x`, bilinearly; False keeps the layer's own grid.

    Returns:
        Signed, in units of score × activation, float32 [B,H,W] or [B,S,H,W] on x's device; [B,h,w] or [B,S,h,w]
        without upsampling. Positive where the channels that the score needs are active.

    Raises:
        TypeError, ValueError: as :func:`xai_lib.explainers.passes.layer_activations` and
            :func:`xai_lib.explainers.scores.checked_scores`, or if the model did not return logits [B,C], or `chunk` is
            below 1.
    """
    with undisturbed(model, x) as images, torch.autocast(x.device.type, enabled=False):
        chunk = images_at_once(images, chunk)
        activations = torch.cat([layer_activations(model, part, layer) for part in images.split(chunk)])  # [B,K,h,w]
        _, module = find_layer(model, layer)
        # The first score is that of the network as it is.
        scores = gathered(_without_channels(model, module, images, activations, score, chunk), activations.shape[1] + 1)
        losses = scores[:, :1] - scores[:, 1:]  # [B,K] or [B,K,S]
        return cams.on_images(weighted_channels(losses, activations), x, upsample)


def _without_channels(
    model: nn.Module, module: nn.Module, images: Tensor, activations: Tensor, score: Score, chunk: int
) -> Iterator[Tensor]:
    """Scores [B,n] or [B,n,S], block after block: of all channels, then without the first, without the second, …"""
    every = torch.arange(activations.shape[1], device=images.device)
    alone = chunk == 1 or _runs_with_one_image(model, module, images[:1], activations[:1])
    for ablated in torch.arange(-1, len(every), device=images.device).split(chunk):
        kept = (ablated[:, None] != every)[:, :, None, None]  # [n,K,1,1]
        copies = 1 if alone else len(ablated)
        logits = [
            logits_behind(model, module, image.expand(copies, -1, -1, -1), kept * activation)
            for image, activation in zip(images.split(1), activations, strict=True)
        ]
        yield torch.stack([checked_scores(score, version) for version in torch.stack(logits, dim=1)], dim=1)


def _runs_with_one_image(model: nn.Module, module: nn.Module, image: Tensor, activation: Tensor) -> bool:
    """Whether two variants of the layer's output can follow one image.

    What passes by the layer then comes once and is added to each; where it is concatenated, sizes do not fit.
    """
    try:
        logits_behind(model, module, image, activation.repeat(2, 1, 1, 1))
    except (RuntimeError, ValueError):
        return False
    return True
