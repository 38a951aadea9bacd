"""What made a run: one row a cell."""

from collections.abc import Sequence

import pandas as pd

from xai_lib import files as artefacts
from xai_lib.run.cell import Cell
from xai_lib.run.store import Store


def provenance(made: Sequence[Cell]) -> pd.DataFrame:
    """One row a cell: stage, key, seconds, commit, device, threads, library versions, end."""
    store, rows = Store(), []
    for cell in made:
        record = artefacts.read_json(store.path(cell) / "provenance.json")
        last = record["attempts"][-1]
        libraries = ", ".join(f"{name} {version}" for name, version in last["libraries"].items() if version)
        rows.append(
            {
                "stage": cell.stage,
                "key": cell.key[:12],
                "seconds": record["seconds"],
                "commit": last["commit"][:12] + (" with changes" if last["dirty"] else ""),
                "device": last["device"],
                "threads": last["threads"],
                "libraries": libraries,
                "ended": last["ended"],
            }
        )
    return pd.DataFrame(rows)
