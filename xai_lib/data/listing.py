"""What lies in a folder: images by their names, and texts line by line; what is at fault is named, all at once."""

import os
from pathlib import Path

SUFFIXES = (".jpg", ".jpeg", ".jfif", ".png", ".bmp", ".webp", ".ppm", ".pgm", ".gif", ".tif", ".tiff")
TO_CONVERT = "a HEIC or AVIF image: save it as JPEG or PNG"
_CONVERTED = (".heic", ".heif", ".hif", ".avif")
_STRAYS = ("thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", "__macosx", "@eadir")  # beside hidden files
_LOST = "cannot be reached: the link leads nowhere, or there is no permission"
_NAMED = 20  # faults that an error lists before it only counts


class FolderError(ValueError):
    """Files of images that cannot be used as they are; the message names what is at fault."""

    faults: tuple[str, ...] = ()  # file by file, where that can be said


def printable(text: object) -> str:
    r"""A text, such as a file's name, with escapes for what cannot be printed or is no UTF-8."""
    return "".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in str(text))


def reason(error: Exception) -> str:
    """What went wrong, in one line."""
    return printable((isinstance(error, OSError) and error.strerror) or error or type(error).__name__)


def refuse(faults: list[str], expected: str) -> None:
    """Raise a FolderError that lists the faults, if there are any."""
    if faults:
        lines = faults[:_NAMED] + [f"… and {len(faults) - _NAMED} more"] * (len(faults) > _NAMED)
        several = "\n  ".join([f"{len(faults)} problems, and nothing was loaded:", *lines])
        error = FolderError(f"Expected {expected}. Got {several if len(faults) > 1 else faults[0] + '.'}")
        error.faults = tuple(faults)
        raise error


def is_folder(path: Path) -> bool:
    """Whether this is a folder or a link to one; a path that cannot be followed is none."""
    return os.path.isdir(path)  # noqa: PTH112 (Path.is_dir raises where there is no permission)


def entries(folder: Path, faults: list[str]) -> list[Path]:
    """What lies in a folder, sorted, or a fault; hidden files, and those of operating systems, are passed over."""
    try:
        found = sorted(folder.iterdir())
    except OSError as error:
        faults.append(f"{printable(folder)}: {reason(error)}")
        return []
    return [entry for entry in found if not entry.name.startswith(".") and entry.name.lower() not in _STRAYS]


def files_in(folder: Path) -> list[Path]:
    """The images of a folder, sorted by name, but for strays; FolderError if there are none, or other files."""
    faults: list[str] = []
    if not is_folder(folder):
        got = "a file: put it in a list." if os.path.exists(folder) else "no such folder."  # noqa: PTH110
        raise FolderError(f"Expected a folder of images at {printable(folder)}. Got {got}")
    files = _images(folder, folder, faults)
    where = f"only images ({', '.join(SUFFIXES)}), at least one, in {printable(folder)}"
    refuse(faults or ["an empty folder"] * (not files), where)
    return files


def classes_in(
    folder: Path, root: Path, faults: list[str], *, empty: bool = False
) -> tuple[dict[str, list[Path]], list[str]]:
    """Class name -> its image files, sorted, of ``<folder>/<class>/…``, and the names of images beside the classes.

    Links are followed. Faults are added to the list, with names from ``root`` on; of what else lies beside the class
    folders, only links that lead nowhere are. A class without images is a fault unless it may be ``empty``.
    """
    found, loose = {}, []
    for entry in entries(folder, faults):
        before, name = len(faults), printable(entry.relative_to(root))
        if is_folder(entry):
            found[printable(entry.name)] = files = _images(entry, root, faults)
            if not files and not empty and len(faults) == before:
                faults.append(f"{name}: a class without images")
        elif not os.path.exists(entry):  # noqa: PTH110 (as above)
            faults.append(f"{name}: {_LOST}")
        elif entry.suffix.lower() in SUFFIXES:
            loose.append(name)
    return found, loose


def lines_of(file: Path) -> list[str]:
    """The lines of a text file in UTF-8, without spaces at their ends; ValueError if it cannot be read as such."""
    try:
        return [line.strip() for line in file.read_text(encoding="utf-8-sig").rstrip().splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"Expected a text in UTF-8 in {printable(file)}. Got: {reason(error)}. Save it so.") from error


def _images(folder: Path, root: Path, faults: list[str]) -> list[Path]:
    problems = {file: _no_image(file) for file in entries(folder, faults)}
    faults += [f"{printable(file.relative_to(root))}: {fault}" for file, fault in problems.items() if fault]
    return [file for file, fault in problems.items() if not fault]


def _no_image(file: Path) -> str:
    """What keeps a file from being an image, as far as its name and its kind tell; empty if nothing."""
    if not os.path.exists(file):  # noqa: PTH110 (as above)
        return _LOST
    if is_folder(file):
        return "a folder where only images are expected"
    if file.suffix.lower() in _CONVERTED:
        return TO_CONVERT
    return "" if file.suffix.lower() in SUFFIXES and file.is_file() else f"not an image ({', '.join(SUFFIXES)})"
