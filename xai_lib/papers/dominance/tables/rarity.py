"""Tables of the trainings on planted images with rare modes."""

from collections.abc import Callable

import pandas as pd
from IPython.display import HTML

from xai_lib.page import record
from xai_lib.page import verdicts as of_claims
from xai_lib.page.table import Column, interval, number, show, text
from xai_lib.papers.dominance import claims
from xai_lib.papers.dominance.analysis import rarity
from xai_lib.run.settings import Settings

_CLUSTERS = {"k-means": "clusters", "modes": "planted modes"}
_percent = number(0, times=100)


def power(run: Settings, clustering: str) -> HTML:
    """How often each score finds the rare mode."""
    rows = rarity.power(run, clustering)
    trials, trainings = int(rows["trials"].max()), int(rows["trainings"].max())
    caption = (
        f"How often the cluster that is suspected first holds the rare mode ({_CLUSTERS[clustering]}), by the mode's "
        f"share in training; 20 % is not rare. {trials} trials each, {trainings} trainings, intervals over trainings."
    )
    return _by_rarity(rows, ("hit", "low", "high"), _hit, caption, f"power-{clustering}")


def suspected(run: Settings, clustering: str) -> HTML:
    """What one would find in the most suspect cluster, and where the rare cluster stands."""
    caption = (
        f"Share of the rare mode in the cluster that is suspected first ({_CLUSTERS[clustering]}), a fifth if nothing "
        "points to it, and in brackets the mean place of the rare cluster, 1 the most suspect, by the mode's share in "
        "training."
    )
    return _by_rarity(rarity.suspected(run, clustering), ("share", "rank"), _held, caption, "suspected")


def purity(run: Settings) -> HTML:
    """How well K-means isolates the rare mode."""
    columns = [
        Column("share in training", "rarity", _share),
        Column("of the mode in its best cluster (%)", "held", _percent),
        Column("of that cluster (%)", "pure", _percent),
        Column("trials", "trials"),
    ]
    caption = "How well K-means isolates the rare mode among evaluation images; a fifth of a class is of it."
    return show(rarity.purity(run), columns, caption, name="purity")


def verdicts(run: Settings) -> HTML:
    """What dominance would be for, put to the test where the truth is planted."""
    return of_claims.verdicts(claims.rarity_verdicts(run), "planted images", with_method=True)


def _by_rarity(rows: pd.DataFrame, values: tuple[str, ...], said: Callable[..., str], caption: str, name: str) -> HTML:
    """A row a score, a column for each share in training of the mode that is looked for."""
    wide = rows.pivot(index="score", columns="rarity", values=list(values)).loc[rows["score"].unique()]
    shares = sorted(rows["rarity"].unique())
    wide.columns = [f"{value} {share}" for value, share in wide.columns]
    columns = [text("first suspect by", "score")]
    columns += [Column(_share(share), tuple(f"{value} {share}" for value in values), said) for share in shares]
    shown = show(wide.reset_index(), columns, caption)
    record.write_table(name, rows, shown.data)
    return shown


def _hit(rate: float, low: float, high: float) -> str:
    return number(2)(rate) + (f" {interval(2)(low, high)}" if low < high else "")


def _held(share: float, rank: float) -> str:
    return f"{_percent(share)} % ({number(1)(rank)})"


def _share(share: float) -> str:
    return f"{100 * share:g} %"
