"""IBA: the information that a score needs from each place of a layer (saliency paper §3.4)."""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from xai_lib import randomness
from xai_lib.checks import check_counts, check_index
from xai_lib.explainers.cams import on_images
from xai_lib.explainers.layers import Layer, find_layer
from xai_lib.explainers.passes import DETACHED, layer_activations, logits_behind, logits_behind_or_none
from xai_lib.explainers.registry import register
from xai_lib.explainers.scores import Score, checked_scores
from xai_lib.forward import images_at_once, logits_in_chunks, undisturbed

# What the authors' code holds fixed.
_FIRST_ALPHA = 5.0
_SMALLEST_STD = 0.01
_SMOOTHING = 1.0  # standard deviation of the Gaussian over the mask, in cells of the layer's grid


@dataclass(frozen=True)
class FeatureStatistics:
    """Mean and deviation (n - 1) over images of a layer's activations, float32 [K,h,w]; what never varies has std 0."""

    mean: Tensor
    std: Tensor


def feature_statistics(model: nn.Module, batches: Iterable[Tensor], layer: Layer = None) -> FeatureStatistics:
    """Mean and standard deviation of a layer's activations over images, streamed (Welford; Chan et al. 1983).

    From batches of normalised images [B,3,H,W]; the authors take some thousand images. Errors are those of
    :func:`passes.layer_activations`; ValueError also if there are fewer than two images, or they are not of one size.
    """
    count, mean, squares = 0, torch.zeros(()), torch.zeros(())
    for batch in batches:
        activations = layer_activations(model, batch, layer).double()
        new, size = len(activations), activations.shape[1:]
        if count and size != mean.shape:
            raise ValueError(f"Expected images of one size, with activations {list(mean.shape)}. Got {list(size)}.")
        if new == 0:
            continue
        own_mean = activations.mean(dim=0)
        away = own_mean - mean.to(own_mean)
        squares = squares.to(away) + (activations - own_mean).square().sum(dim=0)
        squares = squares + away.square() * (count * new / (count + new))
        count += new
        mean = mean.to(away) + away * (new / count)
    if count < 2:
        raise ValueError(f"Expected at least two images for a standard deviation. Got {count}.")
    return FeatureStatistics(mean.float(), (squares / (count - 1)).sqrt().float())


@register("iba", title="IBA", paper="Schulz et al. 2020", family="learning", explains="log-probability",
          depth=2 / 3)  # fmt: skip
def iba(
    model: nn.Module, x: Tensor, *, score: Score, statistics: FeatureStatistics, seed: int, index: Tensor,
    layer: Layer = None, beta: float = 10.0, steps: int = 10, copies: int = 10, lr: float = 1.0,
    chunk: int | None = None, upsample: bool = True,
) -> Tensor:  # fmt: skip
    """Per-sample information bottleneck: what a layer must let pass for the score, in bits (Schulz et al. 2020).

    (Saliency paper §3.4.) A mask λ in (0,1), the smoothed logistic function of α, mixes each activation with noise that
    has its mean and standard deviation over images: ``z = λ a + (1 - λ) ε``. Adam, from α = 5, minimises for each image

        beta · (mean over activations of D_KL(p(z|a) ‖ q(z)), in nats) - (mean over noisy copies of the score).

    The paper's cross-entropy is minus the log-probability of a class. The map is the divergence under the last mask,
    summed over channels: bits per place of the grid, not negative, higher where the score needs more. S scores are S
    minimisations, with the same noise. Only α gets gradients, and images do not meet in the loss.

    The authors put it in the middle of a network, behind conv3_4 of ResNet-50; called by name through
    :func:`adapter.raw_maps`, it stands at two thirds of the layers up to the one explained (:func:`layers.at_depth`).

    `statistics` are of this layer's activations, from :func:`feature_statistics`. `beta` is what a nat costs; larger
    gives sparser maps. `steps` and the learning rate `lr` are Adam's; `copies` are of each image at every step.

    Example:
        >>> model = nn.Sequential(nn.Identity(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        >>> x, never = torch.ones(1, 3, 2, 2), FeatureStatistics(torch.ones(3, 2, 2), torch.zeros(3, 2, 2))
        >>> settings = {"statistics": never, "seed": 0, "index": torch.tensor([0]), "layer": "0", "steps": 1}
        >>> iba(model, x, score=lambda logits: logits[:, 0], **settings).unique()  # what never varies says nothing
        tensor([0.])
    """
    check_counts(steps=steps, copies=copies)
    if not beta >= 0:
        raise ValueError(f"Expected beta of at least 0. Got {beta}.")
    if not lr > 0:
        raise ValueError(f"Expected lr above 0. Got {lr}.")
    with undisturbed(model, x) as images, _frozen(model):
        check_index(index, images)
        _, module = find_layer(model, layer, images)
        at_once = images_at_once(images, chunk)
        logits = logits_in_chunks(model, images.clone(), at_once)
        several = checked_scores(score, logits).shape[1:]
        maps = []
        for rows in torch.arange(len(images)).split(max(1, at_once // copies)):
            activations = layer_activations(model, images[rows], module)
            gate = _Gate(activations, statistics)
            together = min(copies, max(1, at_once // max(1, len(rows))))
            behind = _behind(model, module, images[rows], activations, score, logits, int(rows[:1].sum()), together)
            noise = partial(_noise, seed, index[rows].to(x.device), activations.shape[1:])
            solved = partial(_solved, gate, behind, noise, torch.arange(copies).split(together), beta, steps, lr)
            maps.append(torch.stack([solved(s) for s in range(several.numel())], dim=1))
        found = torch.cat(maps) if several else torch.cat(maps)[:, 0]
    return on_images(found, x, upsample)


class _Gate:
    """Mixes activations [B,K,h,w] with noise of their own mean and standard deviation, by a mask that α stands for."""

    def __init__(self, activations: Tensor, statistics: FeatureStatistics) -> None:
        expected, mean, std = list(activations.shape[1:]), list(statistics.mean.shape), list(statistics.std.shape)
        if not mean == std == expected:
            got = f"{mean} and {std}: call feature_statistics with the same layer and size of images"
            raise ValueError(f"Expected statistics of this layer, mean and std {expected}. Got {got}.")
        self.mean, self.std = statistics.mean.clone().to(activations), statistics.std.clone().to(activations)
        self.varies = self.std > 0
        self.standardised = (activations - self.mean) / self.std.clamp(min=_SMALLEST_STD) * self.varies
        self.smoothing = [_smoothing(side, activations.device) for side in activations.shape[-2:]]

    def information(self, alpha: Tensor) -> Tensor:
        """D_KL(p(z|a) ‖ q(z)) of each activation, in nats: float32 [B,K,h,w]."""
        noise = self._noise_share(alpha)
        signal = (1 - noise) * self.standardised
        return (signal.square() + noise.square() - 1 - 2 * noise.log()) / 2 * self.varies

    def passed(self, alpha: Tensor, noise: Tensor) -> Tensor:
        """What is left of the activations, [n,B,K,h,w], under standard normal noise of that shape."""
        share = self._noise_share(alpha)
        mixed = (1 - share) * self.standardised + share * noise
        return self.mean + self.std.clamp(min=_SMALLEST_STD) * self.varies * mixed

    def _noise_share(self, alpha: Tensor) -> Tensor:
        """1 - λ, without the rounding of that difference."""
        down, across = self.smoothing
        return down @ torch.sigmoid(-alpha) @ across.mT


def _behind(
    model: nn.Module, module: nn.Module, images: Tensor, activations: Tensor, score: Score, logits: Tensor,
    first: int, together: int,
) -> Callable[[Tensor], Tensor]:  # fmt: skip
    """Scores [n,B] or [n,B,S] from noisy copies [n,B,K,h,w] that take the place of images' activations at the layer.

    What lies before the layer runs once for the copies of an image, unless what passes by it must have their number.
    """
    before, own, after = logits.tensor_split([first, first + len(images)])
    copies = min(2, together)
    tried = logits_behind_or_none(model, module, images.clone(), activations.repeat(copies, 1, 1, 1))
    once = tried is not None and torch.allclose(tried, own.repeat(copies, 1), rtol=1e-3, atol=1e-3)

    def scores(passed: Tensor) -> Tensor:
        shown = images if once else images.repeat(len(passed), 1, 1, 1)
        logits = logits_behind(model, module, shown.clone(), passed.flatten(0, 1)).unflatten(0, passed.shape[:2])
        batches = [checked_scores(score, torch.cat([before, copy, after])) for copy in logits]
        return torch.stack([batch[first : first + len(images)] for batch in batches])

    return scores


def _solved(
    gate: _Gate, behind: Callable[[Tensor], Tensor], noise: Callable[[int, Tensor], Tensor], copies: Sequence[Tensor],
    beta: float, steps: int, lr: float, s: int,
) -> Tensor:  # fmt: skip
    """The map of score number `s`, in bits, float32 [B,h,w]; `copies` are the numbers of those that run together."""
    alpha = torch.full_like(gate.standardised, _FIRST_ALPHA).requires_grad_()
    optimiser = torch.optim.Adam([alpha], lr=lr)
    for step in range(steps):
        with torch.enable_grad():  # of the sum over images of their losses
            cost = beta * gate.information(alpha).mean(dim=(1, 2, 3)).sum()
            (alpha.grad,) = torch.autograd.grad(cost, alpha)
            for numbers in copies:
                scores = behind(gate.passed(alpha, noise(step, numbers)))
                kept = scores.flatten(2)[..., s] if scores.ndim == 3 else scores
                pull = None
                if kept.requires_grad:
                    (pull,) = torch.autograd.grad(kept.sum() / sum(map(len, copies)), alpha, allow_unused=True)
                if pull is None:
                    raise ValueError(f"Expected a score that depends on the output of the layer. {DETACHED}")
                alpha.grad = alpha.grad - pull
        optimiser.step()
    return gate.information(alpha.detach()).sum(dim=1) / math.log(2)


def _noise(seed: int, index: Tensor, shape: tuple[int, ...], step: int, copies: Tensor) -> Tensor:
    """Standard normal numbers of numbered copies of each image, float32 [n,B,K,h,w]."""
    return torch.stack([randomness.normal(seed, index, f"iba/step {step}/copy {c}", shape) for c in copies.tolist()])


def _smoothing(side: int, device: torch.device) -> Tensor:
    """The matrix [side,side] of a Gaussian filter of five cells for σ = 1, the sides mirrored."""
    reach = round(2 * _SMOOTHING)
    away = torch.arange(-reach, reach + 1, device=device)
    weights = torch.exp(-((away / _SMOOTHING) ** 2) / 2)
    source = (torch.arange(side, device=device)[:, None] + away).abs() % max(1, 2 * (side - 1))
    source = torch.minimum(source, 2 * (side - 1) - source)
    share = (weights / weights.sum()).expand(side, -1).contiguous()
    return torch.zeros(side, side, device=device).scatter_add_(1, source, share)


@contextmanager
def _frozen(model: nn.Module) -> Iterator[None]:
    """No parameter asks for a gradient; afterwards those that did do so again."""
    asking = [parameter.requires_grad_(False) for parameter in model.parameters() if parameter.requires_grad]
    try:
        yield
    finally:
        for parameter in asking:
            parameter.requires_grad_(True)
