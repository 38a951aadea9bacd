"""ImageNet in its usual layout, one folder a class, streamed from its files."""

import hashlib
import re
from dataclasses import replace
from pathlib import Path

import torch
from torchvision.models import ResNet50_Weights

from xai_lib.checks import check_counts
from xai_lib.data.folder import in_files
from xai_lib.data.listing import FolderError, is_folder, lines_of, printable
from xai_lib.data.split import Split

MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)
CLASSES = tuple(ResNet50_Weights.IMAGENET1K_V1.meta["categories"])  # in the order of the sorted folder names

_LIST = "classes.txt"
_WNID = re.compile(r"n\d{8}")


def load(root: Path, part: str = "test", *, size: int = 224) -> Split:
    """One part's images, prepared as for torchvision's first ImageNet weights, but turned as EXIF data say.

    The shorter side is resized to 256/224 of ``size`` (bilinear, antialiased) and the central square cut.

    The folders, sorted by name, are the 1000 classes in the networks' order. Where some are missing, a file
    ``classes.txt`` beside them, or in ``root``, says which: 1000 lines, sorted, each beginning with the name of a class
    folder (n01440764, …; what follows it in the line is passed over). Without that file the folders that are there
    count as all classes, numbered from 0, and go by their folders' names: fit only for a network trained on just these.

    ``root`` is a folder with ``val/<wnid>/*.JPEG``, or just ``<wnid>/*.JPEG``, for "test", the validation images; and
    with ``train/<wnid>/*.JPEG`` for "train", which may be a part of what published networks were trained on.
    Masks of objects, where there are any, are PNGs as large as their image in ``masks/val/<wnid>/<name>.png`` (see
    :func:`xai_lib.data.folder.load`). FolderError, which says what was expected, for another layout.
    """
    check_counts(size=size)
    root = Path(root).absolute()
    folder = root / {"train": "train", "test": "val"}[part]
    if part == "test" and not is_folder(folder):
        folder = root
    listed = next((path for path in (folder / _LIST, root / _LIST) if path.is_file()), None)
    masks = None if folder == root else root / "masks" / folder.name
    found = in_files(folder, size=size, shorter=round(size * 256 / 224), name="imagenet", masks=masks)
    if strange := [name for name in found.classes if not _WNID.fullmatch(name)]:
        got = f"{len(strange)} others, the first {strange[0]!r}. Images of other classes load as folder:<path>"
        raise FolderError(f"Expected {printable(folder)} to hold folders named like n01440764 only. Got {got}.")
    if listed:
        numbers, classes = _read_list(listed), CLASSES
        if unknown := [name for name in found.classes if name not in numbers]:
            expected = f"Expected every folder of {printable(folder)} in {_LIST}."
            raise FolderError(f"{expected} Got {len(unknown)} that are not, the first {unknown[0]!r}.")
    elif len(found.classes) > len(CLASSES):
        got = len(found.classes)
        raise FolderError(f"Expected at most {len(CLASSES)} class folders in {printable(folder)}. Got {got}.")
    else:
        numbers = {name: label for label, name in enumerate(found.classes)}
        classes = CLASSES if len(numbers) == len(CLASSES) else found.classes
    labels = torch.tensor([numbers[name] for name in found.classes])[found.labels]
    source = hashlib.sha256(found.source.encode() + labels.numpy().tobytes()).hexdigest()
    return replace(found, labels=labels, classes=classes, mean=MEAN, std=STD, source=source, part=part)


def _read_list(file: Path) -> dict[str, int]:
    wnids = [line.split()[0] for line in lines_of(file) if line]
    wrong = next((wnid for wnid in wnids if not _WNID.fullmatch(wnid)), None)
    if wrong is not None:
        got = f"a line that begins with {wrong!r}"
    elif len(wnids) != len(CLASSES):
        got = f"{len(wnids)} lines"
    elif wnids != sorted(set(wnids)):
        got = "names twice" if len(set(wnids)) < len(wnids) else "another order, which would give wrong labels"
    else:
        return {wnid: label for label, wnid in enumerate(wnids)}
    expected = f"Expected {printable(file)} to list the {len(CLASSES)} class folders of ImageNet, one a line"
    raise FolderError(f"{expected} (n01440764, …), each once and sorted. Got {got}.")
