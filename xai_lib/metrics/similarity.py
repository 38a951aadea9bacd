"""Structural similarity of maps, and the two properties measured with it: continuity and contrastivity (§3.5)."""

import torch
from torch import Tensor
from torch.nn import functional

from xai_lib import randomness

# Constants of the structural similarity index (Wang et al. 2004).
_K1, _K2 = 0.01, 0.03


def ssim(a: Tensor, b: Tensor, *, window: int = 7, data_range: float = 1.0) -> Tensor:
    """Mean structural similarity of pairs of maps, as scikit-image computes it with its default uniform window.

    Args:
        a, b: float [B,H,W].
        window: side of the window in pixels, odd; borders where it does not fit are left out.
        data_range: largest minus smallest possible value of a map.

    Returns:
        [B] in [-1, 1], 1 for equal maps; NaN where a map holds NaN. dtype of the maps.

    Raises:
        ValueError: if shapes differ or the window does not fit.
    """
    if a.shape != b.shape or a.ndim != 3:
        raise ValueError(f"Expected two batches of maps [B,H,W]. Got {list(a.shape)} and {list(b.shape)}.")
    if window % 2 == 0 or window > min(a.shape[1:]):
        raise ValueError(f"Expected an odd window of at most {min(a.shape[1:])} pixels. Got {window}.")
    a64, b64 = a.double(), b.double()
    moments = torch.stack([a64, b64, a64 * a64, b64 * b64, a64 * b64], dim=1)  # [B,5,H,W]
    mean_a, mean_b, square_a, square_b, product = _window_means(moments, window).unbind(dim=1)
    unbiased = window**2 / (window**2 - 1)
    variance_a = unbiased * (square_a - mean_a**2)
    variance_b = unbiased * (square_b - mean_b**2)
    covariance = unbiased * (product - mean_a * mean_b)
    c1, c2 = (_K1 * data_range) ** 2, (_K2 * data_range) ** 2
    index = ((2 * mean_a * mean_b + c1) * (2 * covariance + c2)) / (
        (mean_a**2 + mean_b**2 + c1) * (variance_a + variance_b + c2)
    )
    return index.mean(dim=(1, 2)).to(a.dtype)


def noisy(x: Tensor, *, seed: int, index: Tensor, sigma: float = 0.02, clamp: bool = False) -> Tensor:
    """Normalised images with Gaussian noise, the input of continuity (contrastive paper §3.5, §4.3).

    Args:
        x: normalised images, float [B,3,H,W].
        seed, index: what the noise of each image is drawn from; index int64 [B].
        sigma: standard deviation, in units of the normalised image.
        clamp: cut the result to [0, 1], as the authors' released code does although the image is normalised: about two
            thirds of all values move, far more than by the noise.
    """
    noise = randomness.normal(seed, index, "continuity/noise", tuple(x.shape[1:]))
    perturbed = x + sigma * noise.to(x)
    return perturbed.clamp(0, 1) if clamp else perturbed


def other_class(predicted: Tensor, n_classes: int, *, seed: int, index: Tensor) -> Tensor:
    """A class drawn evenly from all but the predicted one, int64 [B]: what contrastivity compares with (§3.5).

    Raises:
        ValueError: with fewer than two classes.
    """
    if n_classes < 2:
        raise ValueError(f"Expected at least 2 classes to contrast. Got {n_classes}.")
    return (predicted + 1 + randomness.integers(seed, index, "contrastivity/class", n_classes - 1)) % n_classes


def continuity(maps: Tensor, maps_of_noisy: Tensor) -> Tensor:
    """Structural similarity of the maps of images and of :func:`noisy` images (§3.5); higher is better.

    Args:
        maps, maps_of_noisy: full-size maps scaled to [0, 1], float [B,H,W].

    Returns:
        [B] in [-1, 1]; NaN where either map is empty (zero everywhere).
    """
    return _without_empty(ssim(maps, maps_of_noisy), maps, maps_of_noisy)


def contrastivity(maps: Tensor, maps_of_other: Tensor) -> Tensor:
    """Structural similarity of the maps of the predicted and of :func:`other_class` (§3.5); lower is better.

    An empty map is similar to nothing: against it, any map scores about 0.001. Such images are undefined here; use
    :func:`ssim` itself to keep them, as the paper's numbers seem to.

    Args:
        maps, maps_of_other: full-size maps scaled to [0, 1], float [B,H,W].

    Returns:
        [B] in [-1, 1]; NaN where either map is empty (zero everywhere).
    """
    return _without_empty(ssim(maps, maps_of_other), maps, maps_of_other)


def _without_empty(values: Tensor, a: Tensor, b: Tensor) -> Tensor:
    empty = (a == 0).flatten(1).all(dim=1) | (b == 0).flatten(1).all(dim=1)
    return values.masked_fill(empty, float("nan"))


def _window_means(maps: Tensor, window: int) -> Tensor:
    """Means over every whole window, [B,K,H,W] -> [B,K,H-w+1,W-w+1]."""
    return functional.avg_pool2d(maps, window, stride=1)
