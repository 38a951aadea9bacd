"""How alike two maps of one image are: SSIM, and the contrastive paper's continuity and contrastivity made of it."""

from typing import Literal

import torch
from torch import Tensor

from xai_lib import randomness
from xai_lib.checks import check_choice, check_index
from xai_lib.forward import images_at_once
from xai_lib.metrics.maps import check_pair, defined, is_defined, is_finite
from xai_lib.metrics.registry import register

_WINDOW = 7
_C1, _C2 = 0.01**2, 0.03**2  # for values in [0,1]
_PIXELS_AT_ONCE = 1 << 15  # keeps the intermediate results of SSIM in a processor's cache


def ssim(a: Tensor, b: Tensor) -> Tensor:
    """Structural similarity of maps in [0,1] (Wang et al. 2004, Eq. 13): uniform window of 7 pixels, sample covariance.

    Equal to ``skimage.metrics.structural_similarity(a, b, data_range=1)``: the mean over all windows that lie wholly in
    the map. Computed in float64, because variances are differences of nearly equal numbers.

    float32 [B] in [-1, 1], 1 if the maps are the same; NaN if one has a value that is not finite. TypeError or
    ValueError if the maps are not float [B,H,W] of one shape that holds the window.

    Example:
        >>> ssim(torch.full((1, 9, 9), 0.4), torch.full((1, 9, 9), 0.8))  # 2 · 0.4 · 0.8 / (0.4² + 0.8²)
        tensor([0.8000])
    """
    check_pair(a, b)
    if min(a.shape[1:]) < _WINDOW:
        raise ValueError(f"Expected maps at least as large as the window, {_WINDOW} pixels. Got {list(a.shape[1:])}.")
    images = images_at_once(a, cpu=_PIXELS_AT_ONCE, gpu=1 << 24, least=1)
    similarity = a.new_empty(len(a), dtype=torch.float64)
    with torch.no_grad():
        for start in range(0, len(a), images):
            part = slice(start, start + images)
            similarity[part] = _mean_ssim(a[part].double(), b[part].double())
    return defined(similarity, is_finite(a) & is_finite(b))


@register("continuity", title="Continuity", better="higher", range=(-1.0, 1.0), paper="Nauta et al. 2023",
          equation="contrastive paper §3.5 (Continuity), §4.3")  # fmt: skip
def continuity(maps: Tensor, others: Tensor, *, empty: Literal["nan", "keep"] = "nan") -> Tensor:
    """SSIM of the maps of images with those of :func:`noisy` images (Nauta et al. 2023). Higher is better.

    Of full-size maps scaled to [0,1], float [B,H,W], of the same class, in the paper the predicted one; a random
    explainer gets the same `index` twice, so that only the image differs. float32 [B] in [-1, 1]; NaN for a broken map.
    `empty`: "nan" leaves an image undefined if one of its maps is empty (all zero); "keep" gives the SSIM all the same:
    1 for two empty maps, about 0.001 for an empty map and another one.

    Example:
        >>> continuity(torch.full((1, 8, 8), 0.5), torch.full((1, 8, 8), 0.5))
        tensor([1.])
    """
    check_choice("empty", empty, ("nan", "keep"))
    similarity = ssim(maps, others)
    return similarity if empty == "keep" else defined(similarity, is_defined(maps) & is_defined(others))


@register("contrastivity", title="Contrastivity", better="lower", range=(-1.0, 1.0), paper="Nauta et al. 2023",
          equation="contrastive paper §3.5 (Contrastivity)")  # fmt: skip
def contrastivity(maps: Tensor, others: Tensor, *, empty: Literal["nan", "keep"] = "nan") -> Tensor:
    """As :func:`continuity` (Nauta et al. 2023), of the predicted class's maps with those of :func:`other_class`.

    Lower is better. Maps of another class are often empty after a ReLU, and about 0.001 similar to any map: with
    ``empty="keep"``, as in the authors' code, an explainer that finds nothing looks perfectly contrastive. Report both,
    and how many of them were empty: ``(is_empty(maps) | is_empty(others)).sum()``.

    Example:
        >>> contrastivity(torch.full((1, 8, 8), 0.5), torch.zeros(1, 8, 8))  # nothing speaks for the other class
        tensor([nan])
    """
    return continuity(maps, others, empty=empty)


def noisy(x: Tensor, *, index: Tensor, seed: int = 0, sigma: float = 0.02, clamp: bool = False) -> Tensor:
    """Normalised images with Gaussian noise, for continuity (contrastive paper §3.5, §4.3).

    `sigma` is the noise's standard deviation, in units of the normalised image. `clamp` also clamps the noisy
    *normalised* image to [0,1], as the authors' code does; that moves most values by far more than the noise.
    """
    if sigma < 0:
        raise ValueError(f"Expected sigma of at least 0. Got {sigma!r}.")
    check_index(index, x)
    noise = randomness.normal(seed, index.to(x.device), "continuity/noise", tuple(x.shape[1:]))
    perturbed = x + sigma * noise.to(x.dtype)
    return perturbed.clamp(0, 1) if clamp else perturbed


def other_class(target: Tensor, n_classes: int, *, index: Tensor, seed: int = 0) -> Tensor:
    """A class other than `target`, drawn uniformly from the rest, int64 [B], for contrastivity (contrastive §3.5).

    ValueError if there are fewer than two classes, a target is not a class, or there is not one index per image.
    """
    if n_classes < 2:
        raise ValueError(f"Expected at least two classes, to draw another one. Got n_classes={n_classes}.")
    check_index(index, target)
    if ((target < 0) | (target >= n_classes)).any():
        raise ValueError(f"Expected targets in 0 to {n_classes - 1}. Got {target.min()} to {target.max()}.")
    further = randomness.integers(seed, index.to(target.device), "contrastivity/class", n_classes - 1)
    return (target + 1 + further) % n_classes


def _mean_ssim(a: Tensor, b: Tensor) -> Tensor:
    """The mean over all windows of maps float64 [B,H,W]."""
    mean_a, mean_b, squares, product = _window_means(torch.stack([a, b, a * a + b * b, a * b]))  # each [B,h,w]
    means_squared, means_product = mean_a**2 + mean_b**2, mean_a * mean_b
    to_sample = _WINDOW**2 / (_WINDOW**2 - 1)
    variances = to_sample * (squares - means_squared)
    covariance = to_sample * (product - means_product)
    similarity = (2 * means_product + _C1) * (2 * covariance + _C2) / ((means_squared + _C1) * (variances + _C2))
    return similarity.mean(dim=(1, 2))


def _window_means(maps: Tensor) -> Tensor:
    """Means over every window that lies wholly in the map: [...,H,W] -> [...,H-6,W-6]."""
    weight = 1 / _WINDOW
    for side in (-1, -2):
        length = maps.shape[side] - _WINDOW + 1
        total = maps.narrow(side, 0, length) * weight
        for offset in range(1, _WINDOW):
            total.add_(maps.narrow(side, offset, length), alpha=weight)
        maps = total
    return maps
