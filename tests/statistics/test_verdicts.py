"""The rule, case by case, and the table of a family of claims."""

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from xai_lib.statistics import RULE, Claim, compare_claim, compare_differences, matched, verdict, verdict_table

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


def decide(*, claim=CLAIM, match=ALIKE, p_holm=0.01, **changes):
    return verdict(claim, replace(COMPARISON, **changes), p_holm=p_holm, matched=match)


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
    result = decide(claim=replace(CLAIM, better=better), low=low, high=high, difference=(low + high) / 2, p_holm=p)
    assert result.reason == expected
    assert result.verdict == expected.split()[0]


def test_a_verdict_points_in_the_claimed_direction():
    result = decide()
    assert (result.difference, result.low, result.high, result.n) == (0.1, 0.05, 0.15, 5)


@pytest.mark.parametrize("n_seeds", [1, 2, 4])
def test_fewer_than_five_seeds_are_undecided_whatever_else(n_seeds):
    assert decide(n_seeds=n_seeds).reason == "undecided (seeds)"
    assert decide(n_seeds=n_seeds, match=None).reason == "undecided (seeds)"


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
    assert decide(match=match, adjusted_for=frozenset(adjusted_for)).reason == expected


def test_methods_on_one_network_need_no_matching():
    assert decide(claim=replace(CLAIM, between="method", method=None), match=None).reason == "holds"


def test_one_fixed_network_is_decided_over_images_but_losses_are_not():
    methods = replace(CLAIM, between="method", method=None)
    result = decide(claim=methods, unit="image", n_seeds=1, match=None)
    assert (result.reason, result.n) == ("holds", 20)
    with pytest.raises(ValueError, match="unit 'seed'"):
        decide(unit="image")


def test_another_comparison_is_refused():
    with pytest.raises(ValueError, match="for claim 'faithfulness'"):
        decide(a="ce", b="scl")


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
        comparison = compare_claim(CLAIM, scores(shift))
        assert verdict(CLAIM, comparison, matched=ALIKE).verdict == expected
    assert verdict(CLAIM, compare_claim(CLAIM, scores(-0.1, 2)), matched=ALIKE).reason == "undecided (seeds)"


def test_the_table_corrects_over_its_rows_and_only_those_tested():
    claims = [replace(CLAIM, id=name) for name in ("first", "second", "few")]
    comparisons = {
        "first": replace(COMPARISON, p_value=0.02),
        "second": replace(COMPARISON, p_value=0.03, superiority=0.2, d_seeds=-2.0),
        "few": replace(COMPARISON, p_value=math.nan, n_seeds=2),
    }
    table = verdict_table(claims, comparisons, dict.fromkeys(comparisons, ALIKE)).set_index("claim")
    assert table["p_holm"].tolist()[:2] == pytest.approx([0.04, 0.04])
    assert table["reason"].tolist() == ["holds", "holds", "undecided (seeds)"]
    assert (table.loc["second", "superiority"], table.loc["second", "d_seeds"]) == (0.8, 2.0)
    comparisons["first"] = replace(COMPARISON, p_value=0.04)
    table = verdict_table(claims, comparisons, dict.fromkeys(comparisons, ALIKE)).set_index("claim")
    assert table["reason"].tolist() == ["undecided (p-value)", "undecided (p-value)", "undecided (seeds)"]
    assert verdict_table(claims, comparisons)["reason"][0] == "undecided (accuracy and confidence not matched)"


def test_a_table_needs_every_comparison_and_distinct_claims():
    with pytest.raises(ValueError, match="none for \\['faithfulness'\\]"):
        verdict_table([CLAIM], {})
    with pytest.raises(ValueError, match="each claim once"):
        verdict_table([CLAIM, CLAIM], {"faithfulness": COMPARISON})


def test_the_printed_rule_names_its_numbers():
    assert "95 %" in RULE
    assert "below 0.05" in RULE
    assert "at least 5" in RULE
    assert "within 1 percentage point" in RULE
    assert "within 0.02" in RULE
