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
    names = cells["erratum"].str.split()
    at_cell, at_row, at_column = [""] * len(cells), {}, {}
    for name, mark in errata(paper)[["id", "mark"]].itertuples(index=False):
        concerned = names.map(lambda ids, name=name: name in ids)
        whole_rows, left = _complete(cells["row"], concerned, concerned)
        whole_columns, left = _complete(cells["column"], concerned, left)
        for labels, marks in ((whole_rows, at_row), (whole_columns, at_column)):
            for label in labels:
                marks[label] = f"{marks.get(label, '')} [{mark}]"
        for position in left[left].index:
            at_cell[position] += f" [{mark}]"
    text = cells["printed"].where(~cells["bold"].fillna(False).astype(bool), "**" + cells["printed"] + "**")
    rows, columns = cells["row"].unique(), cells["column"].unique()
    grid = cells.assign(text=text + pd.Series(at_cell)).pivot(index="row", columns="column", values="text")
    grid = grid.reindex(index=rows, columns=columns).fillna("").rename_axis(index=None, columns=None)
    marks = {label: label + mark for label, mark in at_column.items()}
    return grid.rename(index=lambda label: label + at_row.get(label, ""), columns=marks)


def _complete(labels: pd.Series, concerned: pd.Series, left: pd.Series) -> tuple[list[str], pd.Series]:
    """Labels all of whose cells are concerned, and what is left without them."""
    complete = [label for label in labels[left].unique() if concerned[labels == label].all()]
    return complete, left & ~labels.isin(complete)


def _concerned(scope: str, numbers: str) -> str:
    named = f"Table{'s' if ' ' in numbers else ''} {numbers.replace(' ', ', ')}"
    return {"text": "Text", "cells": named, "table": f"{named}, as a whole"}[scope]


def main(folder: Path) -> None:
    """Write :func:`book_files` into ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in book_files().items():
        (folder / name).write_text(content, encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "book/published"))
