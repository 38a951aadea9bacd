"""What names a piece of work: a stage and the configuration that all its numbers depend on, hashed into a key."""

import hashlib
import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, is_dataclass
from pathlib import Path, PurePath
from typing import Any

# What must not change a key: where something is computed, and where files lie.
EXCLUDED_NAMES = ("device", "path", "directory", "root", "host")


def plain(value: Any, name: str = "config") -> Any:
    """Copy ``value`` into dicts, lists, strings, numbers, booleans and None; dataclasses become dicts, tuples lists.

    TypeError on anything else (paths, arrays, sets, keys that are not strings), naming where it stands; ValueError on
    NaN and infinities, absolute paths, and names in ``EXCLUDED_NAMES``.
    """
    if is_dataclass(value) and not isinstance(value, type):
        value = asdict(value)
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str):
                raise TypeError(f"Expected names to be strings. Got {key!r} in {name}.")
            if key in EXCLUDED_NAMES:
                raise ValueError(f"Expected a config that holds on any machine. Got {name}.{key}: leave it out.")
        return {str(key): plain(item, f"{name}.{key}") for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item, f"{name}[{position}]") for position, item in enumerate(value)]
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"Expected finite numbers. Got {name} = {value}.")
        return float(value)
    if isinstance(value, str):
        if PurePath(value).is_absolute():
            raise ValueError(f"Expected no paths in a key. Got {name} = {value!r}: put a digest of the content there.")
        return str(value)
    if value is None or isinstance(value, bool | int):
        return value
    expected = "Expected str, int, float, bool, None, or lists, mappings and dataclasses of them."
    raise TypeError(f"{expected} Got {name} of type {type(value).__name__}.")


def canonical_json(value: Any) -> str:
    """The one JSON text of ``value``: sorted keys, no spaces, ASCII, floats to the last digit; 1 and 1.0 differ."""
    return json.dumps(plain(value), sort_keys=True, separators=(",", ":"), allow_nan=False)


@dataclass(frozen=True)
class Cell:
    """One piece of work: what is computed, and all that its numbers depend on; ValueError without name or version."""

    stage: str  # lower case letters, digits and hyphens; names a folder of the store
    # copied through :func:`plain`; must hold `version`, the code version of the stage (int, from 1). Precision, TF32
    # and compile mode belong here; devices and paths are refused
    config: Mapping[str, Any] = field(compare=False)
    # what the stage's function is called with; empty for a cell that no stage made
    arguments: Mapping[str, Any] = field(compare=False, default_factory=dict, repr=False)
    # cells that it reads; their keys must stand in `config`
    parents: tuple["Cell", ...] = field(compare=False, default=(), repr=False)
    # writes the cell's files into the folder that it is given; None for a cell that no stage made
    work: Callable[[Path], None] | None = field(compare=False, default=None, repr=False)
    key: str = field(init=False)  # SHA-256 (64 hex digits) of the canonical JSON of stage and config

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[a-z][a-z0-9-]*", self.stage):
            raise ValueError(f"Expected a stage name of lower case letters, digits and hyphens. Got {self.stage!r}.")
        config = plain(self.config)
        version = config.get("version")
        if type(version) is not int or version < 1:
            expected = f"Expected config['version'], the code version of {self.stage!r} (1, 2, …)."
            raise ValueError(f"{expected} Got {version!r}.")
        text = canonical_json({"stage": self.stage, "config": config})
        object.__setattr__(self, "config", config)
        object.__setattr__(self, "key", hashlib.sha256(text.encode()).hexdigest())
