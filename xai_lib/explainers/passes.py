"""Run a network once and leave it as it was: a layer's activations, and the gradients of scores at that layer.

The layer's output is cut out of the graph and put back as a leaf. What lies before it runs without recording, so the
backward pass ends at the layer: the cost is one forward pass and the small part behind the layer. Of a layer that runs
several times the last run with a grid is meant; what it returns is read by :func:`xai_lib.explainers.layers.as_grid`.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from xai_lib.explainers.layers import Layer, as_grid, find_layer, put_back
from xai_lib.explainers.scores import Score, checked_scores
from xai_lib.forward import checked_logits, layout, logits_in_chunks, undisturbed

# What is wrong with a score that has no gradient at a layer.
DETACHED = (
    "Got one without a gradient: the layer is not on the way to the logits, or the model or the score detaches them "
    "(torch.no_grad)."
)
Combine = Callable[[Tensor, Tensor], Tensor]
_RUNS: WeakKeyDictionary[nn.Module, int] = WeakKeyDictionary()  # which run of a layer was last read, from 1


def layer_activations(model: nn.Module, x: Tensor, layer: Layer) -> Tensor:
    """The layer's output in evaluation mode, without gradients: float32 [B,K,h,w] on x's device.

    TypeError if `x` or the layer's output is not a float tensor; ValueError if `x` is not 4-D, the layer cannot be
    found, did not run or gave no grid, or an activation is not finite.
    """
    with undisturbed(model, x) as images, _output_of(model, layer, images, as_leaf=False) as captured:
        model(images)
        activations = captured.only().float()
    if not activations.isfinite().all():
        raise ValueError(f"Expected finite activations. Got NaN or infinity from layer {captured.name!r}.")
    return activations


def layer_maps(model: nn.Module, x: Tensor, score: Score, layer: Layer, combine: Combine) -> Tensor:
    """Maps that combine a layer's activations with the gradient of each score: one forward, S backward passes.

    `combine` makes, of (activations [B,K,h,w], gradient of one score [B,K,h,w]), maps [B,h,w], in float32.

    Returns float32 [B,h,w] or, for scores [B,S], [B,S,h,w], on x's device. TypeError, ValueError as
    :func:`layer_activations` and :func:`scores.checked_scores`, or for no logits [B,C], or a score without the layer.
    """
    with undisturbed(model, x) as images:
        with _output_of(model, layer, images, as_leaf=True) as captured:
            logits = model(images)
        activations = captured.only()
        scores = checked_scores(score, checked_logits(logits, len(x)))
        with torch.no_grad():
            kept = activations.detach().float()
            maps = [combine(kept, gradient.float()) for gradient in _gradients(scores, captured)]
    return torch.stack(maps, dim=1) if scores.ndim == 2 else maps[0]


def perturbed_scores(model: nn.Module, perturbed: Tensor, score: Score, chunk: int) -> Tensor:
    """Scores [B,n] or [B,n,S] of perturbed versions [B,n,c,H,W] of each image.

    To be called where nothing is recorded, as within :func:`undisturbed`. The score is asked n times, each time about
    one version of every image; the network may write into `perturbed`. Errors as of :func:`layer_maps`.
    """
    logits = logits_in_chunks(model, perturbed.flatten(0, 1), chunk)
    versions = logits.unflatten(0, perturbed.shape[:2]).unbind(1)
    return torch.stack([checked_scores(score, version) for version in versions], dim=1)


def logits_behind(model: nn.Module, module: nn.Module, images: Tensor, activations: Tensor) -> Tensor:
    """The model's logits [n,C] if a layer returned `activations` instead of its own output.

    Of float activations [n,K,h,w], into which a later in-place operation may write, and images [B,c,H,W]: fewer than n
    will do where nothing that passes by the layer has to have their size. Of several runs it is the one that
    :func:`layer_activations` read last. Gradients reach the activations where the caller records. ValueError if the
    model returned anything else than [n,C].
    """
    left = [_RUNS.get(module, 1)]

    def replace(_module: nn.Module, _inputs: object, output: Tensor) -> Tensor | None:
        left[0] -= 1
        return None if left[0] else put_back(activations, output, images.shape[-2:])

    with module.register_forward_hook(replace):
        return checked_logits(model(images.clone(memory_format=layout(model, images))), len(activations))


def logits_behind_or_none(model: nn.Module, module: nn.Module, images: Tensor, activations: Tensor) -> Tensor | None:
    """As :func:`logits_behind`; None where what passes by the layer has another number and is not added to them."""
    try:
        return logits_behind(model, module, images, activations)
    except (RuntimeError, ValueError):
        return None


class Within(nn.Module):
    """A network that runs within a context, such as one that changes what functions do."""

    def __init__(self, network: nn.Module, context: AbstractContextManager) -> None:
        super().__init__()
        self.network, self.context = network, context

    def forward(self, x: Tensor) -> Tensor:
        """What the network returns."""
        with self.context:
            return self.network(x)


def _gradients(scores: Tensor, captured: "_Captured") -> Iterator[Tensor]:
    """Gradients at the layer, [B,K,h,w], of scores [B] or [B,S], one s after the other; an image's score is its own."""
    n_scores = scores.shape[1:].numel()
    for s in range(n_scores):
        direction, gradient = torch.zeros_like(scores), None
        direction.reshape(len(scores), n_scores)[:, s] = 1
        if scores.requires_grad:
            further = {"retain_graph": s + 1 < n_scores, "allow_unused": True}
            (gradient,) = torch.autograd.grad(scores, captured.only(), direction, **further)
        if gradient is None:
            raise ValueError(f"Expected a score that depends on the output of layer {captured.name!r}. {DETACHED}")
        yield gradient


class _Captured:
    """The activations of one layer in one forward pass, from its last run that gave a grid of more than one place."""

    def __init__(self, name: str, images: Tensor) -> None:
        self.name, self.batch, self.size = name, len(images), images.shape[-2:]
        self.runs, self.number, self.last, self.other = 0, 1, None, None

    def record(self, output: object) -> Tensor | None:
        """A copy of the activations, if this run is the one meant as far as is known."""
        self.runs, self.other = self.runs + 1, output
        is_batch = isinstance(output, Tensor) and output.ndim > 0 and len(output) == self.batch
        grid = as_grid(output, self.size) if is_batch else None
        if grid is None or (self.last is not None and grid.shape[2:].numel() == 1):
            return None
        self.number, self.last = self.runs, grid.detach().clone()
        return self.last

    def only(self) -> Tensor:
        if self.last is not None:
            return self.last
        if self.runs == 0:
            expected = f"Expected layer {self.name!r} to run in a forward pass."
            raise ValueError(f"{expected} Got a pass that never reached it.")
        if not isinstance(self.other, Tensor):
            got = type(self.other).__name__
            raise TypeError(f"Expected layer {self.name!r} to return one tensor [B,K,h,w]. Got {got}.")
        expected = f"Expected layer {self.name!r} to return activations [{self.batch},K,h,w], or tokens of a grid."
        raise ValueError(f"{expected} Got shape {list(self.other.shape)}: name a layer before the pooling.")


@contextmanager
def _output_of(model: nn.Module, layer: Layer, images: Tensor, *, as_leaf: bool) -> Iterator[_Captured]:
    """Record what `layer` returns; with `as_leaf`, recording of the graph starts there.

    The record is a copy, and the network goes on with another one, because a later in-place operation (a ReLU, say)
    would change the record, and is not allowed on a leaf.
    """
    name, module = find_layer(model, layer, images)
    captured = _Captured(name, images)

    def record(_module: nn.Module, _inputs: object, output: object) -> Tensor | None:
        copy = captured.record(output)
        if copy is None or not as_leaf:
            return None
        torch.set_grad_enabled(True)
        return put_back(copy.requires_grad_().clone(), output.detach(), captured.size)

    with module.register_forward_hook(record):
        yield captured
    _RUNS[module] = captured.number
