"""Files that are either whole or absent: JSON, tidy tables (CSV) and tensors, written to a temporary name and renamed.

A reader never meets half a file, so finished steps of interrupted work may be recognised by their file's existence.
"""

import hashlib
import io
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:  # imported where used: listing what a store holds needs neither
    import pandas as pd
    from torch import Tensor

PART_SUFFIX = ".part"


@contextmanager
def atomically(path: Path) -> Iterator[IO[bytes]]:
    """Open a binary file that appears under ``path``, flushed to disk, only when the block ends without an error.

    Folders are made where they are missing. One writer at a time: the temporary name is ``path`` with ``.part``
    appended, and an abandoned one is overwritten.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + PART_SUFFIX)
    try:
        with part.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    part.replace(path)
    sync(path.parent)


def sync(path: Path) -> None:
    """Flush a file, or a directory's entries, to disk, so that it outlives a power cut (as does a rename there)."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_bytes(path: Path, content: bytes | memoryview) -> None:
    """Write bytes as they are."""
    with atomically(path) as file:
        file.write(content)


def write_json(path: Path, value: Any) -> None:
    """Write ``value`` as indented JSON; NaN and infinities are refused."""
    write_bytes(path, json.dumps(value, indent=2, allow_nan=False, ensure_ascii=False).encode() + b"\n")


def read_json(path: Path) -> Any:
    """Read what :func:`write_json` wrote."""
    return json.loads(path.read_text(encoding="utf-8"))


def sha256(path: Path) -> str:
    """The hash (hexadecimal) of a file, which a process reads once until its size, its time or the file changes."""
    state = path.stat()
    return _hashed(path, (state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns))


@lru_cache(maxsize=100_000)
def _hashed(path: Path, state: tuple[int, ...]) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_frame(path: Path, frame: "pd.DataFrame") -> None:
    """Write a tidy table as CSV without its index; floats keep every digit, NaN becomes an empty cell."""
    write_bytes(path, frame.to_csv(index=False, lineterminator="\n").encode())


def read_frame(path: Path, text: Sequence[str] = ()) -> "pd.DataFrame":
    """Read what :func:`write_frame` wrote: floats equal to the last digit; only an empty cell is NaN.

    Columns named in ``text`` are text, also where it looks like numbers; a column of class names may.
    """
    import pandas as pd

    types = dict.fromkeys(text, str)
    return pd.read_csv(path, dtype=types, float_precision="round_trip", keep_default_na=False, na_values=[""])


def write_tensors(path: Path, tensors: "dict[str, Tensor]") -> None:
    """Write named tensors with ``torch.save``; they are stored on the CPU, so any machine can read them."""
    import torch

    buffer = io.BytesIO()  # torch hides the reason when it fails to write; a full disk should say so
    torch.save({name: tensor.detach().cpu() for name, tensor in tensors.items()}, buffer)
    write_bytes(path, buffer.getbuffer())


def read_tensors(path: Path) -> "dict[str, Tensor]":
    """Read what :func:`write_tensors` wrote, on the CPU, without running any code stored in the file."""
    import torch

    return torch.load(path, map_location="cpu", weights_only=True)
