"""Files of images: found in a folder, decoded, and brought to one size."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from PIL import Image, ImageOps
from torch import Tensor
from torchvision.transforms import functional

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".ppm")
THREADS = 8  # decoding and resizing release Python's lock
_AHEAD = 2  # batches decoded before they are asked for
UNREADABLE = (OSError, SyntaxError, ValueError, Image.DecompressionBombError)  # what decoding a file can raise


class FolderError(ValueError):
    """Files of images that cannot be used as they are; the message names what is at fault."""


def decoded(
    image: Path | Image.Image, size: int, *, shorter: int | None = None, upright: bool = False, nearest: bool = False
) -> Tensor:
    """The pixels of an image, a file or an open one: a square, uint8 [3,size,size].

    The side that is ``shorter`` is resized to so many pixels before the central square of ``size`` is cut, as
    torchvision prepares images (bilinear, antialiased); for None the largest central square is resized, and an image
    that has the size is taken as it is. ``upright`` turns a photograph as its EXIF data say; ``nearest`` takes each
    pixel from the nearest in the file, as masks need it.

    One of :data:`UNREADABLE` is raised if a file cannot be read.
    """
    if isinstance(image, Path):
        with Image.open(image) as opened:
            return decoded(opened, size, shorter=shorter, upright=upright, nearest=nearest)
    picture = (ImageOps.exif_transpose(image) if upright else image).convert("RGB")
    if shorter is not None:
        picture = functional.center_crop(functional.resize(picture, [shorter]), [size])
    elif picture.size != (size, size):
        how = Image.Resampling.NEAREST if nearest else Image.Resampling.BILINEAR
        picture = ImageOps.fit(picture, (size, size), how)
    return functional.pil_to_tensor(picture)


@dataclass(frozen=True, eq=False)
class Files:
    """N images that stay in their files: what a split holds in place of their pixels."""

    paths: tuple[Path, ...]  # the files
    # size, shorter: as of :func:`decoded`
    size: int
    shorter: int
    device: torch.device | str = "cpu"  # where pixels go
    upright: bool = False  # as of :func:`decoded`

    dtype, ndim = torch.uint8, 4  # of the pixels, as is the shape

    @property
    def shape(self) -> torch.Size:
        """[N,3,size,size]."""
        return torch.Size((len(self.paths), 3, self.size, self.size))

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.paths)

    def __getitem__(self, positions: Tensor) -> "Files":
        """The files at ``positions`` [M], in that order."""
        return replace(self, paths=tuple(self.paths[position] for position in positions.tolist()))

    def to(self, device: torch.device | str) -> "Files":
        """The same files, whose pixels come on ``device``."""
        return replace(self, device=device)

    def split(self, batch_size: int) -> Iterator[Tensor]:
        """The pixels uint8 [B,3,size,size], ``batch_size`` images at a time; the last batch may be smaller.

        Threads decode two batches ahead, so that at most three are in memory. FolderError if a file cannot be read as
        an image; the message names it.
        """
        pool = ThreadPoolExecutor(THREADS)
        waiting: deque[list[Future]] = deque()
        try:
            for first in range(0, len(self), batch_size):
                waiting.append([pool.submit(self._decoded, path) for path in self.paths[first : first + batch_size]])
                if len(waiting) > _AHEAD:
                    yield self._batch(waiting.popleft())
            while waiting:
                yield self._batch(waiting.popleft())
        finally:
            pool.shutdown(cancel_futures=True)

    def _batch(self, decoding: list[Future]) -> Tensor:
        return torch.stack([pixels.result() for pixels in decoding]).to(self.device)

    def _decoded(self, path: Path) -> Tensor:
        try:
            return decoded(path, self.size, shorter=self.shorter, upright=self.upright)
        except UNREADABLE as error:
            raise FolderError(
                f"Expected an image in {path}. Got: {error}. Put a whole file there, or take it away."
            ) from error


def files_in(folder: Path) -> list[Path]:
    """The images of a folder, sorted by name; hidden files are passed over.

    FolderError if there is no such folder, or anything else is in it, or nothing.
    """
    if not folder.is_dir():
        got = "a file: put it in a list." if folder.exists() else "no such folder."
        raise FolderError(f"Expected a folder of images at {folder}. Got {got}")
    files = sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
    strange = [file.name for file in files if file.suffix.lower() not in SUFFIXES or not file.is_file()]
    if strange or not files:
        got = f"{len(strange)} other things, the first {strange[0]!r}" if strange else "an empty folder"
        raise FolderError(
            f"Expected only images of one class ({', '.join(SUFFIXES)}), at least one, in {folder}. Got {got}."
        )
    return files


def in_threads(read: Callable[[Any], Any], files: Iterable[Any]) -> list[Any]:
    """``read`` of each file, in their order."""
    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(read, files))
