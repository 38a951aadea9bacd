"""Tables of the chapter on planted data."""

import pandas as pd
from IPython.display import HTML

from xai_lib.data import planted
from xai_lib.page.table import Column, ends, number, plus_minus, show, text, wide
from xai_lib.papers.contrastive.planted import analysis as results_of
from xai_lib.papers.contrastive.tables import NAMES
from xai_lib.run.settings import LOSSES, Settings


def modes() -> HTML:
    """The five modes: what goes with what."""
    names = ["surroundings", "pose", "colour"]
    return show(pd.DataFrame(planted.MODES)[names], [text(name, name) for name in names], "Modes that every class has.")


def rarities() -> HTML:
    """Which mode of which class is rare in training."""
    rows = [
        (name, planted.MODES[planted.rare_mode(name)].surroundings, share, 1 / len(planted.MODES))
        for name, share in planted.Parameters().rarities.items()
    ]
    heads = ["class", "rare mode", "share in training", "share in evaluation"]
    columns = [*(text(head, head) for head in heads[:2]), *(Column(head, head, _percent) for head in heads[2:])]
    return show(pd.DataFrame(rows, columns=heads), columns, "Modes that are rare in training.")


def questions(found: pd.DataFrame) -> HTML:
    """Accuracy where each planting should show."""
    columns = [text("images", "question"), text("loss", "loss", NAMES)]
    columns += [Column("accuracy (%)", ("mean", "spread"), plus_minus(1, times=100)), ends(1, times=100)]
    columns += [Column("images a network", "n_images")]
    caption = "Accuracy, mean ± standard deviation over seeds."
    return show(results_of.questions(found), columns, caption, group=["images"])


def mistaken(found: pd.DataFrame) -> HTML:
    """The pairs most often mistaken."""
    columns = [text("pair", "pair"), Column("share of all mistakes", "share", _percent), text("planted as", "planted")]
    caption = "Classes most often taken for each other, over all networks."
    return show(results_of.mistaken(found).head(6), columns, caption)


def confidence(found: pd.DataFrame, run: Settings) -> HTML:
    """Mean confidence on known, corrupted and unseen objects."""
    rows = wide(results_of.confidence(found, run), ["images"], "loss", ["confidence"])
    columns = [text("images", "images"), *(Column(NAMES[loss], f"confidence {loss}", number()) for loss in LOSSES)]
    return show(rows, columns, "Mean confidence.")


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"
