"""Record a run too slow to repeat at every build: its tables, figures and provenance, in a folder of the book."""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
from IPython.display import DisplayObject
from matplotlib.figure import Figure

from xai_lib import artefacts, cells, figures, provenance
from xai_lib.cells import Settings
from xai_lib.results import contrastive as results
from xai_lib.store import Store
from xai_lib.tables import contrastive as tables

RECORDED = "book/recorded"

# name -> numbers (CSV) and what a page shows of them (an HTML fragment)
_TABLES: dict[str, tuple[Callable[[Settings], pd.DataFrame], Callable[[Settings], DisplayObject]]] = {
    "accuracy": (results.accuracy, tables.accuracy),
    "results": (results.results, tables.results),
    "orders": (results.orders, tables.orders),
    "verdicts": (results.verdicts, tables.verdicts),
    "quantus": (results.quantus, tables.quantus),
    "empty-maps": (results.empty_maps, tables.empty_maps),
    "provenance": (results.provenance, tables.provenance),
}
_VIEWS: dict[str, Callable[[Settings], DisplayObject]] = {
    "images": tables.splits,
    "settings": tables.recipe_settings,
}
_FIGURES: dict[str, Callable[[Settings], Figure]] = {
    "training": lambda run: figures.training_curves(results.histories(run)),
    "embedding": lambda run: figures.embedding(results.embedding(run, seed=0), run.test_split().classes),
    "overlays": lambda run: figures.overlays(*results.overlays(run, n=6, seed=0)),
    "flipping": lambda run: figures.flipping_curves(cells.curves(run)),
    "distributions": lambda run: figures.distributions(cells.scores(run), tables.PANELS),
}


def contrastive(run: Settings, folder: Path) -> None:
    """Write a run of the contrastive part into ``folder``: CSV, HTML, PNG and ``provenance.json``.

    Recording computes nothing but tables: what the store lacks is computed first, by the code of the commit.

    Raises:
        RuntimeError: if the tree differs from its commit (other than in recorded folders), so that no number could
            name the code that made it.
    """
    provenance.require_clean_tree(outputs=(RECORDED,))
    folder.mkdir(parents=True, exist_ok=True)
    for name, (numbers, view) in _TABLES.items():
        artefacts.write_frame(folder / f"{name}.csv", numbers(run))
        _write_text(folder / f"{name}.html", view(run).data)
    for name, view in _VIEWS.items():
        _write_text(folder / f"{name}.html", view(run).data)
    artefacts.write_frame(folder / "histories.csv", results.histories(run))
    figures.use_style()
    for name, draw in _FIGURES.items():
        figure = draw(run)
        figure.savefig(folder / f"{name}.png", dpi=110, metadata={"Software": None})
        plt.close(figure)
    store = Store()
    made_by = [artefacts.read_json(store.path(cell) / "provenance.json") for cell in cells.of_run(run)]
    scale = asdict(run.scale)
    head = {"label": run.label, "scale": scale, "tables": provenance.software(), "cells": made_by}
    artefacts.write_json(folder / "provenance.json", head)


def _write_text(path: Path, text: str) -> None:
    with artefacts.atomically(path) as file:
        file.write(text.encode() + b"\n")
