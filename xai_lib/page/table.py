"""Tables: a tidy frame, a few columns that say how a reader sees it, and one call that shows and records both."""

import itertools
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Literal

import numpy as np
import pandas as pd
from IPython.display import HTML

from xai_lib.page import record

MISSING = "–"

Format = Callable[..., str]


@dataclass(frozen=True)
class Column:
    """One column of a table."""

    title: str  # its head
    source: str | tuple[str, ...]  # the frame's column that it shows, or several, whose values the format gets together
    # what a reader sees of a row's values; a mapping looks it up; None prints the value as it is
    format: Format | Mapping[Hashable, str] | None = None
    # "number" is aligned right, "text" left, "long" left with room for sentences to break
    kind: Literal["number", "text", "long"] = "number"

    def cells(self, frame: pd.DataFrame) -> list[str]:
        """The column's cells, a row of the frame each; a value that is missing is a dash."""
        names = (self.source,) if isinstance(self.source, str) else self.source
        rows = zip(*(frame[name] for name in names), strict=True)
        if callable(self.format):
            return [self.format(*values) for values in rows]
        if self.format is not None:
            return [self.format[value] for (value,) in rows]
        return [MISSING if one is None or (isinstance(one, float) and np.isnan(one)) else str(one) for (one,) in rows]


def text(title: str, source: str | tuple[str, ...], format: Format | Mapping | None = None) -> Column:
    """A column of words, aligned left."""
    return Column(title, source, format, "text")


def each(format: Format | None, **titles: str) -> list[Column]:
    """Columns of one format: name of the frame's column -> title."""
    return [Column(title, name, format) for name, title in titles.items()]


def ends(digits: int = 3, *, times: float = 1, title: str = "95 % interval") -> Column:
    """The column of an interval from ``low`` to ``high``."""
    return Column(title, ("low", "high"), interval(digits, times=times))


def show(
    frame: pd.DataFrame, columns: Sequence[Column], caption: str, *, name: str = "", group: Sequence[str] = (),
    behind: pd.DataFrame | None = None,
) -> HTML:  # fmt: skip
    """A table as accessible HTML that scrolls inside its own box on a narrow screen.

    Of a frame, one row a row of the table, what a reader sees of it, and one sentence above it. ``group`` are titles of
    columns whose entries are printed only where they change, as in printed tables. While a run is recorded, the frame
    (or the numbers ``behind`` it, where it has but a part or means of them) is written beside it as ``<name>.csv``, and
    what is shown as ``<name>.html``; a table without a name is not recorded.
    """
    titles = [column.title for column in columns]
    cells = [column.cells(frame) for column in columns]
    _blank_repeats([cells[titles.index(title)] for title in group])
    kinds = [{"number": "", "text": "text", "long": "text long"}[column.kind] for column in columns]
    head = "".join(f'<th scope="col" class="{kind}">{escape(title)}</th>' for title, kind in zip(titles, kinds))
    rows = "".join(
        "<tr>" + "".join(f'<td class="{kind}">{escape(cell)}</td>' for cell, kind in zip(row, kinds)) + "</tr>"
        for row in zip(*cells)
    )
    page = (
        f'<div class="companion-table" tabindex="0" role="region" aria-label="{escape(caption)}"><table>'
        f"<caption>{escape(caption)}</caption><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>"
    )
    if name:
        record.keep(name, frame if behind is None else behind)
        record.write_text(name, page)
    return HTML(page)


def wide(rows: pd.DataFrame, index: Sequence[str], across: str, values: Sequence[str]) -> pd.DataFrame:
    """A column ``<value> <entry of across>`` for each; rows in the order in which they first come."""
    index = list(index)
    found = rows.pivot(index=index, columns=across, values=list(values))
    found.columns = [" ".join(map(str, names)) for names in found.columns]
    return rows[index].drop_duplicates().join(found, on=index)


def number(digits: int = 3, *, times: float = 1) -> Format:
    """Format: a number with a fixed number of digits, multiplied first (by 100 for per cent)."""

    def said(value: float) -> str:
        if value is None or np.isnan(value):
            return MISSING
        return f"{value * times if times != 1 else value:.{digits}f}".replace("-", "\N{MINUS SIGN}")

    return said


def plus_minus(digits: int = 3, *, times: float = 1) -> Format:
    """Format of (mean, spread): mean ± standard deviation, or the mean alone where there is no spread."""
    one = number(digits, times=times)
    return lambda mean, spread: one(mean) + ("" if np.isnan(spread) else f" ± {one(spread)}")


def interval(digits: int = 3, *, times: float = 1) -> Format:
    """Format of (low, high): an interval."""
    one = number(digits, times=times)
    return lambda low, high: MISSING if np.isnan(low) else f"[{one(low)}, {one(high)}]"


def signed(digits: int = 3, *, times: float = 1) -> Format:
    """Format: a difference with its sign."""
    return lambda value: ("+" if value >= 0 else "") + number(digits, times=times)(value)


def p_value(value: float) -> str:
    """Format: a p-value with three digits, or that it is below 0.001."""
    return MISSING if np.isnan(value) else "< 0.001" if value < 0.001 else f"{value:.3f}"


def printed(value: str) -> str:
    """Format: a value as a paper prints it; a dash where it prints none."""
    return value or MISSING


def part_of(part: float, whole: float) -> str:
    """Format of (part, whole): how many of how many."""
    return MISSING if np.isnan(part) else f"{part:g} of {whole:g}"


def _blank_repeats(group: Sequence[list[str]]) -> None:
    """Blank entries of some columns where neither they nor those before them in the group change."""
    keys = list(zip(*group))
    for row, (before, here) in enumerate(itertools.pairwise(keys), start=1):
        for depth, column in enumerate(group):
            if here[: depth + 1] == before[: depth + 1]:
                column[row] = ""
