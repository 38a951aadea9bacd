"""A user's images, with the normalisation and the class names of the user's network."""

import hashlib
from dataclasses import replace
from pathlib import Path

import torch

from xai_lib.data import Split, StreamedSplit, folder, select
from xai_lib.data.streamed import listed


def parse_statistics(text: str) -> tuple[float, float, float]:
    """Mean or deviation of the three colours, as the network was trained with them: ``"0.485, 0.456, 0.406"``.

    Raises:
        ValueError: if these are not three numbers in [0, 1].
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

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if there are fewer than two names, or an empty one among them.
    """
    if isinstance(path_or_text, str) and "," in path_or_text:
        names = [name.strip() for name in path_or_text.split(",")]
    else:
        file = Path(path_or_text)
        if not file.is_file():
            raise FileNotFoundError(
                f"Expected a file with one class name a line, or names with commas between them. "
                f"Got {str(path_or_text)!r}, which is neither."
            )
        names = [line.strip() for line in file.read_text(encoding="utf-8").rstrip().splitlines()]
    if len(names) < 2 or not all(names):
        raise ValueError(f"Expected at least two class names, none of them empty. Got {names!r}.")
    return tuple(names)


def load_images(
    root: Path | str,
    *,
    size: int,
    mean: tuple[float, ...],
    std: tuple[float, ...],
    classes: tuple[str, ...] | None = None,
    n: int | None = None,
) -> Split:
    """A user's images, in memory, with the normalisation and the classes of the user's network.

    Args:
        root: folder with ``<class>/…``; or with ``train/<class>/…`` and ``test/<class>/…``, of which the test part is
            taken, with its masks (see :func:`xai_lib.data.folder.load`).
        size: side of the images in pixels: the shorter side is resized to it, and the central square cut.
        mean, std: three numbers each, for images in [0, 1].
        classes: names of all classes in the network's order, among them that of every folder; None for the folders'
            own names, sorted.
        n: number of images, balanced over the folders; None for all.

    Raises:
        ValueError: if a folder is no class of the network, or a number is out of its range.
        FolderError: if the folder cannot be used; the message names what is at fault.
    """
    root = Path(root).resolve()
    if (root / "train").is_dir() and (root / "test").is_dir():
        split = select(folder.load(root, "test", size=size), n)
    else:
        split = select(_streamed(root, size), n).materialised()
    return with_normalisation(split if classes is None else _renumbered(split, classes), mean, std)


def with_normalisation(
    split: Split | StreamedSplit, mean: tuple[float, ...], std: tuple[float, ...]
) -> Split | StreamedSplit:
    """The same images for a network that was trained with other colour statistics; the digest changes with them.

    Raises:
        ValueError: if these are not three numbers in [0, 1] each, or a deviation is 0.
    """
    mean, std = (parse_statistics(",".join(map(str, values))) for values in (mean, std))
    if not all(std):
        raise ValueError(f"Expected deviations above 0. Got {std}.")
    digest = hashlib.sha256(f"{split.digest}|{mean}|{std}".encode()).hexdigest()
    return replace(split, mean=mean, std=std, digest=digest)


def _streamed(root: Path, size: int) -> StreamedSplit:
    """The images of ``<root>/<class>/``, still in their files."""
    found, digest = listed(root, size)
    labels = torch.tensor([label for label, files in enumerate(found.values()) for _ in files])
    return StreamedSplit(
        files=tuple(file for files in found.values() for file in files),
        labels=labels,
        classes=tuple(found),
        index=torch.arange(len(labels)),
        mean=(0.0, 0.0, 0.0),
        std=(1.0, 1.0, 1.0),
        name="folder",
        part="test",
        digest=digest,
        size=size,
        shorter=size,
    )


def _renumbered(split: Split, classes: tuple[str, ...]) -> Split:
    """The same images, labelled by their classes' positions in ``classes``."""
    strange = [name for name in split.classes if classes.count(name) != 1]
    if strange:
        raise ValueError(
            f"Expected every folder to be named like exactly one of the network's {len(classes)} classes "
            f"({', '.join(classes[:10])}{', …' * (len(classes) > 10)}). Got {', '.join(strange[:10])}."
        )
    numbers = torch.tensor([classes.index(name) for name in split.classes])
    digest = hashlib.sha256(f"{split.digest}|{classes}".encode()).hexdigest()
    return replace(split, labels=numbers[split.labels], classes=classes, digest=digest)
