"""Insertion and Deletion: how fast does the probability come, or go, when the most important pixels do first?

(Petsiuk et al. 2018, with the settings of their released evaluation; saliency paper §4.1.) Deletion is pixel flipping
towards another baseline; insertion walks from a baseline to the image.
"""

from collections.abc import Callable
from typing import Literal

import numpy as np
import torch
from scipy.ndimage import gaussian_filter
from torch import Tensor

from xai_lib.baselines import Baseline, replacement
from xai_lib.forward import Model
from xai_lib.metrics.perturbation import Ties, check_inputs, replacement_curve
from xai_lib.metrics.pixel_flipping import area, fractions_removed
from xai_lib.metrics.registry import register, score_of

Start = Baseline | Literal["blur"]
_KERNEL, _SIGMA = 11, 5.0  # of the released blur, in pixels


def _curve(*, inserting: bool, released: Start) -> Callable[..., Tensor]:
    def curve(
        model: Model, x: Tensor, attribution: Tensor, target: Tensor, *, index: Tensor, seed: int = 0,
        step: int | None = None, baseline: Start = released, ties: Ties = "random", chunk: int | None = None,
    ) -> Tensor:  # fmt: skip
        """Probability of the target while pixels are removed, or put in, those with the highest attribution first.

        Softmax probabilities, float32 [B,S+1], for deletion from the untouched image to the baseline, for insertion
        from there to the image; NaN for an empty (all-zero) map or one not finite. Only the values' order matters.

        `step` pixels are replaced at a time, with all their colours, at the last perhaps fewer; None is the image's
        width (released: 224 at 224 pixels, so 224 steps). `baseline` is the other end of the way: released are "zero"
        for deletion and "blur", :func:`blurred`, for insertion; or "minimum", or a tensor. The released `ties` are
        "reversed", up to an unstable sort.
        """
        check_inputs(x, attribution, target)
        blur = isinstance(baseline, str) and baseline == "blur"
        other = blurred(x) if blur else replacement(x, baseline, ("zero", "minimum", "blur"))
        start, end = (other, x) if inserting else (x, other)
        order = {"index": index, "seed": seed, "step": _pixels(step, x), "ties": ties, "chunk": chunk}
        return replacement_curve(model, start, end, attribution, target, **order)

    return curve


deletion_curve = _curve(inserting=False, released="zero")
insertion_curve = _curve(inserting=True, released="blur")


@register("deletion", title="D", better="lower", range=(0.0, 1.0), paper="Petsiuk et al. 2018",
          equation="saliency paper §4.1 (D), as a fraction")  # fmt: skip
@score_of(deletion_curve)
def deletion(curve: Tensor, *, x: Tensor, step: int | None) -> Tensor:
    """Area under :func:`deletion_curve` over the fraction of pixels removed, by trapezoids (Petsiuk et al. 2018).

    Lower is better. Where the step divides the number of pixels this is the released area, in which every step counts
    alike. float32 [B] in [0, 1]; NaN where the curve is.

    Example:
        >>> mean = lambda x: torch.stack([x.mean((1, 2, 3)), 1 - x.mean((1, 2, 3))], 1).log()  # is P(class 0)
        >>> x, maps, one = torch.ones(1, 1, 2, 2), torch.tensor([[[4.0, 3.0], [2.0, 1.0]]]), torch.tensor([0])
        >>> deletion(mean, x, maps, one, index=one, step=3)
        tensor([0.5000])
    """
    return area(curve, fractions_removed(x[0, 0].numel(), _pixels(step, x)))


@register("insertion", title="I", better="higher", range=(0.0, 1.0), paper="Petsiuk et al. 2018",
          equation="saliency paper §4.1 (I), as a fraction")  # fmt: skip
@score_of(insertion_curve)
def insertion(curve: Tensor, *, x: Tensor, step: int | None) -> Tensor:
    """Area under :func:`insertion_curve` over the fraction of pixels put in, by trapezoids (Petsiuk et al. 2018).

    Higher is better. float32 [B] in [0, 1]; NaN where the curve is.

    Example:
        >>> first = lambda x: torch.stack([x[:, 0, 0, 0], 1 - x[:, 0, 0, 0]], 1).log()  # pixel: P(class 0)
        >>> x, maps, one = torch.ones(1, 1, 2, 2), torch.tensor([[[4.0, 3.0], [2.0, 1.0]]]), torch.tensor([0])
        >>> insertion(first, x, maps, one, index=one, step=1, baseline="zero")
        tensor([0.8750])
    """
    return area(curve, fractions_removed(x[0, 0].numel(), _pixels(step, x)))


def blurred(x: Tensor) -> Tensor:
    """Images convolved with the released Gaussian kernel, zeros (the mean colour) beyond the border: like x.

    The release makes its kernel by blurring one bright pixel in a square of 11 pixels whose border reflects: what a
    Gaussian of sigma 5, cut at 4 sigma, has outside of the square is folded back into it, and the kernel is nearly
    flat. These are pixels of 224: at 32 they blur 7 times more.
    """
    channels, pixel = x.shape[1], np.zeros((_KERNEL, _KERNEL))
    pixel[_KERNEL // 2, _KERNEL // 2] = 1
    square = torch.from_numpy(gaussian_filter(pixel, _SIGMA)).to(x).expand(channels, 1, _KERNEL, _KERNEL)
    with torch.autocast(x.device.type, enabled=False):
        return torch.nn.functional.conv2d(x.detach(), square, padding=_KERNEL // 2, groups=channels)


def _pixels(step: int | None, x: Tensor) -> int:
    """How many pixels a step replaces."""
    return x.shape[3] if step is None else step
