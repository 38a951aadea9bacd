"""Is a contrastive map faithful to the network? (Whole-output paper §5.1, Equations 3 to 5 and Figure 6.)

The pixels with the highest values are deleted first. P(class)·(1 - P(its rivals)), the contrastive score, should then
fall fast: CAUC is the area under it, lower is better, and CDROP its weighted fall, higher is better.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_args

import torch
from torch import Tensor

from xai_lib.checks import check_choice, check_index, described
from xai_lib.forward import Model, outputs
from xai_lib.metrics import perturbation
from xai_lib.metrics.maps import check_maps, is_finite
from xai_lib.papers.whole_output.method.base_maps import Variant

DELTA = 0.5  # share of a map's highest value from which a pixel is salient
TAU = 0.05  # share of all pixels up to which CDROP asks no price

_RELEASED_STEP, _RELEASED_PIXELS = 16, 224 * 224


@dataclass(frozen=True)
class Scores:
    """Of P pairs of a class and its rivals and M maps for each."""

    cauc: Tensor  # float32 [P,M] in [0, 1], lower is better; NaN for a degenerate map, or where `common` is 0
    cdrop: Tensor  # float32 [P,M] in [-1, 1], higher is better; NaN for a degenerate map
    n_salient: Tensor  # δ-salient pixels of each map, int64 [P,M]
    common: Tensor  # number of pixels over which `cauc` follows all maps of a pair, int64 [P]
    degenerate: Tensor  # maps without a δ-salient pixel, bool [P,M]; their area would be a perfect 0


def salient(maps: Tensor, variant: Variant = "paper") -> Tensor:
    """Which pixels are δ-salient: those of at least δ = 0.5 times the map's highest value (§5.1).

    "released" takes those strictly above the share δ of the way from the map's lowest to its highest value, negative
    values counting as 0. Of float [N,H,W] to bool [N,H,W], all False for a map without a positive value or with one
    that is not finite. TypeError or ValueError for other maps or another variant.

    Example:
        >>> salient(torch.tensor([[[4.0, 2.0, 1.0]]]))
        tensor([[[ True,  True, False]]])
    """
    check_maps(maps, "maps")
    check_choice("variant", variant, get_args(Variant))
    highest = maps.amax((1, 2), keepdim=True)
    if variant == "paper":
        found = maps >= DELTA * highest
    else:
        lowest = maps.amin((1, 2), keepdim=True).clamp(min=0)
        found = maps > lowest + DELTA * (highest - lowest)
    return found & (highest > 0) & is_finite(maps)[:, None, None]


def salient_pixels(maps: Tensor, variant: Variant = "paper") -> Tensor:
    """Number n_δ of :func:`salient` pixels of each map [N,H,W], int64 [N]; 0 for a degenerate map."""
    return salient(maps, variant).flatten(1).sum(1)


def contrastive_score(probability: Tensor, rivals: Tensor) -> Tensor:
    """s = P(c) · (1 - P(C')), of the probabilities of a class and of its rivals together (Equation 3).

    Example:
        >>> contrastive_score(torch.tensor(0.5), torch.tensor(0.25))
        tensor(0.3750)
    """
    return probability * (1 - rivals)


def contrastive_curve(
    model: Model, x: Tensor, image: Tensor, maps: Tensor, target: Tensor, rivals: Tensor, removed: Tensor, *,
    index: Tensor, seed: int = 0,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Follow a class and its rivals while the pixels that a map ranks highest become 0, the mean colour.

    Args:
        model, x, seed, index: as in :mod:`xai_lib.metrics`.
        image: which row of x each map is of, int64 [N].
        maps: float [N,H,W], of any sign and scale: only the order counts. Equal values go in an order drawn for each
            image, the same for all maps of an image.
        target, rivals: the class of each map, int64 [N], and those that it is told apart from, bool [N,C]: at least
            one, and not the target.
        removed: numbers of pixels, int64 [N,S] in 0 to H·W.

    Returns probabilities of the class, and of its rivals together, float32 [N,S]. TypeError or ValueError if types,
    shapes or ranges are not these, the model is in training mode, or a logit is not finite.
    """
    image, target, rivals, removed = (tensor.to(x.device) for tensor in (image, target, rivals, removed))
    check_rows(x, image, maps, target)
    _check_contrast(target, rivals, removed, maps[0].numel() if len(maps) else 0)
    check_index(index, x)
    rank = perturbation.ranks(maps.to(x.device), ties="random", seed=seed, index=index.to(x.device)[image])
    counts = x.shape[2] * x.shape[3] + 1
    row = torch.arange(len(maps), device=x.device)[:, None]
    points, place = torch.unique(row * counts + removed, return_inverse=True)
    row, count = points // counts, points % counts

    def make(point: Tensor, _: Tensor) -> Tensor:
        gone = rank[row[point]] < count[point][:, None, None]  # [n,H,W]
        return x[image[row[point]]].masked_fill(gone[:, None], 0)

    space = x[:1].expand(len(points), -1, -1, -1)
    classes = _columns(target, rivals)[row]
    found = outputs(model, make, _of_class_and_rivals, space, classes, 1, None)
    return found.reshape(len(points), 2)[place].unbind(-1)


def scores(
    model: Model, x: Tensor, image: Tensor, maps: Tensor, target: Tensor, rivals: Tensor, *,
    index: Tensor, compared: Sequence[int], steps: int, variant: Variant = "paper", seed: int = 0,
) -> Scores:  # fmt: skip
    """CAUC and CDROP of several maps of the same pairs of a class and its rivals.

    CAUC = Σ s(r) / n over r = 1 … n_δ, of all n pixels (Equation 4); n_δ there is `common`, the smallest of the
    compared maps that have a salient pixel. CDROP = (s(1) - s(n_δ + 1)) / log2(1 + max(n_δ, τ) / τ), with the map's own
    n_δ and τ = 0.05 n (Equation 5). "released" deletes 16 pixels at a time at 224 × 224 pixels, and the same share of
    smaller images, rounded up; never deletes the last of these chunks; takes the area by trapezoids over the number of
    points of a whole curve; and sets the mean of the last three points (the last, of fewer) against the untouched one.

    Of maps float [P,M,H,W]; all else is as for :func:`contrastive_curve`, for P pairs. `compared` are positions among
    the M maps whose smallest n_δ is the common one; the other maps are followed as far. The curve under which CAUC is
    the area has at most `steps` points, at least 2, evenly spaced, and is straight between them: exact from `common` on
    (released: from the number of its chunks on). :func:`salient` differs between the variants too. TypeError or
    ValueError as :func:`contrastive_curve`, or if a choice is none of these.
    """
    _check_choices(maps, compared, steps)
    check_rows(x, image, maps[:, 0], target)
    n_pairs, n_maps, n_pixels = *maps.shape[:2], maps.shape[2] * maps.shape[3]
    if len(rivals) != n_pairs:
        raise ValueError(f"Expected rivals as bool [{n_pairs},C]. Got {described(rivals)}.")
    every_map = maps.to(x.device).flatten(0, 1)
    n_salient = salient_pixels(every_map, variant).reshape(n_pairs, n_maps)
    degenerate = n_salient == 0
    smallest = n_salient[:, list(compared)].masked_fill(degenerate[:, list(compared)], n_pixels + 1).amin(1)
    common = smallest.where(smallest <= n_pixels, 0)

    step = 1 if variant == "paper" else _up(_RELEASED_STEP * n_pixels, _RELEASED_PIXELS)
    area_at = step * _evenly(_up(common, step), steps)[:, None].expand(-1, n_maps, -1)  # [P,M,steps]
    fall_at = n_salient[..., None] if variant == "paper" else step * _last_three(_up(n_salient, step))
    removed = torch.cat([area_at, fall_at], dim=2).masked_fill(degenerate[..., None], 0)

    pair = torch.arange(n_pairs, device=x.device).repeat_interleave(n_maps)
    image, target, rivals = (tensor.to(x.device)[pair] for tensor in (image, target, rivals))
    curve = contrastive_curve(model, x, image, every_map, target, rivals, removed.flatten(0, 1), index=index, seed=seed)
    s = contrastive_score(*curve).double().reshape(removed.shape)
    cauc = _area(s[..., :steps], area_at.double() / step, n_pixels, _up(n_pixels, step), variant)
    price = torch.log2(1 + (n_salient.double() / (TAU * n_pixels)).clamp(min=1))
    cdrop = (s[..., 0] - s[..., steps:].mean(2)) / price
    cauc = cauc.masked_fill(degenerate | (common == 0)[:, None], torch.nan).float()
    return Scores(cauc, cdrop.masked_fill(degenerate, torch.nan).float(), n_salient, common, degenerate)


def check_rows(x: Tensor, image: Tensor, maps: Tensor, target: Tensor) -> None:
    """Refuse what are not images, float [B,c,H,W], and, for some rows of them, int64 [N], maps [N,H,W] and classes."""
    check_maps(maps, "maps")
    if image.dtype != torch.int64 or image.shape != (len(maps),):
        raise ValueError(f"Expected the row of x of each map, int64 [{len(maps)}]. Got {described(image)}.")
    if ((image < 0) | (image >= len(x))).any():
        raise ValueError(f"Expected rows of x in 0 to {len(x) - 1}. Got {image.min()} to {image.max()}.")
    perturbation.check_inputs(x[:1].expand(len(maps), *x.shape[1:]), maps, target)


def _of_class_and_rivals(logits: Tensor, classes: Tensor) -> Tensor:
    """Probability of the first class and of the others together, float32 [n,2]."""
    probabilities = logits.softmax(1).gather(1, classes)
    others = (probabilities * (classes != classes[:, :1])).sum(1)
    return torch.stack([probabilities[:, 0], others], dim=1)


def _columns(target: Tensor, rivals: Tensor) -> Tensor:
    """Each target and behind it its rivals, padded with the target: int64 [N,1+R]."""
    most = int(rivals.sum(1).max()) if len(rivals) else 0
    first = rivals.int().argsort(dim=1, descending=True, stable=True)[:, :most]
    return torch.cat([target[:, None], torch.where(rivals.gather(1, first), first, target[:, None])], dim=1)


def _area(s: Tensor, at: Tensor, n_pixels: int, n_steps: int, variant: Variant) -> Tensor:
    """The area under points [P,M,S] of curves: the sum at every place between, or, as released, by trapezoids."""
    area = torch.trapezoid(s, at, dim=2)
    return (area + (s[..., 0] + s[..., -1]) / 2) / n_pixels if variant == "paper" else area / (n_steps + 1)


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


def _check_contrast(target: Tensor, rivals: Tensor, removed: Tensor, n_pixels: int) -> None:
    n = len(target)
    if rivals.dtype != torch.bool or rivals.ndim != 2 or len(rivals) != n:
        raise ValueError(f"Expected rivals as bool [{n},C]. Got {described(rivals)}.")
    if ((target < 0) | (target >= rivals.shape[1])).any():
        raise ValueError(f"Expected targets in 0 to {rivals.shape[1] - 1}. Got {target.min()} to {target.max()}.")
    if not rivals.any(1).all() or rivals.gather(1, target[:, None]).any():
        got = "a row of rivals without any or with its own class: leave out pairs without a rival"
        raise ValueError(f"Expected at least one rival of each class, and not the class itself. Got {got}.")
    if removed.dtype != torch.int64 or removed.ndim != 2 or len(removed) != n:
        raise ValueError(f"Expected removed as int64 [{n},S]. Got {described(removed)}.")
    if ((removed < 0) | (removed > n_pixels)).any():
        raise ValueError(f"Expected removed in 0 to {n_pixels}. Got {removed.min()} to {removed.max()}.")


def _check_choices(maps: Tensor, compared: Sequence[int], steps: int) -> None:
    if maps.ndim != 4:
        raise ValueError(f"Expected maps as a float tensor [P,M,H,W]. Got shape {list(maps.shape)}.")
    if not compared or not set(compared) <= set(range(maps.shape[1])):
        raise ValueError(f"Expected compared as positions in 0 to {maps.shape[1] - 1}. Got {list(compared)}.")
    if steps < 2:
        raise ValueError(f"Expected at least 2 steps. Got {steps}.")
