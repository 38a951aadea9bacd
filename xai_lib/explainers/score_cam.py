"""Score-CAM: channels weighted by the score of the image seen through them (Wang et al. 2020)."""

import itertools
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from xai_lib.explainers import cams, normalise
from xai_lib.explainers.passes import layer_activations, perturbed_scores
from xai_lib.explainers.registry import register
from xai_lib.explainers.scores import Score
from xai_lib.forward import images_at_once, undisturbed


@register("score-cam", title="Score-CAM", paper="Wang et al. 2020", family="cam")
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
        chunk: masked images in one forward pass; None is a number that suits the device and bounds the memory. No
            more masked images exist at a time, whatever the number of channels, but one of each of the B at least.
        upsample: to the size of `x`, bilinearly; False keeps the layer's own grid.

    Returns:
        A weighted mean of the channels, in units of the activations, float32 [B,H,W] or [B,S,H,W] on x's device;
        [B,h,w] or [B,S,h,w] without upsampling. Behind a ReLU no value is negative.

    Raises:
        TypeError, ValueError: as :func:`xai_lib.explainers.passes.layer_activations` and
            :func:`xai_lib.explainers.passes.perturbed_scores`, or if `chunk` is below 1.
    """
    with undisturbed(model, x) as images:
        chunk = images_at_once(images, chunk)
        activations = torch.cat([layer_activations(model, part, layer) for part in images.split(chunk)])  # [B,K,h,w]
        found = _seen_through_channels(model, images, activations, score, chunk)
        weights = gathered(found, activations.shape[1]).softmax(dim=1)
        return cams.on_images(weighted_channels(weights, activations), x, upsample)


def weighted_channels(weights: Tensor, activations: Tensor) -> Tensor:
    """Σ_k w_k A_k in float32: weights [B,K] or [B,K,S] and activations [B,K,h,w] to maps [B,h,w] or [B,S,h,w]."""
    with torch.autocast(activations.device.type, enabled=False):
        return torch.einsum("bk...,bkhw->b...hw", weights, activations)


def gathered(blocks: Iterator[Tensor], count: int) -> Tensor:
    """Blocks of scores [B,n] or [B,n,S] one after the other: float32 [B,count] or [B,count,S].

    They are copied into one tensor as they come, because small tensors that stay between large ones that do not
    scatter a process's memory, which then grows with their number.
    """
    first = next(blocks)
    scores = first.new_empty(len(first), count, *first.shape[2:], dtype=torch.float32)
    done = 0
    for block in itertools.chain([first], blocks):
        scores[:, done : done + block.shape[1]] = block
        done += block.shape[1]
    return scores


def _seen_through_channels(
    model: nn.Module, images: Tensor, activations: Tensor, score: Score, chunk: int
) -> Iterator[Tensor]:
    for channels in activations.split(max(1, chunk // max(1, len(images))), dim=1):
        masks = _masks(channels, images.shape[-2:]).to(images.dtype)
        yield perturbed_scores(model, images[:, None] * masks[:, :, None], score, chunk)


def _masks(channels: Tensor, size: tuple[int, int]) -> Tensor:
    """Channels [B,n,h,w] enlarged and scaled to [0,1]: [B,n,H,W]; zeros for a channel that is constant."""
    from_zero = channels - channels.amin((2, 3), keepdim=True)  # exactly 0 where constant, so also when enlarged
    return normalise.min_max(cams.upsample(from_zero, size))
