"""A user's images, as data sets or as single pictures, with what the user's network was trained with."""

import hashlib
import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from unicodedata import normalize

import torch
from PIL import Image
from torch import Tensor

from xai_lib.checks import check_counts
from xai_lib.data import Split, folder
from xai_lib.data.images import decoded, in_threads, remarks
from xai_lib.data.listing import entries, files_in, is_folder, lines_of, printable


def parse_statistics(given: str | Sequence[float]) -> tuple[float, float, float]:
    """Mean or deviation of the three colours, as the network was trained with them: numbers, or a text of them.

    ValueError if these are not three numbers in [0, 1].

    Example:
        >>> parse_statistics("0.485, 0.456, 0.406")
        (0.485, 0.456, 0.406)
    """
    try:
        values = tuple(float(number) for number in (given.split(",") if isinstance(given, str) else given))
    except (TypeError, ValueError):
        values = ()
    if len(values) != 3 or not all(0 <= value <= 1 for value in values):
        raise ValueError(f"Expected three numbers in [0, 1], as in '0.485, 0.456, 0.406'. Got {given!r}.")
    return values


def class_names(path_or_text: str | Path) -> tuple[str, ...]:
    """The names of a network's classes in its order: a text file with one a line, or a text with commas.

    FileNotFoundError if there is no such file; ValueError if it is not in UTF-8, or these are not two printable names.
    """
    text = str(path_or_text)
    is_path = isinstance(path_or_text, Path) or "," not in text or (os.sep in text and text.endswith(".txt"))
    if os.path.isfile(text):  # noqa: PTH113 (many names are too long for a path, which Path.is_file refuses)
        names = lines_of(Path(text))
    elif is_path:
        expected = "Expected a file with one class name a line, or names with commas between them."
        raise FileNotFoundError(f"{expected} Got {text!r}, which is neither.")
    else:
        names = [name.strip() for name in text.split(",")]
    if len(names) < 2 or not all(name and name.isprintable() for name in names):
        raise ValueError(f"Expected at least two class names, none of them empty. Got {names!r}.")
    return tuple(names)


def load_images(
    root: Path | str, *, size: int, mean: tuple[float, ...], std: tuple[float, ...],
    classes: tuple[str, ...] | None = None,
) -> Split:  # fmt: skip
    """A user's images, in memory, with the normalisation and the classes of the user's network.

    ``root`` holds ``<class>/…``; or ``train/<class>/…`` and ``test/<class>/…`` or ``val/<class>/…``, of which the test
    part is taken, with its masks (see :func:`xai_lib.data.folder.load`); or that part only. The shorter side of images
    is resized to ``size`` pixels, and the central square cut. ``mean`` and ``std`` are three numbers each, for images
    in [0, 1]; ``classes`` are all classes in the network's order, among them that of every folder; None for the
    folders' own names, sorted. What was done to some images is said by the split's ``remarks``.

    ValueError if a folder is no class of the network, or a number is out of its range. FolderError, which names all
    that is at fault, if the folder cannot be used, or files in it.
    """
    root = _path(root).absolute()
    tested = folder.tested(root)
    if is_folder(root / "train") and tested:
        split = folder.load(root, "test", size=size)
    else:
        if tested and any(map(is_folder, entries(root / tested, []))):  # otherwise it is a class of this name
            root /= tested
        split = folder.in_files(root, size=size, shorter=size)
        said = f"{split.remarks} {remarks(split.images.paths)}".strip()
        split = replace(split.materialised(), remarks=said)
    if classes is not None:  # an accent may be written in two ways
        classes, own = (tuple(normalize("NFC", str(name)) for name in names) for names in (classes, split.classes))
        if strange := [name for name in own if classes.count(name) != 1]:
            raise ValueError(
                f"Expected every folder to be named like exactly one of the network's {len(classes)} classes "
                f"({', '.join(classes[:10])}{', …' * (len(classes) > 10)}). Got {', '.join(strange[:10])}."
            )
        numbers = torch.tensor([classes.index(name) for name in own])
        source = hashlib.sha256(f"{split.source}|{classes}".encode()).hexdigest()
        split = replace(split, labels=numbers[split.labels], classes=classes, source=source)
    return with_normalisation(split, mean, std)


def with_normalisation(split: Split, mean: tuple[float, ...], std: tuple[float, ...]) -> Split:
    """The same images for a network with other colour statistics (:func:`normalised`); the digest changes with them."""
    mean, std = _checked(mean, std)
    if (mean, std) == (split.mean, split.std):
        return split
    source = hashlib.sha256(f"{split.source}|{mean}|{std}".encode()).hexdigest()
    return replace(split, mean=mean, std=std, source=source)


def picture(image: Tensor | Image.Image | Path | str, size: int) -> Tensor:
    """The picture, float [3,H,W] in [0,1], of a file, a PIL image, or a tensor [3,H,W], uint8 or float in [0,1].

    Files and PIL images are read as :func:`xai_lib.data.images.decoded` says, resized so that the shorter side has 8/7
    of ``size`` pixels, and cut to their middle; tensors are taken as they are. FileNotFoundError if there is no such
    file; TypeError, ValueError if the image cannot be read, or is no such tensor, or the size no whole number from 1.
    """
    check_counts(size=size)
    if isinstance(image, Tensor):
        if image.ndim != 3 or image.shape[0] != 3:
            raise ValueError(f"Expected an image [3,H,W]. Got shape {list(image.shape)}.")
        as_float = image.float() / 255 if image.dtype == torch.uint8 else image.float()
        if not ((as_float >= 0) & (as_float <= 1)).all():
            expected = "Expected uint8, or floats in [0,1] that are not normalised yet."
            raise ValueError(f"{expected} Got {image.dtype} from {image.min():g} to {image.max():g}.")
        return as_float
    if isinstance(image, (str, Path)):
        image = _path(image)
        if not os.path.exists(image):  # noqa: PTH110 (Path.exists raises where there is no permission)
            raise FileNotFoundError(f"Expected an image in {printable(image)}. Got no such file.")
    elif not isinstance(image, Image.Image):
        raise TypeError(f"Expected a file, a PIL image or a tensor [3,H,W]. Got {type(image).__name__}.")
    return decoded(image, size, shorter=round(size * 8 / 7)).float() / 255


def pictures(images: Tensor | Path | str | Sequence[Path | str], size: int) -> tuple[Tensor, list[Path] | None]:
    """Several pictures, float [N,3,H,W] in [0,1] on the processor, and the files they are from; None for a tensor.

    ``images`` is a folder that holds nothing but images, taken by name; files; or a tensor [N,3,H,W]. The rest is as
    for :func:`picture`; ValueError also if there is no image, FolderError if the folder cannot be used.
    """
    if isinstance(images, Tensor) and images.ndim != 4:
        raise ValueError(f"Expected images [N,3,H,W]. Got shape {list(images.shape)}.")
    if not isinstance(images, Iterable) or isinstance(images, str):
        images = files_in(_path(images))
    elif not isinstance(images, Tensor):
        images = [_path(file) for file in images]
    if not len(images):
        raise ValueError("Expected at least one image. Got none.")
    found = torch.stack(in_threads(lambda image: picture(image, size), images)).cpu()
    return found, None if isinstance(images, Tensor) else images


def normalised(pictures: Tensor, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """Pictures [N,3,H,W] in [0,1], standardised; ValueError unless these are three numbers in [0, 1], std above 0."""
    both = _checked(mean, std)
    centre, spread = (torch.tensor(numbers, device=pictures.device)[:, None, None] for numbers in both)
    return (pictures - centre) / spread


def _checked(*both: Sequence[float]) -> tuple[tuple[float, float, float], ...]:
    """Mean and deviation."""
    mean, std = map(parse_statistics, both)
    if not all(std):
        raise ValueError(f"Expected deviations above 0. Got {std}.")
    return mean, std


def _path(file: Path | str) -> Path:
    if not isinstance(file, (str, Path)):
        got = f"{type(file).__name__} (papermill keeps a text as it is by -r)"
        raise TypeError(f"Expected a folder, a list of files or a tensor [N,3,H,W]. Got {got}.")
    if isinstance(file, str) and not file.strip():
        raise ValueError("Expected the path of an image or a folder. Got an empty one.")
    return Path(file).expanduser()
