"""The rule, case by case, and the table of a family of claims."""

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from xai_lib.statistics import Claim, Decided, compare_differences, decide, matched, sentences, verdict_table
from xai_lib.statistics.estimate import Estimate
from xai_lib.statistics.verdicts import RULE, untested

CLAIM = Claim(
    id="faithfulness",
    paper="contrastive",
    section="5",
    text="Explanations of SCL networks are more faithful than those of CE networks.",
    metric="pixel-flipping",
    method="grad-cam",
    better="lower",
    a="scl",
    b="ce",
    dataset="planted",
)
ALIKE = matched(0.8, 0.8, 0.9, 0.9)
COMPARISON = compare_differences(np.zeros((5, 20)), a="scl", b="ce")


def estimated(difference, error=0.02):
    """An estimate whose 95 % interval is the difference, 4 errors on either side (or more)."""
    return Estimate(difference, image_error=error, n_images=5, n_seeds=5)


def ruled(*, claim=CLAIM, match=ALIKE, difference=-0.1, **changes):
    decided = Decided(claim, replace(COMPARISON, estimate=estimated(difference), **changes), match)
    return verdict_table([decided]).iloc[0]


@pytest.mark.parametrize(
    ("better", "difference", "relevant", "expected"),
    [
        ("lower", -0.1, 0, "holds"),
        ("lower", 0.1, 0, "reverses"),
        ("higher", 0.1, 0, "holds"),
        ("higher", -0.1, 0, "reverses"),
        ("lower", -0.1, 0.1, "holds"),
        ("lower", -0.1, 0.11, "holds, negligible"),
        ("higher", -0.1, 0.11, "reverses, negligible"),
        ("lower", -0.05, 0, "undecided (interval includes zero)"),
        ("lower", 0.0, 0.01, "undecided (interval includes zero)"),
        ("lower", 0.0, 0.11, "undecided (no difference that matters)"),
        ("lower", math.nan, 0, "undecided (no interval)"),
    ],
)
def test_the_rule(better, difference, relevant, expected):
    result = ruled(claim=replace(CLAIM, better=better, relevant=relevant), difference=difference)
    assert result.reason == expected
    assert result.verdict == expected.split()[0].rstrip(",")


def test_a_verdict_points_in_the_claimed_direction():
    result, (low, high) = ruled(), estimated(-0.1).interval()
    assert (result.difference, result.low, result.high) == (0.1, -high, -low)


@pytest.mark.parametrize(
    ("changes", "scope"),
    [
        ({"n_seeds": 2}, "trainings like these 2"),
        ({"unit": "image", "n_seeds": 1}, "this network, new images"),
        ({"unit": "image", "n_seeds": 3}, "these 3 networks, new images"),
        ({"unit": "class", "n_seeds": 3, "n_classes": 10}, "these 3 networks, these 10 classes"),
    ],
)
def test_a_verdict_says_what_it_speaks_about(changes, scope):
    assert ruled(claim=replace(CLAIM, between="method", method=None), **changes).scope == scope


def test_one_training_says_nothing_about_trainings_and_two_do():
    assert ruled(n_seeds=1).reason == ruled(n_seeds=1, match=None).reason == "undecided (one training)"
    assert ruled(n_seeds=2).reason == "holds"


def test_what_cannot_be_trusted_is_undecided():
    assert ruled(trusted=False).reason == "undecided (few images, skewed)"


@pytest.mark.parametrize(
    ("match", "adjusted_for", "expected"),
    [
        (None, {}, "undecided (accuracy and confidence not matched)"),
        (matched(0.8, 0.7, 0.9, 0.9), {}, "undecided (accuracy not matched)"),
        (matched(0.8, 0.8, 0.9, 0.7), {}, "undecided (confidence not matched)"),
        (matched(0.8, 0.8, 0.9, 0.7), {"confidence"}, "holds"),
        (matched(0.8, 0.7, 0.9, 0.7), {"confidence"}, "undecided (accuracy not matched)"),
        (None, {"accuracy", "confidence"}, "holds"),
    ],
)
def test_networks_must_be_alike_or_the_comparison_adjusted(match, adjusted_for, expected):
    assert ruled(match=match, adjusted_for=frozenset(adjusted_for)).reason == expected


def test_methods_on_one_network_need_no_matching():
    assert ruled(claim=replace(CLAIM, between="method", method=None), match=None).reason == "holds"


def test_one_fixed_network_is_decided_over_images_but_losses_are_not():
    methods = replace(CLAIM, between="method", method=None)
    assert ruled(claim=methods, unit="image", n_seeds=1, match=None).reason == "holds"
    with pytest.raises(ValueError, match="unit 'seed'"):
        ruled(unit="image")


def test_another_comparison_is_refused():
    with pytest.raises(ValueError, match="for claim 'faithfulness'"):
        ruled(a="ce", b="scl")


@pytest.mark.parametrize("wrong", [{"better": "smaller"}, {"a": "ce"}])
def test_a_claim_that_cannot_be_decided_is_refused(wrong):
    with pytest.raises(ValueError, match="in claim 'faithfulness'"):
        replace(CLAIM, **wrong)


def scores(shift, n_seeds=5):
    rng = np.random.default_rng(0)
    parts = []
    for loss, mean in (("ce", 0.4), ("scl", 0.4 + shift)):
        for seed in range(n_seeds):
            values = mean + 0.02 * rng.normal() + 0.1 * rng.normal(size=100)
            parts.append(pd.DataFrame({"loss": loss, "seed": seed, "index": range(100), "value": values}))
    return pd.concat(parts).assign(method="grad-cam", metric="pixel-flipping")


def test_from_scores_to_verdict():
    for shift, expected in ((-0.1, "holds"), (0.1, "reverses"), (0.0, "undecided")):
        assert verdict_table([decide(CLAIM, scores(shift), matched=ALIKE)])["verdict"].item() == expected
    one = verdict_table([decide(CLAIM, scores(-0.1, 1), matched=ALIKE)])
    assert one["reason"].item() == "undecided (one training)"


def table_of(differences, match=ALIKE, **changes):
    return verdict_table(
        Decided(replace(CLAIM, id=str(n), **changes), replace(COMPARISON, estimate=estimated(difference)), match)
        for n, difference in enumerate(differences)
    )


def test_the_table_corrects_over_its_rows_and_shows_the_intervals_that_decide():
    alone = estimated(-0.07)
    assert alone.p_value() == pytest.approx(0.0249, abs=1e-3)
    assert table_of([-0.07])["reason"].tolist() == ["holds"]
    rows = table_of([-0.07, -0.06, math.nan])
    assert rows["reason"].tolist()[:2] == ["holds", "holds"]
    assert rows["level"].tolist() == pytest.approx([0.975, 0.95, 0.975])
    assert rows["low"][0] == pytest.approx(-alone.interval(0.975)[1]) and rows["low"][0] > 0
    rows = table_of([-0.07, 0.0, 0.0])
    assert rows["verdict"].tolist() == ["undecided"] * 3
    assert rows["p_holm"][0] == pytest.approx(3 * alone.p_value())
    assert rows["low"][0] < 0 < rows["high"][0]
    with pytest.raises(ValueError, match="each claim once"):
        verdict_table([Decided(CLAIM, COMPARISON)] * 2)


def test_power_stands_beside_what_is_undecided():
    rows = table_of([-0.07, 0.01, 0.0], relevant=0.05)
    assert rows["power"].isna().tolist() == [False, False, False]
    assert rows["needed"].notna().all()
    held = table_of([-0.2])
    assert held["power"].isna().all() and held["needed"].isna().all()


def test_a_sentence_that_was_split_counts_once():
    split = table_of([-0.2, 0.2, -0.2, 0.0], sentence="SCL is better in four ways.")
    assert sentences(split).iloc[0].tolist() == ["5", "SCL is better in four ways.", 4, 2, 1, "mixed"]
    verdicts = {(-0.2, -0.2): "holds", (0.2, 0.2): "reverses", (0.0, 0.0): "undecided"}
    verdicts |= {(-0.2, 0.0): "holds in part", (0.2, 0.0): "reverses in part"}
    for differences, expected in verdicts.items():
        assert sentences(table_of(differences, sentence="s"))["verdict"].tolist() == [expected]
    alone = sentences(table_of([-0.2, 0.0]))
    assert alone["verdict"].tolist() == ["holds", "undecided"] and set(alone["text"]) == {CLAIM.text}
    assert sentences(table_of([-0.2], ours=True)).empty


def test_what_is_not_tested_is_no_verdict():
    rows = untested([CLAIM, replace(CLAIM, id="other", sentence="s")])
    assert list(rows) == list(table_of([0.0])) and rows["claim"].tolist() == [CLAIM.id, "other"]
    assert set(rows["verdict"]) == set(rows["reason"]) == {"not tested"}
    assert rows[["difference", "low", "high", "p_holm", "power", "needed"]].isna().all(axis=None)
    assert sentences(rows)[["text", "comparisons", "holds", "reverses", "verdict"]].to_numpy().tolist() == [
        [CLAIM.text, 1, 0, 0, "not tested"],
        ["s", 1, 0, 0, "not tested"],
    ]
    both = pd.concat([rows, table_of([0.0], sentence="s")])
    assert sentences(both)["verdict"].tolist() == ["not tested", "undecided"]


def test_the_printed_rule_names_its_numbers():
    for words in ("95 %", "Holm", "within 1 percentage point", "within 0.02"):
        assert words in RULE
