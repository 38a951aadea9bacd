import itertools
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from xai_lib.papers.dominance import experiment
from xai_lib.papers.dominance.analysis import rarity
from xai_lib.papers.dominance.method import detection

numbers = itertools.count()
LOW = ("dominance", "logit", "probability", "representation")


@pytest.fixture
def run(made_up, monkeypatch):
    """Function (rows of made_up.rare) -> settings of a run that has them."""

    def build(rows):
        monkeypatch.setattr(experiment, "rare_clusters", lambda run: rows)
        return replace(made_up.run(n_clusters=5), label=f"run {next(numbers)}")  # results of equal runs are kept

    return build


def hits_of(rows, clustering, score):
    """Rarity, training and whether the first suspect is the rare cluster, class by class."""
    found = []
    for (seed, _), here in rows[rows["clustering"] == clustering].groupby(["seed", "label"]):
        rare = here["rare_mode_in"].to_numpy().argmax()
        if score == "random":
            hit = 1 / len(here)
        else:
            values = here[score.replace(" ", "_")].to_numpy()
            hit = float((values.argmin() if score in LOW else values.argmax()) == rare)
        found.append((here["rarity"].iloc[0], seed, hit))
    return pd.DataFrame(found, columns=["rarity", "seed", "hit"])


@pytest.mark.parametrize("clustering", ["modes", "k-means"])
def test_power_is_the_hit_rate_by_rarity(run, made_up, clustering):
    rows = made_up.rare()
    power = rarity.power(run(rows), clustering)
    assert len(power) == len(detection.SCORES) * len(detection.SHARES)
    for row in power.to_dict("records"):
        found = hits_of(rows, clustering, row["score"])
        here = found[found["rarity"] == row["rarity"]]
        assert row["hit"] == pytest.approx(here["hit"].mean())
        assert (row["trials"], row["trainings"]) == (len(here), 6) and len(here) == 12
        assert row["low"] <= row["hit"] <= row["high"]


@pytest.mark.parametrize("other", [name for name in detection.SCORES if name != "dominance"])
def test_dominance_is_compared_over_trainings_on_modes_that_are_rare(run, made_up, other):
    rows = made_up.rare()
    made_up.put(rows, "dominance", 0.0, clustering="modes", cluster=2, rarity=(0.01, 0.02))  # found by dominance
    comparison = rarity.against(run(rows), "modes", other)
    mine, theirs = (hits_of(rows, "modes", score) for score in ("dominance", other))
    difference = mine.assign(hit=mine["hit"] - theirs["hit"])
    by_training = difference[difference["rarity"] < 0.2].groupby("seed")["hit"].mean()
    assert comparison.difference == pytest.approx(by_training.mean()) and comparison.difference > 0
    assert (comparison.a, comparison.b, comparison.unit, comparison.n) == ("dominance", other, "seed", 6)
    assert comparison.low < comparison.difference < comparison.high and comparison.interval_over == "seeds and classes"
    assert (comparison.n_images, comparison.n_undefined) == (0, 0)
    assert comparison.p_value == pytest.approx(stats.ttest_1samp(by_training, 0).pvalue)


def test_modes_as_frequent_as_others_do_not_count(run, made_up):
    assert rarity.RARE == (0.01, 0.02, 0.05, 0.1)
    rows = made_up.rare()
    before = rarity.against(run(rows), "modes", "random").difference
    made_up.put(rows, "dominance", 0.0, cluster=2, rarity=0.2)
    assert rarity.against(run(rows), "modes", "random").difference == before


def test_purity_is_of_the_k_means_cluster_that_holds_most_of_the_rare_mode(run, made_up):
    rows = made_up.rare(trainings=2)
    found = rarity.purity(run(rows)).set_index("rarity")
    assert found.index.tolist() == list(detection.SHARES) and (found["trials"] == 4).all()
    for share, row in found.iterrows():
        held, pure = [], []
        here = rows[(rows["clustering"] == "k-means") & (rows["rarity"] == share)]
        for _, trial in here.groupby(["seed", "label"]):
            place = np.argmax(trial["rare_mode_in"])
            held.append(trial["rare_mode_in"].iloc[place])
            pure.append(trial["rare_share"].iloc[place])
        assert (row["held"], row["pure"]) == pytest.approx((np.mean(held), np.mean(pure)))


@pytest.mark.parametrize("clustering", ["modes", "k-means"])
def test_what_the_most_suspect_cluster_holds_and_where_the_rare_one_stands(run, made_up, clustering):
    rows = made_up.rare(trainings=2)
    found = rarity.suspected(run(rows), clustering)
    assert list(found["score"].unique()) == list(detection.SCORES) and (found["trials"] == 4).all()
    trials = rows[rows["clustering"] == clustering]
    for row in found.to_dict("records"):
        shares, ranks = [], []
        for _, here in trials[trials["rarity"] == row["rarity"]].groupby(["seed", "label"]):
            rare = here["rare_mode_in"].to_numpy().argmax()
            if row["score"] == "random":
                shares.append(here["rare_share"].mean())
                ranks.append(3)  # the middle of five
                continue
            values = here[row["score"].replace(" ", "_")].to_numpy() * (1 if row["score"] in LOW else -1)
            shares.append(here["rare_share"].iloc[values.argmin()])
            ranks.append(1 + sum(values < values[rare]))
        assert (row["share"], row["rank"]) == pytest.approx((np.mean(shares), np.mean(ranks)))


@pytest.mark.filterwarnings("error")
def test_one_training_has_rates_without_intervals(run, made_up):
    one = run(made_up.rare(trainings=1))
    power = rarity.power(one, "modes")
    scored = power[power["score"] != "random"]
    assert scored[["low", "high"]].isna().all(axis=None) and power["hit"].between(0, 1).all()
    comparison = rarity.against(one, "modes", "logit")
    assert np.isnan(comparison.p_value) and comparison.n == 1
