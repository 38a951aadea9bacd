"""Pixel flipping: does the prediction fall when the pixels that a map calls important are removed? (§3.5)"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from xai_lib import randomness

Model = Callable[[Tensor], Tensor]

_CHUNK = 512  # perturbed images in one forward pass: measured fastest on a processor at 32 px; bounds the memory


def pixel_order(attribution: Tensor, *, ties: str, seed: int, index: Tensor) -> Tensor:
    """Pixels from the most to the least important, int64 [B,H·W].

    Args:
        attribution: float [B,H,W].
        ties: "random" draws the order of equal pixels for each image; "stable" keeps them row by row.
        seed, index: what random ties are drawn from; index int64 [B].

    Raises:
        ValueError: if the rule for ties does not exist.
    """
    if ties not in ("random", "stable"):
        raise ValueError(f"Expected ties to be broken random or stable. Got {ties!r}.")
    flat = attribution.flatten(1)
    if ties == "stable":
        return flat.argsort(dim=1, descending=True, stable=True)
    shuffled = randomness.uniform(seed, index.to(flat.device), "ties", (flat.shape[1],)).argsort(dim=1)
    return shuffled.gather(1, flat.gather(1, shuffled).argsort(dim=1, descending=True, stable=True))


def pixel_flipping_curve(
    model: Model,
    x: Tensor,
    attribution: Tensor,
    target: Tensor,
    *,
    index: Tensor,
    seed: int = 0,
    step: int = 32,
    baseline: str = "minimum",
    ties: str = "random",
) -> Tensor:
    """Probability of the target while pixels are removed in the order of the map.

    Args:
        model: normalised images [B,3,H,W] -> logits [B,C], in evaluation mode.
        x: normalised images, float [B,3,H,W].
        attribution: float [B,H,W]; only the order of its values matters.
        target: class followed, int64 [B]; the paper takes the true one.
        index: image indices, int64 [B].
        seed: of random ties.
        step: pixels removed at a time; the last step may be smaller.
        baseline: "minimum" paints removed pixels in the smallest value of the image, the paper's black; "zero" in 0,
            the mean colour of the data set.
        ties: see :func:`pixel_order`.

    Returns:
        Softmax probability, float32 [B,S+1], from the untouched image to the fully removed one, at
        :func:`fractions_removed`; NaN for images whose map is empty (one value everywhere) or holds NaN.

    Raises:
        ValueError: if shapes do not fit, or a choice does not exist.
    """
    _check(x, attribution, target, step)
    if baseline not in ("minimum", "zero"):
        raise ValueError(f"Expected the baseline minimum or zero. Got {baseline!r}.")
    rank = pixel_order(attribution, ties=ties, seed=seed, index=index).argsort(dim=1).reshape(attribution.shape)
    black = x.amin(dim=(1, 2, 3), keepdim=True) if baseline == "minimum" else torch.zeros_like(x[:, :1, :1, :1])
    removed = torch.tensor(_pixels_removed(attribution[0].numel(), step), device=x.device)  # [S+1]
    curve = _probabilities(model, x, black, rank, target, removed)
    flat = attribution.flatten(1)
    undefined = (flat == flat[:, :1]).all(dim=1) | flat.isnan().any(dim=1)
    return curve.masked_fill(undefined[:, None], float("nan"))


def fractions_removed(n_pixels: int, step: int) -> Tensor:
    """Share of pixels removed at each point of a curve, float32 [S+1], from 0 to 1."""
    return torch.tensor(_pixels_removed(n_pixels, step), dtype=torch.float32) / n_pixels


def area(curve: Tensor, fractions: Tensor) -> Tensor:
    """Area under curves [B,S+1] at the :func:`fractions_removed` [S+1], by trapezoids: [B]."""
    return torch.trapezoid(curve, fractions.to(curve), dim=1)


def normalised(curve: Tensor) -> Tensor:
    """Curves [B,S+1] divided by their first point."""
    return curve / curve[:, :1]


def pixel_flipping(
    model: Model, x: Tensor, attribution: Tensor, target: Tensor, *, step: int = 32, **options: Any
) -> Tensor:
    """Area under :func:`pixel_flipping_curve`, [B] in [0, 1]; lower is better (§3.5, Table 4).

    The paper's formula has the area of the *drop*, for which higher would be better; its table, arrows and released
    code are this one. The released code also leaves out the untouched image.
    """
    curve = pixel_flipping_curve(model, x, attribution, target, step=step, **options)
    return area(curve, fractions_removed(attribution[0].numel(), step))


def pixel_flipping_normalised(
    model: Model, x: Tensor, attribution: Tensor, target: Tensor, *, step: int = 32, **options: Any
) -> Tensor:
    """As :func:`pixel_flipping`, every curve divided by its first point: [B] of at least 0, lower is better.

    An unsure network starts low and ends with a small area whatever the map says. Here every curve starts at 1.
    """
    curve = pixel_flipping_curve(model, x, attribution, target, step=step, **options)
    return area(normalised(curve), fractions_removed(attribution[0].numel(), step))


def _pixels_removed(n_pixels: int, step: int) -> list[int]:
    return [*range(0, n_pixels, step), n_pixels]


@torch.inference_mode()
def _probabilities(model: Model, x: Tensor, black: Tensor, rank: Tensor, target: Tensor, removed: Tensor) -> Tensor:
    """Softmax probability of ``target`` with the first ``removed`` pixels blackened, float32 [B,S+1]."""
    batch, steps = len(x), len(removed)
    curve = torch.empty(batch * steps, device=x.device)
    for first in range(0, batch * steps, _CHUNK):
        flat = torch.arange(first, min(first + _CHUNK, batch * steps), device=x.device)
        image, point = flat // steps, flat % steps
        gone = rank[image] < removed[point, None, None]  # [n,H,W]
        perturbed = torch.where(gone[:, None], black[image], x[image])
        if x.device.type == "cpu":
            perturbed = perturbed.contiguous(memory_format=torch.channels_last)
        probabilities = model(perturbed).float().softmax(dim=1)
        curve[flat] = probabilities.gather(1, target[image, None])[:, 0]
    return curve.reshape(batch, steps)


def _check(x: Tensor, attribution: Tensor, target: Tensor, step: int) -> None:
    if attribution.shape != (len(x), *x.shape[2:]) or target.shape != (len(x),):
        raise ValueError(
            f"Expected for images {list(x.shape)} maps {[len(x), *x.shape[2:]]} and targets [{len(x)}]. "
            f"Got {list(attribution.shape)} and {list(target.shape)}."
        )
    if type(step) is not int or step < 1:
        raise ValueError(f"Expected a step of at least 1 pixel. Got {step!r}.")
