"""The cells of a run, what each needs, and what one command of the workflow computes."""

import itertools
from typing import Any

from xai_lib.cells.explain import explain_cell
from xai_lib.cells.predict import predict_cell, predicted
from xai_lib.cells.score import score_cell, scored
from xai_lib.cells.settings import LOSSES, METHODS, Settings
from xai_lib.cells.train import train_cell, trained
from xai_lib.keys import Cell
from xai_lib.store import Store


def plan(run: Settings) -> list[dict[str, Any]]:
    """The run's jobs: id, command (arguments of ``python -m xai_lib``), needs (ids), key (of its last cell), done.

    There are two jobs a network, "train" and "score". The second computes predictions, maps and scores of all methods,
    since each of these is shorter than the start of a process.
    """
    store = Store()
    jobs = []
    for loss, seed in itertools.product(LOSSES, run.seeds):
        cells = {"train": [train_cell(run, loss, seed)]}
        cells["score"] = [predict_cell(run, loss, seed), *(score_cell(run, loss, seed, method) for method in METHODS)]
        for stage, needs in (("train", []), ("score", [f"train-{loss}-{seed}"])):
            jobs.append(
                {
                    "id": f"{stage}-{loss}-{seed}",
                    "command": [stage, "--loss", loss, "--seed", str(seed)],
                    "needs": needs,
                    "key": cells[stage][-1].key,
                    "done": all(store.is_done(cell) for cell in cells[stage]),
                }
            )
    return jobs


def compute(run: Settings, command: str, loss: str, seed: int) -> None:
    """Do one job of :func:`plan`."""
    if command == "train":
        trained(run, loss, seed)
        return
    predicted(run, loss, seed)
    for method in METHODS:
        scored(run, loss, seed, method)


def of_run(run: Settings) -> list[Cell]:
    """Every cell of a run, in the order in which they are computed."""
    networks = list(itertools.product(LOSSES, run.seeds))
    methods = [(*network, method) for network in networks for method in METHODS]
    return [
        *(train_cell(run, *network) for network in networks),
        *(predict_cell(run, *network) for network in networks),
        *(explain_cell(run, *which) for which in methods),
        *(score_cell(run, *which) for which in methods),
    ]
