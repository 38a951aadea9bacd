"""Rank agreement: scipy's definitions as oracle, ties and NaN."""

import math

import numpy as np
import pytest
from scipy import stats

from xai_lib.statistics import rank_agreement
from xai_lib.statistics.agreement import _kendall_draws, spearman_draws
from xai_lib.statistics.intervals import resampled_counts


@pytest.mark.parametrize(
    ("draws_of", "oracle"), [(_kendall_draws, stats.kendalltau), (spearman_draws, stats.spearmanr)]
)
def test_every_resample_equals_scipys_correlation_of_the_repeated_items(draws_of, oracle):
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 6, 12).astype(float), rng.normal(size=12)  # ties in x
    draws = draws_of(x, y)
    counts = np.concatenate(list(resampled_counts(12))).astype(int)
    for resample in range(40):
        expected = oracle(np.repeat(x, counts[resample]), np.repeat(y, counts[resample])).statistic
        assert draws[resample] == pytest.approx(expected)


def test_values_and_permutation():
    rng = np.random.default_rng(1)
    x = rng.normal(size=50)
    y = x + rng.normal(size=50)
    result = rank_agreement(x, y)
    assert result.value == pytest.approx(stats.kendalltau(x, y).statistic)
    assert rank_agreement(x, y, kind="spearman").value == pytest.approx(stats.spearmanr(x, y).statistic)
    assert result.low < result.value < result.high
    assert rank_agreement(x, -y).value == pytest.approx(-result.value)
    assert rank_agreement(x, x).value == rank_agreement(x, x).low == 1


@pytest.mark.parametrize(("kind", "truth"), [("kendall", 1 / 3), ("spearman", 6 / math.pi * math.asin(0.25))])
def test_the_interval_covers_the_truth_of_a_normal_pair(kind, truth):
    # A normal pair of correlation 0.5 has tau = 2/pi asin(0.5) = 1/3 and rho = 6/pi asin(0.25).
    rng = np.random.default_rng(2)
    covered = []
    for _ in range(200):
        x = rng.normal(size=40)
        y = 0.5 * x + math.sqrt(0.75) * rng.normal(size=40)
        result = rank_agreement(x, y, kind=kind)
        covered.append(result.low <= truth <= result.high)
    assert 0.9 <= np.mean(covered) <= 0.99


def test_undefined_pairs_are_counted_and_constants_have_no_correlation():
    result = rank_agreement([1, 2, 3, math.nan, 5], [1, 2, 3, 4, math.nan])
    assert (result.value, result.n, result.n_undefined) == (1, 3, 2)
    assert math.isnan(rank_agreement([1, 1, 1], [1, 2, 3]).value)


def test_wrong_requests_are_refused():
    with pytest.raises(ValueError, match="one length"):
        rank_agreement([1, 2], [1, 2, 3])
    with pytest.raises(ValueError, match="kind"):
        rank_agreement([1, 2], [1, 2], kind="pearson")
    with pytest.raises(ValueError, match="spearman"):
        rank_agreement(np.arange(5001), np.arange(5001))
