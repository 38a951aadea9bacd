"""Verdicts: the rule, as every part shows it, and claims that are tested over different units."""

import pandas as pd
from IPython.display import HTML, Markdown

from xai_lib import statistics
from xai_lib.page.table import interval, p_value, show, signed


def verdict_rule() -> Markdown:
    """The rule, as the library states it."""
    return Markdown(f"> {statistics.RULE}")


def claims(rows: pd.DataFrame, label: str) -> HTML:
    """Verdicts on claims that are tested over different units: the rows of :func:`statistics.verdict_table`.

    Args:
        rows: one a claim; ``method`` says with what, in a reader's words.
        label: how the caption calls the data.
    """
    frame = pd.DataFrame(
        {
            "claim": rows["text"],
            "section": rows["section"],
            "with": rows["method"],
            "difference as claimed": [signed(value, 3) for value in rows["difference"]],
            "95 % interval": [interval(low, high, 3) for low, high in zip(rows["low"], rows["high"])],
            "p (Holm)": [p_value(value) for value in rows["p_holm"]],
            "test": rows["test"],
            "units": [_units(row) for row in rows.to_dict("records")],
            "verdict": rows["reason"],
        }
    )
    held, turned = ((rows["verdict"] == name).sum() for name in ("holds", "reverses"))
    caption = (
        f"Claims on {label}: {held} hold, {turned} reverse, {len(rows) - held - turned} are undecided. "
        "A difference above zero supports the claim."
    )
    return show(frame, caption, text=["section", "with", "test", "units", "verdict"], long=["claim"])


def _units(row: dict[str, object]) -> str:
    count = {"seed": row["n_seeds"], "image": row["n_images"], "class": row["n_classes"]}[row["unit"]]
    names = {"seed": ("training", "trainings"), "image": ("image", "images"), "class": ("class", "classes")}[
        row["unit"]
    ]
    return f"{count} {names[count != 1]}"
