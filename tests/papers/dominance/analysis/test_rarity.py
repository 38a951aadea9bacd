import itertools

import numpy as np
import pytest
from scipy import stats

from xai_lib.papers.dominance.analysis import rarity
from xai_lib.papers.dominance.method.rare_modes import SCORES, SHARES, suspects


def trials_of(rows, design, select):
    """Trials of a design, of all scores, with rarity."""
    network, evaluated_on, clustering = design
    here = select(rows, network=network, evaluated_on=evaluated_on, clustering=clustering)
    found = suspects(here.rename(columns={"training_distance": "training distance"}))
    rarities = here.groupby(["label", "seed"])["rarity"].first()
    return found.assign(rarity=rarities.loc[list(zip(found["label"], found["seed"]))].to_numpy())


@pytest.mark.parametrize("design", [rarity.DESIGNS[0], rarity.DESIGNS[1], rarity.DESIGNS[-1]])
def test_a_design_is_looked_at_by_itself(rare_run, made_up, select, design):
    rows = made_up.rare()
    power, trials = rarity.power(rare_run(rows), *design), trials_of(rows, design, select)
    assert list(zip(power["score"], power["rarity"])) == list(itertools.product(SCORES, SHARES))
    for row in power.to_dict("records"):
        here = select(trials, score=row["score"], rarity=row["rarity"])
        assert row["auc"] == pytest.approx(here.groupby("seed")["auc"].mean().mean())
        assert row["low"] <= row["auc"] <= row["high"] and (row["trials"], row["trainings"]) == (12, 6)
        assert row["share"] == pytest.approx(here["share"].mean())


def test_designs_are_named_and_the_papers_come_first():
    assert rarity.OF_PAPER == ("tuned", "as in training") and len(set(rarity.DESIGNS)) == 8
    assert len({rarity.said(*design) for design in rarity.DESIGNS}) == 8
    assert rarity.said(*rarity.DESIGNS[0]) == "fine-tuned networks, rare in evaluation too, modes as clusters"


@pytest.mark.parametrize("other", [*(name for name in SCORES if name != "dominance"), rarity.NOT_RARE])
def test_dominance_is_compared_over_trainings_on_modes_that_are_rare(rare_run, made_up, select, other):
    rows, design = made_up.rare(), rarity.DESIGNS[0]
    made_up.put(rows, "dominance", 0.0, clustering="modes", cluster=2, rarity=(0.01, 0.02))  # found by dominance
    comparison, trials = rarity.against(rare_run(rows), *design, other), trials_of(rows, design, select)
    rare = select(trials, rarity=SHARES[:4], score="dominance").groupby("seed")["auc"].mean()
    where = {"rarity": SHARES[:4], "score": other}
    if other == rarity.NOT_RARE:
        where = {"rarity": 0.2, "score": "dominance"}
    by_training = rare - select(trials, **where).groupby("seed")["auc"].mean()
    assert comparison.difference == pytest.approx(by_training.mean())
    assert (comparison.a, comparison.b, comparison.unit, comparison.n_seeds) == ("dominance", other, "seed", 6)
    assert comparison.p_value == pytest.approx(stats.ttest_1samp(by_training, 0).pvalue, rel=1e-3)
    low, high = comparison.estimate.interval()
    assert -1 <= low < comparison.difference < high <= 1 and not np.isnan(low)
    if other == "random":
        assert comparison.difference == pytest.approx(rare.mean() - 0.5)
