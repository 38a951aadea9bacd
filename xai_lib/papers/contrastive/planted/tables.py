"""Tables of the chapter on planted data."""

import pandas as pd
from IPython.display import HTML

from xai_lib.data import planted
from xai_lib.page.table import Column, interval, number, plus_minus, show, text
from xai_lib.papers.contrastive.planted import analysis as results_of
from xai_lib.papers.contrastive.tables import NAMES
from xai_lib.run.settings import LOSSES, Settings


def modes() -> HTML:
    """The five modes: what goes with what."""
    rows = [{"surroundings": mode.surroundings, "pose": mode.pose, "colour": mode.colour} for mode in planted.MODES]
    return show(pd.DataFrame(rows), [text(name, name) for name in rows[0]], "Modes that every class has.")


def rarities() -> HTML:
    """Which mode of which class is rare in training."""
    rows = [
        {"class": name, "mode": planted.MODES[planted.rare_mode(name)].surroundings, "share": share}
        for name, share in planted.Parameters().rarities.items()
    ]
    columns = [
        text("class", "class"),
        text("rare mode", "mode"),
        Column("share in training", "share", _percent),
        Column("share in evaluation", "evenly", _percent),
    ]
    frame = pd.DataFrame(rows).assign(evenly=1 / len(planted.MODES))
    return show(frame, columns, "Modes that are rare in training.")


def questions(found: pd.DataFrame) -> HTML:
    """Accuracy where each planting should show."""
    columns = [
        text("images", "question"),
        text("loss", "loss", NAMES),
        Column("accuracy (%)", ("mean", "spread"), plus_minus(1, times=100)),
        Column("95 % interval", ("low", "high"), interval(1, times=100)),
        Column("images a network", "n_images"),
    ]
    caption = "Accuracy, mean ± standard deviation over seeds."
    return show(results_of.questions(found), columns, caption, group=["images"])


def mistaken(found: pd.DataFrame, n: int = 6) -> HTML:
    """The pairs most often mistaken."""
    columns = [text("pair", "pair"), Column("share of all mistakes", "share", _percent), text("planted as", "planted")]
    caption = "Classes most often taken for each other, over all networks."
    return show(results_of.mistaken(found).head(n), columns, caption)


def confidence(found: pd.DataFrame, run: Settings) -> HTML:
    """Mean confidence on known, corrupted and unseen objects."""
    rows = results_of.confidence(found, run).pivot(index="images", columns="loss", values="confidence")
    rows = rows.loc[["known objects", "corrupted", "unseen objects"]].reset_index()
    columns = [text("images", "images"), *(Column(NAMES[loss], loss, number()) for loss in LOSSES)]
    return show(rows, columns, "Mean confidence.")


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"
