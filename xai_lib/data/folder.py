"""Folders of images: ``train/<class>/…`` and ``test/<class>/…`` with masks if there are any, or only ``<class>/…``."""

import hashlib
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from xai_lib.checks import check_counts
from xai_lib.data.images import Files, content_hash, decoded, decoded_mask, in_threads, remarks
from xai_lib.data.listing import FolderError, classes_in, is_folder, printable, refuse
from xai_lib.data.split import Split

PARTS = ("train", "test")
_TESTED = ("test", "val", "valid", "validation")  # folders that may hold the test part: the first that there is
_DEPTH = 3  # folders below a root that hold files: masks/<part>/<class>
_TO_IGNORE = torch.tensor([232, 3, 0])[:, None, None]  # colour of pixels that ImageNet-S leaves open: 232 + 256 · 3


def load(root: Path, part: str, *, size: int = 32) -> Split:
    """One part, "train" or "test", of a folder of images, ``<root>/<part>/<class>/``; links are followed.

    Without test/ the test part is val/, valid/ or validation/. Images of another size are resized on their shorter side
    and cut to the central square of ``size`` pixels, and are read as :func:`xai_lib.data.images.decoded` says; what was
    done to some is among the split's remarks. Colour statistics are those of all training images. Masks, if there are
    any, are PNGs ``masks/<part>/<class>/<name>.png``, one for each image and as large, turned with it, not black on the
    object. The colour (232, 3, 0), by which ImageNet-S marks what belongs to no class, is no object.

    A class may have no test images. ValueError if the size is no whole number from 1; FolderError naming all files that
    cannot be read as images, broken links, classes without training images, masks that are missing or of another size.
    """
    if part not in PARTS:
        raise ValueError(f"Expected the part train or test. Got {part!r}.")
    check_counts(size=size)
    root = Path(root).absolute()
    parts = _read(root, size, _stamp(root))
    mean, std = _statistics(parts["train"].images)
    source = hashlib.sha256(f"{part}|{parts['train'].source}|{parts[part].source}".encode()).hexdigest()
    return replace(parts[part], mean=mean, std=std, source=source)


def tested(root: Path) -> str | None:
    """The name of the folder that holds the test part; None if there is none."""
    return next((name for name in _TESTED if is_folder(root / name)), None)


def in_files(folder: Path, *, size: int, shorter: int, name: str = "folder", masks: Path | None = None) -> Split:
    """The images of ``<folder>/<class>/``, as a test part, without decoding any of them; masks are, if there are any.

    The folders' names, sorted, are the classes. Strays are passed over, as other files beside the class folders; links
    are followed. ``size`` and ``shorter`` are as of :func:`xai_lib.data.images.decoded`. The colours are not changed:
    mean 0, deviation 1. Masks are ``<masks>/<class>/<name>.png``, as of :func:`load`, and empty for an image without.
    The digest is that of the files' names and contents.

    ValueError if a size is no whole number from 1; FolderError if there is no such folder, no class in it, or a class
    holds no images, other files or folders: all are named.
    """
    check_counts(size=size, shorter=shorter)
    if not is_folder(folder):
        raise FolderError(f"Expected a folder of class folders at {printable(folder)}. Got no such folder.")
    faults: list[str] = []
    classes, loose = classes_in(folder, folder, faults)
    if not classes and not faults:
        faults.append("no folders" + f" but {len(loose)} loose images: sort them into folders by class" * bool(loose))
    refuse(faults, f"{printable(folder)} to hold one folder a class, with its images in it")
    files = tuple(file for of_class in classes.values() for file in of_class)
    digest = hashlib.sha256(f"size {size} of {shorter}".encode())
    for file, content in zip(files, in_threads(content_hash, files)):
        digest.update(os.fsencode(f"{file.parent.name}/{file.name}") + content)
    objects = {}
    if masks and is_folder(masks):
        refuse(_sharing(files, folder), f"{printable(folder)} to hold one image for each mask")
        nothing = torch.zeros(size, size, dtype=torch.bool)

        def read(file: Path) -> Tensor:
            mask = masks / file.parent.name / f"{file.stem}.png"
            return _object(decoded_mask(mask, file, size, shorter=shorter)) if mask.is_file() else nothing

        objects = {"object": torch.stack(in_threads(read, files))}
        digest.update(objects["object"].numpy().tobytes())
    said = f"Images beside the folders of classes, which were left out: {len(loose)}." if loose else ""
    about = {"name": name, "part": "test", "source": digest.hexdigest(), "remarks": said, "masks": objects}
    return _unscaled(Files(files, size, shorter), classes, **about)


@lru_cache(maxsize=1)
def _read(root: Path, size: int, stamp: str) -> dict[str, Split]:
    """Both parts, since colour statistics and complaints concern both; remembered until ``stamp`` changes."""
    problems: list[str] = []
    folders = {"train": "train", "test": tested(root) or "test"}
    files = {part: _listing(root, folder, problems) for part, folder in folders.items()}
    if all(files.values()):
        lacking = sorted(set(files["test"]) - set(files["train"]))
        problems += [f"{folders['test']}/{name}: a class that train/ lacks" for name in lacking]
        files["test"] = {name: files["test"].get(name, []) for name in files["train"]}  # some may have no test images
        if len(files["train"]) == 1:
            problems.append("train/: one class only, where a classifier needs at least two")
    parts = {part: _decoded(root, part, folder, files[part], size, problems) for part, folder in folders.items()}
    refuse(problems, f"{printable(root)} to hold train/<class>/ and test/<class>/ with images")
    return parts


def _stamp(root: Path) -> str:
    """Hash of the names, sizes and times of all files, those behind links too."""
    known = hashlib.sha256()
    for folder, below, files in os.walk(root, followlinks=True):
        below[:] = sorted(below) * (len(Path(folder).relative_to(root).parts) < _DEPTH)  # links may lead round
        for path in (os.path.join(folder, file) for file in sorted(files)):  # noqa: PTH118 (paths cost more)
            state = os.stat(path) if os.path.exists(path) else None  # noqa: PTH110, PTH116 (as above)
            times = state and (state.st_size, state.st_mtime_ns, state.st_ctime_ns, state.st_ino)
            known.update(os.fsencode(f"{path} {times}\0"))
    return known.hexdigest()


def _listing(root: Path, folder: str, problems: list[str]) -> dict[str, list[Path]]:
    """Class name -> its image files, sorted."""
    if not is_folder(root / folder):
        problems.append(f"{folder}/: there is no such folder")
        return {}
    before = len(problems)
    found, loose = classes_in(root / folder, root, problems, empty=folder != "train")
    problems += [f"{name}: an image where only folders of classes are expected" for name in loose]
    if not found and len(problems) == before:
        problems.append(f"{folder}/: no classes in it")
    return found


def _decoded(
    root: Path, part: str, folder: str, classes: dict[str, list[Path]], size: int, problems: list[str]
) -> Split | None:
    """One part, whose colour statistics are not known yet; None if there are problems."""
    files = [file for of_class in classes.values() for file in of_class]
    folder_of_masks = root / "masks" / folder
    masked = is_folder(folder_of_masks)
    problems += _sharing(files, root) if masked else []

    def read(file: Path) -> tuple[Any, ...]:
        image, mask = (decoded(file, size), content_hash(file)), folder_of_masks / file.parent.name / f"{file.stem}.png"
        return (*image, _object(decoded_mask(mask, file, size)), content_hash(mask)) if masked else image

    try:
        found = in_threads(read, files)
    except FolderError as error:
        problems += [fault.removeprefix(f"{printable(root)}/") for fault in error.faults]
    if problems:
        return None
    images, contents, *of_masks = zip(*found)
    digest, said = hashlib.sha256(f"size {size}".encode()), remarks(files)
    for file, content in zip(files, contents):
        digest.update(os.fsencode(file.relative_to(root).as_posix()) + b"\0" + content)
    digest.update(b"".join(of_masks[1] if masked else ()) + said.encode())
    about = {"name": "folder", "part": part, "source": digest.hexdigest(), "remarks": said}
    if masked:
        about["masks"] = {"object": torch.stack(of_masks[0])}
    return _unscaled(torch.stack(images), classes, **about)


def _sharing(files: Sequence[Path], root: Path) -> list[str]:
    """Images of one name but for its ending, which a mask cannot tell apart."""
    stems = Counter(printable(file.relative_to(root).with_suffix("")) for file in files)
    return [f"{stem}: {n} images for one mask" for stem, n in stems.items() if n > 1]


def _object(mask: Tensor) -> Tensor:
    """Pixels of the object, bool [H,W], in a mask uint8 [3,H,W]."""
    return (mask > 0).any(dim=0) & ~(mask == _TO_IGNORE).all(dim=0)


def _unscaled(images: Tensor | Files, classes: dict[str, list[Path]], **about: Any) -> Split:
    """A split whose colours are as they are: mean 0, deviation 1; its factors are the names of the files."""
    names = [f"{file.parent.name}/{file.name}" for of_class in classes.values() for file in of_class]
    about["factors"] = pd.DataFrame({"file": names}, dtype=object)
    labels = torch.arange(len(classes)).repeat_interleave(torch.tensor([len(files) for files in classes.values()]))
    return Split(images, labels, tuple(classes), torch.arange(len(images)), (0.0,) * 3, (1.0,) * 3, **about)


def _statistics(images: Tensor) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
    """Mean and standard deviation of each colour, in [0, 1], exact sums over counts of the 256 values."""
    values, found = torch.arange(256, dtype=torch.float64) / 255, []
    for colour in images.unbind(dim=1):
        share = torch.bincount(colour.flatten(), minlength=256).double() / colour.numel()
        mean = float((share * values).sum())
        found.append((mean, max(float((share * (values - mean) ** 2).sum()) ** 0.5, 1e-6)))
    return tuple(zip(*found))
