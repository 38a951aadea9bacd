"""Randomising a network's parameters: a map that stays the same when the weights are destroyed explains nothing.

(Adebayo et al. 2018, with the average over parts as a score per image; Hedström et al. 2024; saliency paper §4.5.)

A part is re-initialised by ``reset_parameters`` of each of its modules, which draws as PyTorch does for a new network,
whatever the network's own start was. Batch normalisation also forgets its running statistics (mean 0, variance 1).
"""

import copy
import hashlib
from collections.abc import Callable, Iterator
from typing import Literal

import torch
from torch import Tensor, nn

from xai_lib.checks import check_choice
from xai_lib.metrics import correlation as correlations
from xai_lib.metrics.maps import check_pair, defined, is_finite
from xai_lib.metrics.registry import register, score_of
from xai_lib.metrics.similarity import continuity
from xai_lib.models import Classifier

MakeMaps = Callable[[nn.Module, Tensor, Tensor, Tensor], Tensor]  # (model, x, target, index) -> maps [B,H,W]
Order = Literal["cascading", "independent"]
Similarity = Literal["spearman", "ssim"]


def blocks(model: nn.Module) -> tuple[str, ...]:
    """Names of the parts of a network that hold its parameters, from the output down to the input.

    Of a ``models.Classifier`` the head, then its ``layers()`` from the last to the stem. Of any other network the
    children that hold parameters, the last registered first: ``fc, layer4, …`` of torchvision's ResNet-50. A network
    that is one child in a shell has that child's children. TypeError if `model` is not a torch.nn.Module, ValueError if
    it has no parameters.
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"Expected model as a torch.nn.Module. Got {type(model).__name__}.")
    if isinstance(model, Classifier):
        return ("head", *reversed(model.layers()))
    if next(model.parameters(), None) is None:
        raise ValueError(f"Expected a network with parameters. Got a {type(model).__name__} without any.")
    inside, path = model, ""
    while len(children := _with_parameters(inside)) == 1 and not _owns_parameters(inside):
        [(name, inside)] = children.items()
        path += f"{name}."
    own = [path.rstrip(".")] if _owns_parameters(inside) else []
    return (*(path + name for name in reversed(children)), *own)


def randomised(model: nn.Module, seed: int, order: Order = "cascading") -> Iterator[tuple[str, nn.Module]]:
    """Copies of a network with parts re-initialised, in the order of :func:`blocks`.

    Yields each part's name and a copy of the network, of the caller's own. A part's new weights depend on `seed` and
    the part's name alone, so they are the same in both orders and on every device. `model` and the global generators
    are left as they are. TypeError if a module with parameters has no ``reset_parameters``.

    Args:
        order: "cascading" keeps the parts before re-initialised as well, down to a wholly random network;
            "independent" re-initialises one part at a time.
    """
    check_choice("order", order, ("cascading", "independent"))
    current, names = model, blocks(model)
    for name in names:
        changed = copy.deepcopy(current)
        holds_others = any(other != name and other.startswith(f"{name}.".lstrip(".")) for other in names)
        _reset(changed.get_submodule(name), name, seed, alone=holds_others)
        if order == "cascading":
            current = copy.deepcopy(changed)
        yield name, changed


def parameter_randomisation(
    make_maps: MakeMaps, model: nn.Module, x: Tensor, target: Tensor, *, index: Tensor, seed: int = 0,
    order: Order = "cascading", similarity: Similarity = "spearman",
) -> tuple[tuple[str, ...], Tensor]:  # fmt: skip
    """How alike an image's map is to the maps of the network's :func:`randomised` copies, part by part.

    The L parts' names, and float32 [B,L] in [-1, 1]; NaN where one of the two maps is empty or not finite, or, for
    "spearman", constant. The network as it is, whose similarity is 1, is not among them (quantus averages it in). All
    maps explain the same class, and a random explainer gets the same `index` every time: only the weights differ.

    Args:
        make_maps: ``(model, x, target, index)`` -> maps, float [B,H,W], as the caller scales them; in [0,1] for SSIM.
        similarity: "spearman" is the rank correlation over pixels, equal values taking their mean rank; "ssim" is
            ``similarity.ssim``.
    """
    check_choice("similarity", similarity, tuple(_SIMILARITIES))
    names = blocks(model)
    if any(module.training for module in model.modules()):
        raise ValueError("Expected the model in evaluation mode. Got one in training mode: call model.eval() first.")
    maps = make_maps(model, x, target, index).detach()
    others = (make_maps(changed, x, target, index).detach() for _, changed in randomised(model, seed, order))
    return names, torch.stack([_SIMILARITIES[similarity](maps, other) for other in others], dim=1)


@register("parameter-randomisation", title="MPRT", better="lower", range=(-1.0, 1.0),
          paper="Adebayo et al. 2018; Hedström et al. 2024",
          equation="saliency paper §4.5, in words: from the output down, parts stay randomised")  # fmt: skip
@score_of(parameter_randomisation, order="cascading")
def cascading(found: tuple[tuple[str, ...], Tensor]) -> Tensor:
    """Mean over the parts of :func:`parameter_randomisation` in cascading order (Adebayo et al. 2018).

    Lower is better. float32 [B] in [-1, 1], the mean over the parts with a defined similarity (a random network's map
    is often empty after a ReLU); NaN where no part has one, so wherever the map of the network as it is has none.

    Example:
        >>> network, x, first = nn.Linear(2, 2).eval(), torch.tensor([[[[1.0, 2.0]]]]), torch.tensor([0])
        >>> cascading(lambda network, x, target, index: x[:, 0], network, x, first, index=first)  # ignores the network
        tensor([1.])
    """
    return found[1].nanmean(1)


@register("parameter-randomisation-independent", title="MPRT, independent", better="lower", range=(-1.0, 1.0),
          paper="Adebayo et al. 2018; Hedström et al. 2024",
          equation="saliency paper §4.5, in words: one part randomised at a time")  # fmt: skip
@score_of(parameter_randomisation, order="independent")
def independent(found: tuple[tuple[str, ...], Tensor]) -> Tensor:
    """As :func:`cascading` (Adebayo et al. 2018), one part randomised at a time. Lower is better.

    Example:
        >>> network, x, first = nn.Linear(2, 2).eval(), torch.tensor([[[[1.0, 2.0]]]]), torch.tensor([0])
        >>> independent(lambda network, x, target, index: x[:, 0], network, x, first, index=first)
        tensor([1.])
    """
    return found[1].nanmean(1)


def spearman(a: Tensor, b: Tensor) -> Tensor:
    """Rank correlation of two maps [B,H,W] of an image over its pixels, equal values taking their mean rank.

    float32 [B] in [-1, 1]; NaN if one of the maps is constant or not finite.
    """
    check_pair(a, b)
    correlation = correlations.spearman(a.detach().flatten(1), b.detach().flatten(1))
    return defined(correlation, is_finite(a) & is_finite(b))


_SIMILARITIES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {"spearman": spearman, "ssim": continuity}


def _reset(part: nn.Module, name: str, seed: int, *, alone: bool) -> None:
    """Re-initialise a part in place: the parameters of all its modules, or, `alone`, those that are its own."""
    digest = hashlib.sha256(f"{seed}|{name}".encode()).digest()
    modules = [part] if alone else [module for module in part.modules() if _owns_parameters(module)]
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(int.from_bytes(digest[:8], "little", signed=True))
        for module in modules:
            if not callable(getattr(module, "reset_parameters", None)):
                raise TypeError(
                    f"Expected every module with parameters to have reset_parameters(). Got {type(module).__name__} "
                    f"in part {name!r} without it: give it one that draws its parameters anew."
                )
            device = next(module.parameters(recurse=False)).device
            module.cpu().reset_parameters()  # a GPU's generator would give other numbers
            module.to(device)


def _owns_parameters(module: nn.Module) -> bool:
    return next(module.parameters(recurse=False), None) is not None


def _with_parameters(module: nn.Module) -> dict[str, nn.Module]:
    """The children that hold parameters, by name."""
    return {name: child for name, child in module.named_children() if next(child.parameters(), None) is not None}
