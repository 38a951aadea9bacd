"""What recording a run has in common: a clean tree, tables as CSV and HTML, figures as PNG, and provenance."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
from IPython.display import DisplayObject
from matplotlib.figure import Figure

from xai_lib import files as artefacts
from xai_lib.page import made as made_by
from xai_lib.page import provenance as table_of
from xai_lib.page import style
from xai_lib.run import provenance
from xai_lib.run.cell import Cell
from xai_lib.run.settings import Settings
from xai_lib.run.store import Store

RECORDED = "book/recorded"

# name -> numbers (CSV) and what a page shows of them (an HTML fragment)
Tables = Mapping[str, tuple[Callable[[Any], pd.DataFrame], Callable[[Any], DisplayObject]]]
Views = Mapping[str, Callable[[Any], DisplayObject]]
Numbers = Mapping[str, Callable[[Any], pd.DataFrame]]
Figures = Mapping[str, Callable[[Any], Figure]]


def prepare(folder: Path) -> None:
    """Make the folder.

    Raises:
        RuntimeError: if the tree differs from its commit (other than in recorded folders), so that no number could
            name the code that made it.
    """
    provenance.require_clean_tree(outputs=(RECORDED,))
    folder.mkdir(parents=True, exist_ok=True)


def write(of: Any, folder: Path, tables: Tables, views: Views, numbers: Numbers, drawings: Figures) -> None:
    """Write what is computed of a run: ``tables`` and ``numbers`` as CSV, ``tables`` and ``views`` as HTML, PNG."""
    for name, (compute, view) in tables.items():
        artefacts.write_frame(folder / f"{name}.csv", compute(of))
        write_text(folder / f"{name}.html", view(of).data)
    for name, view in views.items():
        write_text(folder / f"{name}.html", view(of).data)
    for name, compute in numbers.items():
        artefacts.write_frame(folder / f"{name}.csv", compute(of))
    style.use_style()
    for name, draw in drawings.items():
        save(draw(of), folder / f"{name}.png")


def save(figure: Figure, path: Path) -> None:
    """Write a figure as PNG, without the version of what drew it, and close it."""
    figure.savefig(path, dpi=110, metadata={"Software": None})
    plt.close(figure)


def write_provenance(run: Settings, folder: Path, made: Sequence[Cell]) -> None:
    """Write what made the run: a table, and every cell's whole record."""
    artefacts.write_frame(folder / "provenance.csv", made_by.provenance(made))
    write_text(folder / "provenance.html", table_of.provenance(made).data)
    store = Store()
    records = [artefacts.read_json(store.path(cell) / "provenance.json") for cell in made]
    head = {"label": run.label, "scale": asdict(run.scale), "tables": provenance.software(), "cells": records}
    artefacts.write_json(folder / "provenance.json", head)


def write_text(path: Path, text: str) -> None:
    """Write a text file, whole or not at all."""
    with artefacts.atomically(path) as file:
        file.write(text.encode() + b"\n")
