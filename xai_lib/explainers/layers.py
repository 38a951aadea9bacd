"""Find the layer that an explanation stands on, and read what it returns as activations on a grid."""

import difflib
import math
from collections.abc import Sequence
from contextlib import ExitStack

import torch
from torch import Tensor, nn

from xai_lib.explainers.registry import Layer
from xai_lib.forward import undisturbed
from xai_lib.models import Classifier

_LISTED = 10  # layers that an error names
_EXTRA = (0, 1, 2, 5)  # tokens before those of places: none, class, class and distillation, class and four registers


def find_layer(model: nn.Module, layer: Layer, x: Tensor | None = None) -> tuple[str, nn.Module]:
    """Dotted name and module of a layer: a module of `model`, its name, or None for the one usually explained.

    A name is one of ``model.named_modules()`` or a key of a :class:`Classifier`'s ``layers()``. None is a classifier's
    ``default_layer()``; of another network it is the :func:`last_spatial_layer` on images `x`.

    TypeError if `model` or `layer` is of another type; ValueError if the layer is not the model's (the message names
    ten: the nearest by name, then, given `x`, the last with their grids), or is None for another network without `x`.
    """
    names = _names(model)
    if layer is None and isinstance(model, Classifier):
        layer = model.default_layer()
    if layer is None and x is not None:
        layer = last_spatial_layer(model, x)
    if isinstance(layer, nn.Module) and layer in names:
        return names[layer], layer
    if layer is not None and not isinstance(layer, nn.Module | str):
        raise TypeError(f"Expected layer as a module, a dotted name or None. Got {type(layer).__name__}.")
    modules = {other: module for other, module in model.named_modules(remove_duplicate=False) if other}
    if isinstance(model, Classifier):
        modules = {**model.layers(), **modules}
    if isinstance(layer, str) and layer in modules:
        return layer, modules[layer]
    near = difflib.get_close_matches(str(layer), modules, n=5, cutoff=0.4)
    found = {} if x is None else {name: f"{name} ({h}×{w})" for name, (h, w) in reversed(grids(model, x).items())}
    listed = _first([found.get(name, name) for name in dict.fromkeys([*near, *(found or modules)])])
    got = f"a {type(layer).__name__} that is not part of it" if isinstance(layer, nn.Module) else repr(layer)
    raise ValueError(f"Expected the name of a layer of this model: {listed}. Got {got}.")


def last_spatial_layer(model: nn.Module, x: Tensor) -> str:
    """The layer that a class activation map would usually stand on, found by running the network.

    Among the modules that return a grid (:func:`as_grid`) of more than one place, it is the one that finishes last. A
    block finishes after its parts, so of those with the same output the outermost is found: "layer4" of torchvision's
    ResNet-50, not "layer4.2". A module that runs several times, such as an activation used everywhere, counts by its
    last run. Pooling to more than one place counts as well, and a linear layer only for want of others. Where no place
    of the last grid reaches the logits, as in a ViT, which reads its class token alone, it is the last grid of that
    size with places that do ("blocks.11.norm1"). An activation that is called as a function is not seen.

    Images `x`, float [B,3,H,W], are of the size that will be explained; one is enough. TypeError or ValueError if they
    are not such, `model` is no module, or there is no such layer (the message lists what ran last, with shapes).

    Example:
        >>> last_spatial_layer(nn.Sequential(nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()), torch.ones(1, 3, 2, 2))
        '0'
    """
    ran, gradients = _run(model, x)
    seen = {name: grid for name, output in ran.items() if (grid := _spatial(output, x)) is not None}
    if not seen:
        listed = _first([f"{name} {list(output.shape)}" for name, output in reversed(ran.items())])
        raise ValueError(
            f"Expected a layer that returns a grid of more than one place, as [{len(x)},K,h,w], [{len(x)},h,w,K] or "
            f"tokens. Got these, the last first: {listed or 'none'}. Name the layer yourself."
        )
    whole = [name for name in reversed(seen) if not isinstance(model.get_submodule(name), nn.Linear)] or [*seen]
    alike = [name for name in whole if seen[name].shape == seen[whole[0]].shape and name in gradients]
    reaching = (name for name in alike if as_grid(gradients[name], x.shape[-2:]).any())
    return next(reaching, whole[0])


def grids(model: nn.Module, x: Tensor) -> dict[str, tuple[int, int]]:
    """Height and width of the grids of more than one place that modules return, by name, in the order of finishing.

    A module counts by its last run. Arguments and errors are those of :func:`last_spatial_layer`.
    """
    seen = {name: _spatial(output, x) for name, output in _run(model, x)[0].items()}
    return {name: tuple(grid.shape[2:]) for name, grid in seen.items() if grid is not None}


def as_grid(output: Tensor, size: Sequence[int]) -> Tensor | None:
    """What a layer returned, as activations [B,K,h,w] on a grid over images of `size` (height, width), or None.

    It is recognised by its shape: [B,K,h,w]; [B,h,w,K] where h and w are the sides of the image divided by one number,
    up to rounding, and the last two are not; and tokens [B,T,K], T places in rows, behind at most five that stand for
    no place (:func:`put_back` keeps them).
    """
    if output.ndim == 4:
        return output.permute(0, 3, 1, 2) if _is_last(output.shape, size) else output
    for extra in _EXTRA if output.ndim == 3 else ():
        places = output.shape[1] - extra
        height = round(math.sqrt(max(places, 0) * size[0] / size[1]))
        if height and places % height == 0 and _fits(height, places // height, size):
            return output[:, extra:].mT.unflatten(2, (height, places // height))
    return None


def put_back(grid: Tensor, output: Tensor, size: Sequence[int]) -> Tensor:
    """Activations [n·B,K,h,w] in the shape of a layer's own output for B images, of which they take the place.

    Tokens that stand for no place stay as they are.
    """
    grid = grid.to(output.dtype)
    if output.ndim == 3:
        extra = output[:, : output.shape[1] - grid.shape[2] * grid.shape[3]]
        return torch.cat([extra.repeat(len(grid) // max(1, len(output)), 1, 1), grid.flatten(2).mT], dim=1)
    return grid.permute(0, 2, 3, 1) if _is_last(output.shape, size) else grid


def at_depth(model: nn.Module, layer: Layer, depth: float, x: Tensor | None = None) -> str:
    """Dotted name of the layer at a share of those up to `layer`, above 0 and at most 1, itself among them.

    Counted over a :class:`Classifier`'s ``layers()``, else over the modules beside `layer`, in the order of their
    registration: two thirds is "layer2", behind conv3_4, for "layer4" of ResNet-50. Raises as :func:`find_layer`.
    """
    name, _ = find_layer(model, layer, x)
    around = name.rpartition(".")[0]
    beside = (f"{around}.{child}".lstrip(".") for child, _ in model.get_submodule(around).named_children())
    listed = list(model.layers()) if isinstance(model, Classifier) else list(beside)
    return listed[math.ceil(depth * (listed.index(name) + 1)) - 1] if name in listed else name


def _names(model: nn.Module) -> dict[nn.Module, str]:
    """The dotted name of each module within the network; none in TorchScript, where no hook sees what runs."""
    if not isinstance(model, nn.Module):
        raise TypeError(f"Expected model as a torch.nn.Module. Got {type(model).__name__}.")
    if isinstance(model, torch.jit.ScriptModule):
        raise ValueError("Expected a network whose layers can be read. Got TorchScript: take a method without a layer.")
    return {module: name for name, module in model.named_modules() if name}


def _run(model: nn.Module, x: Tensor) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """What modules return in their last run (with a grid if there is one), and the logits' gradients there."""
    ran: dict[str, Tensor] = {}
    names = _names(model)

    def note(module: nn.Module, _inputs: object, output: object) -> None:
        before, tensor = ran.get(names[module]), isinstance(output, Tensor) and output.is_floating_point()
        if tensor and (before is None or _spatial(before, x) is None or _spatial(output, x) is not None):
            ran.pop(names[module], None)
            ran[names[module]] = output

    with ExitStack() as hooks, undisturbed(model, x) as images:
        for module in names:
            if not isinstance(module, torch.jit.ScriptModule):
                hooks.enter_context(module.register_forward_hook(note))
        with torch.enable_grad():
            logits = model(images.requires_grad_().clone())
            behind = {name: output for name, output in ran.items() if output.requires_grad}
            if not behind or not isinstance(logits, Tensor) or not logits.requires_grad or logits.ndim != 2:
                return ran, {}
            total = (logits * torch.arange(1, logits.shape[1] + 1, device=logits.device)).sum()
            found = torch.autograd.grad(total, list(behind.values()), allow_unused=True)
    return ran, {name: gradient for name, gradient in zip(behind, found) if gradient is not None}


def _spatial(output: Tensor, x: Tensor) -> Tensor | None:
    """The grid of a module's output, if it is one of more than one place, of about the proportions of the image."""
    grid, (height, width) = as_grid(output, x.shape[-2:]), x.shape[-2:]
    if grid is None or len(grid) != len(x) or grid.shape[2:].numel() == 1:
        return None
    return grid if abs(grid.shape[2] * width - grid.shape[3] * height) <= height + width else None


def _is_last(shape: Sequence[int], size: Sequence[int]) -> bool:
    return _fits(shape[1], shape[2], size) and not _fits(shape[2], shape[3], size)


def _fits(height: int, width: int, size: Sequence[int]) -> bool:
    """Whether these are an image's sides divided by one number of at least 1, both rounded down or both up."""
    if not (0 < height <= size[0] and 0 < width <= size[1]):
        return False
    least, most = sorted((size[0] / height, size[1] / width))
    down, up = [math.floor(side / least + 1e-6) for side in size], [math.ceil(side / most - 1e-6) for side in size]
    return [height, width] in (down, up)


def _first(texts: Sequence[str]) -> str:
    """The first ten of some texts, and how many there are."""
    return ", ".join(texts[:_LISTED]) + f", … ({len(texts)} in all)" * (len(texts) > _LISTED)
