"""A user's network: by name, import path, checkpoint or file, and the check that it can be explained here."""

import ast
import importlib.util
import os
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
import torchvision
from torch import Tensor, nn

from xai_lib import pretrained
from xai_lib.checks import in_a_line
from xai_lib.forward import how_to, layout
from xai_lib.models import Adapted

_TORCHVISION, _TIMM = "torchvision:", "timm:"
_EXPORTED, _SCRIPTED = (".pt2",), (".pt", ".pth", ".ts", ".torchscript")
_LOUDER = (1, 10, -10, 1000)  # times which images are shown to see whether outputs have a bound
_NAMED = 5  # names that an error lists before it only counts


def load_model(
    spec: str, checkpoint: Path | str = "", *, arguments: str = "", logits: str | int = "", multi_label: bool = False
) -> nn.Module:
    """A network of the user's, in evaluation mode, on the processor.

    Args:
        spec: ``package.module:callable``, a class or a function that returns the network; ``torchvision:<name>``;
            ``timm:<name>``; one of :func:`pretrained.names`; or a file, a .pt2 that ``torch.export.save`` wrote (for
            batches of any size) or TorchScript. In TorchScript no hook sees a layer or a ReLU: methods that stand on a
            layer, guided backpropagation, LRP and excitation backprop do not apply; gradients of the image, RISE and
            LIME do. In an exported network LRP and excitation backprop find no modules that their rules know.
        checkpoint: file with the state dict, plain or under "state_dict" or "model"; a prefix "module." or "_orig_mod."
            is taken off. Empty: what the callable returns is taken as it is, timm's networks come with the weights of
            its hub, and torchvision's with those that :func:`pretrained.names` has.
        arguments: of the callable, as in a call: ``"num_classes=10, width=32"``; plain values only. Random weights are
            ``"pretrained=False"`` of timm and ``"weights=None"`` of torchvision.
        logits: which output is the logits, where the network returns several: its key, attribute or position.
        multi_label: whether an image can have several labels, each with a sigmoid of its own for a probability.

    ValueError if a text cannot be understood, the callable does not exist or fails on the arguments, or the checkpoint
    does not fit; TypeError if the callable is none, or returns no network; FileNotFoundError without the file.
    """
    keywords = _keywords(arguments)
    if spec in pretrained.names() and not checkpoint and not keywords:
        model = pretrained.pretrained(spec)
    elif Path(spec).suffix in _EXPORTED + _SCRIPTED:
        model = _from_file(Path(spec))
    elif spec.startswith(_TORCHVISION) and not checkpoint and "weights" not in keywords:
        raise ValueError(
            f"Expected a checkpoint, or one of {', '.join(pretrained.names())} without arguments, whose weights are "
            f"published. Got {spec!r} with arguments {arguments!r}; random weights are 'weights=None'."
        )
    else:
        model = _built(spec, {"pretrained": not checkpoint} | keywords if spec.startswith(_TIMM) else keywords)
    if checkpoint:
        _load_checkpoint(model, Path(checkpoint))
    if logits != "" or multi_label:
        model = Adapted(model, logits=str(logits), multi_label=multi_label)
    return model.eval()


def two_classes(model: nn.Module, x: Tensor) -> nn.Module:
    """The network itself or, if it returns one logit y for each image, one that returns [0, y]; which is printed.

    Of normalised images `x`, float [B,3,H,W], at least one. The second class is the one that y speaks for.
    """
    output = _answer(model, x)
    if not isinstance(output, Tensor) or output.numel() != len(x):
        return model
    print("The network returns one logit y an image. It is explained as two classes with the logits 0 and y.")
    return Adapted(model, two_classes=True).eval()


def check_model(model: nn.Module, x: Tensor, n_classes: int | None) -> Tensor:
    """Run one batch and refuse a network that cannot be explained and scored here; returns the logits [B,C].

    Of normalised images, float [B,3,H,W], on its device, and the number C of class names, None where there are none.

    TypeError if the output is not a float tensor; ValueError if the network is not in evaluation mode, cannot take the
    images, does not return finite logits [B,C] of C > 1 classes, or returns others the second time. Probabilities of a
    softmax or sigmoid, or per cent, are refused too, as every score would take the softmax of them; they are told from
    logits by their bounds, which images of a thousandfold contrast do not break.
    """
    if any(module.training for module in model.modules()):
        raise ValueError("Expected the model in evaluation mode. Got training mode: call model.eval() first.")
    logits = _answer(model, x)
    if not isinstance(logits, Tensor) or not logits.is_floating_point():
        got = logits.dtype if isinstance(logits, Tensor) else type(logits).__name__
        raise TypeError(f"Expected the model to return one float tensor of logits. Got {got}{how_to(logits)}.")
    if how_to(logits):
        raise ValueError(f"Expected logits of at least two classes. Got shape {list(logits.shape)}{how_to(logits)}.")
    if logits.ndim != 2 or len(logits) != len(x) or n_classes not in (None, logits.shape[1]):
        raise ValueError(
            f"Expected logits [{len(x)},{n_classes or 'C'}], one for each class name. Got shape {list(logits.shape)}: "
            f"give the names of all classes that the model knows, in its order."
        )
    if not logits.isfinite().all():
        raise ValueError("Expected finite logits. Got NaN or infinity: look at the checkpoint and the normalisation.")
    if not torch.allclose(_answer(model, x), logits, rtol=0.01, atol=0.01 * float(logits.abs().max())):
        raise ValueError(
            "Expected the same logits for the same images. Got others the second time: something in the model is "
            "random, such as functional.dropout, which needs training=self.training."
        )
    _refuse_probabilities(model, x, logits)
    return logits


def _answer(model: nn.Module, x: Tensor) -> Any:
    """What a network returns for a copy of images, without recording; ValueError, whatever it raises."""
    try:
        with torch.no_grad():
            return model(x.clone(memory_format=layout(model, x)))
    except Exception as error:
        expected = f"Expected the model to take images {list(x.shape)} on {x.device}."
        raise ValueError(f"{expected} Got: {in_a_line(error).rstrip('.')}.") from error


def _refuse_probabilities(model: nn.Module, x: Tensor, logits: Tensor) -> None:
    if logits.min() < 0 or not 0 < logits.max() <= 100:
        return
    seen = torch.cat([_answer(model, times * x) for times in _LOUDER]).float()
    for most in (1, 100):
        sums_up = bool(((seen.sum(dim=1) - most).abs() < 1e-3 * most).all())
        if seen.min() >= 0 and seen.max() <= most and (sums_up or seen.max() > most / 2):
            found = f"rows that sum to {most}" if sums_up else f"values that stay within 0 to {most}"
            raise ValueError(f"Expected logits. Got {found}: leave out the softmax or sigmoid at the model's end.")


def _keywords(arguments: str) -> dict[str, Any]:
    """The keyword arguments of a call, out of their text."""
    try:
        call = ast.parse(f"f({arguments})", mode="eval").body
        plain = isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and not call.args
        if not plain or any(keyword.arg is None for keyword in call.keywords):
            raise ValueError
        return {keyword.arg: ast.literal_eval(keyword.value) for keyword in call.keywords}
    except (SyntaxError, ValueError):
        expected = "Expected arguments by name with plain values, as in 'num_classes=10, width=32'."
        raise ValueError(f"{expected} Got {arguments!r}.") from None


def _built(spec: str, keywords: dict[str, Any]) -> nn.Module:
    if spec.startswith(_TORCHVISION):
        name = spec.removeprefix(_TORCHVISION)
        if name not in torchvision.models.list_models(module=torchvision.models):
            raise ValueError(f"Expected a classifier of torchvision, as in 'torchvision:resnet50'. Got {spec!r}.")
        make = torchvision.models.get_model_builder(name)
    elif spec.startswith(_TIMM):
        if importlib.util.find_spec("timm") is None:
            raise ValueError(f"Expected timm, which has {spec}. Got none installed: pip install timm.")
        import timm

        if not timm.is_model(name := spec.removeprefix(_TIMM)):
            near = timm.list_models(f"*{name.split('_')[0]}*")[:_NAMED]
            raise ValueError(f"Expected a network of timm{', such as ' * bool(near)}{', '.join(near)}. Got {spec!r}.")
        make = partial(timm.create_model, name)
    else:
        make = _imported(spec)
    try:
        model = make(**keywords)
    except Exception as error:  # a callable of the user's own can raise anything
        said = in_a_line(error).rstrip(".")
        if isinstance(error, (OSError, RuntimeError)) and keywords.get("pretrained"):
            raise ValueError(
                f"Expected the weights of {spec} from its hub. Got: {said}. Give a checkpoint, or take random weights "
                f"with the arguments 'pretrained=False'."
            ) from error
        raise ValueError(f"Expected {spec} to take the arguments {keywords}. Got: {said}.") from error
    if not isinstance(model, nn.Module):
        raise TypeError(f"Expected {spec} to return a torch.nn.Module. Got {type(model).__name__}.")
    return model


def _from_file(file: Path) -> nn.Module:
    """A network that comes with its code; nothing that is pickled in the file is run."""
    if not file.is_file():
        raise FileNotFoundError(f"Expected a network in {file}. Got no such file.")
    try:
        with patch.dict(os.environ, TORCH_FORCE_WEIGHTS_ONLY_LOAD="1"):
            if file.suffix in _EXPORTED:
                return torch.export.unflatten(torch.export.load(file))
            return torch.jit.load(file, map_location="cpu")
    except Exception as error:  # reading rubbish can raise anything
        raise ValueError(
            f"Expected in {file} a network of torch.export.save (.pt2) or TorchScript. Got: {in_a_line(error)} A state "
            "dict is a checkpoint: name its network as package.module:callable."
        ) from error


def _imported(spec: str) -> Any:
    path, _, name = spec.partition(":")
    if not path or not name.isidentifier():
        raise ValueError(
            f"Expected a network as 'package.module:callable', 'torchvision:<name>', 'timm:<name>' or a file (.pt2, "
            f".pt). Got {spec!r}."
        )
    try:
        module = importlib.import_module(path)
    except (Exception, SystemExit) as error:
        raise ValueError(
            f"Expected to import {path}. Got: {in_a_line(error).rstrip('.')}. Start from the folder that holds it, or "
            f"put that folder in PYTHONPATH."
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
    for prefix in ("module.", "_orig_mod."):  # of DataParallel and torch.compile
        if not any(name.startswith(prefix) for name in own):
            state = {name.removeprefix(prefix): tensor for name, tensor in state.items()}
    state |= {name: own[name] for name in own if name.endswith("num_batches_tracked") and name not in state}
    shapes = {name: (list(state[name].shape), list(own[name].shape)) for name in own if name in state}
    faults = {
        "missing": [name for name in own if name not in state],
        "unexpected": [name for name in state if name not in own],
        "of another shape": [f"{name} {found} for {due}" for name, (found, due) in shapes.items() if found != due],
        "of another kind": [n for n, t in state.items() if t.is_quantized or t.is_sparse or t.is_complex()],
    }
    listed = {what: ", ".join(names[:_NAMED]) + ", …" * (len(names) > _NAMED) for what, names in faults.items()}
    if problems := [f"{len(names)} {what}: {listed[what]}" for what, names in faults.items() if names]:
        expected = f"Expected {file} to hold the {len(own)} tensors of {type(model).__name__}."
        raise ValueError(f"{expected} Got {'; '.join(problems)}.")
    model.load_state_dict(state)


def _state(file: Path) -> dict[str, Tensor]:
    """The state dict in a file, whatever it is wrapped in."""
    if not file.is_file():
        raise FileNotFoundError(f"Expected a checkpoint in {file}. Got no such file.")
    try:
        state = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # unpickling rubbish can raise anything
        objects = "Weights only" in str(error)  # torch then tells how to run what is in the file
        got = "other objects, which are not read since they could run code." if objects else in_a_line(error)
        expected = f"Expected a state dict in {file}, as torch.save(model.state_dict(), …) writes it."
        raise ValueError(f"{expected} Got: {got}") from error
    for wrapper in ("state_dict", "model"):
        if isinstance(state, Mapping) and isinstance(state.get(wrapper), Mapping):
            state = state[wrapper]
    named = isinstance(state, Mapping) and all(isinstance(name, str) for name in state)
    if not named or not all(isinstance(tensor, Tensor) for tensor in state.values()):
        got = f"the entries {list(state)[:_NAMED]}" if isinstance(state, Mapping) else type(state).__name__
        raise ValueError(f"Expected a state dict in {file}, plain or under 'state_dict' or 'model'. Got {got}.")
    return dict(state)
