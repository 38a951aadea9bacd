"""Write the tables and errata that the book shows: ``python -m xai_lib.published book/published``."""

import sys
from pathlib import Path

import pandas as pd

from xai_lib.published.tables import cells_with_ids, errata, papers, tables


def book_files() -> dict[str, str]:
    """Name -> content of the files that ``book/published.md`` includes: a csv a table, a list of errata a paper."""
    files = {}
    for paper in papers():
        for number in tables(paper):
            files[f"{paper}_{number}.csv"] = marked(paper, number).to_csv(lineterminator="\n")
        files[f"{paper}_errata.md"] = "".join(
            f"- **[{note.mark}]** {_concerned(note.scope, note.tables)}: {note.text} *({note.source})*\n"
            for note in errata(paper).itertuples()
        )
    return files


def marked(paper: str, number: int) -> pd.DataFrame:
    """One table in the shape of print, in Markdown: rows and columns as labelled there, "" where print is empty.

    Bold type is kept, and ``[n]`` stands where erratum n (``mark``) applies; one of a whole row or column at its label.
    """
    cells = cells_with_ids(paper, number)
    rows, columns, ids = cells["row"], cells["column"], cells["erratum"].str.split()
    at_row, at_column, at_cell = (pd.Series("", index) for index in (rows.unique(), columns.unique(), cells.index))
    for name, mark in errata(paper)[["id", "mark"]].itertuples(index=False):
        concerned = ids.map(lambda found, name=name: name in found)
        whole_row = concerned.groupby(rows).transform("all")
        whole_column = concerned.groupby(columns).transform("all") & ~whole_row
        at_row[rows[whole_row].unique()] += f" [{mark}]"
        at_column[columns[whole_column].unique()] += f" [{mark}]"
        at_cell[concerned & ~whole_row & ~whole_column] += f" [{mark}]"
    text = cells["printed"].where(~cells["bold"].fillna(False).astype(bool), "**" + cells["printed"] + "**")
    grid = cells.assign(text=text + at_cell).pivot(index="row", columns="column", values="text")
    grid = grid.reindex(index=at_row.index, columns=at_column.index).fillna("")
    return grid.rename(index=lambda label: label + at_row[label], columns=lambda label: label + at_column[label])


def _concerned(scope: str, numbers: str) -> str:
    named = f"Table{'s' if ' ' in numbers else ''} {numbers.replace(' ', ', ')}"
    return {"text": "Text", "cells": named, "table": f"{named}, as a whole"}[scope]


if __name__ == "__main__":
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "book/published")
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in book_files().items():
        (folder / name).write_text(content, encoding="utf-8")
