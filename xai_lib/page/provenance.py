"""Where a page's numbers come from: what made the cells of the store that it stands on."""

from collections.abc import Sequence
from typing import Any

import pandas as pd
from IPython.display import HTML

from xai_lib import files
from xai_lib.page import record
from xai_lib.page.table import Column, show, text
from xai_lib.run.cell import Cell
from xai_lib.run.stage import lineage
from xai_lib.run.store import Store


def provenance(cells: Sequence[Cell], head: dict[str, Any] | None = None) -> HTML:
    """Time, code, machine and libraries behind some computed cells and all that they stand on, one row a stage.

    ``head`` is what a record says of the run besides.
    """
    store = Store()
    made = [files.read_json(store.path(cell) / "provenance.json") for cell in lineage(cells) if store.is_done(cell)]
    made = record.write_provenance(made, head or {})
    columns = [
        text("stage", "stage"),
        Column("cells", "cells"),
        Column("computing time", "seconds", lambda seconds: f"{seconds / 60:.1f} min"),
        text("commit", "commit"),
        text("device", "device"),
        Column("threads", "threads"),
        Column("libraries", "libraries", kind="long"),
        Column("finished", "ended", lambda end: end[:16].replace("T", " ")),
    ]
    found = rows(made)
    return show(_by_stage(found), columns, "Provenance.", name="provenance", behind=found)


def rows(made: Sequence[dict[str, Any]]) -> pd.DataFrame:
    """One row a cell's record: stage, key, seconds, commit, device, threads, library versions, end."""
    found = []
    for one in made:
        last = one["attempts"][-1]
        libraries = ", ".join(f"{name} {version}" for name, version in last["libraries"].items() if version)
        found.append(
            {
                "stage": one["stage"],
                "key": one["key"][:12],
                "seconds": one["seconds"],
                "commit": last["commit"][:12] + (" with changes" if last["dirty"] else ""),
                "device": last["device"],
                "threads": last["threads"],
                "libraries": libraries,
                "ended": last["ended"],
            }
        )
    return pd.DataFrame(found)


def _by_stage(frame: pd.DataFrame) -> pd.DataFrame:
    grouped = frame.groupby("stage", sort=False)
    joined = {
        name: grouped[name].agg(lambda values: "; ".join(sorted({str(value) for value in values})))
        for name in ("commit", "device", "threads", "libraries")
    }
    return pd.DataFrame(
        {"cells": grouped.size(), "seconds": grouped["seconds"].sum(), **joined, "ended": grouped["ended"].max()}
    ).reset_index()
