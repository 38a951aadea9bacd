"""Tables of the trainings on planted images with rare modes."""

import pandas as pd
from IPython.display import HTML

from xai_lib.page.table import interval, number, show
from xai_lib.page.verdicts import claims
from xai_lib.page.verdicts import verdict_rule as verdict_rule
from xai_lib.papers.dominance import claims as results_of_verdicts
from xai_lib.papers.dominance.analysis import rarity
from xai_lib.run.settings import Settings

_CLUSTERS = {"k-means": "clusters", "modes": "planted modes"}


def power(run: Settings, clustering: str) -> HTML:
    """How often each score finds the rare mode."""
    rows = rarity.power(run, clustering)
    frame = pd.DataFrame({"first suspect by": rows["score"].unique()})
    for share, here in rows.groupby("rarity", sort=True):
        here = here.set_index("score").loc[frame["first suspect by"]]
        frame[f"{100 * share:g} %"] = [
            number(hit, 2) + (f" {interval(low, high, 2)}" if low < high else "")
            for hit, low, high in zip(here["hit"], here["low"], here["high"])
        ]
    trials, trainings = int(rows["trials"].max()), int(rows["trainings"].max())
    caption = (
        f"How often the cluster that is suspected first holds the rare mode ({_CLUSTERS[clustering]}), by the mode's "
        f"share in training; 20 % is not rare. {trials} trials each, {trainings} trainings, intervals over trainings."
    )
    return show(frame, caption, text=["first suspect by"])


def suspected(run: Settings, clustering: str) -> HTML:
    """What one would find in the most suspect cluster, and where the rare cluster stands."""
    rows = rarity.suspected(run, clustering)
    frame = pd.DataFrame({"first suspect by": rows["score"].unique()})
    for share, here in rows.groupby("rarity", sort=True):
        here = here.set_index("score").loc[frame["first suspect by"]]
        frame[f"{100 * share:g} %"] = [
            f"{number(100 * value, 0)} % ({number(rank, 1)})" for value, rank in zip(here["share"], here["rank"])
        ]
    caption = (
        f"Share of the rare mode in the cluster that is suspected first ({_CLUSTERS[clustering]}), a fifth if nothing "
        "points to it, and in brackets the mean place of the rare cluster, 1 the most suspect, by the mode's share in "
        "training."
    )
    return show(frame, caption, text=["first suspect by"])


def purity(run: Settings) -> HTML:
    """How well K-means isolates the rare mode."""
    rows = rarity.purity(run)
    frame = pd.DataFrame(
        {
            "share in training": [f"{100 * value:g} %" for value in rows["rarity"]],
            "of the mode in its best cluster (%)": [number(100 * value, 0) for value in rows["held"]],
            "of that cluster (%)": [number(100 * value, 0) for value in rows["pure"]],
            "trials": rows["trials"],
        }
    )
    return show(frame, "How well K-means isolates the rare mode among evaluation images; a fifth of a class is of it.")


def verdicts(run: Settings) -> HTML:
    """What dominance would be for, put to the test where the truth is planted."""
    return claims(results_of_verdicts.rarity_verdicts(run), "planted images")
