"""Images that stay in their files: decoded batch by batch, ahead of whoever asks for them."""

import hashlib
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from xai_lib.data.images import SUFFIXES, THREADS, UNREADABLE, FolderError, decoded, files_in
from xai_lib.data.split import Batch, Split

_AHEAD = 2  # batches decoded before they are asked for


@dataclass(frozen=True, eq=False)
class StreamedSplit:
    """One part of a data set, with the face that scoring uses of :class:`Split`, but without the images in memory.

    Attributes:
        files: N files of images.
        labels: int64 [N], positions in ``classes``; its device is where batches go.
        classes: class names.
        index: int64 [N], the number of each image in its data set; a subset keeps it.
        mean, std: three numbers each, for images in [0, 1].
        name: of the data set.
        part: "train" or "test".
        digest: sha256 (hexadecimal) of names, sizes in bytes, labels and the image size, not of the pixels.
        size: side of the images in pixels.
        shorter: the shorter side is resized to this many pixels before the central square of ``size`` is cut.
    """

    files: tuple[Path, ...]
    labels: Tensor
    classes: tuple[str, ...]
    index: Tensor
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    name: str
    part: str
    digest: str
    size: int
    shorter: int

    masks = {}  # noqa: RUF012 (no annotation: a constant of the class, not a field)
    factors = None
    normalise = Split.normalise
    denormalise = Split.denormalise
    _statistics = Split._statistics

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.files)

    @property
    def identity(self) -> dict[str, str | int]:
        """What stands for these images in a key of the store."""
        return {"digest": self.digest, "number": len(self)}

    def subset(self, positions: Tensor | list[int]) -> "StreamedSplit":
        """The images at ``positions`` [M] (int64), in that order; index and digest as :meth:`Split.subset`."""
        positions = torch.as_tensor(positions, dtype=torch.int64, device=self.labels.device)
        index = self.index[positions]
        return replace(
            self,
            files=tuple(self.files[position] for position in positions.tolist()),
            labels=self.labels[positions],
            index=index,
            digest=hashlib.sha256(self.digest.encode() + index.cpu().numpy().tobytes()).hexdigest(),
        )

    def to(self, device: torch.device | str) -> "StreamedSplit":
        """The same split, whose batches come on ``device``."""
        return replace(self, labels=self.labels.to(device), index=self.index.to(device))

    def batches(self, batch_size: int) -> Iterator[Batch]:
        """All images in order, ``batch_size`` at a time; the last batch may be smaller.

        Threads decode two batches ahead, so that at most three are in memory.

        Raises:
            FolderError: if a file cannot be read as an image; the message names it.
        """
        if batch_size < 1:
            raise ValueError(f"Expected a batch size of at least 1. Got {batch_size}.")
        pool = ThreadPoolExecutor(THREADS)
        waiting: deque[tuple[slice, list[Future]]] = deque()
        try:
            for first in range(0, len(self), batch_size):
                chunk = slice(first, first + batch_size)
                waiting.append((chunk, [pool.submit(self._decoded, file) for file in self.files[chunk]]))
                if len(waiting) > _AHEAD:
                    yield self._batch(*waiting.popleft())
            while waiting:
                yield self._batch(*waiting.popleft())
        finally:
            pool.shutdown(cancel_futures=True)

    def materialised(self) -> Split:
        """The same images, index and digest, held in memory as uint8 [N,3,size,size] on the labels' device.

        Raises:
            FolderError: as :meth:`batches`.
        """
        images = torch.empty(len(self), 3, self.size, self.size, dtype=torch.uint8, device=self.labels.device)
        first = 0
        for batch in self.batches(64):
            images[first : first + len(batch.images)] = batch.images
            first += len(batch.images)
        return Split(
            images=images,
            labels=self.labels,
            classes=self.classes,
            index=self.index,
            mean=self.mean,
            std=self.std,
            name=self.name,
            part=self.part,
            digest=self.digest,
        )

    def _batch(self, chunk: slice, decoded: list[Future]) -> Batch:
        images = torch.stack([pixels.result() for pixels in decoded]).to(self.labels.device)
        return Batch(images, self.labels[chunk], self.index[chunk])

    def _decoded(self, file: Path) -> Tensor:
        try:
            return decoded(file, self.size, shorter=self.shorter)
        except UNREADABLE as error:
            raise FolderError(
                f"Expected an image in {file}. Got: {error}. Put a whole file there, or take it away."
            ) from error


def load(folder: Path, *, size: int, shorter: int, name: str = "folder") -> StreamedSplit:
    """The images of ``<folder>/<class>/``, as a test part, without opening any of them.

    Args:
        folder: holds one folder a class, whose names sorted are the classes. Files beside these, and hidden files, are
            passed over.
        size, shorter, name: of the split. The colours are not changed: mean 0, deviation 1.

    Raises:
        ValueError: if the size is no whole number of pixels.
        FolderError: if there is no such folder, no class in it, or a class holds no images, other files or folders.
    """
    if type(size) is not int or size < 1:
        raise ValueError(f"Expected the side of the images as a whole number of pixels. Got {size!r}.")
    if not folder.is_dir():
        raise FolderError(f"Expected a folder of class folders at {folder}. Got no such folder.")
    classes = sorted(entry.name for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith("."))
    if not classes:
        loose = sum(entry.suffix.lower() in SUFFIXES for entry in folder.iterdir())
        raise FolderError(
            f"Expected {folder} to hold one folder a class, with its images in it. Got no folders"
            + (f" but {loose} loose images: sort them into folders by class." if loose else ".")
        )
    found = [files_in(folder / name) for name in classes]
    files = tuple(file for of_class in found for file in of_class)
    seen = [f"size {size}", *(f"{file.parent.name}/{file.name} {file.stat().st_size}\0" for file in files)]
    return StreamedSplit(
        files=files,
        labels=torch.tensor([label for label, of_class in enumerate(found) for _ in of_class]),
        classes=tuple(classes),
        index=torch.arange(len(files)),
        mean=(0.0, 0.0, 0.0),
        std=(1.0, 1.0, 1.0),
        name=name,
        part="test",
        digest=hashlib.sha256("".join(seen).encode()).hexdigest(),
        size=size,
        shorter=shorter,
    )
