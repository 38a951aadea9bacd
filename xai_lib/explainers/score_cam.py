"""Score-CAM: channels weighted by the score of the image seen through them (Wang et al. 2020)."""

import math

import torch
from torch import Tensor, nn

from xai_lib.explainers import cams, normalise
from xai_lib.explainers.passes import _checked_logits, layer_activations, undisturbed
from xai_lib.explainers.registry import register
from xai_lib.explainers.scores import Score
from xai_lib.explainers.streaming import images_at_once, scores_of_variants


@register("score-cam", paper="Wang et al. 2020", family="cam")
def score_cam(
    model: nn.Module,
    x: Tensor,
    *,
    score: Score,
    layer: nn.Module | str | None = None,
    chunk: int | None = None,
    upsample: bool = True,
) -> Tensor:
    """Score-CAM without its ReLU (Wang et al. §3.2): Σ_k w_k A_k with w = softmax over k of score(x ⊙ n(up(A_k))).

    A channel is upsampled and scaled to [0,1] (n), and multiplies the normalised image, so that what it hides becomes
    the data set's mean colour. A channel that is constant over the grid hides everything: it keeps the weight that
    the score of the mean colour gives it, as in pytorch-grad-cam. The paper's increase over a baseline image's score
    is left out: the same number for every channel, it cancels in the softmax. The score is used as it is; the weights
    of a logit and of a probability differ, and a score with a wide range picks a single channel.

    Args:
        model: the network.
        x: normalised images, float [B,3,H,W].
        score: what is explained, from logits [B,C] to [B] or [B,S]; S scores share all forward passes.
        layer: a module, its dotted name, or None for the model's default layer.
        chunk: masked images in one forward pass, and no more exist at a time; None suits the device.
        upsample: to the size of `x`, bilinearly; False keeps the layer's own grid.

    Returns:
        A weighted mean of the channels, in units of the activations, float32 [B,H,W] or [B,S,H,W] on x's device;
        [B,h,w] or [B,S,h,w] without upsampling. Behind a ReLU no value is negative.

    Raises:
        TypeError, ValueError: as :func:`xai_lib.explainers.passes.layer_maps`, except that the score need not have a
            gradient; or if `chunk` is below 1.
    """
    with undisturbed(model, x) as images:
        at_once = images_at_once(x, chunk)
        activations = torch.cat([layer_activations(model, part, layer) for part in images.split(at_once)])  # [B,K,h,w]

        def logits_of(channels: Tensor) -> Tensor:
            return _logits_through(model, images, activations, channels, at_once)

        per_call = max(1, at_once // max(1, len(x)))
        scores = scores_of_variants(logits_of, activations.shape[1], at_once=per_call, score=score)
        return cams.on_images(weighted_channels(scores.softmax(dim=-1), activations), x, upsample)


def weighted_channels(weights: Tensor, activations: Tensor) -> Tensor:
    """Σ_k w_k A_k in float32: weights [B,K] or [B,S,K] and activations [B,K,h,w] to maps [B,h,w] or [B,S,h,w]."""
    with torch.autocast(activations.device.type, enabled=False):
        return torch.einsum("b...k,bkhw->b...hw", weights, activations)


def _logits_through(model: nn.Module, images: Tensor, activations: Tensor, channels: Tensor, at_once: int) -> Tensor:
    """Logits [V,B,C] of all images, each seen through V of its channels."""
    pairs = torch.cartesian_prod(channels, torch.arange(len(images))).to(images.device)  # [V·B,2]
    pieces = pairs.tensor_split(max(1, math.ceil(len(pairs) / at_once)))
    logits = []
    for channel, image in (piece.unbind(1) for piece in pieces):
        seen = activations[image, channel]  # [n,h,w]
        seen = seen - seen.amin((1, 2), keepdim=True)  # a constant channel is now exactly 0, also after upsampling
        mask = normalise.min_max(cams.upsample(seen, images.shape[-2:]))
        masked = images[image] * mask[:, None].to(images.dtype)
        logits.append(_checked_logits(model(masked.contiguous(memory_format=torch.channels_last)), len(image)))
    return torch.cat(logits).unflatten(0, (len(channels), len(images)))
