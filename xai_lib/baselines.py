"""What takes the place of an image, or of the pixels that are removed from it."""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

Baseline = Literal["zero", "minimum"] | Tensor


def replacement(x: Tensor, baseline: Baseline, choices: Sequence[str] = ("zero", "minimum")) -> Tensor:
    """The baseline of each normalised image, expanded to the shape [B,c,H,W] of the images.

    "zero" is the mean colour of the data set, "minimum" the lowest value of the normalised image (black); or a tensor
    that broadcasts. ValueError for other tensors, and for words that are none of the caller's `choices`.

    Example:
        >>> x = torch.tensor([[[[-2.0, 1.0]]]])
        >>> replacement(x, "minimum"), replacement(x, torch.tensor(0.5))
        (tensor([[[[-2., -2.]]]]), tensor([[[[0.5000, 0.5000]]]]))
    """
    if isinstance(baseline, Tensor):
        try:
            return baseline.to(x).expand(x.shape)
        except RuntimeError as error:
            expected = f"Expected a baseline that broadcasts to images {list(x.shape)}."
            raise ValueError(f"{expected} Got shape {list(baseline.shape)}.") from error
    if baseline not in choices:
        raise ValueError(f"Expected baseline as {', '.join(map(repr, choices))} or a tensor. Got {baseline!r}.")
    lowest = x.amin(dim=(1, 2, 3), keepdim=True)
    return (lowest if baseline == "minimum" else torch.zeros_like(lowest)).expand(x.shape)
