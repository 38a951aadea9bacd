"""Relevance propagation by zennit's rules: what the score is made of, passed back layer by layer.

The rules work on a copy of the network, because merging batch normalisation changes its weights. Each convolution,
linear layer and pooling must run once in a forward pass. zennit sees modules only; sums and averages that the network
computes by functions get its rule for such layers here. Rectifiers that are functions need none: no relevance reaches
an output of 0.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from zennit.canonizers import SequentialMergeBatchNorm
from zennit.composites import EpsilonPlusFlat, ExcitationBackprop
from zennit.core import BasicHook, Composite
from zennit.rules import NoMod, Norm, Pass
from zennit.types import AvgPool, BatchNorm, Linear

from xai_lib.explainers import cams
from xai_lib.explainers.layers import Layer, find_layer
from xai_lib.explainers.passes import Within, layer_maps
from xai_lib.explainers.registry import register
from xai_lib.explainers.scores import Score
from xai_lib.forward import copied, undisturbed

_AVERAGES = ("mean", "avg_pool2d", "adaptive_avg_pool2d")
_SUMS = ("add", "add_")


@register("lrp", title="LRP", paper="Bach et al. 2015", family="relevance", colours=True, complete="logit")
def lrp(model: nn.Module, x: Tensor, *, score: Score, layer: Layer = None, epsilon: float = 1e-6) -> Tensor:
    """Layer-wise relevance propagation to the image (Bach et al. 2015), by the usual composite of rules.

    The ε-rule for linear layers, the z⁺-rule for convolutions and the flat rule for the first one, after batch
    normalisation has been merged into the convolution before it (Montavon et al. 2019; Kohlbrenner et al. 2020). It
    starts with each logit times the score's gradient at it: the relevance of a class is its logit, and of a negative
    logit most places have a negative share. A map adds up to the score if that is linear in the logits and the network
    has no biases, which take their share. In units of the score; the flat rule gives an image's colours the same value.
    The first convolution or linear layer among the network's modules must be the first that runs; `epsilon` is that of
    the ε-rule, above 0.

    Example:
        >>> model = nn.Sequential(nn.Flatten(), nn.Linear(2, 2, bias=False))
        >>> model[1].weight.data = torch.tensor([[3.0, 1.0], [0.0, 0.0]])
        >>> lrp(model, torch.tensor([[[[2.0, 4.0]]]]), score=lambda logits: logits[:, 0])  # 10 in all, the flat rule
        tensor([[[[5.0000, 5.0000]]]])
    """
    if not epsilon > 0:
        raise ValueError(f"Expected epsilon above 0. Got {epsilon}.")
    composite = EpsilonPlusFlat(epsilon=epsilon, canonizers=[SequentialMergeBatchNorm()])
    with _ruled(model, x, composite, Norm()) as network:
        from_images = nn.Sequential(OrderedDict(images=nn.Identity(), network=network, start=_TimesItself()))
        return layer_maps(from_images, x, score, "images", lambda _, relevance: relevance)


@register("excitation-backprop", title="MWP", paper="Zhang et al. 2018", family="relevance")
def excitation_backprop(
    model: nn.Module, x: Tensor, *, score: Score, layer: Layer = None, upsample: bool = True
) -> Tensor:
    """Excitation backprop, the marginal winning probability at a layer, summed over channels (Zhang et al. 2018, §3).

    Each neuron passes its probability to those below in proportion to activation times weight where that is positive,
    without biases; so do the sums of residual blocks (zennit's own rule for them passes negative shares as well).
    Batch normalisation is first merged into the convolution before it. It starts with the score's gradient at the
    logits, which for a class is 1 at its logit: the map of a difference is the difference of the maps. For a class, not
    negative and adding up to 1 on the layer's grid, or to less where a neuron has no excitatory input.

    Example:
        >>> model = nn.Sequential(nn.Identity(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(1, 2))
        >>> model[3].weight.data = torch.ones(2, 1)
        >>> excitation_backprop(model, torch.tensor([[[[1.0, 3.0]]]]), score=lambda logits: logits[:, 0], layer="0")
        tensor([[[0.2500, 0.7500]]])
    """
    name, _ = find_layer(model, layer, x)
    excitatory = BasicHook(  # of sums and averages: in proportion to what goes in and is positive
        input_modifiers=[lambda activations: activations.clamp(min=0)], param_modifiers=[NoMod(param_keys=[])]
    )
    rules, merge = [(BatchNorm, Pass()), (AvgPool, excitatory)], SequentialMergeBatchNorm()
    composite = ExcitationBackprop(layer_map=rules, zero_params=["bias"], canonizers=[merge])
    with _ruled(model, x, composite, excitatory) as network:
        _, copied = find_layer(network.network, name)
        maps = layer_maps(network, x, score, copied, lambda _, relevance: relevance.sum(1))
    return cams.on_images(maps, x, upsample)


class _TimesItself(nn.Module):
    """Passes logits on; backwards, multiplies the gradient at each by the logit."""

    def forward(self, logits: Tensor) -> Tensor:
        if not isinstance(logits, Tensor) or not logits.requires_grad:
            return logits
        passed = logits.clone()
        passed.register_hook(lambda gradient: gradient * logits.detach())
        return passed


class _FunctionRules(TorchFunctionMode):
    """Puts a rule, which needs no parameters, on sums of two activations and on averages."""

    def __init__(self, rule: BasicHook) -> None:
        super().__init__()
        self.rule = rule
        self.hooks: list[BasicHook] = []

    def __torch_function__(
        self, func: Any, types: tuple[type, ...], args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        name, kwargs = getattr(func, "__name__", None), kwargs or {}
        if name in _SUMS and len(args) == 2 and not kwargs and all(isinstance(part, Tensor) for part in args):
            first, second = args
            if first.requires_grad and second.requires_grad and first.shape == second.shape:
                total = self._by_rule(lambda stacked: stacked.sum(-1), torch.stack([first, second], dim=-1))
                return first.copy_(total) if name == "add_" else total
        if name in _AVERAGES and args and args[0].requires_grad:
            return self._by_rule(lambda activations: func(activations, *args[1:], **kwargs), args[0])
        return func(*args, **kwargs)

    def _by_rule(self, function: Callable[[Tensor], Tensor], activations: Tensor) -> Tensor:
        layer, rule = nn.Identity(), self.rule.copy()
        layer.forward = function  # a rule is put on a module
        rule.register(layer)
        self.hooks.append(rule)
        return layer(activations)


@contextmanager
def _ruled(model: nn.Module, x: Tensor, composite: Composite, rule: BasicHook) -> Iterator[Within]:
    """A copy of the network under the composite's rules, and `rule` for functions; they keep no tensors at the end."""
    rules = _FunctionRules(rule)
    try:
        with undisturbed(model, x):
            network = copied(model)
            composite.register(network)
        for name, module in network.named_modules():
            if isinstance(module, (Linear, AvgPool)):
                module.register_forward_hook(_once(name))
        yield Within(network, rules)
    finally:
        composite.remove()
        for hook in rules.hooks:
            hook.remove()


def _once(name: str) -> Callable[..., None]:
    """A forward hook that refuses a second run: a rule keeps the input of the last one."""
    ran = []

    def refuse(_module: nn.Module, _inputs: object, _output: object) -> None:
        if ran:
            raise ValueError(
                f"Expected each convolution, linear layer and pooling to run once in a forward pass. Got a second run "
                f"of {name!r}: relevance is not defined there; give each use a module of its own."
            )
        ran.append(True)

    return refuse
