"""Verdicts: the rule, and one table of claims that all parts show."""

import pandas as pd
from IPython.display import HTML, Markdown

from xai_lib import statistics
from xai_lib.page.table import Column, interval, number, p_value, show, signed, text

_UNITS = {"seed": ("training", "trainings"), "image": ("image", "images"), "class": ("class", "classes")}


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
    on_images = ((rows["unit"] == "seed") & (rows["n_images"] > 0)).any()  # trainings, on the same images
    columns = [
        Column("claim", "text", kind="long"),
        text("section", "section"),
        *([text("with", "method")] if with_method else []),
        Column("difference as claimed", "difference", signed(digits)),
        Column("95 % interval", ("low", "high"), interval(digits)),
        Column("p (Holm)", "p_holm", p_value),
        Column("images won (%)", "superiority", number(0, times=100)) if on_images else text("test", "test"),
        text("units", ("unit", "n_seeds", "n_images", "n_classes"), _units),
        text("verdict", "reason"),
    ]
    held, turned = ((rows["verdict"] == verdict).sum() for verdict in ("holds", "reverses"))
    caption = (
        f"Claims on {label}: {held} hold, {turned} reverse, {len(rows) - held - turned} are undecided. "
        "A difference above zero supports the claim."
    )
    return show(rows, columns, caption, name=name)


def _units(unit: str, n_seeds: int, n_images: int, n_classes: int) -> str:
    count = {"seed": n_seeds, "image": n_images, "class": n_classes}[unit]
    return f"{count} {_UNITS[unit][count != 1]}"
