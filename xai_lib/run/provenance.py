"""Where a result comes from: source commit, library versions, device and time. No host name, no paths."""

import hashlib
import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

LIBRARIES = (
    *("torch", "torchvision", "numpy", "pandas", "scipy", "scikit-image", "scikit-learn"),
    *("captum", "grad-cam", "quantus", "zennit"),
)
UNKNOWN = "unknown"
RECORDED = "book/recorded"  # what recording writes: changes there change no number
_SOURCE = Path(__file__).parent
_CODE = (".", f":(exclude,top,literal){RECORDED}")


def software() -> dict[str, Any]:
    """The code this process runs.

    Returns ``commit`` (git hash, or "unknown" without git), ``dirty`` (None for a clean tree, else :func:`dirty_hash`)
    and ``libraries`` (name -> version, None if absent; Python included).
    """
    versions = {"python": platform.python_version(), **{name: _version(name) for name in LIBRARIES}}
    return {"commit": commit(), "dirty": dirty_hash(), "libraries": versions}


def hardware() -> dict[str, Any]:
    """What this process has computed on so far.

    Returns ``device`` (name of the GPU it has used, else of the processor) and ``threads`` (torch's; None while torch
    is not imported).
    """
    torch = sys.modules.get("torch")
    return {"device": _device(), "threads": torch.get_num_threads() if torch else None}


def now() -> str:
    """The time in UTC, ISO 8601, to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def seconds_between(start: str, end: str) -> float:
    """Seconds from ``start`` to ``end``, both as :func:`now` writes them; 0 where the clock was set back between."""
    return max(round((datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds(), 3), 0.0)


def commit(repository: Path = _SOURCE) -> str:
    """The git hash of ``repository``'s commit, or "unknown" where there is no git."""
    try:
        return _git(repository, "rev-parse", "HEAD").decode().strip()
    except (OSError, subprocess.CalledProcessError):
        return UNKNOWN


def dirty_hash(repository: Path = _SOURCE) -> str | None:
    """SHA-256 over the changes that are not committed, outside recorded runs: the difference to HEAD, then new files.

    Returns None for a clean tree, "unknown" where there is no git.
    """
    try:
        top = Path(_git(repository, "rev-parse", "--show-toplevel").decode().strip())
        difference = _git(top, "diff", "HEAD", "--binary", "--no-ext-diff", "--no-textconv", "--", *_CODE)
        untracked = sorted(
            _git(top, "ls-files", "--others", "--exclude-standard", "-z", "--", *_CODE).split(b"\0")[:-1]
        )
    except (OSError, subprocess.CalledProcessError):
        return UNKNOWN
    if not difference and not untracked:
        return None
    digest = hashlib.sha256(difference)
    for name in untracked:
        digest.update(b"\0" + name + b"\0" + _content_digest(top / os.fsdecode(name)))
    return digest.hexdigest()


def require_clean_tree(repository: Path = _SOURCE) -> None:
    """Refuse to go on while the source differs from its commit: a recorded number must name the code that made it.

    RuntimeError listing the changed files, those of recorded runs left out, or if there is no git to tell.
    """
    try:
        top = Path(_git(repository, "rev-parse", "--show-toplevel").decode().strip())
        # relative to the top, one "XY name" a line (quoted where needed)
        status = _git(top, "status", "--porcelain", "--untracked-files=all", "--", *_CODE).decode()
    except (OSError, subprocess.CalledProcessError) as error:
        raise RuntimeError(
            "Expected to record from a git checkout, so that the commit is known. Got none: clone it, or install git."
        ) from error
    if changed := [line[3:] for line in status.splitlines()]:
        raise RuntimeError(
            f"Expected a clean tree to record from. Got {len(changed)} changed: {', '.join(changed)}. "
            "Commit them first."
        )


def _git(repository: Path, *arguments: str) -> bytes:
    return subprocess.run(["git", "-C", repository, *arguments], check=True, capture_output=True).stdout


def _content_digest(path: Path) -> bytes:
    if path.is_symlink() or not path.is_file():
        return b""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


def _version(library: str) -> str | None:
    try:
        return metadata.version(library)
    except metadata.PackageNotFoundError:
        return None


def _device() -> str:
    torch = sys.modules.get("torch")
    if torch and torch.cuda.is_initialized():
        return torch.cuda.get_device_name()
    processor = Path("/proc/cpuinfo")
    if processor.is_file():
        for line in processor.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
