"""The one file a training resumes from: written whole or not at all, refused if it belongs to another training."""

import pickle
import zipfile
from pathlib import Path

import torch

from xai_lib.files import atomically

VERSION = 1


class CheckpointError(RuntimeError):
    """A checkpoint that cannot be read, or that belongs to another training."""


def save(path: Path, state: dict) -> None:
    """Write tensors and plain values (the settings under "settings"); a kill or full disk leaves the old file whole."""
    with atomically(path) as file:
        torch.save({"version": VERSION, **state}, file)


def load(path: Path, settings: dict, device: torch.device) -> dict:
    """Read the checkpoint of the training with ``settings``, its tensors onto a device.

    Settings are plain values, nested at will, that must equal those under "settings" in the file. CheckpointError if
    the file is damaged, has another format, or belongs to a training with other settings; the message says which.
    """
    try:
        with zipfile.ZipFile(path) as archive:  # torch writes check sums into it and does not look at them
            if damaged := archive.testzip():
                raise zipfile.BadZipFile(f"wrong check sum of {damaged}")
        state = torch.load(path, map_location=device, weights_only=True)
    except (zipfile.BadZipFile, pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError) as error:
        said = (str(error) or type(error).__name__).splitlines()[0][:200]
        problem = f"The checkpoint {path} is damaged or no checkpoint ({said})."
        raise CheckpointError(f"{problem} Delete it to start this training again.") from error
    version = state.get("version") if isinstance(state, dict) else None
    if version != VERSION:
        expected = f"Expected a checkpoint of format {VERSION} at {path}."
        raise CheckpointError(f"{expected} Got format {version}. Delete it, or train into another folder.")
    if differing := _differences(state["settings"], settings):
        problem = f"The checkpoint {path} belongs to another training: {'; '.join(differing)}."
        raise CheckpointError(f"{problem} Use its settings, delete it, or train into another folder.")
    return state


def _differences(saved: dict, wanted: dict, prefix: str = "") -> list[str]:
    lines = []
    for name in sorted(saved.keys() | wanted.keys()):
        theirs, ours = saved.get(name), wanted.get(name)
        if isinstance(theirs, dict) and isinstance(ours, dict):
            lines += _differences(theirs, ours, f"{prefix}{name}.")
        elif theirs != ours:
            lines.append(f"{prefix}{name} is {theirs!r} there and {ours!r} here")
    return lines
