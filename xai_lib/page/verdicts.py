"""Verdicts: the rule, and one table of claims that all parts show."""

import math

import pandas as pd
from IPython.display import HTML, Markdown

from xai_lib import statistics
from xai_lib.page.table import MISSING, Column, interval, p_value, show, signed, text

_UNITS = {"seed": "trainings", "image": "images"}


def verdict_rule() -> Markdown:
    """The rule, as the library states it."""
    return Markdown(f"> {statistics.RULE}")


def verdicts(
    rows: pd.DataFrame, label: str, *, with_method: bool = False, digits: int = 3, name: str = "verdicts"
) -> HTML:
    """Every claim with difference, interval, corrected p-value and verdict: rows of :func:`statistics.verdict_table`.

    Args:
        rows: one a claim.
        label: how the caption calls the data.
        with_method: whether to show what the claim is tested with, where its text does not say it.
        digits: of differences and intervals.
        name: of the files of a record.
    """
    columns = [
        Column("claim", "text", kind="long"),
        Column("verdict", ("reason", "scope"), "{}: {}".format, "long"),
        *([text("with", "method")] if with_method else []),
        Column("difference as claimed", "difference", signed(digits)),
        Column("interval that decides", ("low", "high"), interval(digits)),
        Column("p (Holm)", "p_holm", p_value),
        text("would decide", ("power", "needed", "unit"), _would_decide),
        text("section", ("section", "ours"), lambda section, ours: "ours" if ours else section),
    ]
    counts = [f"{_counted(rows[~rows['ours']])} of the paper"] if (~rows["ours"]).any() else []
    counts += [f"{_counted(rows[rows['ours']])} of ours"] if rows["ours"].any() else []
    caption = f"Claims on {label}: {'; '.join(counts)}. A difference above zero supports the claim."
    return show(rows, columns, caption, name=name)


def _counted(rows: pd.DataFrame) -> str:
    held, turned = ((rows["verdict"] == verdict).sum() for verdict in ("holds", "reverses"))
    return f"{held} hold, {turned} reverse and {len(rows) - held - turned} are undecided"


def _would_decide(power: float, needed: float, unit: str) -> str:
    """How likely this comparison was to decide, and how many units would be; a dash for what is decided."""
    if math.isnan(power):
        return MISSING
    many = "more images" if math.isinf(needed) and unit == "seed" else f"{needed:,.0f} {_UNITS[unit]}"
    return f"{100 * power:.0f} % here; {many}"
