"""Pictures of a user's, from files or tensors, as a network's colour statistics want them."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms import functional

from xai_lib.data.folder import SUFFIXES, FolderError

_THREADS = 8  # decoding and resizing release Python's lock


def picture(image: Tensor | Image.Image | Path | str, size: int) -> Tensor:
    """The picture, float [3,H,W] in [0,1].

    Args:
        image: a file, a PIL image, or a tensor [3,H,W], uint8 or float in [0,1]. Files and PIL images are resized so
            that the shorter side has 8/7 of ``size``, and cut to their middle; tensors are taken as they are.
        size: side in pixels.

    Raises:
        FileNotFoundError: if there is no such file.
        TypeError, ValueError: if the image cannot be read, or is no such tensor.
    """
    if isinstance(image, Tensor):
        if image.ndim != 3 or image.shape[0] != 3:
            raise ValueError(f"Expected an image [3,H,W]. Got shape {list(image.shape)}.")
        as_float = image.float() / 255 if image.dtype == torch.uint8 else image.float()
        if not ((as_float >= 0) & (as_float <= 1)).all():
            raise ValueError(
                f"Expected uint8, or floats in [0,1] that are not normalised yet. Got {image.dtype} from "
                f"{image.min():g} to {image.max():g}."
            )
        return as_float
    if isinstance(image, (str, Path)):
        file = Path(image)
        if not file.is_file():
            raise FileNotFoundError(f"Expected an image in {file}. Got no such file.")
        try:
            with Image.open(file) as opened:
                image = opened.convert("RGB")
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
            raise ValueError(f"Expected an image in {file}. Got: {error}.") from error
    if not isinstance(image, Image.Image):
        raise TypeError(f"Expected a file, a PIL image or a tensor [3,H,W]. Got {type(image).__name__}.")
    resized = functional.resize(image.convert("RGB"), [round(size * 8 / 7)])
    return functional.pil_to_tensor(functional.center_crop(resized, [size])).float() / 255


def pictures(images: Tensor | Path | str | Sequence[Path | str], size: int) -> tuple[Tensor, list[Path] | None]:
    """Several pictures, float [N,3,H,W] in [0,1], and the files they are from.

    Args:
        images: a folder that holds nothing but images, taken by name; files; or a tensor [N,3,H,W].
        size: side in pixels, see :func:`picture`.

    Returns:
        The pictures on the processor, and their files; None for a tensor.

    Raises:
        FileNotFoundError, TypeError, ValueError: as :func:`picture`, or if there is no image.
        FolderError: if there is no such folder, or something else is in it.
    """
    if isinstance(images, Tensor) and images.ndim != 4:
        raise ValueError(f"Expected images [N,3,H,W]. Got shape {list(images.shape)}.")
    if isinstance(images, (str, Path)):
        images = _images_in(Path(images))
    elif not isinstance(images, Tensor):
        images = [_path(file) for file in images]
    if not len(images):
        raise ValueError("Expected at least one image. Got none.")
    with ThreadPoolExecutor(_THREADS) as pool:
        found = torch.stack(list(pool.map(lambda image: picture(image, size), images))).cpu()
    return found, None if isinstance(images, Tensor) else images


def normalised(pictures: Tensor, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """Pictures [N,3,H,W] in [0,1] with the mean and the deviation of each colour taken out."""
    centre, spread = (torch.tensor(list(numbers), device=pictures.device)[:, None, None] for numbers in (mean, std))
    return (pictures - centre) / spread


def _images_in(folder: Path) -> list[Path]:
    """The image files of a folder, by name; hidden files are passed over."""
    if not folder.is_dir():
        raise FolderError(
            f"Expected a folder of images at {folder}. Got "
            + ("a file: put it in a list." if folder.exists() else "no such folder.")
        )
    files = sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
    strange = [file.name for file in files if file.suffix.lower() not in SUFFIXES or not file.is_file()]
    if strange or not files:
        got = f"{len(strange)} other things, the first {strange[0]!r}" if strange else "an empty folder"
        raise FolderError(f"Expected only images of one class ({', '.join(SUFFIXES)}) in {folder}. Got {got}.")
    return files


def _path(file: Path | str) -> Path:
    if not isinstance(file, (str, Path)):
        raise TypeError(f"Expected a folder, a list of files or a tensor [N,3,H,W]. Got {type(file).__name__} in it.")
    return Path(file)
