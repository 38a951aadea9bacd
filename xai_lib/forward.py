"""How a network is run: how many images at once, in which mode, layout and precision, and what its logits must be."""

import copy
import itertools
import math
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext

import torch
from torch import Tensor, nn

from xai_lib.checks import check_images
from xai_lib.models import is_multi_label

Model = Callable[[Tensor], Tensor]
_LAYOUT = "_xai_layout"
_PLAIN = nn.Module()


def images_at_once(
    images: Tensor, chunk: int | None = None, *, cpu: int = 1 << 16, gpu: int = 1 << 22, least: int = 16
) -> int:
    """How many images of this size [...,H,W] a pass may hold: `chunk`, or what suits the device and bounds the memory.

    That is `cpu` pixels in all on a processor (64 images at 32 pixels, the fastest for a small ResNet), `gpu` pixels
    elsewhere, and `least` images, however large. ValueError if `chunk` is below 1.
    """
    if chunk is None:
        return max(least, (cpu if images.device.type == "cpu" else gpu) // (images.shape[-2] * images.shape[-1]))
    if chunk < 1:
        raise ValueError(f"Expected chunk of at least 1 image. Got {chunk}.")
    return chunk


def device_of(model: nn.Module) -> torch.device:
    """Where a network's parameters lie; the processor for one without any."""
    return next((parameter.device for parameter in model.parameters()), torch.device("cpu"))


def logits_of(model: Model, images: Tensor) -> Tensor:
    """The model's logits [B,C] of a copy of images [B,c,H,W], in the :func:`layout` that it takes; `checked_logits`."""
    return checked_logits(model(images.clone(memory_format=layout(model, images))), len(images))


def logits_in_chunks(model: Model, images: Tensor, chunk: int) -> Tensor:
    """As :func:`logits_of`, never of more than `chunk` images at a time."""
    return torch.cat([logits_of(model, part) for part in images.split(chunk)])


def layout(model: Model, x: Tensor) -> torch.memory_format:
    """Channels-last, the faster layout; contiguous for a network that it breaks, as one that flattens with ``view``.

    Found out once for each network and size of images, by running one image; the network's modules keep the answer.
    """
    if not isinstance(model, nn.Module) or not len(x):
        return torch.channels_last
    size, found = tuple(x.shape[1:]), torch.channels_last
    for module in model.modules():
        if vars(module).get(_LAYOUT, (None,))[0] == size:
            return vars(module)[_LAYOUT][1]
    with torch.no_grad():
        try:
            model(x[:1].clone(memory_format=torch.channels_last))
        except Exception:  # if the image is at fault, this says so where it is run again
            found = torch.contiguous_format
    for module in model.modules():
        vars(module)[_LAYOUT] = size, found
    return found


def copied(model: nn.Module) -> nn.Module:
    """A copy with weights of its own; attributes that cannot be copied, such as a lock, are shared."""
    shared: dict[int, object] = {}
    with torch.inference_mode(False):
        for module in model.modules():
            if isinstance(module, torch.jit.ScriptModule):
                continue
            for value in [value for name, value in vars(module).items() if name not in vars(_PLAIN)]:
                try:
                    copy.deepcopy(value)
                except (TypeError, RuntimeError):
                    shared[id(value)] = value
        return copy.deepcopy(model, shared)


def checked_logits(logits: object, batch: int) -> Tensor:
    """What a model returned for `batch` images; ValueError if it is anything else than logits [B,C], C > 1."""
    if not isinstance(logits, Tensor) or logits.ndim != 2 or len(logits) != batch or logits.shape[1] == 1:
        got = f"shape {list(logits.shape)}" if isinstance(logits, Tensor) else type(logits).__name__
        raise ValueError(f"Expected the model to return logits [{batch},C]. Got {got}{how_to(logits)}.")
    return logits


def how_to(output: object) -> str:
    """The end of a message: how to make logits of classes out of another output."""
    if not isinstance(output, Tensor):
        return ": say which part is the logits, by its key or position, as in load_model(…, logits='0')"
    if output.ndim == 1 or output.shape[1:] == (1,):
        return ", one logit y: return [0, y], the logits of two classes, as your_model.two_classes does"
    return ""


def outputs(
    model: Model, make: Callable[[Tensor, Tensor], Tensor], read: Callable[[Tensor, Tensor], Tensor], x: Tensor,
    target: Tensor, points: int, chunk: int | None,
) -> Tensor:  # fmt: skip
    """What is read from the logits of several variants of each image, never more than `chunk` of them at a time.

    Args:
        model: in evaluation mode; only run forward, in float32 also under autocast. Of one with
            :func:`xai_lib.models.is_multi_label`, `read` gets logits whose softmax at the target is its sigmoid.
        make: (image int64 [n], point int64 [n]) -> that variant of that image, float [n,c,H,W].
        read: (logits float32 [n,C], target int64 [n]) -> [n] or [n,Q], as :func:`class_probability` does.
        x, target: [B,c,H,W], of which size and device are used, and classes, int64 [B].
        points, chunk: variants of each image, and in one forward pass; None suits the device.

    Returns [B,points] or [B,points,Q] on x's device, of the type that `read` gives. ValueError if a module of the model
    is in training mode, a target is not a class, what is read is not finite, or `chunk` is below 1.
    """
    if isinstance(model, nn.Module) and any(getattr(module, "training", False) for module in model.modules()):
        raise ValueError("Expected the model in evaluation mode. Got one in training mode: call model.eval() first.")
    chunk = images_at_once(x, chunk)
    found = None
    with torch.inference_mode(), torch.autocast(x.device.type, enabled=False):
        for first in range(0, len(x) * points, chunk):
            row = torch.arange(first, min(first + chunk, len(x) * points), device=x.device)
            image = row // points
            logits = logits_of(model, make(image, row % points))
            if first == 0 and ((target < 0) | (target >= logits.shape[1])).any():
                expected = f"Expected targets in 0 to {logits.shape[1] - 1}."
                raise ValueError(f"{expected} Got {target.min()} to {target.max()}.")
            if is_multi_label(model):  # others whose exponentials sum to 1: a softmax is then the target's sigmoid
                others, own = torch.full_like(logits, -math.log(logits.shape[1] - 1)), target[image][:, None]
                logits = others.scatter(1, own, logits.gather(1, own))
            values = read(logits.float(), target[image])
            if found is None:
                with torch.inference_mode(False):
                    found = values.new_empty(len(x) * points, *values.shape[1:])
            found[row] = values
    if found is None:
        return torch.empty(len(x), points, device=x.device)
    if not found.isfinite().all():
        raise ValueError("Expected finite logits. Got NaN or infinity: check the model's weights and the images.")
    return found.reshape(len(x), points, *found.shape[1:])


def class_probability(logits: Tensor, target: Tensor) -> Tensor:
    """Softmax probability of a class, float32 [B], from float32 logits [B,C] and target int64 [B]."""
    return logits.softmax(1).gather(1, target[:, None])[:, 0]


@contextmanager
def undisturbed(model: nn.Module, x: Tensor) -> Iterator[Tensor]:
    """Evaluation mode without recording, in the tensors' own precision, whatever the caller's modes; a copy of `x`.

    Each module's own mode comes back at the end, also after an error. A compiled network runs as it was before, so that
    hooks see its modules. The copy has the network's :func:`layout`. TypeError, ValueError as
    :func:`xai_lib.checks.check_images`, or if no gradient can be taken through the model.
    """
    check_images(x)
    if any(tensor.is_inference() for tensor in itertools.chain(model.parameters(), model.buffers())):
        got = "parameters that are inference tensors, through which no gradient can be taken"
        raise ValueError(f"Expected a model built outside torch.inference_mode(). Got {got}.")
    modes = [(module, module.training) for module in model.modules()]
    uncompiled = torch.compiler.set_stance("force_eager") if "torch._dynamo" in sys.modules else nullcontext()
    model.eval()
    try:
        with torch.inference_mode(False), torch.no_grad(), torch.autocast(x.device.type, enabled=False), uncompiled:
            yield x.detach().clone(memory_format=layout(model, x))
    finally:
        for module, training in modes:
            module.training = training
