"""On planted images: does low dominance point to the images of a mode that is rare in training?"""

import itertools
from functools import cache

import pandas as pd

from xai_lib import statistics
from xai_lib.papers.dominance import experiment
from xai_lib.papers.dominance.method import rare_modes
from xai_lib.run.settings import Settings
from xai_lib.statistics.against_zero import compare_trainings

BALANCED, NOT_RARE = "balanced", "a mode that is not rare"
# Networks, evaluation images and clusterings; the first two are the paper's design.
DESIGNS = tuple(itertools.product(("tuned", "ce"), ("as in training", BALANCED), ("modes", experiment.K_MEANS)))
OF_PAPER = DESIGNS[0][:2]
_NAMES = {"tuned": "fine-tuned networks", "ce": "CE networks"}
_NAMES |= {"modes": "modes as clusters", experiment.K_MEANS: "clusters by K-means"}


def said(network: str, evaluation: str, clustering: str) -> str:
    """How pages call a design."""
    frequent = "rare in evaluation too" if evaluation != BALANCED else "as frequent as others in evaluation"
    return f"{_NAMES[network]}, {frequent}, {_NAMES[clustering]}"


@cache
def found(run: Settings, network: str, evaluation: str, clustering: str) -> pd.DataFrame:
    """Every trial of a design, a class of a training: the columns of :func:`rare_modes.suspects`, with rarity."""
    rows = experiment.rare_clusters(run)
    of_design = {"network": network, "evaluated_on": evaluation, "clustering": clustering}
    rows = rows[(rows[list(of_design)] == pd.Series(of_design)).all(axis=1)]
    rarity = rows[["label", "seed", "rarity"]].drop_duplicates()
    return rare_modes.suspects(rows.rename(columns={"training_distance": "training distance"})).merge(rarity)


def power(run: Settings, *design: str) -> pd.DataFrame:
    """How well each score finds the rare mode, by rarity: see :func:`rare_modes.power`."""
    return rare_modes.power(found(run, *design))


def against(run: Settings, network: str, evaluation: str, clustering: str, other: str) -> statistics.Comparison:
    """Dominance's area under the curve for rare modes less another score's, or less its own for those not rare."""
    rows = found(run, network, evaluation, clustering)
    rare = rare_modes.areas(rows, "dominance", rare=True)
    base = rare_modes.areas(rows, "dominance" if other == NOT_RARE else other, rare=other != NOT_RARE)
    return compare_trainings((rare - base).to_numpy(), a="dominance", b=other, range=(-1.0, 1.0))
