"""Rules of relevance on whatever network: put where they apply, refused by the module's name where they do not.

The rules stand on a copy of the network and work on its own forward pass, on modules and functions in the order in
which these run. Convolutions and linear layers have the method's rule, each of them once in a forward pass; batch
normalisation is merged into the one whose output it alone reads. Sums of two activations and averages have the rule for
such layers. Other batch normalisation, scale and shift by constants, and activation functions that rise through 0 pass
relevance on as it is; maxima and changes of shape pass it to where their values come from. All else is refused. Each
map is checked: what leaves the logits arrives, but for shares of biases and of units without positive input.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils.fusion import fuse_conv_bn_weights
from torch.overrides import TorchFunctionMode
from zennit.core import BasicHook, Hook
from zennit.rules import Pass
from zennit.types import ConvolutionTranspose, Linear

from xai_lib.explainers.gradients import is_relu
from xai_lib.forward import copied, undisturbed

RuleOf = Callable[[nn.Module, bool], Hook]  # (module, whether it is the first that runs) -> rule
_TOLERANCE = 1e-3  # of the most relevance, in absolute values, that a layer held
_SUMS = ("add", "add_")
_AVERAGES = ("mean", "sum", "avg_pool2d", "adaptive_avg_pool2d", "interpolate")
_SCALES = ("add", "add_", "sub", "sub_", "mul", "mul_", "div", "div_")
_RISING = ("leaky_relu", "elu", "selu", "celu", "prelu", "tanh", "softsign", "hardtanh")
_SHAPES = """
    view view_as reshape flatten unflatten permute transpose swapaxes movedim squeeze unsqueeze contiguous clone
    to float double half type_as __get__ cat concat concatenate stack split chunk unbind __getitem__ narrow expand
    expand_as repeat flip roll channel_shuffle pixel_shuffle pixel_unshuffle pad dropout dropout2d alpha_dropout
    max_pool2d adaptive_max_pool2d max amax maximum requires_grad_
""".split()  # noqa: SIM905


@contextmanager
def ruled(model: nn.Module, x: Tensor, rule_of: RuleOf, share: BasicHook, *, shares: bool) -> Iterator["Ruled"]:
    """A copy of the network whose gradients are relevance; nothing is kept at the end.

    `rule_of` gives the rule of a convolution or linear layer, `share` is that of sums and averages. With `shares`, the
    relevance of a logit is the score's gradient at it, and activations must not be negative; else it is the logit times
    that gradient. ValueError, also when it runs, for what no rule covers.
    """
    with undisturbed(model, x):
        network = copied(model).requires_grad_(False)
    rules = _Rules(network, rule_of, share, shares)
    try:
        yield Ruled(network, rules)
    finally:
        rules.remove()


class Ruled(nn.Module):
    """A network under rules."""

    def __init__(self, network: nn.Module, rules: "_Rules") -> None:
        super().__init__()
        self.network, self.rules = network, rules

    def forward(self, x: Tensor) -> Tensor:
        """The network's logits."""
        with self.rules:
            logits = self.network(x)
        self.rules.merge()
        if not _explained(logits):
            return logits
        logits = logits.clone()
        rules, values = self.rules, logits.detach()  # a hook that held the logits themselves would keep both for ever
        logits.register_hook(lambda gradient: rules.begin(gradient, values))
        return logits


class _Rules(TorchFunctionMode):
    """Puts rules on what a network runs, and keeps the account of relevance."""

    def __init__(self, network: nn.Module, rule_of: RuleOf, share: BasicHook, shares: bool) -> None:
        super().__init__()
        self.rule_of, self.share, self.shares = rule_of, share, shares
        self.names = {module: name or "the network" for name, module in network.named_modules()}
        self.within: list[nn.Module] = []  # modules that are running, the innermost last
        self.ruled: dict[nn.Module, Hook] = {}
        self.outputs: dict[int, tuple[nn.Module, Tensor, list[Any]]] = {}  # of linear layers, and what reads them
        self.whole = True  # whether all that the logits depend on depends on what is explained
        for module in self.names:
            if isinstance(module, torch.jit.ScriptModule):
                self._refuse(module, "TorchScript")
        self.hooks: list[Any] = [module.register_forward_pre_hook(self._enter) for module in self.names]
        self.hooks += [module.register_forward_hook(self._leave) for module in self.names]

    def begin(self, gradient: Tensor, logits: Tensor) -> Tensor:
        """Open the account with the relevance of the logits."""
        relevance = gradient if self.shares else gradient * logits
        self.balance, self.most, self.positive = relevance.double().sum(), relevance.abs().sum(), (relevance >= 0).all()
        return relevance

    def conserved(self, relevance: Tensor) -> Tensor:
        """Relevance as it is; ValueError if it is not what the rules have left of that of the logits."""
        allowed = _TOLERANCE * max(self.most, relevance.abs().sum())
        missing = (relevance.double().sum() - self.balance).abs() * self.whole
        if missing > allowed or (self.shares and self.positive and (relevance < -allowed).any()):
            expected = "Expected a network that conserves relevance from the logits down."
            got = f"{relevance.sum():.4g} where the rules leave {self.balance:.4g}"
            raise ValueError(f"{expected} Got {got}: something that is no function of PyTorch changes it.")
        return relevance

    def merge(self) -> None:
        """Merge batch normalisation into the layer that it follows: it passes relevance on unchanged itself."""
        for layer, _, readers in self.outputs.values():
            if len(readers) == 1 and isinstance(norm := readers[0], _BatchNorm):
                statistics = (norm.running_mean, norm.running_var, norm.eps, norm.weight, norm.bias)
                transposed = isinstance(layer, ConvolutionTranspose)
                layer.weight, layer.bias = fuse_conv_bn_weights(layer.weight, layer.bias, *statistics, transposed)
        self.outputs.clear()

    def remove(self) -> None:
        """Take everything off again, and keep nothing."""
        for hook in self.hooks:
            hook.remove()
        vars(self).clear()

    def _enter(self, module: nn.Module, inputs: tuple[Any, ...]) -> Any:
        self.within.append(module)
        if inputs and isinstance(inputs[0], Tensor):
            torch.set_autocast_enabled(inputs[0].device.type, False)  # where the network itself turns it on
        if not (isinstance(module, (Linear, _BatchNorm)) and inputs and _explained(inputs[0])):
            return None
        self._note(inputs[0], module)
        if module in self.ruled and isinstance(module, Linear):
            expected = "Expected each convolution and linear layer to run once in a forward pass."
            got = f"a second run of {self.names[module]!r}: relevance is not defined there"
            raise ValueError(f"{expected} Got {got}; give each use a module of its own.")
        if self.shares and isinstance(module, nn.Linear) and (inputs[0] < 0).any():
            self._refuse(module, "activations below 0")
        first = not any(isinstance(other, Linear) for other in self.ruled)
        self.ruled[module] = self._counted(self.rule_of(module, first) if isinstance(module, Linear) else Pass())
        return self.ruled[module].pre_forward(module, inputs)

    def _leave(self, module: nn.Module, inputs: tuple[Any, ...], output: Any) -> Any:
        node = output.grad_fn if _explained(output) else None
        if isinstance(node, torch.autograd.function.BackwardCFunction) and not isinstance(node, _Passed._backward_cls):
            self._refuse(module, type(node).__name__.removesuffix("Backward"))
        self.within.pop()
        if module in self.ruled:
            output = self.ruled[module].post_forward(module, inputs, output)
            self.ruled[module].forward(module, inputs, output)
            if isinstance(module, Linear):
                self.outputs[id(output)] = (module, output, [])
        return output

    def __torch_function__(
        self, func: Any, types: tuple[type, ...], args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        name, kwargs = getattr(func, "__name__", str(func)), kwargs or {}
        tensors = [part for part in _flat((*args, *kwargs.values())) if isinstance(part, Tensor)]
        first = next(filter(_explained, tensors), None)
        if first is None or not self.within or not torch.is_grad_enabled() or self._is_own(name, args):
            return func(*args, **kwargs)
        kind, in_place = self._kind(name, args, kwargs, tensors), name.endswith("_") or kwargs.get("inplace")
        call = lambda new: func(*(new if part is first else part for part in args), **kwargs)  # noqa: E731
        if kind == "sum":
            found = self._by_rule(lambda both: both.sum(-1), torch.stack(args, dim=-1))
        elif kind == "average":
            found = self._by_rule(call, first)
        elif kind == "passed":
            with torch.no_grad():
                value = call(first.detach().clone() if in_place else first)
            found = _Passed.apply(first, value)
        else:
            found = func(*args, **kwargs)
        if not any(map(_explained, _flat((found,)))):
            return found
        if not kind or (kind == "passed" and found.shape != first.shape):
            self._refuse(self.within[-1], name)
        self.whole &= all(part.requires_grad or part.shape[:1] != first.shape[:1] for part in tensors)
        for part in tensors:
            if part is not found and name != "view_as":  # zennit's own, before a module
                self._note(part, None)
        return args[0].copy_(found) if kind != "shape" and in_place else found

    def _is_own(self, name: str, args: tuple[Any, ...]) -> bool:
        """Whether a call is the one that the rule of the running module is for."""
        module = self.within[-1]
        if module not in self.ruled or isinstance(module, _BatchNorm):
            return module in self.ruled and name == "batch_norm" and module.running_mean is not None
        return len(args) > 1 and args[1] is not None and args[1] is module._parameters.get("weight")

    def _kind(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any], tensors: list[Tensor]) -> str | None:
        """What a call is to the rules; None where none covers it."""
        if name in _SHAPES:
            return "shape"
        alike = len(args) == len(tensors) == 2 and tensors[0].shape == tensors[1].shape
        if name in _SUMS and alike and not kwargs:
            return "sum"
        if sum(map(_explained, tensors)) > 1:
            return None
        rises = is_relu(name, args, kwargs) or (not self.shares and name.removesuffix("_") in _RISING)
        scales = name in _SCALES and (args[0] is tensors[0] or name in ("add", "mul"))
        return "average" if name in _AVERAGES else "passed" if rises or scales else None

    def _by_rule(self, function: Callable[[Tensor], Tensor], activations: Tensor) -> Tensor:
        layer = nn.Identity()
        layer.forward = function  # a rule is put on a module
        self._counted(self.share).register(layer)
        return layer(activations)

    def _counted(self, rule: Hook) -> Hook:
        """A copy of a rule that books what it leaves out."""
        rule = rule.copy()
        backward = rule.backward

        def counted(module: nn.Module, before: tuple[Tensor, ...], behind: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
            relevance = backward(module, before, behind)
            self.balance = self.balance + relevance[0].double().sum() - behind[0].double().sum()
            self.most = max(self.most, behind[0].abs().sum())
            return relevance

        rule.backward = counted
        self.hooks.append(rule)
        return rule

    def _note(self, read: Tensor, reader: nn.Module | None) -> None:
        if id(read) in self.outputs:
            self.outputs[id(read)][2].append(reader)

    def _refuse(self, module: nn.Module, what: str) -> None:
        expected = "Expected modules and functions that rules of relevance cover."
        got = f"{what} in {self.names[module]!r} ({type(module).__name__}), for which there is no rule"
        raise ValueError(f"{expected} Got {got}: use a gradient or a class activation map.")


class _Passed(torch.autograd.Function):
    """The value of a function of activations that has their shape; relevance passes it as it is."""

    @staticmethod
    def forward(ctx: Any, _activations: Tensor, value: Tensor) -> Tensor:
        return value.clone()

    @staticmethod
    def backward(ctx: Any, relevance: Tensor) -> tuple[Tensor, None]:
        return relevance, None


def _explained(value: object) -> bool:
    return isinstance(value, Tensor) and value.requires_grad


def _flat(values: Iterable[Any]) -> Iterator[Any]:
    for value in values:
        yield from value if isinstance(value, (list, tuple)) else (value,)
