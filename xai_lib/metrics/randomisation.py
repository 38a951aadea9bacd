"""Randomising a network's parameters: a map that stays the same when the weights are destroyed explains nothing.

(Adebayo et al. 2018, with the average over steps as a score per image; Hedström et al. 2024; saliency paper §4.5.)

The modules that hold parameters are taken in the order in which they run, from the output down, a quarter at a time:
so scores of networks with more and with fewer modules are means over the same steps. A module is re-initialised by its
``reset_parameters``, which draws as PyTorch does for a new network, whatever the network's own start was; one without
it, or with parts of its own that would be reset as well, has its values put in a random order. Batch normalisation also
forgets its running statistics (mean 0, variance 1).
"""

import hashlib
import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from typing import Literal

import torch
from torch import Tensor, nn

from xai_lib.checks import check_choice, check_counts
from xai_lib.forward import copied, undisturbed
from xai_lib.metrics import correlation as correlations
from xai_lib.metrics.maps import check_pair, defined, is_finite
from xai_lib.metrics.registry import register, score_of

MakeMaps = Callable[[nn.Module, Tensor, Tensor, Tensor], Tensor]  # (model, x, target, index) -> maps [B,H,W]
Order = Literal["cascading", "independent"]


def executed(model: nn.Module, x: Tensor) -> tuple[str, ...]:
    """Names of the modules that hold parameters of their own, in the order in which they start in a forward pass.

    One that never starts, because the module around it uses its weights, has the place of that module. Of images `x`,
    [B,3,H,W], the first is run. TypeError if `model` is not a torch.nn.Module, ValueError if it has no parameters.
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"Expected model as a torch.nn.Module. Got {type(model).__name__}.")
    names = {module: name for name, module in model.named_modules()}
    holders = [name for module, name in names.items() if [*module.parameters(recurse=False)]]
    if not holders:
        raise ValueError(f"Expected a network with parameters. Got a {type(model).__name__} without any.")
    started: dict[str, int] = {}

    def note(module: nn.Module, _inputs: object) -> None:
        started.setdefault(names[module], len(started))

    def place(name: str) -> int:
        return started[name] if name in started else place(name.rpartition(".")[0])

    with ExitStack() as hooks, undisturbed(model, x[:1]) as images:
        for module in names:
            hooks.enter_context(module.register_forward_pre_hook(note))
        model(images)
    return tuple(sorted(holders, key=place))


def steps(names: Sequence[str], number: int = 4) -> tuple[tuple[str, ...], ...]:
    """Names in the order of execution, cut into `number` parts of nearly equal size, from the last to the first."""
    ends = [math.ceil(len(names) * step / number) for step in range(number + 1)]
    downwards = tuple(reversed(names))
    return tuple(downwards[start:end] for start, end in itertools.pairwise(ends) if end > start)


def randomised(
    model: nn.Module, parts: Sequence[Sequence[str]], seed: int, order: Order = "cascading"
) -> Iterator[nn.Module]:
    """Copies of a network with parts re-initialised, one part after the other, each a list of names of modules.

    A copy is the caller's own. A module's new weights depend on `seed` and its name alone, so they are the same in both
    orders and on every device. The order "cascading" keeps the parts before re-initialised as well, down to a wholly
    random network; "independent" re-initialises one part at a time.
    """
    check_choice("order", order, ("cascading", "independent"))
    current = model
    for names in parts:
        changed = copied(current)
        for name in names:
            _reset(changed.get_submodule(name), name, seed)
        if order == "cascading":
            current = copied(changed)
        yield changed


def parameter_randomisation(
    make_maps: MakeMaps, model: nn.Module, x: Tensor, target: Tensor, *, index: Tensor, seed: int = 0, draws: int = 3,
    order: Order = "cascading",
) -> tuple[tuple[tuple[str, ...], ...], Tensor]:  # fmt: skip
    """How alike an image's map is to the maps of the network's :func:`randomised` copies (:func:`spearman`).

    The modules of each of the L :func:`steps`, and float32 [B,L] in [-1, 1], means over draws of the weights; NaN where
    one of the two maps is constant or not finite in all draws. The network as it is, whose similarity is 1, is not
    among them (quantus averages it in). All maps explain the same class, and a random explainer gets the same `index`
    every time: only the weights differ.
    """
    check_counts(draws=draws)
    if any(module.training for module in model.modules()):
        raise ValueError("Expected the model in evaluation mode. Got one in training mode: call model.eval() first.")
    parts, maps = steps(executed(model, x)), make_maps(model, x, target, index).detach()
    found = []
    for draw in range(draws):
        networks = randomised(model, parts, seed + draw, order)
        found.append([spearman(maps, make_maps(network, x, target, index).detach()) for network in networks])
    return parts, torch.stack([torch.stack(alike, dim=1) for alike in found]).nanmean(dim=0)


@register("parameter-randomisation", title="MPRT", better="lower", range=(-1.0, 1.0),
          paper="Adebayo et al. 2018; Hedström et al. 2024",
          equation="saliency paper §4.5, in words: from the output down, quarters stay randomised")  # fmt: skip
@score_of(parameter_randomisation, order="cascading")
def cascading(found: tuple[tuple[tuple[str, ...], ...], Tensor]) -> Tensor:
    """Mean over the steps of :func:`parameter_randomisation` in cascading order (Adebayo et al. 2018).

    Lower is better. float32 [B] in [-1, 1], the mean over the steps with a defined similarity (a random network's map
    is often empty after a ReLU); NaN where no step has one, so wherever the map of the network as it is has none.

    Example:
        >>> network, x, first = nn.Linear(2, 2).eval(), torch.tensor([[[[1.0, 2.0]]]]), torch.tensor([0])
        >>> cascading(lambda network, x, target, index: x[:, 0], network, x, first, index=first)  # ignores the network
        tensor([1.])
    """
    return found[1].nanmean(1)


@register("parameter-randomisation-independent", title="MPRT, independent", better="lower", range=(-1.0, 1.0),
          paper="Adebayo et al. 2018; Hedström et al. 2024",
          equation="saliency paper §4.5, in words: one quarter randomised at a time")  # fmt: skip
@score_of(parameter_randomisation, order="independent")
def independent(found: tuple[tuple[tuple[str, ...], ...], Tensor]) -> Tensor:
    """As :func:`cascading` (Adebayo et al. 2018), one quarter randomised at a time. Lower is better.

    Example:
        >>> network, x, first = nn.Linear(2, 2).eval(), torch.tensor([[[[1.0, 2.0]]]]), torch.tensor([0])
        >>> independent(lambda network, x, target, index: x[:, 0], network, x, first, index=first)
        tensor([1.])
    """
    return found[1].nanmean(1)


def spearman(a: Tensor, b: Tensor) -> Tensor:
    """Rank correlation of maps [B,H,W], float32 [B], ties at their mean rank; NaN if one is constant or not finite."""
    check_pair(a, b)
    correlation = correlations.spearman(a.detach().flatten(1), b.detach().flatten(1))
    return defined(correlation, is_finite(a) & is_finite(b))


def _reset(module: nn.Module, name: str, seed: int) -> None:
    """Draw the parameters that are a module's own anew, in place."""
    digest, own = hashlib.sha256(f"{seed}|{name}".encode()).digest(), list(module.parameters(recurse=False))
    device = own[0].device
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.default_generator.manual_seed(int.from_bytes(digest[:8], "little", signed=True))
        parts_hold_some = any(list(part.parameters()) for part in module.children())
        if callable(getattr(module, "reset_parameters", None)) and not parts_hold_some:
            try:
                module.cpu().reset_parameters()  # a GPU's generator would give other numbers
            except Exception as error:
                raise ValueError(f"Expected {name}.reset_parameters() to draw new weights. Got: {error}.") from error
            module.to(device)
            return
        for values in own:
            values.copy_(values.flatten()[torch.randperm(values.numel()).to(device)].reshape(values.shape))
