"""Files of images: found in a folder, decoded, and brought to one size."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from PIL import Image, ImageOps
from torch import Tensor
from torchvision.transforms import functional

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".ppm")
THREADS = 8  # decoding and resizing release Python's lock
UNREADABLE = (OSError, SyntaxError, ValueError, Image.DecompressionBombError)  # what decoding a file can raise


class FolderError(ValueError):
    """Files of images that cannot be used as they are; the message names what is at fault."""


def decoded(
    image: Path | Image.Image, size: int, *, shorter: int | None = None, upright: bool = False, mode: str = "RGB"
) -> Tensor:
    """The pixels of an image, a square.

    Args:
        image: a file, or an open image.
        size: side in pixels.
        shorter: the shorter side is resized to this many pixels before the central square of ``size`` is cut, as
            torchvision prepares images (bilinear, antialiased). None: the largest central square is resized, and an
            image that has the size is taken as it is.
        upright: whether a photograph is turned as its EXIF data say.
        mode: "RGB", or "L" for masks, where each pixel is that of the nearest in the file.

    Returns:
        uint8 [3,size,size], or [1,size,size] for "L".

    Raises:
        Exception: one of :data:`UNREADABLE`, if a file cannot be read.
    """
    if isinstance(image, Path):
        with Image.open(image) as opened:
            return decoded(opened, size, shorter=shorter, upright=upright, mode=mode)
    picture = (ImageOps.exif_transpose(image) if upright else image).convert(mode)
    if shorter is not None:
        picture = functional.center_crop(functional.resize(picture, [shorter]), [size])
    elif picture.size != (size, size):
        nearest = Image.Resampling.NEAREST
        picture = ImageOps.fit(picture, (size, size), nearest if mode == "L" else Image.Resampling.BILINEAR)
    return functional.pil_to_tensor(picture)


def files_in(folder: Path) -> list[Path]:
    """The images of a folder, sorted by name; hidden files are passed over.

    Raises:
        FolderError: if anything else is in it, or nothing.
    """
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
