"""One part of a data set: a single uint8 tensor on one device, or files that are decoded batch by batch."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import pandas as pd
import torch
from torch import Tensor

from xai_lib.checks import described
from xai_lib.data.images import Files

MASKS = ("object", "part", "second", "shortcut")
_CHUNK = 64  # images decoded at a time on the way into memory


class NotEnoughError(ValueError):
    """Data of which there are too few for a part of a run; pages say so, and the others are made without it."""


@dataclass(frozen=True, eq=False)
class Batch:
    """Some images of a split: ``images`` uint8 [B,3,H,W], ``labels`` int64 [B], ``index`` int64 [B]."""

    images: Tensor
    labels: Tensor
    index: Tensor


@dataclass(frozen=True, eq=False)
class Split:
    """One part of a data set. ValueError if the pieces do not fit together."""

    images: Tensor | Files  # uint8 [N,3,H,W], RGB; or :class:`Files`, see :meth:`materialised`
    labels: Tensor  # int64 [N], positions in `classes`
    classes: tuple[str, ...]  # class names
    # int64 [N], the number of each image in its data set; random draws are keyed by it, and a subset keeps it
    index: Tensor
    # mean, std: colour statistics of the training part, three numbers each, for images in [0, 1]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    name: str  # of the data set, for example `"planted"`
    part: str  # `"train"`, `"test"`, or `"held-out"` for training images that no network is trained on
    source: str  # sha256 (hexadecimal) of the data set that the images are of
    # bool [N,H,W] under the keys of :data:`MASKS`; empty where the data set has none
    masks: dict[str, Tensor] = field(default_factory=dict)
    factors: pd.DataFrame | None = None  # one row an image, what varies besides the class; None where unknown
    remarks: str = ""  # sentences on what was done to some of the files, see :func:`xai_lib.data.images.remarks`

    def __post_init__(self) -> None:
        if self.images.dtype != torch.uint8 or self.images.ndim != 4 or self.images.shape[1] != 3:
            raise ValueError(f"Expected images as uint8 [N,3,H,W]. Got {described(self.images)}.")
        n, _, height, width = self.images.shape
        for what, tensor in (("labels", self.labels), ("index", self.index)):
            if tensor.dtype != torch.int64 or tensor.shape != (n,):
                raise ValueError(f"Expected {what} as int64 [{n}]. Got {described(tensor)}.")
        lowest, highest = self.labels.aminmax() if n else (0, 0)
        if n and not 0 <= lowest <= highest < len(self.classes):
            raise ValueError(f"Expected labels in [0, {len(self.classes)}). Got {lowest} to {highest}.")
        for key, mask in self.masks.items():
            if key not in MASKS:
                raise ValueError(f"Expected a mask named {', '.join(MASKS)}. Got {key!r}.")
            if mask.dtype != torch.bool or mask.shape != (n, height, width):
                raise ValueError(f"Expected mask {key!r} as bool [{n},{height},{width}]. Got {described(mask)}.")
        if self.factors is not None and len(self.factors) != n:
            raise ValueError(f"Expected factors with {n} rows. Got {len(self.factors)}.")

    def __len__(self) -> int:
        return len(self.images)

    @property
    def digest(self) -> str:
        """What identifies the images, sha256 (hexadecimal): their data set and their numbers in it, in order."""
        return hashlib.sha256(self.source.encode() + self.index.cpu().numpy().tobytes()).hexdigest()

    @property
    def identity(self) -> dict[str, str | int]:
        """What stands for these images in a key of the store; of files, their contents as well."""
        found = {"digest": self.digest, "number": len(self)}
        return found if isinstance(self.images, Tensor) else found | {"content": self.images.content()}

    def subset(self, positions: Tensor | list[int]) -> "Split":
        """The images at ``positions`` [M] (int64), in that order; they keep their index."""
        positions = torch.as_tensor(positions, dtype=torch.int64, device=self.images.device)
        factors = None if self.factors is None else self.factors.iloc[positions.tolist()].reset_index(drop=True)
        masks = {key: mask[positions] for key, mask in self.masks.items()}
        chosen = {name: getattr(self, name)[positions] for name in ("images", "labels", "index")}
        return replace(self, **chosen, masks=masks, factors=factors)

    def materialised(self) -> "Split":
        """The same images in memory: the split itself where they are. FolderError names files that are no images."""
        if isinstance(self.images, Tensor):
            return self
        images = torch.empty(self.images.shape, dtype=torch.uint8, device=self.images.device)
        for chunk, pixels in zip(images.split(_CHUNK), self.images.split(_CHUNK)):
            chunk.copy_(pixels)
        return replace(self, images=images)

    def to(self, device: torch.device | str) -> "Split":
        """The same split with every tensor on ``device``."""
        moved = {name: getattr(self, name).to(device) for name in ("images", "labels", "index")}
        return replace(self, **moved, masks={key: mask.to(device) for key, mask in self.masks.items()})

    def normalise(self, images: Tensor) -> Tensor:
        """Standardise colours: uint8 [B,3,H,W], or float in [0,1] as augmentation returns it -> float32 [B,3,H,W]."""
        mean, std = (torch.tensor(each, device=images.device).view(3, 1, 1) for each in (self.mean, self.std))
        if images.dtype == torch.uint8:
            return images.to(torch.float32).div_(255).sub_(mean).div_(std)
        return images.to(torch.float32).sub(mean).div_(std)

    def batches(self, batch_size: int) -> Iterator[Batch]:
        """All images in order, ``batch_size`` at a time, at last perhaps fewer. FolderError as :meth:`materialised`."""
        if batch_size < 1:
            raise ValueError(f"Expected a batch size of at least 1. Got {batch_size}.")
        for first, images in zip(range(0, len(self), batch_size), self.images.split(batch_size)):
            chunk = slice(first, first + batch_size)
            yield Batch(images, self.labels[chunk], self.index[chunk])


def first_of_each_class(labels: Tensor, n: int | None = None) -> list[int]:
    """Positions of the first image of each class, by labels int64 [N]: of the first ``n`` classes, or all there are."""
    return [int((labels == label).nonzero()[0, 0]) for label in labels.unique()[:n]]
