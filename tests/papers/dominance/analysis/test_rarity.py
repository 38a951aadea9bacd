import itertools

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from xai_lib.papers.dominance.analysis import rarity
from xai_lib.papers.dominance.method.rare_modes import SCORES, SHARES

LOW = ("dominance", "logit", "probability", "representation")


def trials_of(rows, clustering, score):
    """Each class of each training: rarity, training, hit, what the first suspect holds, the rare cluster's place."""
    found = []
    for (seed, _), here in rows[rows["clustering"] == clustering].groupby(["seed", "label"]):
        rare, held = here["rare_mode_in"].to_numpy().argmax(), here["rare_share"].to_numpy()
        if score == "random":
            hit, share, rank = 1 / len(here), held.mean(), 3  # the middle of five
        else:
            values = here[score.replace(" ", "_")].to_numpy() * (1 if score in LOW else -1)
            hit, share = float(values.argmin() == rare), held[values.argmin()]
            rank = 1 + sum(values < values[rare])
        found.append((here["rarity"].iloc[0], seed, hit, share, rank))
    return pd.DataFrame(found, columns=["rarity", "seed", "hit", "share", "rank"])


@pytest.mark.parametrize("clustering", ["modes", "k-means"])
def test_hit_rates_and_what_the_most_suspect_cluster_holds_by_rarity(rare_run, made_up, clustering):
    rows = made_up.rare()
    run = rare_run(rows)
    power, suspected = rarity.power(run, clustering), rarity.suspected(run, clustering)
    names = list(itertools.product(SCORES, SHARES))
    for found in (power, suspected):
        assert list(zip(found["score"], found["rarity"])) == names and (found["trials"] == 12).all()
    for row, held in zip(power.to_dict("records"), suspected.to_dict("records")):
        here = trials_of(rows, clustering, row["score"])
        means = here[here["rarity"] == row["rarity"]].mean()
        assert row["low"] <= row["hit"] <= row["high"] and row["trainings"] == 6
        assert (row["hit"], held["share"], held["rank"]) == pytest.approx(tuple(means[["hit", "share", "rank"]]))


@pytest.mark.parametrize("other", [name for name in SCORES if name != "dominance"])
def test_dominance_is_compared_over_trainings_on_modes_that_are_rare(rare_run, made_up, other):
    rows = made_up.rare()
    made_up.put(rows, "dominance", 0.0, clustering="modes", cluster=2, rarity=(0.01, 0.02))  # found by dominance
    comparison = rarity.against(rare_run(rows), "modes", other)
    mine, theirs = (trials_of(rows, "modes", score) for score in ("dominance", other))
    difference = mine.assign(hit=mine["hit"] - theirs["hit"])
    by_training = difference[difference["rarity"] < 0.2].groupby("seed")["hit"].mean()
    assert comparison.difference == pytest.approx(by_training.mean()) and comparison.difference > 0
    assert (comparison.a, comparison.b, comparison.unit, comparison.n) == ("dominance", other, "seed", 6)
    low, high = comparison.estimate.interval()
    assert low < comparison.difference < high
    assert (comparison.n_images, comparison.n_undefined) == (0, 0)
    assert comparison.p_value == pytest.approx(stats.ttest_1samp(by_training, 0).pvalue)
    made_up.put(rows, "dominance", 0.0, cluster=2, rarity=0.2)  # as frequent as others: does not count
    assert rarity.RARE == (0.01, 0.02, 0.05, 0.1)
    assert rarity.against(rare_run(rows), "modes", other).difference == comparison.difference


def test_purity_is_of_the_k_means_cluster_that_holds_most_of_the_rare_mode(rare_run, made_up):
    rows = made_up.rare(trainings=2)
    found = rarity.purity(rare_run(rows)).set_index("rarity")
    assert found.index.tolist() == list(SHARES) and (found["trials"] == 4).all()
    for share, row in found.iterrows():
        here = rows[(rows["clustering"] == "k-means") & (rows["rarity"] == share)]
        best = [trial.iloc[np.argmax(trial["rare_mode_in"])] for _, trial in here.groupby(["seed", "label"])]
        means = pd.DataFrame(best)[["rare_mode_in", "rare_share"]].astype(float).mean()
        assert (row["held"], row["pure"]) == pytest.approx(tuple(means))
