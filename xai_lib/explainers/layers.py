"""Find the layer that an explanation stands on."""

import difflib

from torch import nn


def find_layer(model: nn.Module, layer: nn.Module | str | None) -> tuple[str, nn.Module]:
    """Resolve `layer` to its dotted name and module.

    Args:
        model: the network.
        layer: a module of `model`; or its dotted name, as in ``model.named_modules()`` or a key of
            ``model.layers()``; or None for ``model.default_layer()``.

    Raises:
        TypeError: if `model` or `layer` is of another type.
        ValueError: if the layer is not the model's (the message lists the names that exist, nearest first), or is
            None for a model that names no default.
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"Expected model as a torch.nn.Module. Got {type(model).__name__}.")
    names = {module: name for name, module in model.named_modules() if name}
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


def _named(model: nn.Module, name: str) -> nn.Module:
    modules = {other: module for other, module in model.named_modules(remove_duplicate=False) if other}
    if hasattr(model, "layers"):
        modules = {**model.layers(), **modules}
    if name not in modules:
        near = difflib.get_close_matches(name, modules, n=5, cutoff=0.4)
        listed = near + [other for other in modules if other not in near]
        raise ValueError(f"Expected the name of a layer of this model: {', '.join(listed)}. Got {name!r}.")
    return modules[name]
