"""Find a layer to explain in a network that names none, by running it."""

from collections import Counter

from torch import Tensor, nn

from xai_lib.forward import undisturbed


def last_spatial_layer(model: nn.Module, x: Tensor) -> str:
    """The layer a class activation map would usually stand on, found by running a network that names none.

    Among the modules that run exactly once in a forward pass and return one float tensor [B,K,h,w] with h·w > 1, it
    is the one that finishes last. A block finishes after its parts, so of those with the same output the outermost
    is found: "layer4" of torchvision's ResNet-50, not "layer4.2". Pooling to more than one place counts as well.
    Whether the logits depend on the layer is not asked here; explainers refuse a layer that is off the way.

    Args:
        model: the network; afterwards it is as it was (modes, hooks).
        x: normalised images, float [B,3,H,W] of the size that will be explained; one is enough.

    Returns:
        A dotted name, to be passed as ``layer``.

    Raises:
        TypeError: if `x` is not a float tensor or `model` is not a module.
        ValueError: if `x` is not 4-D, or there is no such layer (the message lists what ran, with shapes).
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"Expected model as a torch.nn.Module. Got {type(model).__name__}.")
    ran: list[tuple[str, object]] = []
    names = {module: name for name, module in model.named_modules() if name}
    handles = []
    try:
        for module in names:
            handles.append(
                module.register_forward_hook(lambda m, _inputs, output: ran.append((names[m], _kind(output))))
            )
        with undisturbed(model, x) as images:
            model(images)
    finally:
        for handle in handles:
            handle.remove()
    runs = Counter(name for name, _ in ran)
    spatial = [name for name, shape in ran if runs[name] == 1 and _is_spatial(shape, len(x))]
    if not spatial:
        listed = ", ".join(f"{name} {shape}" for name, shape in ran) or "no module"
        raise ValueError(
            f"Expected a layer that runs once and returns activations [{len(x)},K,h,w] with more than one place. "
            f"Got these, in the order of the forward pass: {listed}. Name the layer yourself."
        )
    return spatial[-1]


def _kind(output: object) -> list[int] | str:
    """The shape of a float tensor, the type of anything else."""
    if isinstance(output, Tensor):
        return list(output.shape) if output.is_floating_point() else str(output.dtype)
    return type(output).__name__


def _is_spatial(shape: list[int] | str, batch: int) -> bool:
    return isinstance(shape, list) and len(shape) == 4 and shape[0] == batch and shape[2] * shape[3] > 1
