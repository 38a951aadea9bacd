"""Tables of the trainings on planted images with rare modes."""

from collections.abc import Callable, Sequence

from IPython.display import HTML

from xai_lib.page import verdicts as of_claims
from xai_lib.page.table import Column, interval, number, show, text, wide
from xai_lib.papers.dominance import claims
from xai_lib.papers.dominance.analysis import rarity
from xai_lib.run.settings import Settings


def power(run: Settings, *design: str) -> HTML:
    """How well each score finds the images of the rare mode."""
    caption = (
        f"Area under the ROC curve, {rarity.said(*design)}: how often an image of the rare mode is in a more suspect "
        "cluster than another image of its class, by the mode's share in training. 0.5 is chance, and 20 % is not rare."
    )
    return _by_rarity(run, design, ("auc", "low", "high"), _area, caption, "power")


def suspected(run: Settings, *design: str) -> HTML:
    """What one would find in the most suspect cluster."""
    caption = (
        f"The cluster that is suspected first, {rarity.said(*design)}: share of the rare mode in it, in brackets in "
        "the class, and the network's accuracy on it, by the mode's share in training."
    )
    return _by_rarity(run, design, ("share", "base", "accuracy"), _held, caption, "suspected")


def verdicts(run: Settings) -> HTML:
    """What dominance would be for, put to the test where the truth is planted."""
    return of_claims.verdicts(claims.rarity_verdicts(run), "planted images", with_method=True)


def _by_rarity(
    run: Settings, design: Sequence[str], values: Sequence[str], said: Callable[..., str], caption: str, name: str
) -> HTML:
    """A row a score, a column for each share in training of the mode that is looked for."""
    rows = rarity.power(run, *design)
    trials, trainings, lost = (int(rows[name].max()) for name in ("trials", "trainings", "n_undefined"))
    caption += f" Up to {trials} trials each, {trainings} trainings, 95 % intervals over trainings."
    caption += f" {lost} trials at most have no image of the mode." * (lost > 0)
    sources = {share: tuple(f"{value} {share}" for value in values) for share in sorted(rows["rarity"].unique())}
    columns = [text("first suspect by", "score")]
    columns += [Column(f"{100 * share:g} %", source, said) for share, source in sources.items()]
    file = "-".join((name, *design)).replace(" ", "-")
    return show(wide(rows, ["score"], "rarity", values), columns, caption, name=file, behind=rows)


def _area(area: float, low: float, high: float) -> str:
    return number(2)(area) + (f" {interval(2)(low, high)}" if low < high else "")


def _held(*shares: float) -> str:
    return "{} % ({} %), {} %".format(*map(number(0, times=100), shares))
