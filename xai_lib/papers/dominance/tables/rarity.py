"""Tables of the trainings on planted images with rare modes."""

from collections.abc import Callable, Sequence

import pandas as pd
from IPython.display import HTML

from xai_lib.page import verdicts as of_claims
from xai_lib.page.table import Column, interval, number, show, text
from xai_lib.papers.dominance import claims
from xai_lib.papers.dominance.analysis import rarity
from xai_lib.run.settings import Settings


def power(run: Settings, *design: str) -> HTML:
    """How well each score finds the images of the rare mode."""
    rows = rarity.power(run, *design)
    caption = (
        f"Area under the ROC curve, {rarity.said(*design)}: how often an image of the rare mode is in a more suspect "
        "cluster than another image of its class, by the mode's share in training. 0.5 is chance, and 20 % is not "
        f"rare. {_counts(rows)}"
    )
    return _by_rarity(rows, ("auc", "low", "high"), _area, caption, f"power-{_file(design)}")


def suspected(run: Settings, *design: str) -> HTML:
    """What one would find in the most suspect cluster."""
    rows = rarity.power(run, *design)
    caption = (
        f"The cluster that is suspected first, {rarity.said(*design)}: share of the rare mode in it, in brackets in "
        f"the class, and the network's accuracy on it, by the mode's share in training. {_counts(rows)}"
    )
    return _by_rarity(rows, ("share", "base", "accuracy"), _held, caption, f"suspected-{_file(design)}")


def verdicts(run: Settings) -> HTML:
    """What dominance would be for, put to the test where the truth is planted."""
    return of_claims.verdicts(claims.rarity_verdicts(run), "planted images", with_method=True)


def _counts(rows: pd.DataFrame) -> str:
    trials, trainings, lost = (int(rows[name].max()) for name in ("trials", "trainings", "n_undefined"))
    said = f"Up to {trials} trials each, {trainings} trainings, 95 % intervals over trainings."
    return said + f" {lost} trials at most have no image of the mode." * (lost > 0)


def _file(design: Sequence[str]) -> str:
    return "-".join(design).replace(" ", "-")


def _by_rarity(rows: pd.DataFrame, values: tuple[str, ...], said: Callable[..., str], caption: str, name: str) -> HTML:
    """A row a score, a column for each share in training of the mode that is looked for."""
    wide = rows.pivot(index="score", columns="rarity", values=list(values)).loc[rows["score"].unique()]
    shares = sorted(rows["rarity"].unique())
    wide.columns = [f"{value} {share}" for value, share in wide.columns]
    columns = [text("first suspect by", "score")]
    columns += [Column(f"{100 * share:g} %", tuple(f"{value} {share}" for value in values), said) for share in shares]
    return show(wide.reset_index(), columns, caption, name=name, behind=rows)


def _area(area: float, low: float, high: float) -> str:
    return number(2)(area) + (f" {interval(2)(low, high)}" if low < high else "")


def _held(*shares: float) -> str:
    return "{} % ({} %), {} %".format(*map(number(0, times=100), shares))
