"""Folders of images: ``train/<class>/…`` and ``test/<class>/…`` with masks if there are any, or only ``<class>/…``."""

import hashlib
import os
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from xai_lib.data.images import SUFFIXES, UNREADABLE, Files, FolderError, decoded, files_in, in_threads
from xai_lib.data.split import Split

PARTS = ("train", "test")
_IGNORED = (".ds_store", "thumbs.db", "desktop.ini")
_TO_IGNORE = torch.tensor([232, 3, 0])[:, None, None]  # colour of pixels that ImageNet-S leaves open: 232 + 256 · 3
_NAMED = 20  # problems that an error lists before it only counts


def load(root: Path, part: str, *, size: int = 32) -> Split:
    """One part, "train" or "test", of a folder of images, ``<root>/<part>/<class>/``.

    Images of another size are resized on their shorter side and cut to the central square of ``size`` pixels. Colour
    statistics are those of all training images. Masks, if there are any, are PNGs ``masks/<part>/<class>/<name>.png``,
    one for each image, not black on the object. The colour (232, 3, 0), by which ImageNet-S marks what belongs to no
    class, is no object.

    FolderError naming all at once: files that are no images or cannot be read, empty classes, classes that one part
    lacks, masks that are missing or of another size.
    """
    if part not in PARTS:
        raise ValueError(f"Expected the part train or test. Got {part!r}.")
    root = Path(root).resolve()
    parts = _read(root, size, _stamp(root))
    mean, std = _statistics(parts["train"].images)
    digest = hashlib.sha256(f"{part}|{parts['train'].digest}|{parts[part].digest}".encode()).hexdigest()
    return replace(parts[part], mean=mean, std=std, digest=digest)


def in_files(folder: Path, *, size: int, shorter: int, name: str = "folder", upright: bool = False) -> Split:
    """The images of ``<folder>/<class>/``, as a test part, without opening any of them.

    The names of the folders in it, sorted, are the classes; files beside these, and hidden files, are passed over.
    ``size``, ``shorter`` and ``upright`` are as of :func:`xai_lib.data.images.decoded`; ``name`` is that of the split.
    The colours are not changed: mean 0, deviation 1.

    ValueError if the size is no whole number of pixels; FolderError if there is no such folder, no class in it, or a
    class holds no images, other files or folders.
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
    seen = [
        f"size {size}" + ", upright" * upright,
        *(f"{file.parent.name}/{file.name} {file.stat().st_size}\0" for file in files),
    ]
    labels = [label for label, of_class in enumerate(found) for _ in of_class]
    digest = hashlib.sha256("".join(seen).encode()).hexdigest()
    return _unscaled(
        Files(files, size, shorter, upright=upright), labels, classes, name=name, part="test", digest=digest
    )


@lru_cache(maxsize=1)
def _read(root: Path, size: int, stamp: str) -> dict[str, Split]:
    """Both parts, since colour statistics and complaints concern both; remembered until ``stamp`` changes."""
    problems: list[str] = []
    files = {part: _listing(root, part, problems) for part in PARTS}
    _compare_classes(files, problems)
    parts = {part: _decoded(root, part, files[part], size, problems) for part in PARTS}
    if problems:
        listed = "\n  ".join(problems[:_NAMED])
        more = f"\n  … and {len(problems) - _NAMED} more" if len(problems) > _NAMED else ""
        raise FolderError(
            f"Expected {root} to hold train/<class>/ and test/<class>/ with images. "
            f"Got {len(problems)} problem{'s' * (len(problems) > 1)}, and nothing was loaded:\n  {listed}{more}"
        )
    return parts


def _stamp(root: Path) -> str:
    """Hash of the names, sizes and times of all files."""
    known = hashlib.sha256()
    for folder, _, files in sorted(os.walk(root)):
        for file in sorted(files):
            state = os.stat(os.path.join(folder, file))  # noqa: PTH116, PTH118 (paths cost more than the rest)
            known.update(f"{folder}/{file} {state.st_size} {state.st_mtime_ns}\0".encode())
    return known.hexdigest()


def _listing(root: Path, part: str, problems: list[str]) -> dict[str, list[Path]]:
    """Class name -> its image files, sorted."""
    folder = root / part
    if not folder.is_dir():
        problems.append(f"{part}/: there is no such folder")
        return {}
    found: dict[str, list[Path]] = {}
    for entry in sorted(folder.iterdir()):
        if _is_ignored(entry):
            continue
        if not entry.is_dir():
            problems.append(f"{entry.relative_to(root)}: a file where only folders of classes are expected")
            continue
        found[entry.name] = []
        for file in sorted(entry.iterdir()):
            if _is_ignored(file):
                continue
            if file.is_file() and file.suffix.lower() in SUFFIXES:
                found[entry.name].append(file)
            else:
                problems.append(f"{file.relative_to(root)}: not an image ({', '.join(SUFFIXES)})")
        if not found[entry.name]:
            problems.append(f"{part}/{entry.name}: a class without images")
    if not found:
        problems.append(f"{part}/: no classes in it")
    return found


def _compare_classes(files: dict[str, dict[str, list[Path]]], problems: list[str]) -> None:
    if not all(files.values()):
        return
    for part, other in (PARTS, PARTS[::-1]):
        problems += [
            f"{part}/{name}: a class that {other}/ lacks" for name in sorted(set(files[part]) - set(files[other]))
        ]
    if len(files["train"]) == 1:
        problems.append("train/: one class only, where a classifier needs at least two")


def _decoded(root: Path, part: str, files: dict[str, list[Path]], size: int, problems: list[str]) -> Split:
    """One part, whose colour statistics are not known yet."""
    flat = [file for of_class in files.values() for file in of_class]
    labels = [label for label, of_class in enumerate(files.values()) for _ in of_class]
    images = torch.empty(len(flat), 3, size, size, dtype=torch.uint8)
    digest = hashlib.sha256(f"size {size}".encode())
    for position, result in enumerate(in_threads(_attempt(size, upright=True), flat)):
        name = flat[position].relative_to(root).as_posix()
        if isinstance(result, Exception):
            problems.append(f"{name}: cannot be read ({result})")
            continue
        images[position], content = result
        digest.update(name.encode() + b"\0" + content)
    masks = {}
    if (root / "masks" / part).is_dir():
        wanted = [root / "masks" / part / file.parent.name / f"{file.stem}.png" for file in flat]
        masks["object"] = torch.zeros(len(flat), size, size, dtype=torch.bool)
        for position, result in enumerate(in_threads(_attempt(size, nearest=True), wanted)):
            if isinstance(result, Exception):
                problems.append(f"{wanted[position].relative_to(root)}: a mask that cannot be read ({result})")
                continue
            ignored = (result[0] == _TO_IGNORE).all(dim=0)
            masks["object"][position] = (result[0] > 0).any(dim=0) & ~ignored
            digest.update(result[1])
    return _unscaled(images, labels, files, name="folder", part=part, digest=digest.hexdigest(), masks=masks)


def _unscaled(images: Tensor | Files, labels: list[int], classes: Iterable[str], **about: Any) -> Split:
    """A split whose colours are as they are: mean 0, deviation 1."""
    labels, mean, std = torch.tensor(labels, dtype=torch.int64), (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
    return Split(images, labels, tuple(classes), torch.arange(len(images)), mean, std, **about)


def _attempt(size: int, **how: Any) -> Callable[[Path], tuple[Tensor, bytes] | Exception]:
    """What reads a file: its pixels and the hash of its bytes, or what is wrong with it."""

    def attempt(file: Path) -> tuple[Tensor, bytes] | Exception:
        try:
            content = file.read_bytes()
            return decoded(file, size, **how), hashlib.sha256(content).digest()
        except UNREADABLE as error:
            return error

    return attempt


def _statistics(images: Tensor) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
    """Mean and standard deviation of each colour, in [0, 1], exact sums over counts of the 256 values."""
    values = torch.arange(256, dtype=torch.float64) / 255
    mean, std = [], []
    for colour in images.unbind(dim=1):
        share = torch.bincount(colour.flatten(), minlength=256).double() / colour.numel()
        average = float((share * values).sum())
        mean.append(average)
        std.append(max(float((share * (values - average) ** 2).sum()) ** 0.5, 1e-6))
    return tuple(mean), tuple(std)


def _is_ignored(path: Path) -> bool:
    return path.name.startswith(".") or path.name.lower() in _IGNORED
