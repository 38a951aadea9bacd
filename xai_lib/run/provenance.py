"""Where a result comes from: source commit, library versions, device and time. No host name, no paths."""

import hashlib
import os
import platform
import re
import subprocess
import sys
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from xai_lib.files import sha256

LIBRARIES = (
    *("torch", "torchvision", "numpy", "pandas", "scipy", "scikit-image", "scikit-learn"),
    *("captum", "grad-cam", "quantus", "zennit"),
)
UNKNOWN = "unknown"
RECORDED = "book/recorded"  # what recording writes: changes there change no number
_SOURCE = Path(__file__).parent
_CODE = (".", f":(exclude,top,literal){RECORDED}")


def software() -> dict[str, Any]:
    """The code this process runs: :func:`commit`, :func:`dirty_hash`, and versions of libraries, None if absent."""
    versions = {"python": platform.python_version(), **{name: _version(name) for name in LIBRARIES}}
    return {"commit": commit(), "dirty": dirty_hash(), "libraries": versions}


def hardware() -> dict[str, Any]:
    """What this process has computed on so far: the GPU it has used, else the processor, and torch's threads if any."""
    torch, file = sys.modules.get("torch"), Path("/proc/cpuinfo")
    named = re.search(r"^model name[^:\n]*:(.*)", file.read_text() if file.is_file() else "", re.MULTILINE)
    device = named[1].strip() if named else platform.processor() or platform.machine()
    if torch and torch.cuda.is_initialized():
        device = torch.cuda.get_device_name()
    return {"device": device, "threads": torch.get_num_threads() if torch else None}


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
    """SHA-256 over what is not committed, outside recorded runs; None if there is nothing, "unknown" without git."""
    try:
        top = Path(_git(repository, "rev-parse", "--show-toplevel").decode().strip())
        difference = _git(top, "diff", "HEAD", "--binary", "--no-ext-diff", "--no-textconv", "--", *_CODE)
        new = _git(top, "ls-files", "--others", "--exclude-standard", "-z", "--", *_CODE)
    except (OSError, subprocess.CalledProcessError):
        return UNKNOWN
    if not difference and not new:
        return None
    digest = hashlib.sha256(difference)
    for name in sorted(new.split(b"\0")[:-1]):
        path = top / os.fsdecode(name)
        content = b"" if path.is_symlink() or not path.is_file() else bytes.fromhex(sha256(path))
        digest.update(b"\0" + name + b"\0" + content)
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
        expected = "Expected to record from a git checkout, so that the commit is known."
        raise RuntimeError(f"{expected} Got none: clone it, or install git.") from error
    if changed := [line[3:] for line in status.splitlines()]:
        expected = "Expected a clean tree to record from."
        raise RuntimeError(f"{expected} Got {len(changed)} changed: {', '.join(changed)}. Commit them first.")


def _git(repository: Path, *arguments: str) -> bytes:
    return subprocess.run(["git", "-C", repository, *arguments], check=True, capture_output=True).stdout


def _version(library: str) -> str | None:
    try:
        return metadata.version(library)
    except metadata.PackageNotFoundError:
        return None
