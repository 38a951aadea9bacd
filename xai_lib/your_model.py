"""A user's network: by import path and checkpoint, and the check that it can be explained here."""

import ast
import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import torchvision
from torch import Tensor, nn

from xai_lib import pretrained

_TORCHVISION = "torchvision:"
_NAMED = 5  # names that an error lists before it only counts


def load_model(spec: str, checkpoint: Path | str = "", *, arguments: str = "") -> nn.Module:
    """A network of the user's, in evaluation mode, on the processor.

    Args:
        spec: ``package.module:callable``, a class or a function that returns the network; or ``torchvision:<name>``.
        checkpoint: file with the state dict, plain or under "state_dict" or "model"; a prefix "module." is taken off.
            Empty: what the callable returns is taken as it is, and torchvision's networks come with their published
            weights, where :func:`pretrained.names` has them.
        arguments: of the callable, as in a call: ``"num_classes=10, width=32"``; plain values only.

    ValueError if a text cannot be understood, the callable does not exist or fails on the arguments, or the checkpoint
    does not fit the network, naming the first tensors at fault; TypeError if the callable is none, or returns no
    ``torch.nn.Module``; FileNotFoundError if the checkpoint is not there.
    """
    keywords = _keywords(arguments)
    if spec.startswith(_TORCHVISION) and not checkpoint:
        if spec not in pretrained.names() or keywords:
            raise ValueError(
                f"Expected a checkpoint, or one of {', '.join(pretrained.names())} without arguments, whose weights "
                f"are published. Got {spec!r} with arguments {arguments!r}."
            )
        return pretrained.pretrained(spec)
    model = _built(spec, keywords)
    if checkpoint:
        _load_checkpoint(model, Path(checkpoint))
    return model.eval()


def check_model(model: nn.Module, x: Tensor, n_classes: int | None) -> None:
    """Run one batch and refuse a network that cannot be explained and scored here.

    Of a network in evaluation mode, normalised images, float [B,3,H,W], on its device, and the number C of class names;
    None where classes have no names.

    TypeError if the output is not a float tensor; ValueError if the network is not in evaluation mode, cannot take the
    images, or does not return finite logits [B,C]: probabilities are refused too, because every score would take the
    softmax of a softmax.
    """
    if any(module.training for module in model.modules()):
        raise ValueError("Expected the model in evaluation mode. Got training mode: call model.eval() first.")
    try:
        with torch.no_grad():
            logits = model(x)
    except RuntimeError as error:
        raise ValueError(f"Expected the model to take images {list(x.shape)} on {x.device}. Got: {error}.") from error
    if not isinstance(logits, Tensor) or not logits.is_floating_point():
        got = logits.dtype if isinstance(logits, Tensor) else type(logits).__name__
        raise TypeError(f"Expected the model to return one float tensor of logits. Got {got}.")
    if logits.ndim != 2 or len(logits) != len(x) or n_classes not in (None, logits.shape[1]):
        raise ValueError(
            f"Expected logits [{len(x)},{n_classes or 'C'}], one for each class name. Got shape {list(logits.shape)}: "
            f"give the names of all classes that the model knows, in its order."
        )
    if not logits.isfinite().all():
        raise ValueError("Expected finite logits. Got NaN or infinity: look at the checkpoint and the normalisation.")
    sums = logits.float().sum(dim=1)
    if logits.shape[1] > 1 and (logits >= 0).all() and torch.allclose(sums, torch.ones_like(sums), atol=1e-3):
        raise ValueError("Expected logits. Got rows that sum to 1: leave out the softmax at the model's end.")


def _keywords(arguments: str) -> dict[str, Any]:
    """The keyword arguments of a call, out of their text."""
    try:
        call = ast.parse(f"f({arguments})", mode="eval").body
        plain = isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and not call.args
        if not plain or any(keyword.arg is None for keyword in call.keywords):
            raise ValueError
        return {keyword.arg: ast.literal_eval(keyword.value) for keyword in call.keywords}
    except (SyntaxError, ValueError):
        raise ValueError(
            f"Expected arguments by name with plain values, as in 'num_classes=10, width=32'. Got {arguments!r}."
        ) from None


def _built(spec: str, keywords: dict[str, Any]) -> nn.Module:
    if spec.startswith(_TORCHVISION):
        name = spec.removeprefix(_TORCHVISION)
        if name not in torchvision.models.list_models(module=torchvision.models):
            raise ValueError(f"Expected a classifier of torchvision, as in 'torchvision:resnet50'. Got {spec!r}.")
        make = torchvision.models.get_model_builder(name)
    else:
        make = _imported(spec)
    try:
        model = make(**keywords)
    except (TypeError, ValueError) as error:
        raise ValueError(f"Expected {spec} to take the arguments {keywords}. Got: {error}.") from error
    if not isinstance(model, nn.Module):
        raise TypeError(f"Expected {spec} to return a torch.nn.Module. Got {type(model).__name__}.")
    return model


def _imported(spec: str) -> Any:
    path, _, name = spec.partition(":")
    if not path or not name.isidentifier():
        raise ValueError(f"Expected a network as 'package.module:callable' or 'torchvision:<name>'. Got {spec!r}.")
    try:
        module = importlib.import_module(path)
    except ImportError as error:
        raise ValueError(
            f"Expected to import {path}. Got: {error}. Start from the folder that holds it, or put that folder in "
            f"PYTHONPATH."
        ) from error
    found = getattr(module, name, None)
    if found is None:
        there = [other for other, value in vars(module).items() if callable(value) and not other.startswith("_")]
        raise ValueError(f"Expected a class or function of {path}: {', '.join(there) or 'it has none'}. Got {name!r}.")
    if not callable(found) or isinstance(found, nn.Module):
        raise TypeError(f"Expected {spec} to be a class or a function. Got an object of type {type(found).__name__}.")
    return found


def _load_checkpoint(model: nn.Module, file: Path) -> None:
    state, own = _state(file), model.state_dict()
    if not any(name.startswith("module.") for name in own):
        state = {name.removeprefix("module."): tensor for name, tensor in state.items()}
    shapes = {name: (list(state[name].shape), list(own[name].shape)) for name in own if name in state}
    faults = {
        "missing": [name for name in own if name not in state],
        "unexpected": [name for name in state if name not in own],
        "of another shape": [
            f"{name} {ours} for {wanted}" for name, (ours, wanted) in shapes.items() if ours != wanted
        ],
    }
    problems = [
        f"{len(names)} {what}: {', '.join(names[:_NAMED])}{', …' * (len(names) > _NAMED)}"
        for what, names in faults.items()
        if names
    ]
    if problems:
        raise ValueError(
            f"Expected {file} to hold the {len(own)} tensors of {type(model).__name__}. Got {'; '.join(problems)}."
        )
    model.load_state_dict(state)


def _state(file: Path) -> dict[str, Tensor]:
    """The state dict in a file, whatever it is wrapped in."""
    if not file.is_file():
        raise FileNotFoundError(f"Expected a checkpoint in {file}. Got no such file.")
    try:
        state = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # unpickling rubbish can raise anything
        reason = next(iter(str(error).splitlines()), "an empty file")
        raise ValueError(
            f"Expected a state dict in {file}, as torch.save(model.state_dict(), …) writes it. Got: {reason}"
        ) from error
    for wrapper in ("state_dict", "model"):
        if isinstance(state, Mapping) and isinstance(state.get(wrapper), Mapping):
            state = state[wrapper]
    if not isinstance(state, Mapping) or not all(isinstance(tensor, Tensor) for tensor in state.values()):
        got = f"the entries {list(state)[:_NAMED]}" if isinstance(state, Mapping) else type(state).__name__
        raise ValueError(f"Expected a state dict in {file}, plain or under 'state_dict' or 'model'. Got {got}.")
    return dict(state)
