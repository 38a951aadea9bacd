"""One statistic against zero: scipy's p-values, percentiles by hand, and what the verdict table makes of it."""

import math

import numpy as np
import pytest
from scipy import stats

from xai_lib.statistics import Claim, compare_correlation, compare_statistic, rank_agreement, verdict_table


def claim_of(name, a, b):
    fields = {"paper": "p", "section": "5", "text": "t", "metric": "m", "method": None, "better": "higher"}
    return Claim(id=name, a=a, b=b, dataset="planted", between="statistic", **fields)


@pytest.mark.parametrize(("kind", "oracle"), [("spearman", stats.spearmanr), ("kendall", stats.kendalltau)])
def test_a_correlation_has_scipys_value_and_p(kind, oracle):
    rng = np.random.default_rng(0)
    x = rng.normal(size=60)
    y = 0.4 * x + rng.normal(size=60)
    x[3], y[7] = math.nan, math.nan
    result = compare_correlation(x, y, a="gain", b="confidence", kind=kind)
    expected, agreement = oracle(x, y, nan_policy="omit"), rank_agreement(x, y, kind=kind)
    assert (result.difference, result.p_value) == pytest.approx((expected.statistic, expected.pvalue))
    assert (result.low, result.high) == (agreement.low, agreement.high)
    assert (result.n_images, result.n_undefined, result.unit, result.interval_over) == (58, 2, "image", "images")
    assert result.test == f"{kind.capitalize()} over images"


def test_a_constant_has_no_correlation():
    result = compare_correlation(np.ones(9), np.arange(9), a="a", b="b")
    assert math.isnan(result.difference)
    assert math.isnan(result.p_value)
    assert result.interval_over == "none"


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
    claims = [claim_of("up", "x", "y"), claim_of("down", "x", "z"), claim_of("w", "half", "w"), claim_of("n", "n", "o")]
    comparisons = {
        "up": compare_correlation(x, x**3, a="x", b="y"),
        "down": compare_correlation(x, -x, a="x", b="z"),
        "w": compare_statistic(0.2, draws, a="half", b="w", n_images=30, test="bootstrap over images"),
        "n": compare_statistic(math.nan, draws, a="n", b="o", n_images=30, test="bootstrap over images"),
    }
    table = verdict_table(claims, comparisons).set_index("claim")
    assert table["verdict"].tolist() == ["holds", "reverses", "holds", "undecided"]
    assert table["n_images"].tolist() == [30] * 4
    assert table.loc["n", "reason"] == "undecided (no interval)"
