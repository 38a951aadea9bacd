"""Who takes part in the saliency benchmark, under which settings, and how raw maps become maps in [0, 1]."""

from typing import Any, Literal

import torch
from torch import Tensor

from xai_lib import explainers
from xai_lib.explainers import cams, normalise
from xai_lib.scales import Scale

# The ten of Table 1, in its order.
PAPER = (
    "fake-cam",
    "gradient",
    "integrated-gradients",
    "guided-backprop",
    "grad-cam",
    "grad-cam++",
    "score-cam",
    "rise",
    "lime",
    "iba",
)
CONTROLS = ("uniform", "random", "centred-gaussian", "edge-map")
# Methods that the paper names but does not score.
BEYOND = (
    "smoothgrad",
    "eigen-cam",
    "hires-cam",
    "layer-cam",
    "xgrad-cam",
    "ablation-cam",
    "lrp",
    "excitation-backprop",
)
ALL = (*PAPER, *CONTROLS, *BEYOND)

Normalisation = Literal["paper", "absolute", "rank"]
NORMALISATIONS: tuple[Normalisation, ...] = ("paper", "absolute", "rank")


def settings(method: str, scale: Scale) -> dict[str, Any]:
    """What a scale sets for a method; all else is the method's own default."""
    return {"rise": {"n_masks": scale.rise_masks}, "lime": {"n_samples": scale.lime_samples}}.get(method, {})


def unit_maps(raw: Tensor, method: str, size: tuple[int, int], how: Normalisation = "paper") -> Tensor:
    """Raw maps of a method as maps in [0, 1] of the image's size: what every metric is given.

    - ``"paper"`` is the saliency paper's normalisation (§5.1): colours and pixels of a gradient together to [0, 1],
      then the largest of the three colours; class activation maps without their negative part; every map to [0, 1].
    - ``"absolute"`` takes absolute values first (the larger of the colours), then scales to [0, 1].
    - ``"rank"`` replaces the values of the paper's map by their ranks, so that all methods have the same values and
      differ in the order of pixels alone.

    An uninformed map without contrast stays as it is: scaling would empty it.

    Args:
        raw: what an explainer returns: [B,H,W], [B,S,H,W], on a layer's grid, or with colours before the grid.
        method: its name.
        size: height and width of the images.
        how: the normalisation.

    Returns:
        float32 [B,H,W] or [B,S,H,W].

    Raises:
        ValueError: if `how` is another word, or no explainer has that name.
    """
    if how not in NORMALISATIONS:
        raise ValueError(f"Expected a normalisation out of {', '.join(NORMALISATIONS)}. Got {how!r}.")
    family = explainers.about(method).family
    if how == "rank":
        maps = unit_maps(raw, method, size, "paper")
        return _unless_flat(maps, normalise.by_rank(maps), family)
    if has_colours(method):
        return normalise.min_max(normalise.reduce_colours(raw)) if how == "absolute" else normalise.min_max_colours(raw)
    maps = raw.abs() if how == "absolute" else normalise.relu(raw) if family == "cam" else raw
    maps = cams.upsample(maps, size) if maps.shape[-2:] != torch.Size(size) else maps
    return _unless_flat(maps, normalise.min_max(maps), family)


def has_colours(method: str) -> bool:
    """Whether a method's raw map has a value per colour."""
    return method in ("gradient", "integrated-gradients", "smoothgrad", "guided-backprop", "lrp")


def _unless_flat(maps: Tensor, scaled: Tensor, family: str) -> Tensor:
    """The scaled maps, but flat ones of uninformed methods as they were."""
    if family != "uninformed":
        return scaled
    flat = (maps == maps[..., :1, :1]).all(dim=-1, keepdim=True).all(dim=-2, keepdim=True)
    return torch.where(flat, maps.clamp(0, 1), scaled)
