"""The cells of a run, what each needs, and what one command of the workflow computes."""

import itertools
from typing import Any

from xai_lib.cells.explain import explain_cell, explained
from xai_lib.cells.predict import predict_cell, predicted
from xai_lib.cells.score import score_cell, scored
from xai_lib.cells.settings import LOSSES, METHODS, Settings
from xai_lib.cells.train import train_cell, trained
from xai_lib.keys import Cell
from xai_lib.store import Store


def plan(run: Settings) -> list[dict[str, Any]]:
    """The run's jobs: id, command (arguments of ``python -m xai_lib``), needs (ids), key, done.

    A "score" job also computes the predictions and maps that it scores, since each is shorter than starting a process.
    """
    store = Store()
    jobs = []
    for loss, seed in itertools.product(LOSSES, run.seeds):
        training = f"train-{loss}-{seed}"
        cell = train_cell(run, loss, seed)
        which = ["--loss", loss, "--seed", str(seed)]
        jobs.append(
            {"id": training, "command": ["train", *which], "needs": [], "key": cell.key, "done": store.is_done(cell)}
        )
        for method in METHODS:
            cell = score_cell(run, loss, seed, method)
            command = ["score", *which, "--method", method]
            jobs.append(
                {"id": f"score-{loss}-{seed}-{method}", "command": command, "needs": [training], "key": cell.key,
                 "done": store.is_done(cell)}
            )  # fmt: skip
    return jobs


def compute(run: Settings, command: str, loss: str, seed: int, method: str = "") -> None:
    """Do one job of :func:`plan`."""
    if command == "train":
        trained(run, loss, seed)
    else:
        predicted(run, loss, seed)
        explained(run, loss, seed, method)
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
