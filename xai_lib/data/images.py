"""Files of images: decoded, and brought to one size. There is no other decoder."""

import hashlib
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor
from torchvision.transforms import functional

from xai_lib.checks import check_counts
from xai_lib.data.listing import TO_CONVERT, FolderError, printable, reason, refuse
from xai_lib.files import sha256

THREADS = 8  # decoding and resizing release Python's lock
_AHEAD = 2  # batches decoded before they are asked for
_FORMATS = ("JPEG", "PNG", "BMP", "DIB", "WEBP", "PPM", "GIF", "TIFF")  # of the files, whatever their names say
_PIXELS = 40_000_000  # of an image that is decoded whole: 0.2 GB a thread, at most 0.5 with transparency
_LONGEST = 8  # times the shorter side: what lies further out is cut before the image is made larger
_TURNS = dict(zip(range(2, 9), map(Image.Transpose, (0, 3, 1, 5, 4, 6, 2))))  # what brings an image upright

warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)  # the limit is the one above


class FileError(FolderError):
    """A file that is no image that can be read: the message names it, and ``faults`` in fewer words."""

    def __init__(self, file: Path | Image.Image, got: str) -> None:
        name = printable(file if isinstance(file, Path) else getattr(file, "filename", "") or "the open image")
        super().__init__(f"Expected an image in {name}. Got: {got}. Put a whole file there, or take it away.")
        self.faults = (f"{name}: cannot be read ({got})",)


def decoded(image: Path | Image.Image, size: int, *, shorter: int | None = None) -> Tensor:
    """The pixels of an image, a file or an open one: a square, uint8 [3,size,size].

    A photograph stands as its EXIF data say, if these can be read. Grey is repeated, 16 bits are scaled by 1/257, what
    is transparent lies on white, and of an animation the first picture is taken: see :func:`remarks`. An open image may
    be in any mode of 8 bits a colour, or of 16 bits of grey.

    The shorter side is resized to ``shorter`` pixels before the central square of ``size`` is cut, as torchvision
    prepares images (bilinear, antialiased). None: the largest central square is resized, unless it has the size.

    ValueError if a size is no whole number from 1; FolderError, with the file's name, if it cannot be read, or has more
    than 40 megapixels; a JPEG of up to 178 is read at a half, a quarter or an eighth of its size.
    """
    check_counts(size=size, shorter=size if shorter is None else shorter)
    return _named(image, lambda: _square(_upright(image), size, shorter))


def decoded_mask(file: Path, image: Path, size: int, *, shorter: int | None = None) -> Tensor:
    """The colours of an image's mask, uint8 [3,size,size], each pixel that of the nearest in the file.

    It has the pixels of the image's file and is turned and cut with it, unless it says itself how it stands. What is
    transparent is black. Sizes are as of :func:`decoded`. FolderError, with the mask's name, also for another size.
    """

    def mask() -> Tensor:
        with _opened(image) as shown:
            orientation, size_of_image = _orientation(shown), shown.size
            if orientation in (5, 6, 7, 8) and shown.format != "TIFF":  # whose size is that of the turned image
                size_of_image = size_of_image[::-1]
        turned = _upright(file, ground="black", like=orientation)
        if turned.size != size_of_image:
            sizes = (*turned.size, *size_of_image)
            raise ValueError("{} x {} pixels where its image, upright, has {} x {}".format(*sizes))
        return _square(turned, size, shorter, "NEAREST")

    return _named(file, mask)


def content_hash(file: Path) -> bytes:
    """The SHA-256 of a file. FolderError, with its name, if it cannot be read."""
    return _named(file, lambda: bytes.fromhex(sha256(file)))


def remarks(files: Iterable[Path]) -> str:
    """What was done to some of the files beside resizing, as sentences; empty if nothing. Only headers are read."""
    said = {"clear": "with transparency, which lie on white", "deep": "of 16 bits, which were scaled to 8"}
    said["animated"] = "that are animated or have several pages, of which the first was taken"
    kinds = [kind for found in in_threads(_remarkable, files) for kind in found]
    counts = {text: kinds.count(kind) for kind, text in said.items()}
    return " ".join(f"Images {text}: {count}." for text, count in counts.items() if count)


@dataclass(frozen=True, eq=False)
class Files:
    """N images that stay in their files: what a split holds in place of their pixels."""

    paths: tuple[Path, ...]  # the files
    # size, shorter: as of :func:`decoded`
    size: int
    shorter: int
    device: torch.device | str = "cpu"  # where pixels go

    dtype, ndim = torch.uint8, 4  # of the pixels, as is the shape

    @property
    def shape(self) -> torch.Size:
        """[N,3,size,size]."""
        return torch.Size((len(self.paths), 3, self.size, self.size))

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, positions: Tensor) -> "Files":
        return replace(self, paths=tuple(self.paths[position] for position in positions.tolist()))

    def content(self) -> str:
        """The sha256 (hexadecimal) of the files' contents, in their order."""
        return hashlib.sha256(b"".join(in_threads(content_hash, self.paths))).hexdigest()

    def to(self, device: torch.device | str) -> "Files":
        """The same files, whose pixels come on ``device``."""
        return replace(self, device=device)

    def split(self, batch_size: int) -> Iterator[Tensor]:
        """The pixels uint8 [B,3,size,size], ``batch_size`` images at a time; the last batch may be smaller.

        Threads decode two batches ahead. FolderError, which names them all, if files cannot be read as images.
        """
        pool, faults = ThreadPoolExecutor(THREADS), []
        waiting, read = deque[list[Future]](), partial(decoded, size=self.size, shorter=self.shorter)
        try:
            for first in range(0, len(self), batch_size):
                waiting.append([pool.submit(_attempt, read, path) for path in self.paths[first : first + batch_size]])
                if len(waiting) > _AHEAD:
                    yield from self._batch(waiting.popleft(), faults)
            while waiting:
                yield from self._batch(waiting.popleft(), faults)
        finally:
            pool.shutdown(cancel_futures=True)
        _refuse_all(faults)

    def _batch(self, decoding: list[Future], faults: list[FileError]) -> Iterator[Tensor]:
        """The batch, unless something is at fault: then the other files are only looked through."""
        found = [pixels.result() for pixels in decoding]
        faults += [error for error in found if isinstance(error, FileError)]
        if not faults:
            yield torch.stack(found).to(self.device)


def in_threads(read: Callable[[Any], Any], files: Iterable[Any]) -> list[Any]:
    """``read`` of each file, in their order; if it raises errors about files, one error names them all."""
    with ThreadPoolExecutor(THREADS) as pool:
        found = list(pool.map(partial(_attempt, read), files))
    _refuse_all(found)
    return found


def _attempt(read: Callable[..., Any], *file: Any) -> Any:
    """What ``read`` returns, or the error that it raises about a file."""
    try:
        return read(*file)
    except (FileError, FileNotFoundError) as error:
        return error


def _refuse_all(found: Iterable[Any]) -> None:
    errors = [error for error in found if isinstance(error, Exception)]
    if len(errors) == 1:
        raise errors[0]
    refuse([fault for error in errors for fault in getattr(error, "faults", [str(error)])], "whole images in all files")


def _named(image: Path | Image.Image, read: Callable[[], Any]) -> Any:
    """What ``read`` returns; whatever it raises becomes a FileError."""
    try:
        return read()
    except Exception as error:
        got = reason(error)
        if isinstance(error, UnidentifiedImageError):
            got = f"none in a format that is read here ({', '.join(_FORMATS)})"
        elif isinstance(error, Image.DecompressionBombError):
            got = f"more than {_PIXELS // 10**6} megapixels: make it smaller"
        raise FileError(image, got) from error


def _opened(file: Path) -> Image.Image:
    with file.open("rb") as stream:
        if stream.read(12)[4:8] == b"ftyp":
            raise ValueError(TO_CONVERT)
    try:
        return Image.open(file, formats=_FORMATS)
    except UnidentifiedImageError:  # as of a JPEG whose EXIF data have letters where PIL wants a resolution
        content = file.read_bytes()
        exif = content.find(b"Exif\0\0")
        if exif < 0 or not content.startswith(b"\xff\xd8"):
            raise
        image = Image.open(BytesIO(content.replace(b"Exif", b"none", 1)), formats=_FORMATS)
        image.info["exif"] = content[exif:]
        return image


def _upright(image: Path | Image.Image, *, ground: str = "white", like: int = 1) -> Image.Image:
    """The image in RGB as its EXIF data say that it stands; where they say nothing, as the orientation ``like``."""
    if isinstance(image, Path):
        with _opened(image) as opened:
            return _upright(opened, ground=ground, like=like)
    pixels = image.width * image.height
    factor = next((factor for factor in (1, 2, 4, 8) if pixels <= _PIXELS * factor**2), 0)
    if factor > 1 and image.format in ("JPEG", "MPO") and "progressive" not in image.info:
        image.draft(None, (image.width // factor, image.height // factor))
    if image.width * image.height > _PIXELS:
        raise Image.DecompressionBombError
    turned = _orientation(image) if image.format == "TIFF" else None  # PIL turns these as it reads them
    image.load()
    turn = None if turned else _TURNS.get(_orientation(image) or like)
    colours = _rgb(image, ground)
    return colours if turn is None else colours.transpose(turn)


def _orientation(image: Image.Image) -> int | None:
    """How the image says that it stands, from 1 (upright) to 8; None if it says nothing that can be read."""
    try:
        number = image.getexif().get(0x0112)
        return number if number in range(1, 9) else None
    except Exception:  # whatever a broken tag may raise
        return None


def _rgb(image: Image.Image, ground: str) -> Image.Image:
    if image.mode in ("I", "F") and image.format != "PPM":
        raise ValueError("pixels of 32 bits: save it with 8 or 16")
    if image.mode.startswith("I"):
        values = np.asarray(image).astype(np.int64)
        if isinstance(clear := image.info.get("transparency"), int):
            values[values == clear] = 65535 if ground == "white" else 0
        if image.format == "TIFF" and image.tag_v2.get(262) == 0:  # white is 0, which PIL heeds up to 8 bits
            values = 65535 - values
        scaled = (values + 128) // 257 if ground == "white" else 255 * (values > 0)  # a mask's small numbers count
        image = Image.fromarray(scaled.astype(np.uint8))
    if not image.has_transparency_data:
        return image.convert("RGB")
    shown = image.convert("RGBA")
    canvas = Image.new("RGBA", shown.size, ground)
    canvas.alpha_composite(shown)
    return canvas.convert("RGB")


def _square(picture: Image.Image, size: int, shorter: int | None, by: str = "BILINEAR") -> Tensor:
    if shorter is not None:
        longest = _LONGEST * min(picture.size)
        if max(picture.size) > longest:
            picture = functional.center_crop(picture, [min(side, longest) for side in (picture.height, picture.width)])
        picture = functional.resize(picture, [shorter], functional.InterpolationMode[by])
        picture = functional.center_crop(picture, [size])
    elif picture.size != (size, size):
        picture = ImageOps.fit(picture, (size, size), Image.Resampling[by])
    return functional.pil_to_tensor(picture)


def _remarkable(file: Path) -> list[str]:
    """What is remarkable about a file, as far as its header tells."""
    try:
        with _opened(file) as image:
            many = image.format != "MPO" and getattr(image, "is_animated", False)  # a JPEG with a preview is none
            found = {"clear": image.has_transparency_data, "deep": image.mode.startswith("I"), "animated": many}
    except Exception:  # the file is named when it is read
        return []
    return [kind for kind, applies in found.items() if applies]
