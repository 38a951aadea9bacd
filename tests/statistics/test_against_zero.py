"""One statistic against zero: scipy's p-values, percentiles by hand, and what the verdict table makes of it."""

import math

import numpy as np
import pytest
from scipy import stats

from xai_lib.statistics import (
    Claim,
    compare_correlation,
    compare_differences,
    compare_over_classes,
    compare_statistic,
    decide_by,
    mean_interval,
    rank_agreement,
    verdict,
    verdict_table,
)


def claim_of(name, a, b):
    fields = {"paper": "p", "section": "5", "text": "t", "metric": "m", "method": None, "better": "higher"}
    return Claim(id=name, a=a, b=b, dataset="planted", between="statistic", **fields)


def test_a_correlation_has_scipys_value_and_p():
    rng = np.random.default_rng(0)
    x = rng.normal(size=60)
    y = 0.4 * x + rng.normal(size=60)
    x[3], y[7] = math.nan, math.nan
    result = compare_correlation(x, y, a="gain", b="confidence")
    expected, agreement = stats.spearmanr(x, y, nan_policy="omit"), rank_agreement(x, y, kind="spearman")
    assert (result.difference, result.p_value) == pytest.approx((expected.statistic, expected.pvalue))
    assert (result.low, result.high) == (agreement.low, agreement.high)
    assert (result.n_images, result.n_undefined, result.unit, result.interval_over) == (58, 2, "image", "images")
    assert result.test == "Spearman over images"


@pytest.mark.parametrize(
    ("draws", "p_value"),
    [
        (np.linspace(-1, 3, 2001)[1:], 0.5),  # a quarter at or below 0
        (np.linspace(-3, 1, 2001)[:-1], 0.5),
        (np.ones(2000), 1 / 2000),
        (-np.ones(500), 1 / 500),
        (np.zeros(2000), 1),
        (np.r_[np.ones(99), -1, np.full(50, math.nan)], 0.02),
    ],
)
def test_p_is_twice_the_smaller_share_across_zero(draws, p_value):
    result = compare_statistic(0.3, draws, a="a", b="b", n_images=20, test="bootstrap")
    assert result.p_value == pytest.approx(p_value, abs=1e-12)
    assert (result.low, result.high) == pytest.approx(tuple(np.nanquantile(draws, [0.025, 0.975])))
    assert (result.difference, result.n_images, result.test) == (0.3, 20, "bootstrap")


@pytest.mark.parametrize(("value", "draws", "n"), [(math.nan, [1.0], 9), (1, [math.nan], 9), (1, [1.0, 1], 1)])
def test_nothing_to_resample_is_nan(value, draws, n):
    result = compare_statistic(value, np.array(draws), a="a", b="b", n_images=n, test="bootstrap")
    assert math.isnan(result.p_value)
    assert math.isnan(result.low)
    assert result.interval_over == "none"


def test_the_verdict_table_takes_them():
    x = np.arange(30.0)
    draws = np.random.default_rng(0).normal(0.2, 0.05, size=2000)
    test = {"n_images": 30, "test": "bootstrap over images"}
    decided = [
        decide_by(compare_correlation, claim_of("up", "x", "y"), x, x**3),
        decide_by(compare_correlation, claim_of("down", "x", "z"), x, -x),
        decide_by(compare_statistic, claim_of("w", "half", "w"), 0.2, draws, **test),
        decide_by(compare_statistic, claim_of("n", "n", "o"), math.nan, draws, **test),
    ]
    table = verdict_table(decided).set_index("claim")
    assert table["verdict"].tolist() == ["holds", "reverses", "holds", "undecided"]
    assert table["n_images"].tolist() == [30] * 4
    assert table.loc["n", "reason"] == "undecided (no interval)"


def test_classes_are_averaged_over_networks_first():
    values = np.random.default_rng(0).normal(0.3, 0.5, size=(4, 12))
    values[:3, 5], values[:, 7], values[1, 0] = math.nan, math.nan, math.nan
    by_class = np.array([np.nanmean(values[:, c]) for c in range(12) if c != 7])
    result = compare_over_classes(values, a="a", b="b")
    expected, interval = stats.ttest_1samp(by_class, 0), mean_interval(by_class)
    assert (result.difference, result.p_value) == pytest.approx((by_class.mean(), expected.pvalue))
    assert (result.low, result.high) == pytest.approx((interval.low, interval.high))
    assert (result.unit, result.interval_over, result.test) == ("class", "classes", "t over classes")
    assert (result.n_classes, result.n_seeds, result.n_images, result.n_undefined, result.n) == (11, 4, 0, 8, 11)
    assert compare_over_classes(by_class, a="a", b="b").p_value == result.p_value


def test_classes_may_bring_their_own_p_value():
    result = compare_over_classes(np.array([0.1, 0.3, 0.2]), a="a", b="b", p_value=0.25, test="dealt anew")
    assert (result.p_value, result.test) == (0.25, "dealt anew")


@pytest.mark.parametrize(("values", "n"), [([], 0), ([math.nan], 0), ([0.3, math.nan], 1)])
def test_one_class_is_no_evidence(values, n):
    result = compare_over_classes(np.array(values), a="a", b="b")
    assert math.isnan(result.p_value)
    assert math.isnan(result.low)
    assert (result.interval_over, result.n) == ("none", n)


def test_classes_that_agree_entirely_have_a_p_value():
    assert compare_over_classes(np.zeros(4), a="a", b="b").p_value == 1
    assert compare_over_classes(np.full(4, 0.2), a="a", b="b").p_value == 0


def test_classes_are_a_vector_or_a_table():
    with pytest.raises(ValueError, match=r"shape \(2, 2, 2\)"):
        compare_over_classes(np.zeros((2, 2, 2)), a="a", b="b")


def test_a_verdict_counts_the_units_it_speaks_about():
    decided = decide_by(compare_over_classes, claim_of("up", "x", "y"), np.linspace(0.1, 0.5, 10))
    assert (verdict(decided).reason, verdict(decided).n) == ("holds", 10)
    row = verdict_table([decided]).iloc[0]
    assert (row["unit"], row["n_classes"], row["n_images"], row["interval_over"]) == ("class", 10, 0, "classes")
    tables = np.random.default_rng(0).normal(size=(5, 20))
    assert [compare_differences(tables, a="a", b="b", unit=unit).n for unit in ("seed", "image")] == [5, 20]
    with pytest.raises(ValueError, match="compare_over_classes"):
        compare_differences(tables, a="a", b="b", unit="class")
