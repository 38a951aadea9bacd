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
    """Time, code, machine and libraries behind cells and all they stand on; ``head`` is what a record says besides."""
    store = Store()
    made = [files.read_json(store.path(cell) / "provenance.json") for cell in lineage(cells) if store.is_done(cell)]
    found = rows(record.write_provenance(made, head or {}))
    all_of = lambda values: "; ".join(sorted({*map(str, values)}))  # noqa: E731
    listed = dict.fromkeys(("commit", "device", "threads", "libraries"), all_of)
    stages = found.groupby("stage", sort=False).agg({"key": "size", "seconds": "sum", **listed, "ended": "max"})
    columns = [
        text("stage", "stage"),
        Column("cells", "key"),
        Column("computing time", "seconds", lambda seconds: f"{seconds / 60:.1f} min"),
        text("commit", "commit"),
        text("device", "device"),
        Column("threads", "threads"),
        Column("libraries", "libraries", kind="long"),
        Column("finished", "ended", lambda end: end[:16].replace("T", " ")),
    ]
    return show(stages.reset_index(), columns, "Provenance.", name="provenance", behind=found)


def rows(made: Sequence[dict[str, Any]]) -> pd.DataFrame:
    """One row a cell's record: stage, key, seconds, commit, device, threads, library versions, end."""
    found = []
    for one in made:
        last = one["attempts"][-1]
        row = {"stage": one["stage"], "key": one["key"][:12], "seconds": one["seconds"]}
        row["commit"] = last["commit"][:12] + (" with changes" if last["dirty"] else "")
        row |= {name: last[name] for name in ("device", "threads", "libraries", "ended")}
        row["libraries"] = ", ".join(f"{name} {version}" for name, version in last["libraries"].items() if version)
        found.append(row)
    return pd.DataFrame(found)
