"""Coherence: how well a map agrees with a mask of the object.

Scores are float32 [B] in [0, 1]. A mask without a pixel, a map of zeros or one that is not finite makes each NaN; a map
without a positive value also the shares of what is positive.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from xai_lib.metrics.maps import check_maps, defined, is_defined
from xai_lib.metrics.registry import register


@register("pointing-game", title="Pointing game", better="higher", range=(0.0, 1.0), paper="Zhang et al. 2018",
          equation="contrastive paper §3.5 (PG)")  # fmt: skip
def pointing_game(attribution: Tensor, mask: Tensor) -> Tensor:
    """Whether the map's highest pixel lies in the mask (Zhang et al. 2018). Higher is better.

    Several highest pixels: the share of them inside, which is the expected score if one is drawn at random. (Counting
    a hit as soon as one of them is inside, as quantus does, rewards flat maps.) It is 0 or 1 if one pixel is highest.

    Example:
        >>> pointing_game(torch.tensor([[[0.2, 0.9]], [[0.9, 0.9]]]), torch.tensor([[[True, False]]] * 2))
        tensor([0.0000, 0.5000])
    """
    return _share(attribution, mask, lambda maps: maps == maps.amax(1, keepdim=True))


@register("attribution-localisation", title="Localisation", better="higher", range=(0.0, 1.0),
          paper="Kohlbrenner et al. 2020",
          equation="contrastive paper §3.5 (AL), as released: mass inside / total mass")  # fmt: skip
def attribution_localisation(attribution: Tensor, mask: Tensor) -> Tensor:
    """Σ of the map's positive values in the mask / Σ of all of them (Kohlbrenner et al. 2020). Higher is better.

    This is what the authors' tool (quantus) computes and so what Table 4 of the contrastive paper shows; the formula
    printed there is :func:`attribution_localisation_paper`.

    Example:
        >>> maps, mask = torch.tensor([[[3.0, 1.0, -5.0, 0.5]]]), torch.tensor([[[True, False, True, False]]])
        >>> attribution_localisation(maps, mask)
        tensor([0.6667])
    """
    return _share(attribution, mask, lambda maps: maps.double().clamp(min=0))


@register("attribution-localisation-paper", title="Localisation, as printed", better="higher", range=(0.0, 1.0),
          paper="Kohlbrenner et al. 2020",
          equation="contrastive paper §3.5 (AL), as printed: Σ s·I[e>0], as a share of all pixels with e>0",
)  # fmt: skip
def attribution_localisation_paper(attribution: Tensor, mask: Tensor) -> Tensor:
    """Share of the pixels with positive attribution that lie in the mask, however small it is. Higher is better.

    (After Kohlbrenner et al. 2020.) The paper prints the number Σ s·I[e>0], which has no fixed scale, and calls it a
    precision: it is divided here by the number of pixels with e>0. After min-max only a map's lowest pixels are not
    positive, so that the score is then close to the share of the image that the object covers, whatever the map.

    Example:
        >>> maps, mask = torch.tensor([[[3.0, 1.0, -5.0, 0.5]]]), torch.tensor([[[True, False, True, False]]])
        >>> attribution_localisation_paper(maps, mask)
        tensor([0.3333])
    """
    return _share(attribution, mask, lambda maps: maps > 0)


def _share(attribution: Tensor, mask: Tensor, weigh: Callable[[Tensor], Tensor]) -> Tensor:
    """What lies inside of the weights, bool or float64 [B,N], that pixels [B,N] are given, as a share of all."""
    check_maps(attribution)
    if not isinstance(mask, Tensor) or mask.dtype != torch.bool:
        got = mask.dtype if isinstance(mask, Tensor) else type(mask).__name__
        raise TypeError(f"Expected mask as a bool tensor [B,H,W]. Got {got}: say which values are the object.")
    if mask.shape != attribution.shape:
        raise ValueError(f"Expected mask of attribution's shape {list(attribution.shape)}. Got {list(mask.shape)}.")
    weights, inside = weigh(attribution.detach().flatten(1)), mask.to(attribution.device).flatten(1)
    total = weights.sum(1)
    return defined((weights * inside).sum(1) / total, inside.any(1) & is_defined(attribution) & (total > 0))
