"""Suspect clusters: by hand and by trying every way to break a tie; power: published intervals and coverage."""

import math
from collections import Counter
from itertools import product

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from xai_lib.data import planted
from xai_lib.papers.dominance.method.rare_modes import SCORES, SHARES, power, rarities_of, suspects

NAN = math.nan


def clusters_of(rare_mode_in, label="cat", seed=0, **scores):
    """Clusters of one class; a score that is not given is the same for all."""
    n = len(rare_mode_in)
    columns = {score: [0.5] * n for score, sign in SCORES.items() if sign}
    columns |= {name.replace("_", " "): values for name, values in scores.items()}
    return pd.DataFrame(columns).assign(label=label, seed=seed, cluster=range(n), rare_mode_in=rare_mode_in)


def found(clusters, score):
    return suspects(clusters).set_index("score").loc[score]


def hits_of(by_training, score="dominance", rarity=0.01):
    rows = [(score, rarity, seed, hit) for seed, hits in enumerate(by_training) for hit in hits]
    return pd.DataFrame(rows, columns=["score", "rarity", "seed", "hit"])


def test_each_score_points_where_its_sign_says_with_hits_and_ranks():
    names = [name.replace(" ", "_") for name, sign in SCORES.items() if sign]
    table = suspects(clusters_of([0.1, 0.1, 0.8], **{name: [0.1, 0.9, 0.5] for name in names}))
    assert table["score"].tolist() == list(SCORES)
    named = table.set_index("score")["cluster"].drop("random")
    assert named.to_dict() == dict.fromkeys(named.index, 0) | {"training distance": 1}
    clusters = clusters_of([0.1, 0.2, 0.7], dominance=[0.6, 0.5, 0.3], logit=[1, 2, 3], probability=[0.3, 0.9, 0.5])
    table = suspects(clusters).set_index("score").loc[["dominance", "logit", "probability", "random"]]
    assert table["hit"].tolist() == pytest.approx([1, 0, 0, 1 / 3])
    assert table["rank"].tolist() == [1, 3, 2, 2] and set(table["n_clusters"]) == {3}


@pytest.mark.parametrize("case", range(30))
def test_a_tie_is_worth_the_mean_of_all_ways_to_break_it(case):
    rng = np.random.default_rng(case)
    dominance, rare_mode_in = rng.integers(0, 3, 5) / 2, rng.integers(0, 3, 5) / 10
    row = found(clusters_of(rare_mode_in, dominance=dominance), "dominance")
    first = np.flatnonzero(dominance == dominance.min())
    rare = np.flatnonzero(rare_mode_in == rare_mode_in.max())
    assert row["hit"] == pytest.approx(np.mean([a == b for a, b in product(first, rare)]))
    assert row["rank"] == pytest.approx(np.mean([stats.rankdata(dominance)[b] for b in rare]))
    assert row["cluster"] == first[0]
    assert found(clusters_of(rare_mode_in), "random")["hit"] == pytest.approx(1 / 5)


@pytest.mark.parametrize(
    ("score", "values", "expected"),
    [
        ("dominance", [0.9, 0.8, NAN], (1, 0, 3)),
        ("training_distance", [0.9, 0.8, NAN], (0, 0, 3)),
        ("dominance", [NAN] * 3, (0, pytest.approx(1 / 3), 2)),
    ],
)
def test_an_undefined_score_is_suspected_last_and_all_undefined_is_no_information(score, values, expected):
    row = found(clusters_of([0, 0, 1], **{score: values}), score.replace("_", " "))
    assert tuple(row[["cluster", "hit", "rank"]]) == expected


def test_classes_and_seeds_are_looked_at_by_themselves_in_any_order():
    groups = [("cat", 0, [0.9, 0.8]), ("cat", 1, [0.1, 0.2]), ("mug", 0, [0.3, 0.2])]
    parts = [clusters_of([0, 1], label=label, seed=seed, dominance=values) for label, seed, values in groups]
    table = suspects(pd.concat(parts).sample(frac=1, random_state=0))
    table = table[table["score"] == "dominance"]
    assert list(zip(table["label"], table["seed"], table["hit"])) == [("cat", 0, 1), ("cat", 1, 0), ("mug", 0, 1)]


@pytest.mark.parametrize(
    ("judge", "rows", "message"),
    [
        (suspects, clusters_of([0, 1]).drop(columns="logit"), "without \\['logit'\\]"),
        (suspects, pd.concat([clusters_of([0, 1])] * 2), "one row for each label, seed and cluster"),
        (suspects, clusters_of([0, NAN]), r"rare_mode_in in \[0, 1\]"),
        (power, hits_of([[2]]), r"hits in \[0, 1\]"),
        (power, hits_of([[1]], "luck"), "Got \\['luck'\\]"),
    ],
)
def test_rows_that_cannot_be_judged_are_refused(judge, rows, message):
    with pytest.raises(ValueError, match=message):
        judge(rows)


def test_power_is_a_mean_over_trainings_by_score_and_share_with_an_interval_but_for_one_training_and_the_control():
    table = power(hits_of([[1, 1], [0, 1], [0]]))
    assert table.loc[0, ["hit", "trials", "trainings"]].tolist() == [0.5, 5, 3]
    parts = [hits_of([[1, 0], [0, 0]], score, rarity) for score in ("random", "logit") for rarity in (0.2, 0.01)]
    table = power(pd.concat(parts))
    assert list(zip(table["score"], table["rarity"])) == [*product(("logit", "random"), (0.01, 0.2))]
    row = power(hits_of([[0.2, 0.25]], "random")).loc[0]
    assert row["low"] == row["hit"] == row["high"] == pytest.approx(0.225)
    for hits in ([1, 0], [1, 1]):
        row = power(hits_of([hits])).loc[0]
        assert row["hit"] == sum(hits) / 2 and math.isnan(row["low"]) and math.isnan(row["high"])


def test_intervals_are_clopper_and_pearsons_of_as_many_trials_as_the_trainings_are_worth():
    every, none = (power(hits_of([[hit, hit]] * 10)).loc[0] for hit in (1, 0))  # one trial each
    exact = stats.binomtest(10, 10).proportion_ci(method="exact")
    assert (every["low"], every["high"]) == pytest.approx((exact.low, 1))
    assert (none["low"], none["high"]) == pytest.approx((0, 1 - exact.low))
    # One class always hits, the other never: the trainings agree more than luck would have them, which counts for none.
    row = power(hits_of([[1, 0]] * 10)).loc[0]
    exact = stats.binomtest(10, 20).proportion_ci(method="exact")
    assert (row["low"], row["high"]) == pytest.approx((exact.low, exact.high))
    # Both classes hit or both miss: ten trainings are worth less than ten trials.
    row = power(hits_of([[1, 1], [0, 0]] * 5)).loc[0]
    ten = stats.binomtest(5, 10).proportion_ci(method="exact")
    assert 0 < row["low"] < ten.low and ten.high < row["high"] < 1
    variance = np.var([1, 0] * 5, ddof=1) / 10
    n = 0.25 / variance * (stats.t.ppf(0.975, 19) / stats.t.ppf(0.975, 9)) ** 2
    assert row["low"] == pytest.approx(stats.beta.ppf(0.025, 0.5 * n, 0.5 * n + 1))
    assert row["high"] == pytest.approx(stats.beta.ppf(0.975, 0.5 * n + 1, 0.5 * n))


@pytest.mark.parametrize(("truth", "together"), product([0.2, 0.5, 0.95], [False, True]))
def test_the_interval_covers_the_truth(truth, together):
    rng, covered = np.random.default_rng(0), []
    for _ in range(150):
        drawn = rng.random((10, 1 if together else 2)) < truth
        row = power(hits_of(np.broadcast_to(drawn, (10, 2)).astype(float))).loc[0]
        covered.append(row["low"] <= truth <= row["high"])
    assert np.mean(covered) >= 0.93  # Student's t over trainings: 0.7 or less at a truth of 0.95


def test_five_trainings_have_each_rarity_once_in_every_class_and_two_classes_meet_once_in_ten():
    table = pd.DataFrame([rarities_of(number) for number in range(15)])
    assert set(table) == set(planted.CLASSES)
    for training, row in table.iterrows():
        assert Counter(row) == dict.fromkeys(SHARES, 2)
        planted.Parameters(rarities=rarities_of(training))
    for block in (table[:5], table[5:10], table[10:]):
        assert all(sorted(block[name]) == sorted(SHARES) for name in planted.CLASSES)
    pairs = [(share, frozenset(table.columns[row == share])) for _, row in table[:10].iterrows() for share in SHARES]
    assert len(set(pairs)) == 50  # of one rarity
    assert max(Counter(pair for _, pair in pairs[:25]).values()) == 1  # in five trainings, of any
    with pytest.raises(ValueError, match="Got -1"):
        rarities_of(-1)
