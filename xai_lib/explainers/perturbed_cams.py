"""Class activation maps whose channels are weighted by perturbing: seen through each alone, or left without each."""

import itertools
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from xai_lib.explainers import cams, normalise
from xai_lib.explainers.layers import Layer, find_layer
from xai_lib.explainers.passes import layer_activations, logits_behind, logits_behind_or_none, perturbed_scores
from xai_lib.explainers.registry import register
from xai_lib.explainers.scores import Score, checked_scores
from xai_lib.forward import images_at_once, undisturbed


@register("score-cam", title="Score-CAM", paper="Wang et al. 2020", family="cam")
def score_cam(
    model: nn.Module, x: Tensor, *, score: Score, layer: Layer = None, n_channels: int | None = None,
    chunk: int | None = None, upsample: bool = True,
) -> Tensor:  # fmt: skip
    """Score-CAM without its ReLU (Wang et al. 2020, §3.2): Σ_k w_k A_k with w = softmax_k of score(x ⊙ n(up(A_k))).

    A channel is upsampled and scaled to [0,1] (n), and multiplies the normalised image, so that what it hides becomes
    the data set's mean colour. A channel that is constant over the grid hides everything: it keeps the weight that
    the score of the mean colour gives it, as in pytorch-grad-cam. The paper's increase over a baseline image's score
    is left out: the same number for every channel, it cancels in the softmax. The score is used as it is; the weights
    of a logit and of a probability differ, and a score with a wide range picks a single channel.

    A weighted mean of the channels, in units of the activations; behind a ReLU no value is negative. The network runs
    once for every channel: with `n_channels`, only for as many of each image, those that vary most over the grid, and
    the others have no weight (a Score-CAM that is faster; `max_N` in tf-keras-vis).

    Example:
        >>> model = nn.Sequential(nn.Identity(), nn.AdaptiveAvgPool2d(1), nn.Flatten())  # logits: means of the colours
        >>> x = torch.tensor([[[[4.0, 0.0]], [[0.0, 8.0]], [[0.0, 0.0]]]])
        >>> score_cam(model, x, score=lambda logits: 0 * logits[:, 0], layer="0")  # the mean of the channels
        tensor([[[1.3333, 2.6667]]])
    """
    with undisturbed(model, x) as images:
        chunk, (_, layer) = images_at_once(images, chunk), find_layer(model, layer, images)
        activations = torch.cat([layer_activations(model, part, layer) for part in images.split(chunk)])  # [B,K,h,w]
        if n_channels is not None and n_channels < activations.shape[1]:
            most = activations.flatten(2).var(dim=2).topk(n_channels).indices
            activations = activations.take_along_dim(most[:, :, None, None], dim=1)
        parts = activations.split(max(1, chunk // max(1, len(images))), dim=1)
        from_zero = (channels - channels.amin((2, 3), keepdim=True) for channels in parts)  # where constant, exactly 0
        enlarged = (cams.upsample(channels, images.shape[-2:]) for channels in from_zero)
        masks = (normalise.min_max(channels).to(images.dtype) for channels in enlarged)  # [B,n,H,W]
        found = (perturbed_scores(model, images[:, None] * mask[:, :, None], score, chunk) for mask in masks)
        weights = _gathered(found, activations.shape[1]).softmax(dim=1)
        return cams.on_images(torch.einsum("bk...,bkhw->b...hw", weights, activations), x, upsample)


@register("ablation-cam", title="Ablation-CAM", paper="Desai & Ramaswamy 2020", family="cam")
def ablation_cam(
    model: nn.Module, x: Tensor, *, score: Score, layer: Layer = None, chunk: int | None = None, upsample: bool = True
) -> Tensor:
    """Ablation-CAM without its ReLU: Σ_k w_k A_k, w_k what the score loses if A_k is 0 (Desai & Ramaswamy 2020, §3).

    The paper divides the loss by the score itself: one number per image, which would turn the map upside down where
    the score is negative, so it is left out. pytorch-grad-cam sets a channel to -10⁷, not to 0, where some activation
    is not 0 or above; here it is always 0, as in the paper. In units of score × activation, positive where the channels
    that the score needs are active. Only what lies behind the layer is run again for every channel, unless the layer is
    one of several branches that are concatenated.

    Example:
        >>> model = nn.Sequential(nn.Identity(), nn.AdaptiveAvgPool2d(1), nn.Flatten())  # logits: means of the colours
        >>> x = torch.tensor([[[[2.0, 6.0]], [[8.0, 8.0]], [[0.0, 4.0]]]])
        >>> ablation_cam(model, x, score=lambda logits: logits[:, 0] - logits[:, 2], layer="0")  # 4 A_0 - 2 A_2
        tensor([[[ 8., 16.]]])
    """
    if not len(x):
        return cams.grad_cam(model, x, score=score, layer=layer, upsample=upsample)  # an empty result too
    with undisturbed(model, x) as images:
        chunk = images_at_once(images, chunk)
        _, module = find_layer(model, layer, images)
        activations = torch.cat([layer_activations(model, part, module) for part in images.split(chunk)])  # [B,K,h,w]
        found = _without_channels(model, module, images, activations, score, chunk)
        scores = _gathered(found, activations.shape[1] + 1)  # the first is that of the network as it is
        losses = scores[:, :1] - scores[:, 1:]  # [B,K] or [B,K,S]
        return cams.on_images(torch.einsum("bk...,bkhw->b...hw", losses, activations), x, upsample)


def _without_channels(
    model: nn.Module, module: nn.Module, images: Tensor, activations: Tensor, score: Score, chunk: int
) -> Iterator[Tensor]:
    """Scores [B,n] or [B,n,S], block after block: of all channels, then without the first, without the second, …"""
    every = torch.arange(activations.shape[1], device=images.device)
    two = activations[:1].repeat(2, 1, 1, 1)  # what passes by the layer comes once, and is added to each
    alone = chunk == 1 or logits_behind_or_none(model, module, images[:1], two) is not None
    for ablated in torch.arange(-1, len(every), device=images.device).split(chunk):
        kept = (ablated[:, None] != every)[:, :, None, None]  # [n,K,1,1]
        copies = 1 if alone else len(ablated)
        logits = [
            logits_behind(model, module, image.expand(copies, -1, -1, -1), kept * activation)
            for image, activation in zip(images.split(1), activations, strict=True)
        ]
        yield torch.stack([checked_scores(score, version) for version in torch.stack(logits, dim=1)], dim=1)


def _gathered(blocks: Iterator[Tensor], count: int) -> Tensor:
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
