"""Find the layer that an explanation stands on."""

import difflib
import math
from collections import Counter
from contextlib import ExitStack

from torch import Tensor, nn

from xai_lib.forward import undisturbed

Layer = nn.Module | str | None  # see :func:`find_layer`


def find_layer(model: nn.Module, layer: Layer) -> tuple[str, nn.Module]:
    """Dotted name and module of a layer: a module of `model`, its name, or None for ``model.default_layer()``.

    A name is one of ``model.named_modules()`` or a key of ``model.layers()``.

    TypeError if `model` or `layer` is of another type; ValueError if the layer is not the model's (the message lists
    the names that exist, nearest first), or is None for a model that names no default.

    Example:
        >>> find_layer(nn.Sequential(nn.Identity(), nn.ReLU()), "1")
        ('1', ReLU())
    """
    names = _names(model)
    if layer is None:
        if not hasattr(model, "default_layer"):
            raise ValueError(
                f"Expected a layer: {type(model).__name__} has no default_layer(). Got None. "
                f"Name one of: {', '.join(names.values())}."
            )
        layer = model.default_layer()
    if isinstance(layer, nn.Module):
        if layer not in names:
            raise ValueError(
                f"Expected a module of this model. Got a {type(layer).__name__} that is not part of it. "
                f"Name one of: {', '.join(names.values())}."
            )
        return names[layer], layer
    if not isinstance(layer, str):
        raise TypeError(f"Expected layer as a module, a dotted name or None. Got {type(layer).__name__}.")
    return layer, _named(model, layer)


def last_spatial_layer(model: nn.Module, x: Tensor) -> str:
    """The layer a class activation map would usually stand on, found by running a network that names none.

    Among the modules that run exactly once in a forward pass and return one float tensor [B,K,h,w] with h·w > 1, it
    is the one that finishes last. A block finishes after its parts, so of those with the same output the outermost
    is found: "layer4" of torchvision's ResNet-50, not "layer4.2". Pooling to more than one place counts as well.
    Whether the logits depend on the layer is not asked here; explainers refuse a layer that is off the way. Images `x`,
    float [B,3,H,W], are of the size that will be explained; one is enough. TypeError or ValueError if they are not
    such, `model` is no module, or there is no such layer (the message lists what ran, with shapes).

    Example:
        >>> import torch
        >>> last_spatial_layer(nn.Sequential(nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()), torch.ones(1, 3, 2, 2))
        '0'
    """
    ran = finished(model, x)
    runs = Counter(name for name, _ in ran)
    spatial = [name for name, shape in ran if runs[name] == 1 and _is_spatial(shape, len(x))]
    if not spatial:
        listed = ", ".join(f"{name} {shape}" for name, shape in ran) or "no module"
        raise ValueError(
            f"Expected a layer that runs once and returns activations [{len(x)},K,h,w] with more than one place. "
            f"Got these, in the order of the forward pass: {listed}. Name the layer yourself."
        )
    return spatial[-1]


def finished(model: nn.Module, x: Tensor) -> list[tuple[str, list[int] | str]]:
    """The modules in the order in which they end in a forward pass, and what each returns, as :func:`_kind` says."""
    ran, names = [], _names(model)
    with ExitStack() as hooks, undisturbed(model, x) as images:
        for module in names:
            note = lambda which, _inputs, output: ran.append((names[which], _kind(output)))  # noqa: E731
            hooks.enter_context(module.register_forward_hook(note))
        model(images)
    return ran


def at_depth(model: nn.Module, layer: Layer, depth: float) -> str:
    """Dotted name of the layer at a share of those up to `layer`, above 0 and at most 1, itself among them.

    Counted over ``model.layers()`` if the model has it, else over the modules beside `layer`, in the order in which
    they were registered: two thirds is "layer2", behind conv3_4, for "layer4" of torchvision's ResNet-50. Raises as
    :func:`find_layer`.

    Example:
        >>> at_depth(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 5, 3), nn.ReLU()), "3", 1 / 2)
        '1'
    """
    name, _ = find_layer(model, layer)
    around = name.rpartition(".")[0]
    beside = (f"{around}.{child}".lstrip(".") for child, _ in model.get_submodule(around).named_children())
    listed = list(model.layers()) if hasattr(model, "layers") else list(beside)
    return listed[math.ceil(depth * (listed.index(name) + 1)) - 1] if name in listed else name


def _names(model: nn.Module) -> dict[nn.Module, str]:
    """The dotted name of each module within the network."""
    if not isinstance(model, nn.Module):
        raise TypeError(f"Expected model as a torch.nn.Module. Got {type(model).__name__}.")
    return {module: name for name, module in model.named_modules() if name}


def _named(model: nn.Module, name: str) -> nn.Module:
    modules = {other: module for other, module in model.named_modules(remove_duplicate=False) if other}
    if hasattr(model, "layers"):
        modules = {**model.layers(), **modules}
    if name not in modules:
        near = difflib.get_close_matches(name, modules, n=5, cutoff=0.4)
        listed = near + [other for other in modules if other not in near]
        raise ValueError(f"Expected the name of a layer of this model: {', '.join(listed)}. Got {name!r}.")
    return modules[name]


def _kind(output: object) -> list[int] | str:
    """The shape of a float tensor, the type of anything else."""
    if isinstance(output, Tensor):
        return list(output.shape) if output.is_floating_point() else str(output.dtype)
    return type(output).__name__


def _is_spatial(shape: list[int] | str, batch: int) -> bool:
    return isinstance(shape, list) and len(shape) == 4 and shape[0] == batch and shape[2] * shape[3] > 1
