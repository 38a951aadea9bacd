"""Read the printed tables: one csv a table in ``data/``, one row a cell, and ``data/errata.csv``."""

from functools import cache
from pathlib import Path

import pandas as pd

_DATA = Path(__file__).parent / "data"
_TABLES = {"contrastive": (1, 2, 3, 4), "saliency": (1, 2, 3, 4), "whole_output": (1, 2, 3, 4, 5), "dominance": ()}

# What a value is about: rows of ours join on those of these that both sides have.
KEYS = ("dataset", "model", "method", "loss", "base", "target", "transform", "group", "metric")
COLUMNS = (
    *("paper", "table", "row", "column"),
    *KEYS,
    *("value", "spread", "spread_kind", "unit", "better", "printed", "bold", "erratum"),
)


def papers() -> tuple[str, ...]:
    """Short names of the papers."""
    return tuple(_TABLES)


def tables(paper: str) -> tuple[int, ...]:
    """Numbers of the tables that ``paper`` prints; ValueError, which lists the papers, on an unknown one."""
    if paper not in _TABLES:
        raise ValueError(f"Expected a paper out of {', '.join(_TABLES)}. Got {paper!r}.")
    return _TABLES[paper]


def table(paper: str, number: int) -> pd.DataFrame:
    """One printed table, one row a cell that is not empty, in the order of print, with the columns :data:`COLUMNS`.

    Those of text hold "" where a cell has none.

    - ``row``, ``column``: labels as printed; " / " joins a label with that of its group.
    - ``dataset`` … ``metric``: the same in the names that this library uses. ``base`` is the explainer under a
      whole-output method, ``target`` the explained class, ``transform`` what was done to the image, ``group`` the
      method's family, the property, or the participants.
    - ``value`` float: as printed, in ``unit``: a fraction, per cent ("complement-percent" is 100 minus the metric),
      "ssim", "nats", "pixels", … NaN for a cell of text.
    - ``spread`` float or NaN: what stands after ±, and ``spread_kind`` what the caption calls it.
    - ``better``: "higher", "lower", or "" where neither is.
    - ``printed``: the cell as printed, without citation numbers.
    - ``bold``: whether it is printed bold; NA for the saliency paper, whose bold type was not transcribed.
    - ``erratum``: what is known to be wrong with the cell; see :func:`errata` for the sources.

    ValueError on an unknown paper or number, with those that exist.
    """
    cells = cells_with_ids(paper, number)
    texts = errata(paper).set_index("id")["text"]
    return cells.assign(erratum=[" ".join(texts[name] for name in names.split()) for names in cells["erratum"]])


def of_network(rows: pd.DataFrame, model: str, otherwise: str) -> pd.DataFrame:
    """The rows of :func:`table` of one network; of another where print has none of it."""
    return rows[rows["model"] == (model if model in {*rows["model"]} else otherwise)]


def errata(paper: str) -> pd.DataFrame:
    """What is known to be wrong or misleading in a paper's printed tables, and in the text about them.

    Columns ``id, paper, mark, scope, tables, text, source``. ``mark`` counts from 1. ``scope`` is "cells"
    where :func:`table` has the note beside single cells, "table" where it concerns whole ``tables``, else "text".
    ``source`` says where in the paper, or in its released code, to look.
    """
    tables(paper)
    found = pd.read_csv(_DATA / "errata.csv", dtype=str, keep_default_na=False).query("paper == @paper")
    found.insert(2, "mark", range(1, len(found) + 1))
    return found.reset_index(drop=True)


@cache
def sentences(paper: str) -> dict[str, tuple[str, str, str]]:
    """What a paper claims, by a name of ours: where, its sentence, and the comparison that is made of it.

    Sentences are in our words. Comparisons have fields in braces, for ``str.format``; some have no sentence of the
    paper's, and some sentences stand for several comparisons, or say why none is made. ValueError on an unknown paper.
    """
    tables(paper)
    found = pd.read_csv(_DATA / "sentences.csv", dtype=str, keep_default_na=False).query("paper == @paper")
    return dict(zip(found["name"], found[["section", "sentence", "comparison"]].itertuples(index=False, name=None)))


@cache
def cells_with_ids(paper: str, number: int) -> pd.DataFrame:
    """:func:`table` with the ids of its errata, separated by spaces, in place of their text; not to be changed."""
    existing = tables(paper)
    if not existing:
        raise ValueError(f"Expected a paper with tables. Got {paper!r}, which prints none: its results are figures.")
    if number not in existing:
        raise ValueError(f"Expected a table of the {paper} paper out of {existing}. Got {number!r}.")
    cells = pd.read_csv(_DATA / f"{paper}_{number}.csv", dtype=str, keep_default_na=False)
    return cells.assign(
        table=cells["table"].astype(int),
        value=pd.to_numeric(cells["value"]),
        spread=pd.to_numeric(cells["spread"]),
        bold=cells["bold"].map({"yes": True, "no": False, "": pd.NA}).astype("boolean"),
    )
