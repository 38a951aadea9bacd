"""Is a contrastive map faithful to the network? (Whole-output paper §5.1, Equations 3-5.)

The pixels with the highest values are deleted first. P(class)·(1 - P(its rivals)), the contrastive score, should then
fall fast: CAUC is the area under it, lower is better, and CDROP its weighted fall, higher is better.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from xai_lib.forward import Model
from xai_lib.metrics.maps import check_maps, is_finite
from xai_lib.papers.whole_output.method.curve import check_rows, contrastive_curve

Variant = Literal["paper", "released"]

_RELEASED_STEP, _RELEASED_PIXELS = 16, 224 * 224


@dataclass(frozen=True)
class Scores:
    """Of P pairs of a class and its rivals and M maps for each.

    Attributes:
        cauc: float32 [P,M] in [0, 1], lower is better; NaN for a degenerate map, or where `common` is 0.
        cdrop: float32 [P,M] in [-1, 1], higher is better; NaN for a degenerate map.
        n_salient: δ-salient pixels of each map, int64 [P,M].
        common: number of pixels over which `cauc` follows all maps of a pair, int64 [P].
        degenerate: maps without a δ-salient pixel, bool [P,M]. An area over none of their pixels would be a perfect 0.
    """

    cauc: Tensor
    cdrop: Tensor
    n_salient: Tensor
    common: Tensor
    degenerate: Tensor


def salient(maps: Tensor, *, delta: float = 0.5, variant: Variant = "paper") -> Tensor:
    """Which pixels are δ-salient: those of at least `delta` times the map's highest value (§5.1).

    Args:
        maps: float [N,H,W].
        delta: in (0, 1].
        variant: "released" takes those strictly above the share `delta` of the way from the map's lowest to its
            highest value, negative values counting as 0. A constant map then has none.

    Returns:
        bool [N,H,W]; all False for a map without a positive value or with one that is not finite.

    Raises:
        TypeError, ValueError: if maps are not float [N,H,W], delta is outside (0, 1] or variant is another word.
    """
    check_maps(maps, "maps")
    if not 0 < delta <= 1:
        raise ValueError(f"Expected delta in (0, 1]. Got {delta}.")
    _check_variant(variant)
    highest = maps.amax((1, 2), keepdim=True)
    if variant == "paper":
        found = maps >= delta * highest
    else:
        lowest = maps.amin((1, 2), keepdim=True).clamp(min=0)
        found = maps > lowest + delta * (highest - lowest)
    return found & (highest > 0) & is_finite(maps)[:, None, None]


def salient_pixels(maps: Tensor, *, delta: float = 0.5, variant: Variant = "paper") -> Tensor:
    """Number n_δ of :func:`salient` pixels of each map [N,H,W], int64 [N]; 0 for a degenerate map."""
    return salient(maps, delta=delta, variant=variant).flatten(1).sum(1)


def scores(
    model: Model,
    x: Tensor,
    image: Tensor,
    maps: Tensor,
    target: Tensor,
    rivals: Tensor,
    *,
    index: Tensor,
    compared: Sequence[int],
    steps: int,
    delta: float = 0.5,
    tau: float = 0.05,
    variant: Variant = "paper",
    seed: int = 0,
) -> Scores:
    """CAUC (Eq. 4) and CDROP (Eq. 5) of several maps of the same pairs of a class and its rivals.

    CAUC is the sum of s over 0 to n_δ-1 deleted pixels, divided by all n pixels. n_δ there is `common`, the smallest of
    the compared maps that have a salient pixel. CDROP is the fall of s when the map's own n_δ pixels are deleted,
    divided by log2(1 + max(n_δ, τ)/τ). "released" deletes 16 pixels at a time at 224 × 224 pixels, and the same share
    of smaller images, rounded up; never deletes the last of these chunks; takes the area by trapezoids over the number
    of points of a whole curve; and sets the mean of the last three points (the last, of fewer) against the untouched
    image.

    Args:
        model, x, index, seed: as for :func:`contrastive_curve`.
        image: which row of x each pair is of, int64 [P].
        maps: float [P,M,H,W].
        target: int64 [P].
        rivals: bool [P,C].
        compared: positions among the M maps whose smallest n_δ is the common one. The other maps are followed as far.
        steps: at most so many points, evenly spaced, of the curve under which CAUC is the area, at least 2; the curve
            is straight between them. Exact from `common` on (released: from the number of its chunks on).
        delta: share of the highest value from which a pixel is salient, in (0, 1].
        tau: share of all pixels up to which CDROP asks no price, above 0.
        variant: "paper" or "released"; :func:`salient` differs too.

    Raises:
        TypeError, ValueError: as :func:`contrastive_curve`, or if a choice is none of these.
    """
    _check_choices(maps, compared, steps, tau)
    check_rows(x, image, maps[:, 0], target)
    if len(rivals) != len(maps):
        raise ValueError(
            f"Expected rivals as bool [{len(maps)},C]. Got {rivals.dtype} with shape {list(rivals.shape)}."
        )
    n_pairs, n_maps, height, width = maps.shape
    n_pixels = height * width
    every_map = maps.to(x.device).flatten(0, 1)
    n_salient = salient_pixels(every_map, delta=delta, variant=variant).reshape(n_pairs, n_maps)
    degenerate = n_salient == 0
    common = _smallest(n_salient[:, list(compared)])

    step = 1 if variant == "paper" else _up(_RELEASED_STEP * n_pixels, _RELEASED_PIXELS)
    area_at = step * _evenly(_up(common, step), steps)[:, None].expand(-1, n_maps, -1)  # [P,M,steps]
    fall_at = n_salient[..., None] if variant == "paper" else step * _last_three(_up(n_salient, step))
    removed = torch.cat([area_at, fall_at], dim=2).masked_fill(degenerate[..., None], 0)

    pair = torch.arange(n_pairs, device=x.device).repeat_interleave(n_maps)
    curve = contrastive_curve(
        model,
        x,
        image.to(x.device)[pair],
        every_map,
        target.to(x.device)[pair],
        rivals.to(x.device)[pair],
        removed.flatten(0, 1),
        index=index,
        seed=seed,
    )
    s = curve.score.double().reshape(removed.shape)
    followed = s[..., :steps]
    area = torch.trapezoid(followed, area_at.double() / step, dim=2)
    if variant == "paper":
        cauc = (area + (followed[..., 0] + followed[..., -1]) / 2) / n_pixels
    else:
        cauc = area / (_up(n_pixels, step) + 1)
    price = torch.log2(1 + (n_salient.double() / (tau * n_pixels)).clamp(min=1))
    cdrop = (s[..., 0] - s[..., steps:].mean(2)) / price
    return Scores(
        cauc.masked_fill(degenerate | (common == 0)[:, None], torch.nan).float(),
        cdrop.masked_fill(degenerate, torch.nan).float(),
        n_salient,
        common,
        degenerate,
    )


def _smallest(n_salient: Tensor) -> Tensor:
    """Smallest number above 0 of each row, 0 where there is none."""
    return n_salient.masked_fill(n_salient == 0, torch.iinfo(torch.int64).max).amin(1).where(n_salient.any(1), 0)


def _evenly(length: Tensor, steps: int) -> Tensor:
    """Whole numbers from 0 to length - 1, as evenly spaced as they can be: int64 [P,steps], all of them if they fit."""
    last = (length - 1).clamp(min=0)[:, None]
    return (2 * torch.arange(steps, device=length.device) * last + steps - 1) // (2 * (steps - 1))


def _last_three(length: Tensor) -> Tensor:
    """The last three places of curves of such lengths, the last one three times of shorter curves: [P,M,3]."""
    back = torch.arange(2, -1, -1, device=length.device) * (length >= 3)[..., None]
    return (length[..., None] - 1 - back).clamp(min=0)


def _up(a: Tensor | int, b: int) -> Tensor | int:
    """The quotient rounded up."""
    return -(-a // b)


def _check_variant(variant: str) -> None:
    if variant not in ("paper", "released"):
        raise ValueError(f"Expected variant as 'paper' or 'released'. Got {variant!r}.")


def _check_choices(maps: Tensor, compared: Sequence[int], steps: int, tau: float) -> None:
    if maps.ndim != 4:
        raise ValueError(f"Expected maps as a float tensor [P,M,H,W]. Got shape {list(maps.shape)}.")
    if not compared or not set(compared) <= set(range(maps.shape[1])):
        raise ValueError(f"Expected compared as positions in 0 to {maps.shape[1] - 1}. Got {list(compared)}.")
    if steps < 2:
        raise ValueError(f"Expected at least 2 steps. Got {steps}.")
    if not tau > 0:
        raise ValueError(f"Expected tau above 0. Got {tau}.")
