"""One statistic against zero: scipy's p-values, percentiles by hand, and what the verdict table makes of it."""

import math

import numpy as np
import pytest
from scipy import stats

from xai_lib.statistics import (
    Claim,
    Decided,
    compare_correlation,
    compare_differences,
    compare_over_classes,
    compare_statistic,
    verdict_table,
)
from xai_lib.statistics.against_zero import compare_trainings


def claim_of(name, a, b):
    fields = {"paper": "p", "section": "5", "text": "t", "metric": "m", "method": None, "better": "higher"}
    return Claim(id=name, a=a, b=b, dataset="planted", between="statistic", **fields)


def decide_by(compare, claim, *values, **options):
    return Decided(claim, compare(*values, a=claim.a, b=claim.b, **options))


def test_a_correlation_has_scipys_value_and_an_interval_on_fisher_s_scale():
    rng = np.random.default_rng(0)
    x = rng.normal(size=60)
    y = 0.4 * x + rng.normal(size=60)
    x[3], y[7] = math.nan, math.nan
    result = compare_correlation(x, y, a="gain", b="confidence")
    expected = stats.spearmanr(x, y, nan_policy="omit")
    assert result.difference == pytest.approx(expected.statistic)
    assert result.p_value == pytest.approx(expected.pvalue, rel=0.6)
    error = math.sqrt((1 + expected.statistic**2 / 2) / 55)
    ends = np.tanh(np.arctanh(expected.statistic) + stats.norm.isf(0.025) * error * np.array([-1, 1]))
    assert result.estimate.interval() == pytest.approx(tuple(ends))
    assert result.estimate.interval(1 - result.p_value)[0] == pytest.approx(0, abs=1e-9)
    assert (result.n_images, result.n_undefined, result.unit) == (58, 2, "image")


def test_a_correlation_stays_between_minus_one_and_one():
    x = np.arange(20.0)
    assert compare_correlation(x, x, a="a", b="b").estimate.interval()[1] <= 1
    assert all(map(math.isnan, compare_correlation(x[:4], x[:4], a="a", b="b").estimate.interval()))


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
    assert result.estimate.interval() == pytest.approx(tuple(np.nanquantile(draws, [0.025, 0.975])))
    assert (result.difference, result.n_images, result.test) == (0.3, 20, "bootstrap")


@pytest.mark.parametrize(("value", "draws", "n"), [(math.nan, [1.0], 9), (1, [math.nan], 9), (1, [1.0, 1], 1)])
def test_nothing_to_resample_is_nan(value, draws, n):
    result = compare_statistic(value, np.array(draws), a="a", b="b", n_images=n, test="bootstrap")
    assert math.isnan(result.p_value) and all(map(math.isnan, result.estimate.interval()))


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
    result = compare_over_classes(values, a="a", b="b", permuted=np.linspace(-0.5, 0.5, 999))
    assert result.difference == pytest.approx(by_class.mean())
    assert (result.unit, result.test) == ("class", "permutation within classes")
    assert (result.n_classes, result.n_seeds, result.n_images, result.n_undefined) == (11, 4, 0, 8)


def test_classes_may_be_permuted():
    permuted = np.linspace(-0.5, 0.5, 999)
    result = compare_over_classes(np.array([0.1, 0.3, 0.35]), a="a", b="b", permuted=permuted, range=(-1.0, 1.0))
    assert result.p_value == pytest.approx((1 + 500) / 1000, abs=2e-3)
    assert result.estimate.interval(0.95) == pytest.approx((0.25 - 0.475, 0.25 + 0.475), abs=1e-3)
    assert result.estimate.interval(1 - result.p_value)[0] == pytest.approx(0, abs=2e-3)
    assert (
        compare_over_classes(np.array([0.9]), a="a", b="b", permuted=permuted, range=(-1.0, 1.0)).estimate.interval()[1]
        == 1
    )


def test_trainings_alone_are_a_t_test():
    result = compare_trainings(np.array([0.1, 0.2, 0.4]), a="a", b="b")
    assert result.p_value == pytest.approx(stats.ttest_1samp([0.1, 0.2, 0.4], 0).pvalue)
    assert (result.n_seeds, result.n_images, result.unit) == (3, 0, "seed")


@pytest.mark.parametrize("values", [[], [math.nan]])
def test_no_class_is_no_evidence(values):
    result = compare_over_classes(np.array(values), a="a", b="b", permuted=np.zeros(9))
    assert math.isnan(result.p_value) and all(map(math.isnan, result.estimate.interval()))
    assert result.n_classes == 0


def test_classes_are_a_vector_or_a_table():
    with pytest.raises(ValueError, match=r"shape \(2, 2, 2\)"):
        compare_over_classes(np.zeros((2, 2, 2)), a="a", b="b", permuted=np.zeros(9))


def test_a_verdict_counts_the_units_it_speaks_about():
    permuted = {"permuted": np.linspace(-0.1, 0.1, 999)}
    decided = decide_by(compare_over_classes, claim_of("up", "x", "y"), np.linspace(0.1, 0.5, 10), **permuted)
    row = verdict_table([decided]).iloc[0]
    assert row["reason"] == "holds" and row["scope"] == "this network, these 10 classes"
    assert (row["unit"], row["n_classes"], row["n_images"]) == ("class", 10, 0)
    with pytest.raises(ValueError, match="compare_over_classes"):
        compare_differences(np.zeros((5, 20)), a="a", b="b", unit="class")
