"""How alike two maps of one image are: SSIM, and the contrastive paper's continuity and contrastivity made of it.

Both are here for maps that are at hand; ``robustness`` has them for an explainer.
"""

import math
from typing import Literal

import torch
from torch import Tensor

from xai_lib import randomness
from xai_lib.forward import images_at_once
from xai_lib.metrics.maps import check_maps, defined, is_empty, is_finite

_PIXELS_AT_ONCE = 1 << 15  # keeps the intermediate results of SSIM in a processor's cache


def ssim(a: Tensor, b: Tensor, *, window: int = 7, data_range: float = 1.0) -> Tensor:
    """Structural similarity (Wang et al. 2004) with a uniform window and sample covariance.

    Equal to ``skimage.metrics.structural_similarity(a, b, data_range=data_range)``: the mean over all windows that lie
    wholly in the map. Computed in float64, because variances are differences of nearly equal numbers.

    Args:
        a: maps, float [B,H,W].
        b: maps of the same shape.
        window: side of the square window in pixels, odd.
        data_range: highest minus lowest possible value of a map.

    Returns:
        float32 [B] in [-1, 1], 1 if the maps are the same; NaN if one has a value that is not finite.

    Raises:
        TypeError, ValueError: if the maps are not float [B,H,W] of one shape that holds the window, the window is not
            an odd whole number of at least 3, or `data_range` is not positive.
    """
    if type(window) is not int or window < 3 or window % 2 == 0:
        raise ValueError(f"Expected window as an odd whole number of at least 3. Got {window!r}.")
    n = window**2
    return _ssim(a, b, [1 / window] * window, covariance_scale=n / (n - 1), data_range=data_range)


def ssim_gaussian(a: Tensor, b: Tensor, *, sigma: float = 1.5, data_range: float = 1.0) -> Tensor:
    """Structural similarity as Wang et al. 2004 define it: Gaussian window, population covariance.

    Equal to scikit-image's with ``gaussian_weights=True, use_sample_covariance=False``: the window ends at 3.5 σ
    (11 pixels for σ = 1.5). Arguments, result and errors as :func:`ssim`; `sigma` is in pixels and positive.
    """
    if not sigma > 0:
        raise ValueError(f"Expected sigma as a positive number of pixels. Got {sigma!r}.")
    radius = int(3.5 * sigma + 0.5)
    weights = [math.exp(-0.5 * (offset / sigma) ** 2) for offset in range(-radius, radius + 1)]
    return _ssim(a, b, [weight / sum(weights) for weight in weights], covariance_scale=1.0, data_range=data_range)


def continuity(maps: Tensor, maps_of_noisy: Tensor, *, empty: Literal["nan", "keep"] = "nan") -> Tensor:
    """SSIM of the maps of images with those of :func:`noisy` images (contrastive paper §3.5). Higher is better.

    Args:
        maps: full-size maps scaled to [0,1], float [B,H,W].
        maps_of_noisy: of the same class, for the images with noise.
        empty: "nan" leaves an image undefined if one of its maps is empty (all zero); "keep" gives the SSIM all the
            same: 1 for two empty maps, about 0.001 for an empty map and another one.

    Returns:
        float32 [B] in [-1, 1].

    Raises:
        TypeError, ValueError: as :func:`ssim`, or if `empty` is another word.
    """
    return _with_rule_for_empty(maps, maps_of_noisy, empty)


def contrastivity(maps: Tensor, maps_of_other: Tensor, *, empty: Literal["nan", "keep"] = "nan") -> Tensor:
    """SSIM of the maps of the predicted class with those of :func:`other_class` (§3.5). Lower is better.

    Maps of another class are often empty after a ReLU, and about 0.001 similar to any map: with ``empty="keep"``, as
    in the authors' code, an explainer that finds nothing looks perfectly contrastive. Report both, and how many of
    them were empty: ``(is_empty(maps) | is_empty(maps_of_other)).sum()``.

    Args:
        maps: full-size maps scaled to [0,1], float [B,H,W].
        maps_of_other: of the other class, for the same images.
        empty: as in :func:`continuity`.

    Returns:
        float32 [B] in [-1, 1].

    Raises:
        TypeError, ValueError: as :func:`ssim`, or if `empty` is another word.
    """
    return _with_rule_for_empty(maps, maps_of_other, empty)


def noisy(x: Tensor, *, index: Tensor, seed: int = 0, sigma: float = 0.02, clamp: bool = False) -> Tensor:
    """Normalised images with Gaussian noise, for continuity (contrastive paper §3.5, §4.3).

    Args:
        x: normalised images, float [B,C,H,W].
        index: image indices, int64 [B]; with `seed` they decide the noise.
        seed: the run's seed.
        sigma: standard deviation of the noise, in units of the normalised image.
        clamp: also clamp the noisy *normalised* image to [0,1], as the authors' code does. That moves most values by
            far more than the noise.

    Returns:
        float [B,C,H,W], of x's type and device.

    Raises:
        ValueError: if there is not one index per image, or `sigma` is negative.
    """
    if sigma < 0:
        raise ValueError(f"Expected sigma of at least 0. Got {sigma!r}.")
    if len(index) != len(x):
        raise ValueError(f"Expected one index per image, {len(x)} in all. Got {len(index)}.")
    noise = randomness.normal(seed, index.to(x.device), "continuity/noise", tuple(x.shape[1:]))
    perturbed = x + sigma * noise.to(x.dtype)
    return perturbed.clamp(0, 1) if clamp else perturbed


def other_class(target: Tensor, n_classes: int, *, index: Tensor, seed: int = 0) -> Tensor:
    """A class other than `target`, drawn uniformly from the rest, for contrastivity (contrastive paper §3.5).

    Args:
        target: classes, int64 [B].
        n_classes: number of classes, at least 2.
        index: image indices, int64 [B]; with `seed` they decide the class.
        seed: the run's seed.

    Returns:
        int64 [B], on target's device.

    Raises:
        ValueError: if there are fewer than two classes, a target is not a class, or there is not one index per image.
    """
    if n_classes < 2:
        raise ValueError(f"Expected at least two classes, to draw another one. Got n_classes={n_classes}.")
    if len(index) != len(target):
        raise ValueError(f"Expected one index per image, {len(target)} in all. Got {len(index)}.")
    if ((target < 0) | (target >= n_classes)).any():
        raise ValueError(f"Expected targets in 0 to {n_classes - 1}. Got {target.min()} to {target.max()}.")
    further = randomness.integers(seed, index.to(target.device), "contrastivity/class", n_classes - 1)
    return (target + 1 + further) % n_classes


def _with_rule_for_empty(a: Tensor, b: Tensor, empty: str) -> Tensor:
    if empty not in ("nan", "keep"):
        raise ValueError(f"Expected empty as 'nan' or 'keep'. Got {empty!r}.")
    similarity = ssim(a, b)
    return similarity if empty == "keep" else defined(similarity, ~(is_empty(a) | is_empty(b)))


def _ssim(a: Tensor, b: Tensor, weights: list[float], *, covariance_scale: float, data_range: float) -> Tensor:
    """SSIM for a separable window with these weights along each side, a few images at a time."""
    check_maps(a, "a")
    check_maps(b, "b")
    if a.shape != b.shape:
        raise ValueError(f"Expected two batches of maps of one shape. Got {list(a.shape)} and {list(b.shape)}.")
    if min(a.shape[1:]) < len(weights):
        raise ValueError(
            f"Expected maps at least as large as the window, {len(weights)} pixels. Got {list(a.shape[1:])}."
        )
    if not data_range > 0:
        raise ValueError(f"Expected a positive data_range. Got {data_range!r}.")
    images = images_at_once(a, cpu=_PIXELS_AT_ONCE, gpu=1 << 24, least=1)
    similarity = a.new_empty(len(a), dtype=torch.float64)
    with torch.no_grad():
        for start in range(0, len(a), images):
            part = slice(start, start + images)
            similarity[part] = _mean_ssim(a[part].double(), b[part].double(), weights, covariance_scale, data_range)
    return defined(similarity, is_finite(a) & is_finite(b))


def _mean_ssim(a: Tensor, b: Tensor, weights: list[float], covariance_scale: float, data_range: float) -> Tensor:
    """Wang et al. 2004, Eq. 13 with c1 = (0.01 L)² and c2 = (0.03 L)², averaged over all windows in the map."""
    c1, c2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
    moments = _window_means(torch.stack([a, b, a * a + b * b, a * b]), weights)  # [4,B,h,w]
    mean_a, mean_b, squares, product = moments
    means_squared, means_product = mean_a**2 + mean_b**2, mean_a * mean_b
    variances = covariance_scale * (squares - means_squared)
    covariance = covariance_scale * (product - means_product)
    similarity = (2 * means_product + c1) * (2 * covariance + c2) / ((means_squared + c1) * (variances + c2))
    return similarity.mean(dim=(1, 2))


def _window_means(maps: Tensor, weights: list[float]) -> Tensor:
    """Weighted means over every window that lies wholly in the map: [...,H,W] -> [...,H-k+1,W-k+1]."""
    for side in (-1, -2):
        length = maps.shape[side] - len(weights) + 1
        total = maps.narrow(side, 0, length) * weights[0]
        for offset, weight in enumerate(weights[1:], start=1):
            total.add_(maps.narrow(side, offset, length), alpha=weight)
        maps = total
    return maps
