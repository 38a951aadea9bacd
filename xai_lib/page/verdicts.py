"""Verdicts: the rule, and one table of claims that all parts show."""

import math
from collections import Counter

import pandas as pd
from IPython.display import HTML, Markdown

from xai_lib import statistics
from xai_lib.page.table import MISSING, Column, interval, p_value, show, signed, text

_UNITS = {"seed": "trainings", "image": "images"}
_WORDS = {  # of a sentence, in the singular and the plural
    "holds": ("holds", "hold"),
    "holds in part": ("holds in part", "hold in part"),
    "reverses": ("reverses", "reverse"),
    "reverses in part": ("reverses in part", "reverse in part"),
    "mixed": ("is mixed", "are mixed"),
    "undecided": ("is undecided", "are undecided"),
    "not tested": ("is not tested", "are not tested"),
}
_ALWAYS = ("holds", "reverses", "undecided")  # counted even where there are none
_SENTENCES = [
    Column("the paper says", "text", kind="long"),
    text("verdict", "verdict"),
    text("comparisons", ("comparisons", "holds", "reverses"),
         lambda n, holds, reverses: f"{n}: {holds} hold, {reverses} reverse" if n > 1 else MISSING),
    text("section", "section"),
]  # fmt: skip


def verdict_rule() -> Markdown:
    """The rule, as the library states it."""
    return Markdown(f"> {statistics.RULE}")


def verdicts(
    rows: pd.DataFrame, label: str, *, with_method: bool = False, digits: int = 3, name: str = "verdicts",
    behind: pd.DataFrame | None = None,
) -> HTML:  # fmt: skip
    """Every claim with difference, interval, corrected p-value and verdict: rows of :func:`statistics.verdict_table`.

    Where sentences of the paper were split into comparisons, a table of the sentences comes first. ``label`` is how the
    caption calls the data, ``name`` that of the files of a record, which keeps the rows or those ``behind`` them;
    ``with_method`` shows what a claim is tested with, where its text does not say it.
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
    of_paper, of_ours = statistics.sentences(rows), rows[rows["ours"]]
    counts = [f"of the paper's {len(of_paper)}, {counted(of_paper['verdict'])}"] if len(of_paper) else []
    counts += [f"of our {len(of_ours)}, {counted(of_ours['verdict'])}"] if len(of_ours) else []
    caption = f"Claims on {label}: {'; '.join(counts)}. A difference above zero supports the claim."
    if len(of_paper) == (~rows["ours"]).sum():
        return show(rows, columns, caption, name=name, behind=behind)
    split = "The paper's sentences count once; below, the comparisons that they were split into."
    above = show(of_paper, _SENTENCES, f"{caption} {split}", name=f"{name}-sentences")
    below = show(rows, columns, f"Every comparison on {label}.", name=name, behind=behind)
    return HTML(above.data + below.data)


def counted(verdicts: pd.Series) -> str:
    """How many verdicts there are of each kind, in words."""
    n, names = Counter(verdicts), sorted({*verdicts, *_ALWAYS}, key=list(_WORDS).index)
    *first, last = [f"{n[name]} {_WORDS[name][n[name] != 1]}" for name in names]
    return f"{', '.join(first)} and {last}"


def _would_decide(power: float, needed: float, unit: str) -> str:
    """How likely this comparison was to decide, and how many units would be; a dash for what is decided."""
    if math.isnan(power):
        return MISSING
    many = "more images" if math.isinf(needed) and unit == "seed" else f"{needed:,.0f} {_UNITS[unit]}"
    return f"{100 * power:.0f} % here; {many}"
