"""Tables that notebooks show: tidy frames turned into what a reader compares, ours beside the published values."""

from collections.abc import Sequence
from html import escape

import numpy as np
import pandas as pd
from IPython.display import HTML

MISSING = "–"


def show(frame: pd.DataFrame, caption: str, *, text: Sequence[str] = (), long: Sequence[str] = ()) -> HTML:
    """A table as accessible HTML that scrolls inside its own box on a narrow screen.

    Args:
        frame: one column a column of the page; cells are printed as they are, NaN as a dash.
        caption: one sentence above the table.
        text: columns of words, aligned left.
        long: columns of sentences, aligned left and given room to break.
    """
    kinds = {name: "text long" if name in long else "text" if name in text else "" for name in frame}
    head = "".join(f'<th scope="col" class="{kinds[name]}">{escape(str(name))}</th>' for name in frame)
    rows = []
    for values in frame.itertuples(index=False, name=None):
        cells = (f'<td class="{kinds[name]}">{escape(_printed(value))}</td>' for name, value in zip(frame, values))
        rows.append(f"<tr>{''.join(cells)}</tr>")
    return HTML(
        f'<div class="companion-table" tabindex="0" role="region" aria-label="{escape(caption)}"><table>'
        f"<caption>{escape(caption)}</caption><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
    )


def number(value: float, digits: int = 3) -> str:
    """A number with a fixed number of digits; a dash for NaN."""
    return MISSING if value is None or np.isnan(value) else f"{value:.{digits}f}".replace("-", "\N{MINUS SIGN}")


def plus_minus(mean: float, spread: float, digits: int = 3) -> str:
    """Mean ± standard deviation over seeds, or the mean alone."""
    return number(mean, digits) if np.isnan(spread) else f"{number(mean, digits)} ± {number(spread, digits)}"


def interval(low: float, high: float, digits: int = 3) -> str:
    """A 95 % interval, or a dash."""
    return MISSING if np.isnan(low) else f"[{number(low, digits)}, {number(high, digits)}]"


def signed(value: float, digits: int = 3) -> str:
    """A difference with its sign."""
    return MISSING if np.isnan(value) else f"{'+' if value >= 0 else ''}{number(value, digits)}"


def p_value(value: float) -> str:
    """A p-value with three digits, or that it is below 0.001."""
    return MISSING if np.isnan(value) else "< 0.001" if value < 0.001 else f"{value:.3f}"


def blank_repeats(frame: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """Print a label only where it changes, as printed tables do."""
    frame = frame.copy()
    changed = pd.Series(False, index=frame.index)
    for column in columns:
        changed |= frame[column] != frame[column].shift()
        frame[column] = frame[column].where(changed, "")
    return frame


def _printed(value: object) -> str:
    if value is None or (isinstance(value, float) and np.isnan(value)):
        return MISSING
    return str(value)
