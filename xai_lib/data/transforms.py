"""Images changed in four ways (saliency paper §5.3, Table 4, which prints no settings: :data:`TRANSFORMS` are ours)."""

import hashlib
import math
from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn import functional
from torchvision.transforms import InterpolationMode
from torchvision.transforms.functional import rotate

from xai_lib import randomness
from xai_lib.data.split import Split

TRANSFORMS: dict[str, tuple[float, ...]] = {
    "mixup": (0.1, 0.2, 0.3, 0.4),  # share of the other image
    "resize": (0.75, 0.5, 0.375, 0.25),  # of the side, down, and up again
    "rotation": (15.0, 45.0, 90.0, 180.0),  # degrees, anticlockwise
    "crop": (0.9, 0.8, 0.7, 0.6),  # share of the side that is kept, from the middle
}
_CHUNK = 128  # images in float32 at a time


def apply(split: Split, name: str, setting: float, *, seed: int = 0) -> Split:
    """Every image of a split, changed; the same labels and index.

    - mixup: a share of another image is mixed in (Zhang et al. 2017). The label is that of the image that dominates.
      The other is drawn for each image, by (seed, index), among the split's images of other classes: it is the same
      for every share, whatever the order of the split, but another split gives other partners. Masks stay: they mark
      what the label stands for.
    - resize: bilinear with antialiasing, down to a factor of each side and up again. Masks stay.
    - rotation: about the middle, bilinear; what comes in from outside has the data set's mean colour. Masks turn
      along (nearest), False outside.
    - crop: the central share of each side, resized to the full side (bilinear). So are masks (nearest).

    The settings mixup 0, resize 1, rotation 0 and crop 1 change nothing; ``seed`` is of mixup's partners, the others
    draw nothing. The new split is of a source of its own and no factors, which describe the images as they were.
    ValueError if there is no such transform, the setting makes no sense, or mixup has one class only.

    Example:
        >>> from xai_lib.data import planted
        >>> split = planted.generate(4, "test", size=16)
        >>> torch.equal(apply(split, "rotation", 180.0).images, split.images.flip(2, 3))
        True
    """
    if name not in TRANSFORMS:
        raise ValueError(f"Expected a transform out of {', '.join(TRANSFORMS)}. Got {name!r}.")
    change, makes_sense, expected = {
        "mixup": (_mixup, lambda share: 0 <= share <= 0.5, "a share in [0, 0.5]"),
        "resize": (_resize, lambda factor: 0 < factor <= 1, "a factor in (0, 1]"),
        "rotation": (_rotation, math.isfinite, "an angle in degrees"),
        "crop": (_crop, lambda share: 0 < share <= 1, "a share in (0, 1]"),
    }[name]
    if not isinstance(setting, int | float) or not makes_sense(setting):
        raise ValueError(f"Expected {expected} as the setting of {name}. Got {setting!r}.")
    images, masks = change(split, float(setting), seed)
    what = f"{split.digest}|{name}|{float(setting)!r}" + (f"|{seed}" if name == "mixup" else "")
    return replace(split, images=images, masks=masks, factors=None, source=hashlib.sha256(what.encode()).hexdigest())


def partners(split: Split, seed: int) -> Tensor:
    """The position of another image for each, int64 [N], uniform among other classes; ValueError if there are none."""
    counts = torch.bincount(split.labels, minlength=len(split.classes))
    if int((counts > 0).sum()) < 2:
        raise ValueError(f"Expected images of at least two classes to mix. Got {int((counts > 0).sum())}.")
    by_index = torch.argsort(split.index, stable=True)
    order = by_index[torch.argsort(split.labels[by_index], stable=True)]  # by class, then by index
    first = (counts.cumsum(0) - counts)[split.labels]
    own = counts[split.labels]
    drawn = randomness.uniform(seed, split.index, "mixup partner").double() * (len(split) - own)
    rank = drawn.long()  # among the images of other classes
    return order[torch.where(rank < first, rank, rank + own)]


def _mixup(split: Split, share: float, seed: int) -> tuple[Tensor, dict[str, Tensor]]:
    other, positions = partners(split, seed), torch.arange(len(split), device=split.images.device)
    mixed = lambda at: split.images[at].float() * (1 - share) + split.images[other[at]].float() * share  # noqa: E731
    return _in_chunks(positions, mixed), split.masks


def _resize(split: Split, factor: float, seed: int) -> tuple[Tensor, dict[str, Tensor]]:
    full = split.images.shape[-2:]
    small = [max(1, round(side * factor)) for side in full]
    return _in_chunks(split.images, lambda x: _bilinear(_bilinear(x.float(), small), full)), split.masks


def _rotation(split: Split, degrees: float, seed: int) -> tuple[Tensor, dict[str, Tensor]]:
    fill = [255 * value for value in split.mean]
    images = _in_chunks(split.images, lambda x: rotate(x.float(), degrees, InterpolationMode.BILINEAR, fill=fill))
    masks = {key: rotate(mask[:, None].float(), degrees)[:, 0] > 0.5 for key, mask in split.masks.items()}
    return images, masks


def _crop(split: Split, share: float, seed: int) -> tuple[Tensor, dict[str, Tensor]]:
    full = split.images.shape[-2:]
    height, width = (max(1, round(side * share)) for side in full)
    top, left = (full[0] - height) // 2, (full[1] - width) // 2
    middle = lambda x: x[..., top : top + height, left : left + width].float()  # noqa: E731
    cut = {key: middle(mask[:, None]) for key, mask in split.masks.items()}
    masks = {key: functional.interpolate(x, size=full, mode="nearest-exact")[:, 0] > 0.5 for key, x in cut.items()}
    return _in_chunks(split.images, lambda x: _bilinear(middle(x), full)), masks


def _bilinear(x: Tensor, size: list[int] | torch.Size) -> Tensor:
    return functional.interpolate(x, size=tuple(size), mode="bilinear", align_corners=False, antialias=True)


def _in_chunks(source: Tensor, change: Callable[[Tensor], Tensor]) -> Tensor:
    """Change a few images at a time, and round: values in [0, 255], float -> uint8."""
    return torch.cat([change(chunk).round_().clamp_(0, 255).to(torch.uint8) for chunk in source.split(_CHUNK)])
