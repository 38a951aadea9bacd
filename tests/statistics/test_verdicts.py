"""The rule, case by case, and the table of a family of claims."""

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from xai_lib.statistics import RULE, Claim, Decided, compare_differences, decide, matched, verdict, verdict_table

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
COMPARISON = replace(compare_differences(np.zeros((5, 20)), a="scl", b="ce"), difference=-0.1, low=-0.15, high=-0.05)


def ruled(*, claim=CLAIM, match=ALIKE, p_holm=0.01, **changes):
    return verdict(Decided(claim, replace(COMPARISON, **changes), match), p_holm=p_holm)


@pytest.mark.parametrize(
    ("better", "low", "high", "p", "expected"),
    [
        ("lower", -0.15, -0.05, 0.01, "holds"),
        ("lower", 0.05, 0.15, 0.01, "reverses"),
        ("higher", 0.05, 0.15, 0.01, "holds"),
        ("higher", -0.15, -0.05, 0.01, "reverses"),
        ("lower", -0.15, 0.05, 0.01, "undecided (interval includes zero)"),
        ("lower", -0.15, 0.0, 0.01, "undecided (interval includes zero)"),
        ("lower", -0.15, -0.05, 0.06, "undecided (p-value)"),
        ("lower", -0.15, -0.05, 0.05, "undecided (p-value)"),
        ("lower", 0.05, 0.15, 0.06, "undecided (p-value)"),
        ("lower", -0.15, -0.05, math.nan, "undecided (p-value)"),
        ("lower", math.nan, math.nan, 0.01, "undecided (no interval)"),
    ],
)
def test_the_rule(better, low, high, p, expected):
    result = ruled(claim=replace(CLAIM, better=better), low=low, high=high, difference=(low + high) / 2, p_holm=p)
    assert result.reason == expected
    assert result.verdict == expected.split()[0]


def test_a_verdict_points_in_the_claimed_direction():
    result = ruled()
    assert (result.difference, result.low, result.high, result.n) == (0.1, 0.05, 0.15, 5)


@pytest.mark.parametrize("n_seeds", [1, 2, 4])
def test_fewer_than_five_seeds_are_undecided_whatever_else(n_seeds):
    assert ruled(n_seeds=n_seeds).reason == "undecided (seeds)"
    assert ruled(n_seeds=n_seeds, match=None).reason == "undecided (seeds)"


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
    result = ruled(claim=methods, unit="image", n_seeds=1, match=None)
    assert (result.reason, result.n) == ("holds", 20)
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
        assert verdict(decide(CLAIM, scores(shift), matched=ALIKE)).verdict == expected
    assert verdict(decide(CLAIM, scores(-0.1, 2), matched=ALIKE)).reason == "undecided (seeds)"


def test_the_table_corrects_over_its_rows_and_only_those_tested():
    def table(first, match=ALIKE):
        changes = ({"p_value": first}, {"p_value": 0.03, "superiority": 0.2, "d_seeds": -2.0}, {"n_seeds": 2})
        compared = [replace(COMPARISON, p_value=math.nan) for _ in changes]
        names = ("first", "second", "few")
        return verdict_table(
            Decided(replace(CLAIM, id=name), replace(one, **change), match)
            for name, one, change in zip(names, compared, changes)
        ).set_index("claim")

    rows = table(0.02)
    assert rows["p_holm"].tolist()[:2] == pytest.approx([0.04, 0.04])
    assert rows["reason"].tolist() == ["holds", "holds", "undecided (seeds)"]
    assert (rows.loc["second", "superiority"], rows.loc["second", "d_seeds"]) == (0.8, 2.0)
    assert table(0.04)["reason"].tolist() == ["undecided (p-value)", "undecided (p-value)", "undecided (seeds)"]
    assert table(0.04, None)["reason"].iloc[0] == "undecided (accuracy and confidence not matched)"
    with pytest.raises(ValueError, match="each claim once"):
        verdict_table([Decided(CLAIM, COMPARISON)] * 2)


def test_the_printed_rule_names_its_numbers():
    for words in ("95 %", "below 0.05", "at least 5", "within 1 percentage point", "within 0.02"):
        assert words in RULE
