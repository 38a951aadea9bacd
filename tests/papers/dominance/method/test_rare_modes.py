"""Suspect clusters: image by image, and by hand; power: means over trainings with Student's t."""

import math
from collections import Counter
from itertools import product

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.metrics import roc_auc_score

from xai_lib.data import planted
from xai_lib.papers.dominance.method.rare_modes import SCORES, SHARES, areas, power, rarities_of, suspects

NAN = math.nan


def clusters_of(rare_share, label="cat", seed=0, evaluation=8, **scores):
    """Clusters of one class; a score that is not given is the same for all."""
    n = len(rare_share)
    columns = {score: [0.5] * n for score, sign in SCORES.items() if sign} | {"accuracy": [0.5] * n}
    columns |= {name.replace("_", " "): values for name, values in scores.items()}
    named = {"label": label, "seed": seed, "cluster": range(n), "evaluation": evaluation, "rare_share": rare_share}
    return pd.DataFrame(columns).assign(**named)


def found(clusters, score):
    return suspects(clusters).set_index("score").loc[score]


def areas_of(by_training, score="dominance", rarity=0.01):
    rows = [(score, rarity, seed, auc) for seed, found in enumerate(by_training) for auc in found]
    frame = pd.DataFrame(rows, columns=["score", "rarity", "seed", "auc"])
    return frame.assign(share=0.3, accuracy=0.8, base=0.2)


@pytest.mark.parametrize("case", range(20))
def test_the_area_is_that_over_the_images_whatever_the_purity_and_ties_of_clusters(case):
    rng = np.random.default_rng(case)
    n, sign = rng.integers(2, 9, 5), {"dominance": -1, "training distance": 1}
    rare = np.minimum(rng.integers(0, 4, 5), n - 1) + (np.arange(5) == 1)
    values = {score: rng.integers(0, 4, 5) / 4 for score in sign}
    clusters = clusters_of(rare / n, evaluation=n, **{k.replace(" ", "_"): v for k, v in values.items()})
    truth = np.concatenate([[1] * a + [0] * (b - a) for a, b in zip(rare, n)])
    for score, way in sign.items():
        row, suspicion = found(clusters, score), np.repeat(way * values[score], n)
        assert row["auc"] == pytest.approx(roc_auc_score(truth, suspicion))
        assert row["share"] == pytest.approx(truth[suspicion == suspicion.max()].mean())
        assert row["base"] == pytest.approx(truth.mean())
    assert found(clusters, "random")["auc"] == 0.5 and found(clusters, "random")["share"] == pytest.approx(truth.mean())


def test_each_score_points_where_its_sign_says():
    names = [name.replace(" ", "_") for name, sign in SCORES.items() if sign]
    table = suspects(clusters_of([1, 0, 0], accuracy=[0.1, 0.9, 0.5], **{name: [0.1, 0.9, 0.5] for name in names}))
    assert table["score"].tolist() == list(SCORES)
    auc = table.set_index("score")["auc"].drop("random")
    assert auc.to_dict() == dict.fromkeys(auc.index, 1) | {"training distance": 0}
    assert table["accuracy"].tolist() == pytest.approx([0.1, 0.1, 0.1, 0.9, 0.1, 0.5])


@pytest.mark.parametrize(
    ("score", "values", "expected"),
    [
        ("dominance", [0.9, 0.8, NAN], (0, 0)),
        ("training_distance", [0.9, 0.8, NAN], (0, 0)),
        ("dominance", [NAN] * 3, (0.5, pytest.approx(1 / 3))),
    ],
)
def test_an_undefined_score_is_suspected_last_and_all_undefined_is_no_information(score, values, expected):
    row = found(clusters_of([0, 0, 1], **{score: values}), score.replace("_", " "))
    assert tuple(row[["auc", "share"]]) == expected


def test_classes_and_seeds_are_looked_at_by_themselves_in_any_order_and_without_rare_images_there_is_no_area():
    groups = [("cat", 0, [0.9, 0.8]), ("cat", 1, [0.1, 0.2]), ("mug", 0, [0.3, 0.2])]
    parts = [clusters_of([0, 1], label=label, seed=seed, dominance=values) for label, seed, values in groups]
    parts.append(clusters_of([0, 0], label="none"))
    table = suspects(pd.concat(parts).sample(frac=1, random_state=0))
    table = table[table["score"] == "dominance"]
    assert list(zip(table["label"], table["seed"], table["auc"]))[:3] == [("cat", 0, 1), ("cat", 1, 0), ("mug", 0, 1)]
    assert math.isnan(table["auc"].iloc[3]) and table["share"].iloc[3] == table["base"].iloc[3] == 0


@pytest.mark.parametrize(
    ("judge", "rows", "message"),
    [
        (suspects, clusters_of([0, 1]).drop(columns="logit"), "without \\['logit'\\]"),
        (suspects, pd.concat([clusters_of([0, 1])] * 2), "one row for each label, seed and cluster"),
        (suspects, clusters_of([0, NAN]), r"rare_share in \[0, 1\]"),
        (power, areas_of([[1]], "luck"), "Got \\['luck'\\]"),
    ],
)
def test_rows_that_cannot_be_judged_are_refused(judge, rows, message):
    with pytest.raises(ValueError, match=message):
        judge(rows)


def test_power_is_a_mean_over_trainings_with_students_interval_within_what_is_possible():
    row = power(areas_of([[1, 0.5], [0.4, NAN], [0.3]])).loc[0]
    means = [0.75, 0.4, 0.3]
    half = stats.t.isf(0.025, 2) * stats.sem(means)
    assert row["auc"] == pytest.approx(np.mean(means)) and row["low"] == max(0, np.mean(means) - half)
    assert row["high"] == min(1, np.mean(means) + half) == 1
    assert row[["trials", "trainings", "n_undefined"]].tolist() == [4, 3, 1]
    assert row[["share", "accuracy", "base"]].tolist() == pytest.approx([0.3, 0.8, 0.2])
    parts = [areas_of([[1, 0], [0, 0]], score, rarity) for score in ("random", "logit") for rarity in (0.2, 0.01)]
    table = power(pd.concat(parts))
    assert list(zip(table["score"], table["rarity"])) == [*product(("logit", "random"), (0.01, 0.2))]
    row = power(areas_of([[0.5, 0.5]], "random")).loc[0]
    assert row["low"] == row["auc"] == row["high"] == 0.5
    row = power(areas_of([[1, 0]])).loc[0]
    assert row["auc"] == 0.5 and math.isnan(row["low"]) and math.isnan(row["high"])


def test_areas_are_means_over_the_modes_that_are_rare_or_not_of_each_training():
    rows = pd.concat([areas_of([[0.8, 0.6], [0.4]]), areas_of([[1]], rarity=0.1), areas_of([[0.1], [0.3]], rarity=0.2)])
    assert areas(rows, "dominance", rare=True).tolist() == pytest.approx([0.8, 0.4])
    assert areas(rows, "dominance", rare=False).tolist() == [0.1, 0.3]


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
