"""A user's images, as data sets or as single pictures, with what the user's network was trained with."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from xai_lib.data import Split, folder
from xai_lib.data.images import UNREADABLE, decoded, files_in, in_threads


def parse_statistics(text: str) -> tuple[float, float, float]:
    """Mean or deviation of the three colours, as the network was trained with them.

    ValueError if these are not three numbers in [0, 1].

    Example:
        >>> parse_statistics("0.485, 0.456, 0.406")
        (0.485, 0.456, 0.406)
    """
    try:
        values = tuple(float(number) for number in text.split(","))
    except ValueError:
        values = ()
    if len(values) != 3 or not all(0 <= value <= 1 for value in values):
        raise ValueError(f"Expected three numbers in [0, 1], as in '0.485, 0.456, 0.406'. Got {text!r}.")
    return values


def class_names(path_or_text: str | Path) -> tuple[str, ...]:
    """The names of a network's classes in its order: a text file with one a line, or a text with commas.

    FileNotFoundError if there is no such file; ValueError if there are fewer than two names, or an empty one among
    them.
    """
    if isinstance(path_or_text, str) and "," in path_or_text:
        lines = path_or_text.split(",")
    elif Path(path_or_text).is_file():
        lines = Path(path_or_text).read_text(encoding="utf-8").rstrip().splitlines()
    else:
        raise FileNotFoundError(
            f"Expected a file with one class name a line, or names with commas between them. "
            f"Got {str(path_or_text)!r}, which is neither."
        )
    names = [line.strip() for line in lines]
    if len(names) < 2 or not all(names):
        raise ValueError(f"Expected at least two class names, none of them empty. Got {names!r}.")
    return tuple(names)


def load_images(
    root: Path | str, *, size: int, mean: tuple[float, ...], std: tuple[float, ...],
    classes: tuple[str, ...] | None = None,
) -> Split:  # fmt: skip
    """A user's images, in memory, with the normalisation and the classes of the user's network.

    Of a folder with ``<class>/…``; or with ``train/<class>/…`` and ``test/<class>/…``, of which the test part is taken,
    with its masks (see :func:`xai_lib.data.folder.load`). The shorter side is resized to ``size`` pixels, and the
    central square cut. ``mean`` and ``std`` are three numbers each, for images in [0, 1]; ``classes`` are the names of
    all classes in the network's order, among them that of every folder, or None for the folders' own names, sorted.

    ValueError if a folder is no class of the network, or a number is out of its range. FolderError if the folder cannot
    be used; the message names what is at fault.
    """
    root = Path(root).resolve()
    if (root / "train").is_dir() and (root / "test").is_dir():
        split = folder.load(root, "test", size=size)
    else:
        split = folder.in_files(root, size=size, shorter=size, upright=True)
    split = split.materialised()
    return with_normalisation(split if classes is None else _renumbered(split, classes), mean, std)


def with_normalisation(split: Split, mean: tuple[float, ...], std: tuple[float, ...]) -> Split:
    """The same images for a network that was trained with other colour statistics; the digest changes with them.

    ValueError if these are not three numbers in [0, 1] each, or a deviation is 0.
    """
    mean, std = (parse_statistics(",".join(map(str, values))) for values in (mean, std))
    if not all(std):
        raise ValueError(f"Expected deviations above 0. Got {std}.")
    digest = hashlib.sha256(f"{split.digest}|{mean}|{std}".encode()).hexdigest()
    return replace(split, mean=mean, std=std, digest=digest)


def picture(image: Tensor | Image.Image | Path | str, size: int) -> Tensor:
    """The picture, float [3,H,W] in [0,1], of a file, a PIL image, or a tensor [3,H,W], uint8 or float in [0,1].

    Files and PIL images are resized so that the shorter side has 8/7 of ``size`` pixels, and cut to their middle;
    tensors are taken as they are. FileNotFoundError if there is no such file; TypeError, ValueError if the image cannot
    be read, or is no such tensor.
    """
    if isinstance(image, Tensor):
        return _as_float(image)
    if isinstance(image, (str, Path)):
        image = Path(image)
        if not image.is_file():
            raise FileNotFoundError(f"Expected an image in {image}. Got no such file.")
    elif not isinstance(image, Image.Image):
        raise TypeError(f"Expected a file, a PIL image or a tensor [3,H,W]. Got {type(image).__name__}.")
    try:
        return decoded(image, size, shorter=round(size * 8 / 7), upright=True).float() / 255
    except UNREADABLE as error:
        raise ValueError(f"Expected an image in {image}. Got: {error}.") from error


def pictures(images: Tensor | Path | str | Sequence[Path | str], size: int) -> tuple[Tensor, list[Path] | None]:
    """Several pictures, float [N,3,H,W] in [0,1] on the processor, and the files they are from; None for a tensor.

    ``images`` is a folder that holds nothing but images, taken by name; files; or a tensor [N,3,H,W]. The rest is as
    for :func:`picture`; a ValueError is also raised if there is no image, and a FolderError if the folder cannot be
    used.
    """
    if isinstance(images, Tensor) and images.ndim != 4:
        raise ValueError(f"Expected images [N,3,H,W]. Got shape {list(images.shape)}.")
    if isinstance(images, (str, Path)):
        images = files_in(Path(images))
    elif not isinstance(images, Tensor):
        images = [_path(file) for file in images]
    if not len(images):
        raise ValueError("Expected at least one image. Got none.")
    found = torch.stack(in_threads(lambda image: picture(image, size), images)).cpu()
    return found, None if isinstance(images, Tensor) else images


def normalised(pictures: Tensor, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """Pictures [N,3,H,W] in [0,1] with the mean and the deviation of each colour taken out."""
    centre, spread = (torch.tensor(list(numbers), device=pictures.device)[:, None, None] for numbers in (mean, std))
    return (pictures - centre) / spread


def _renumbered(split: Split, classes: tuple[str, ...]) -> Split:
    """The same images, labelled by their classes' positions in ``classes``."""
    if strange := [name for name in split.classes if classes.count(name) != 1]:
        raise ValueError(
            f"Expected every folder to be named like exactly one of the network's {len(classes)} classes "
            f"({', '.join(classes[:10])}{', …' * (len(classes) > 10)}). Got {', '.join(strange[:10])}."
        )
    numbers = torch.tensor([classes.index(name) for name in split.classes])
    digest = hashlib.sha256(f"{split.digest}|{classes}".encode()).hexdigest()
    return replace(split, labels=numbers[split.labels], classes=classes, digest=digest)


def _as_float(image: Tensor) -> Tensor:
    if image.ndim != 3 or image.shape[0] != 3:
        raise ValueError(f"Expected an image [3,H,W]. Got shape {list(image.shape)}.")
    as_float = image.float() / 255 if image.dtype == torch.uint8 else image.float()
    if not ((as_float >= 0) & (as_float <= 1)).all():
        raise ValueError(
            f"Expected uint8, or floats in [0,1] that are not normalised yet. Got {image.dtype} from "
            f"{image.min():g} to {image.max():g}."
        )
    return as_float


def _path(file: Path | str) -> Path:
    if not isinstance(file, (str, Path)):
        raise TypeError(f"Expected a folder, a list of files or a tensor [N,3,H,W]. Got {type(file).__name__} in it.")
    return Path(file)
