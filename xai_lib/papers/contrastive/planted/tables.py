"""Tables of the chapter on planted data."""

import pandas as pd
from IPython.display import HTML

from xai_lib.data import planted
from xai_lib.page.table import interval, number, plus_minus, show
from xai_lib.papers.contrastive.planted import analysis as results_of
from xai_lib.papers.contrastive.tables import NAMES
from xai_lib.run.settings import Settings


def modes() -> HTML:
    """The five modes: what goes with what."""
    rows = [{"surroundings": mode.surroundings, "pose": mode.pose, "colour": mode.colour} for mode in planted.MODES]
    return show(pd.DataFrame(rows), "Modes that every class has.", text=["surroundings", "pose", "colour"])


def rarities() -> HTML:
    """Which mode of which class is rare in training."""
    evenly = 1 / len(planted.MODES)
    rows = [
        {
            "class": name,
            "rare mode": planted.MODES[planted.rare_mode(name)].surroundings,
            "share in training": f"{100 * share:.0f} %",
            "share in evaluation": f"{100 * evenly:.0f} %",
        }
        for name, share in planted.Parameters().rarities.items()
    ]
    return show(pd.DataFrame(rows), "Modes that are rare in training.", text=["class", "rare mode"])


def questions(found: pd.DataFrame) -> HTML:
    """Accuracy where each planting should show."""
    rows = results_of.questions(found)
    frame = pd.DataFrame(
        {
            "images": rows["question"].where(rows["question"] != rows["question"].shift(), ""),
            "loss": rows["loss"].map(NAMES),
            "accuracy (%)": [
                plus_minus(100 * mean, 100 * spread, 1) for mean, spread in zip(rows["mean"], rows["spread"])
            ],
            "95 % interval": [interval(100 * low, 100 * high, 1) for low, high in zip(rows["low"], rows["high"])],
            "images a network": rows["n_images"],
        }
    )
    return show(frame, "Accuracy, mean ± standard deviation over seeds.", text=["images", "loss"])


def mistaken(found: pd.DataFrame, n: int = 6) -> HTML:
    """The pairs most often mistaken."""
    rows = results_of.mistaken(found).head(n)
    frame = rows.assign(share=[f"{100 * share:.0f} %" for share in rows["share"]])
    frame = frame.rename(columns={"share": "share of all mistakes", "planted": "planted as"})
    return show(frame, "Classes most often taken for each other, over all networks.", text=["pair", "planted as"])


def confidence(found: pd.DataFrame, run: Settings) -> HTML:
    """Mean confidence on known, corrupted and unseen objects."""
    rows = results_of.confidence(found, run).pivot(index="images", columns="loss", values="confidence")
    rows = rows.loc[["known objects", "corrupted", "unseen objects"], ["ce", "scl", "tl"]].map(number)
    return show(rows.rename(columns=NAMES).reset_index(), "Mean confidence.", text=["images"])
