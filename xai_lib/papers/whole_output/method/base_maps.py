"""Saliency maps of groups of classes by the four base explainers, coarse or fine (whole-output paper §4.1-4.2)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from torch import Tensor, nn

from xai_lib.explainers import about
from xai_lib.explainers.adapter import raw_maps
from xai_lib.explainers.normalise import min_max, positive_share
from xai_lib.papers.whole_output.method.groups import of_groups
from xai_lib.papers.whole_output.method.heatmaps import Variant

BASES = ("grad-cam", "excitation-backprop", "lime", "rise")

Stage = Literal["first", "second"]
Scale = Literal["none", "min-max", "positive share"]


@dataclass(frozen=True)
class Base:
    """A base explainer with its settings.

    Attributes:
        name: one of :data:`BASES`.
        first: keywords of the explainer in the first stage, which looks for the object.
        second: those of the second stage, which tells classes apart and wants finer maps.
        scale: what is done to each map before maps are contrasted: "none"; "min-max" to [0,1]; "positive share" sets
            negative values to 0 and divides by the maximum.
    """

    name: str
    first: Mapping[str, Any]
    second: Mapping[str, Any]
    scale: Scale


def base(name: str, layers: tuple[str, str], *, variant: Variant = "paper", n_masks: int, n_samples: int) -> Base:
    """The settings of a base explainer.

    Ours where the paper gives no number: its RISE has 7×7 cells kept with probability 0.5, as RISE's authors have it,
    then 10×10 with 0.3, finer as §4.2 asks; both stages of LIME are the same. The released RISE has 15×15 cells with
    0.3, then 10×10 with 0.14 and 3/5 as many masks, the second coarser, against §4.2.

    Nor does the paper say on which scale maps are subtracted. As in the released code, each map of RISE is stretched
    to [0,1], each map of LIME cut at 0 and divided by its maximum, and the other two are taken as they come. Without
    it, the heat maps of RISE, which are probabilities, are often empty: of a class and a more probable one, the second
    has the higher value at every pixel.

    LIME's segments are those of :mod:`xai_lib.explainers.lime` in both variants; the released ones are others.

    Args:
        name: one of :data:`BASES`.
        layers: dotted names of the coarse and the fine layer, for Grad-CAM and excitation backprop. Released for
            ResNet-50: "layer4", then "layer3" (Grad-CAM) or "layer4.0" (excitation backprop).
        variant: "paper" or "released".
        n_masks: RISE's masks, in the first stage.
        n_samples: LIME's samples, in each stage.

    Raises:
        ValueError: if `name` or `variant` is another word.
    """
    if name not in BASES:
        raise ValueError(f"Expected a base explainer out of {', '.join(BASES)}. Got {name!r}.")
    if variant not in get_args(Variant):
        raise ValueError(f"Expected variant as 'paper' or 'released'. Got {variant!r}.")
    if name == "lime":
        return Base(name, {"n_samples": n_samples}, {"n_samples": n_samples}, "positive share")
    if name == "rise":
        if variant == "paper":
            first, second = {"n_masks": n_masks, "grid": 7, "p": 0.5}, {"n_masks": n_masks, "grid": 10, "p": 0.3}
        else:
            fewer = max(1, n_masks * 3 // 5)
            first, second = {"n_masks": n_masks, "grid": 15, "p": 0.3}, {"n_masks": fewer, "grid": 10, "p": 0.14}
        return Base(name, first, second, "min-max")
    coarse, fine = layers
    return Base(name, {"layer": coarse}, {"layer": fine}, "none")


def maps(model: nn.Module, x: Tensor, base: Base, stage: Stage, groups: Tensor, *, seed: int, index: Tensor) -> Tensor:
    """Saliency maps of groups of classes, all in one call of the base explainer.

    Explained are the probabilities of the groups for RISE and LIME, their logits for Grad-CAM, which keeps its
    negative values, and for excitation backprop.

    Args:
        model: the network.
        x: normalised images, float [B,3,H,W].
        base: the explainer and its settings.
        stage: which of its settings.
        groups: bool [B,S,C], each with at least one class.
        seed: the run's seed, for RISE and LIME.
        index: image indices, int64 [B].

    Returns:
        float32 [B,S,H,W] on x's device, of the image's size, scaled as `base` says.

    Raises:
        TypeError, ValueError: as the explainer and :func:`of_groups`.
    """
    settings = dict({"first": base.first, "second": base.second}[stage])
    layer = settings.pop("layer", None)
    score = of_groups(groups, about(base.name).explains)
    raw = raw_maps(model, base.name, x, score, index, layer=layer, settings=settings, seed=seed, upsample=True)
    return _SCALES[base.scale](raw)


_SCALES: dict[str, Callable[[Tensor], Tensor]] = {
    "none": lambda maps: maps,
    "min-max": min_max,
    "positive share": positive_share,
}
