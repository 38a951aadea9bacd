"""The table of provenance that every part shows."""

from collections.abc import Sequence

import pandas as pd
from IPython.display import HTML

from xai_lib.page import made as results
from xai_lib.page.table import show
from xai_lib.run.cell import Cell


def provenance(made: Sequence[Cell]) -> HTML:
    """What made these cells: time, code, machine and libraries, one row a stage."""
    rows = results.provenance(made)
    grouped = rows.groupby("stage", sort=False)
    joined = {
        name: grouped[name].agg(lambda values: "; ".join(sorted({str(v) for v in values})))
        for name in ("commit", "device", "threads", "libraries")
    }
    frame = pd.DataFrame(
        {
            "stage": list(grouped.groups),
            "cells": grouped.size().tolist(),
            "computing time": [f"{seconds / 60:.1f} min" for seconds in grouped["seconds"].sum()],
            **{name: values.tolist() for name, values in joined.items()},
            "finished": grouped["ended"].max().str[:16].str.replace("T", " ").tolist(),
        }
    )
    return show(frame, "Provenance.", text=["stage", "commit", "device"], long=["libraries"])
