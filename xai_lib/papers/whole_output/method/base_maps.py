"""Saliency maps of groups of classes by the four base explainers, coarse or fine (whole-output paper §4.1 and §4.2)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from xai_lib.checks import check_choice, described
from xai_lib.explainers import about
from xai_lib.explainers.adapter import raw_maps
from xai_lib.explainers.layers import find_layer, grids
from xai_lib.explainers.normalise import min_max, positive_share
from xai_lib.explainers.scores import Score

BASES = ("grad-cam", "excitation-backprop", "lime", "rise")

Variant = Literal["paper", "released"]  # the equations as printed, or what the authors' code does
Stage = Literal["first", "second"]
Scale = Literal["none", "min-max", "positive share"]  # the last sets negative values to 0, divides by the maximum

_SCALES = {"none": lambda maps: maps, "min-max": min_max, "positive share": positive_share}
_RISE = {"paper": ((7, 0.5), (10, 0.3)), "released": ((15, 0.3), (10, 0.14))}  # of both stages: cells a side, p


@dataclass(frozen=True)
class Base:
    """A base explainer with its settings."""

    name: str  # one of BASES
    first: Mapping[str, Any]  # keywords of the explainer in the first stage, which looks for the object
    second: Mapping[str, Any]  # in the second, which tells classes apart and wants finer maps
    scale: Scale  # what is done to each map before maps are contrasted


def base(name: str, layers: tuple[str, str], *, variant: Variant = "paper", n_masks: int, n_samples: int) -> Base:
    """The settings of a base explainer.

    Ours where the paper gives no number: its RISE has 7×7 cells kept with probability 0.5, as RISE's authors have it,
    then 10×10 with 0.3, finer as §4.2 asks; both stages of LIME are the same. The released RISE has 15×15 cells with
    0.3, then 10×10 with 0.14 and 3/5 as many masks, the second coarser, against §4.2.

    Nor does the paper say on which scale maps are subtracted. As in the released code, each map of RISE is stretched
    to [0,1], each map of LIME cut at 0 and divided by its maximum, and the other two are taken as they come. Without
    it, the maps of RISE, which are probabilities, are often empty: a more probable rival's is higher at every pixel.
    LIME's segments are those of :mod:`xai_lib.explainers.lime` in both variants; the released ones are others.

    `layers` are those of :func:`coarse_and_fine`, for Grad-CAM and excitation backprop; `n_masks` are RISE's in the
    first stage, `n_samples` LIME's in each. ValueError if `name` or `variant` is another word.

    Example:
        >>> base("grad-cam", ("layer4", "layer3"), n_masks=1, n_samples=1).second
        {'layer': 'layer3'}
    """
    if name not in BASES:
        raise ValueError(f"Expected a base explainer out of {', '.join(BASES)}. Got {name!r}.")
    check_choice("variant", variant, get_args(Variant))
    if name == "lime":
        return Base(name, {"n_samples": n_samples}, {"n_samples": n_samples}, "positive share")
    if name == "rise":
        counts = (n_masks, n_masks if variant == "paper" else max(1, n_masks * 3 // 5))
        first, second = ({"n_masks": n, "grid": grid, "p": p} for n, (grid, p) in zip(counts, _RISE[variant]))
        return Base(name, first, second, "min-max")
    return Base(name, {"layer": layers[0]}, {"layer": layers[1]}, "none")


def coarse_and_fine(model: nn.Module, x: Tensor) -> tuple[str, str]:
    """Names of the layers of both stages: the network's last spatial layer, and the last one of the next finer grid.

    "The further away the pivot layer is from the output layer, the more fine-grained is the heatmap" (§4.2) holds only
    where the grid is finer, measured in one forward pass of images, float [B,3,H,W], of the size to be explained. Where
    no layer has a finer grid, both names are the same. TypeError or ValueError as
    :func:`xai_lib.explainers.layers.last_spatial_layer`.

    Example:
        >>> pool = nn.MaxPool2d(2)
        >>> coarse_and_fine(nn.Sequential(nn.ReLU(), pool, nn.Conv2d(3, 4, 1), nn.Flatten()), torch.zeros(1, 3, 8, 8))
        ('2', '0')
    """
    (coarse, _), places = find_layer(model, None, x), {name: h * w for name, (h, w) in grids(model, x).items()}
    names = [name for name, n_places in places.items() if n_places > places.get(coarse, 1)]
    nearest = [name for name in names if places[name] == min(map(places.get, names))] or [coarse]
    deep = max(coarse.count("."), min(name.count(".") for name in nearest))  # no parts of the blocks between
    return coarse, [name for name in nearest if name.count(".") <= deep][-1]


def maps(model: nn.Module, x: Tensor, base: Base, stage: Stage, groups: Tensor, *, seed: int, index: Tensor) -> Tensor:
    """Saliency maps of `groups` of classes, see :func:`of_groups`, all in one call of the base explainer.

    Explained are the probabilities of the groups for RISE and LIME, their logits for Grad-CAM, which keeps its
    negative values, and for excitation backprop. Of normalised images, float [B,3,H,W]; `seed` and `index`, int64 [B],
    are for RISE and LIME. float32 [B,S,H,W] on x's device, of the image's size, scaled as `base` says. TypeError or
    ValueError as the explainer and :func:`of_groups`.
    """
    settings = dict(getattr(base, stage))
    layer, score = settings.pop("layer", None), of_groups(groups, about(base.name).explains)
    raw = raw_maps(model, base.name, x, score, index, layer=layer, settings=settings, seed=seed, upsample=True)
    return _SCALES[base.scale](raw)


def of_groups(groups: Tensor, what: Literal["logit", "probability"]) -> Score:
    """The score of S groups of classes per image, each taken as one compound class (whole-output paper §4.1).

    A group C has the probability P(C) = Σ P(c) and the logit z_C = log Σ exp z_c, both over the classes c in C. Of
    `groups` bool [B,S,C], a function from logits [B,C] to scores [B,S]. ValueError if one has another shape or type, a
    group is empty, or `what` is another word.

    Example:
        >>> two_of_three = torch.tensor([[[True, True, False]]])
        >>> of_groups(two_of_three, "probability")(torch.zeros(1, 3))
        tensor([[0.6667]])
    """
    if what not in ("logit", "probability"):
        raise ValueError(f"Expected what as one of logit, probability. Got {what!r}.")
    if not isinstance(groups, Tensor) or groups.dtype != torch.bool or groups.ndim != 3:
        raise ValueError(f"Expected groups as a bool tensor [B,S,C]. Got {described(groups)}.")
    if not groups.any(2).all():
        raise ValueError(f"Expected groups of at least one class. Got {int((~groups.any(2)).sum())} empty ones.")
    with torch.inference_mode(False):
        members = groups.clone()  # gradients cannot be taken through what was made in inference mode

    def score(logits: Tensor) -> Tensor:
        expected = [len(groups), groups.shape[2]]
        if list(logits.shape) != expected:
            raise ValueError(f"Expected logits {expected} for these groups. Got {list(logits.shape)}.")
        within = torch.where(members.to(logits.device), logits[:, None], -torch.inf).logsumexp(2)
        return within if what == "logit" else (within - logits.logsumexp(1, keepdim=True)).exp()

    return score
