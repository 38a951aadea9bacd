"""Content-addressed artefacts: a cell of work is computed once, under the hash of its configuration.

``<root>/<stage>/<key>/`` holds a finished cell: what its work wrote, ``provenance.json``, and ``done.json`` (the list
of files, written last). Beside it, ``<key>.work/`` is where unfinished work lives, kept across kills and errors so that
it can be resumed, and ``<key>.lock`` lets one process at a time work on a key.
"""

import errno
import fcntl
import logging
import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from xai_lib.files import PART_SUFFIX, read_json, sha256, sync, write_json
from xai_lib.run import provenance
from xai_lib.run.cell import Cell, canonical_json

_FULL_BYTES = 1 << 20

logger = logging.getLogger(__name__)


class CorruptArtefactError(RuntimeError):
    """A finished cell whose files are not those that were written."""


class Store:
    """A folder of finished and unfinished cells, shared by any number of processes of one machine or file system."""

    def __init__(self, root: Path | None = None) -> None:
        """Use ``root``, else the environment variable ``XAI_STORE``, else ``.store``; made when first needed."""
        self.root = Path(root or os.environ.get("XAI_STORE") or ".store")

    def path(self, cell: Cell) -> Path:
        """Where the finished cell lies, or will lie."""
        return self.root / cell.stage / cell.key

    def is_done(self, cell: Cell) -> bool:
        """Whether the cell is finished; CorruptArtefactError if it is, but a file is lost or not as it was written."""
        if not self.path(cell).exists():
            return False
        _check(self.path(cell))
        return True

    def compute(self, cell: Cell, work: Callable[[Path], None], *, parents: Sequence[Cell] = ()) -> Path:
        """The folder of the finished cell, computed now if it is not there.

        ``work(folder)``, called only if the cell is not done, writes its results into ``folder``. After a kill, an
        error or a full disk the same call runs it again in the same folder, with all it had written: it may go on from
        a checkpoint of its own. A process that asks for a key another one is working on waits for it.
        ``parents`` are finished cells that it reads. ValueError if a parent's key is not in the cell's config, so that
        a change would go unnoticed; FileNotFoundError if a parent is not computed, or ``work`` wrote nothing;
        CorruptArtefactError as :meth:`is_done`; OSError (ENOSPC) if the disk is full: nothing is lost.
        """
        if self.is_done(cell):
            return self.path(cell)
        self._check_parents(cell, parents)
        folder = self.path(cell).with_name(cell.key + ".work")
        with _clear_if_full(cell, folder):
            folder.parent.mkdir(parents=True, exist_ok=True)
            with _locked(self.path(cell).with_name(cell.key + ".lock"), cell):
                if self.is_done(cell):  # by the process this one waited for
                    return self.path(cell)
                folder.mkdir(exist_ok=True)
                if (folder / "done.json").exists():  # killed between the last file and the rename
                    _check(folder)
                else:
                    _attempt(cell, work, folder, parents)
                    _seal(folder)
                folder.rename(self.path(cell))
                sync(folder.parent)
        return self.path(cell)

    def _check_parents(self, cell: Cell, parents: Sequence[Cell]) -> None:
        text = canonical_json(cell.config)
        for parent in parents:
            if parent.key not in text:
                raise ValueError(
                    f"Expected the key of each parent in the config of {cell.stage!r}. Got none of {parent.stage!r} "
                    f"({parent.key[:12]}…): add it, or a change of {parent.stage!r} would go unnoticed."
                )
            if not self.is_done(parent):
                expected = f"Expected {self.path(parent)} before {cell.stage!r} is computed."
                raise FileNotFoundError(f"{expected} Got nothing there: compute {parent.stage!r} first.")


def _attempt(cell: Cell, work: Callable[[Path], None], folder: Path, parents: Sequence[Cell]) -> None:
    """Run ``work`` once, keeping account of this and earlier attempts in the folder's provenance."""
    file = folder / "provenance.json"
    attempts = _earlier_attempts(folder)
    attempt = {"started": provenance.now(), "ended": None, "outcome": None, **provenance.software()}
    attempts.append(attempt)

    def record(ended: str | None, outcome: str | None) -> None:
        attempt.update(ended=ended, outcome=outcome, **provenance.hardware())
        seconds = sum(provenance.seconds_between(each["started"], each["ended"]) for each in attempts if each["ended"])
        made = {"stage": cell.stage, "key": cell.key, "config": cell.config}
        made |= {"parents": {parent.key: parent.stage for parent in parents}, "seconds": round(seconds, 3)}
        write_json(file, made | {"attempts": attempts})

    record(None, None)
    try:
        work(folder)
    except BaseException as error:
        with suppress(OSError):  # the disk may be what failed
            record(provenance.now(), f"failed: {type(error).__name__}")
        raise
    record(provenance.now(), "finished")
    if all(path.name == file.name for path in _files(folder)):
        raise FileNotFoundError(f"Expected the work of {cell.stage!r} ({cell.key[:12]}…) to write files. Got none.")


def _earlier_attempts(folder: Path) -> list[dict[str, Any]]:
    """Attempts on record; one that was killed ended, as far as anyone knows, when it last wrote a file."""
    file = folder / "provenance.json"
    if not file.exists():
        return []
    try:
        attempts = read_json(file)["attempts"]
        if attempts[-1]["ended"] is None:
            last_sign = min(max(path.stat().st_mtime for path in _files(folder)), time.time())
            ended = datetime.fromtimestamp(last_sign, UTC).isoformat(timespec="milliseconds")
            attempts[-1].update(ended=max(ended, attempts[-1]["started"]), outcome="killed")
        for each in attempts:
            provenance.seconds_between(each["started"], each["ended"])
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise _corrupt(folder, f"{file} is no record of earlier attempts", file) from error
    return attempts


def _check(folder: Path) -> None:
    """CorruptArtefactError if a sealed folder lacks a file of its list, or one is not as it was written."""
    try:
        files = read_json(folder / "done.json")["files"]
        listing = {folder / name: written["sha256"] for name, written in files.items()}
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise _corrupt(folder, "done.json cannot be read") from error
    if folder / "provenance.json" not in listing:
        raise _corrupt(folder, "done.json does not list its files")
    for file, written in listing.items():
        if not file.is_file() or sha256(file) != written:
            raise _corrupt(folder, f"{file.name} is {'not as it was written' if file.is_file() else 'missing'}")


def _seal(folder: Path) -> None:
    """Flush everything to disk, then list it in ``done.json``."""
    for part in folder.rglob("*" + PART_SUFFIX):
        part.unlink()
    files = {path.relative_to(folder).as_posix(): path for path in _files(folder)}
    for path in [*files.values(), *{path.parent for path in files.values()}, folder]:
        sync(path)
    listing = {name: {"bytes": path.stat().st_size, "sha256": sha256(path)} for name, path in files.items()}
    write_json(folder / "done.json", {"files": listing})


@contextmanager
def _locked(file: Path, cell: Cell) -> Iterator[None]:
    """Hold the lock of one key; the system frees it when the process ends, however it ends."""
    with file.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            logger.warning("Waiting for another process that computes %s %s…", cell.stage, cell.key[:12])
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def _clear_if_full(cell: Cell, folder: Path) -> Iterator[None]:
    """Turn a full disk, which torch reports as a RuntimeError, into one clear message."""
    try:
        yield
    except (OSError, RuntimeError) as error:
        cause: BaseException | None = error
        while cause and getattr(cause, "errno", None) not in (errno.ENOSPC, errno.EDQUOT):
            cause = cause.__cause__ or cause.__context__
        if cause is None and not (folder.exists() and shutil.disk_usage(folder).free < _FULL_BYTES):
            raise
        raise OSError(
            errno.ENOSPC,
            f"The disk is full. Computing {cell.stage!r} ({cell.key[:12]}…) stopped; what it had finished is kept. "
            "Free some space and run the same command again",
            str(folder),
        ) from error


def _corrupt(folder: Path, what: str, delete: Path | None = None) -> CorruptArtefactError:
    expected = f"Expected {folder.parent.name!r} under key {folder.stem} to be whole. Got: {what}."
    again = f"Delete {delete or folder} and run the same command: it is computed again."
    return CorruptArtefactError(f"{expected} {again}")


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())
