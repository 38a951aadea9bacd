"""Recording a run: its notebooks are executed, and what they show is kept in a folder of the book.

A run that takes too long for every build is recorded once. While ``XAI_RECORD`` names a folder, every table that a
notebook shows under a name is written there, numbers as CSV and the page's view as HTML; figures are taken from the
executed notebooks, by the ``recorded`` name in the metadata of their cells.
"""

import base64
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from xai_lib import files

if TYPE_CHECKING:
    import pandas as pd

VARIABLE = "XAI_RECORD"


def keep(name: str, frame: "pd.DataFrame") -> "pd.DataFrame":
    """The frame as it is; written as CSV, if a run is being recorded: for numbers that only a figure shows."""
    if folder := os.environ.get(VARIABLE):
        files.write_frame(Path(folder) / f"{name}.csv", frame)
    return frame


def write_text(name: str, page: str) -> None:
    """Write what a page shows, such as a drawing in HTML, if a run is being recorded."""
    if folder := os.environ.get(VARIABLE):
        files.write_bytes(Path(folder) / f"{name}.html", page.encode() + b"\n")


def write_json(name: str, value: Any) -> None:
    """Write plain data that a page stands on, if a run is being recorded."""
    if folder := os.environ.get(VARIABLE):
        files.write_json(Path(folder) / f"{name}.json", value)


def write_provenance(made: list[dict[str, Any]], head: dict[str, Any]) -> list[dict[str, Any]]:
    """Add the records of some cells to those of the notebooks before, if a run is being recorded; returns them all."""
    folder = os.environ.get(VARIABLE)
    if not folder:
        return made
    file = Path(folder) / "provenance.json"
    before = files.read_json(file)["cells"] if file.exists() else []
    both = list({one["key"]: one for one in [*before, *made]}.values())
    files.write_json(file, {**head, "cells": both})
    return both


def write_figures(notebook: Path, folder: Path) -> None:
    """Write the figures of an executed notebook whose cells say under which name: metadata ``recorded``."""
    for cell in json.loads(notebook.read_text(encoding="utf-8"))["cells"]:
        name = cell["metadata"].get("recorded")
        shown = [output.get("data", {}) for output in cell.get("outputs", [])]
        pictures = [data["image/png"] for data in shown if "image/png" in data]
        if name and pictures:
            files.write_bytes(folder / f"{name}.png", base64.b64decode("".join(pictures[-1])))


def record(notebooks: Sequence[Path], folder: Path, parameters: dict[str, object], drafts: Path) -> None:
    """Execute notebooks, in their order, and keep in ``folder``, made if need be, what they show.

    Each notebook gets those of the parameters that it declares; executed, it goes to the folder ``drafts``.
    RuntimeError if the tree differs from its commit, other than in recorded folders; NotebookError if a notebook fails.
    """
    from xai_lib.run import notebook as run
    from xai_lib.run import provenance

    provenance.require_clean_tree()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "provenance.json").unlink(missing_ok=True)
    with patch.dict(os.environ, {VARIABLE: str(folder.resolve())}):
        for source in notebooks:
            known = run.declared(source)
            run.execute(source, drafts / source.name, {name: v for name, v in parameters.items() if name in known})
            write_figures(drafts / source.name, folder)
