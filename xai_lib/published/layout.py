"""The tables in the shape of print, for reading; ``__main__`` writes them for the book."""

import pandas as pd

from xai_lib.published.tables import cells_with_ids, errata


def marked(paper: str, number: int) -> pd.DataFrame:
    """One table in the shape of print, in Markdown: rows and columns as labelled there, "" where print is empty.

    Bold type is kept, and ``[n]`` stands where erratum n (``mark``) applies; an erratum of a whole row or column is
    marked once, at its label.
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
