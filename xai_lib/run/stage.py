"""Stages: functions whose results the store keeps, under a key made of the very arguments that they are called with.

A stage's function writes files into a folder and reads nothing but its arguments. Called through its stage, each
argument stands in the key by its identity: plain values as they are, another cell by its key, images, networks and the
like by their own ``identity``, a device by its arithmetic. So no budget can be stated twice, and none forgotten.
"""

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, is_dataclass
from functools import partial
from operator import attrgetter
from pathlib import Path
from typing import Any

import torch

from xai_lib.run.cell import Cell
from xai_lib.run.store import Store
from xai_lib.training.arithmetic import numerics

_place_of = attrgetter("__module__", "__qualname__")
STAGES: dict[str, "Stage"] = {}  # every stage by name, once the module that defines it has been imported


@dataclass(frozen=True)
class Stage:
    """A function whose results the store keeps."""

    name: str  # names a folder of the store
    # number of the code's version, from 1, which is in every key. Raise it when what the function computes changes: a
    # test hashes all the code that the function can reach, and fails if that changes without a new version
    version: int
    function: Callable[..., None]  # `function(folder, **arguments)` writes its results into `folder`

    def cell(self, **arguments: Any) -> Cell:
        """The piece of work that is this call; nothing is computed yet.

        TypeError if the function does not take these arguments, or one of them has no identity; ValueError if one has a
        name that is no argument's (see :func:`xai_lib.run.cell.plain`), or is the key's own.
        """
        bound = inspect.signature(self.function).bind(None, **arguments)
        bound.apply_defaults()
        given = dict(list(bound.arguments.items())[1:])
        names = ["numerics" if isinstance(value, torch.device) else name for name, value in given.items()]
        if "version" in names or len(set(names)) < len(names):
            raise ValueError(f"Expected arguments other than version, and one device at most. Got {list(given)}.")
        config = {name: identity(value) for name, value in zip(names, given.values())}
        parents = tuple(dict.fromkeys(parent for value in given.values() for parent in parents_of(value)))
        work = partial(self.function, **given)
        return Cell(self.name, {"version": self.version, **config}, given, parents, work)


def stage(name: str, *, version: int) -> Callable[[Callable[..., None]], Stage]:
    """Decorator that makes a function a stage. ValueError if another function has that name."""

    def enter(function: Callable[..., None]) -> Stage:
        if name in STAGES and _place_of(STAGES[name].function) != _place_of(function):
            raise ValueError(f"Expected a new name for a stage. Got {name!r}, which is taken.")
        STAGES[name] = Stage(name, version, function)
        return STAGES[name]

    return enter


def computed(cell: Cell) -> Path:
    """The folder of a cell's results, computed now, after what it reads, if missing: see :meth:`Store.compute`."""
    store = Store()
    if store.is_done(cell):
        return store.path(cell)
    for parent in cell.parents:
        computed(parent)
    return store.compute(cell, cell.work, parents=cell.parents)


def lineage(cells: Iterable[Cell]) -> list[Cell]:
    """Some cells and all that they stand on, each once, parents first."""
    found: dict[str, Cell] = {}
    for cell in cells:
        if cell.key not in found:
            found |= {one.key: one for one in [*lineage(cell.parents), cell]}
    return list(found.values())


def identity(value: Any) -> Any:
    """What stands for a value in a key: plain data."""
    if isinstance(value, Cell):
        return value.key
    if isinstance(value, torch.device):
        return asdict(numerics(value))
    if hasattr(value, "identity"):
        return identity(value.identity)
    if is_dataclass(value):
        return {name: identity(part) for name, part in vars(value).items()}
    if isinstance(value, Mapping):
        return {name: identity(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [identity(part) for part in value]
    return value


def parents_of(value: Any) -> list[Cell]:
    """The cells that a value stands on."""
    if isinstance(value, Cell):
        return [value]
    if hasattr(value, "parents") and not isinstance(value, Path):
        return list(value.parents)
    if is_dataclass(value):
        value = vars(value)
    if isinstance(value, Mapping):
        return [cell for part in value.values() for cell in parents_of(part)]
    if isinstance(value, list | tuple):
        return [cell for part in value for cell in parents_of(part)]
    return []
