"""The workflow's jobs: which commands compute a run, what each needs, and what one of them computes.

Each experiment says which commands there are (``jobs``) and what cells each computes (by run and options).
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import Any

from xai_lib.data.split import NotEnoughError
from xai_lib.papers.contrastive import experiment as contrastive
from xai_lib.papers.contrastive import matching
from xai_lib.papers.dominance import experiment as dominance
from xai_lib.papers.saliency import experiment as saliency
from xai_lib.papers.whole_output import experiment as whole_output
from xai_lib.run import networks
from xai_lib.run.cell import Cell
from xai_lib.run.settings import Settings
from xai_lib.run.stage import computed
from xai_lib.run.store import Store

COMMANDS: dict[str, Callable[..., list[Cell]]] = {
    "train": lambda run, **options: [networks.train_cell(run, **options)],
    "tune": lambda run, **options: [networks.tune_cell(run, **options)],
    "score": contrastive.score_cells,
    "match": matching.match_cells,
    "saliency": saliency.saliency_cells,
    "whole-output": whole_output.whole_output_cells,
    "dominance": dominance.dominance_cells,
    "rarity": dominance.rarity_cells,
}
_EXPERIMENTS = (networks, contrastive, matching, saliency, whole_output, dominance)


def plan(run: Settings) -> list[dict[str, Any]]:
    """The run's jobs: id, command (of ``python -m xai_lib``), needs (ids), key, folder, and whether it is done.

    Key and folder (below the store's root) are those of its last cell. A job needs those whose cells its own stand on;
    a cell that no job lists is computed by the first that needs it.
    """
    found, maker, store = [], {}, Store()
    for stage, options, cells in jobs(run):
        words = [word for name, value in options.items() for word in (f"--{name}", _said(value))]
        name = "-".join([stage, *(_said(value).split(",")[0] for value in options.values())])
        found.append((name, [stage, *words], cells))
        maker |= {cell.key: name for cell in cells if cell.key not in maker}
    names, plan = ("id", "command", "needs", "key", "folder", "done"), []
    for name, command, cells in found:
        last, done = cells[-1], all(map(store.is_done, cells))
        values = (name, command, _needed(name, cells, maker), last.key, f"{last.stage}/{last.key}", done)
        plan.append(dict(zip(names, values)))
    return plan


def jobs(run: Settings) -> Iterator[tuple[str, dict[str, Any], list[Cell]]]:
    """Commands with their options, and the cells that each computes; those for which data are too few left out."""
    for command, options in [job for experiment in _EXPERIMENTS for job in _able(experiment.jobs, run)]:
        if cells := _able(COMMANDS[command], run, **options):
            yield command, options, cells


def compute(run: Settings, command: str, **options: Any) -> None:
    """Do one job. ValueError if an option names what the run does not have; the message lists what it has."""
    for cell in COMMANDS[command](run, **options):
        computed(cell)


def _able(make: Callable[..., Iterable[Any]], run: Settings, **options: Any) -> list[Any]:
    """What a function makes; nothing where data are too few, of which the part's pages say so."""
    with suppress(NotEnoughError):
        return list(make(run, **options))
    return []


def _needed(name: str, cells: list[Cell], maker: dict[str, str]) -> list[str]:
    """The jobs whose cells some cells stand on, not those that these stand on in turn, in the order of the plan."""
    found, waiting = set(), list(cells)
    while waiting:
        cell = waiting.pop()
        if maker.get(cell.key, name) == name:
            waiting += cell.parents
        else:
            found.add(maker[cell.key])
    return [job for job in dict.fromkeys(maker.values()) if job in found]


def _said(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
