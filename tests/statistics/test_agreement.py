"""Rank agreement: scipy's definitions as oracle, ties and NaN."""

import math

import numpy as np
import pytest
from scipy import stats

from xai_lib.statistics import rank_agreement
from xai_lib.statistics.agreement import spearman_draws
from xai_lib.statistics.intervals import percentile_interval, resampled_counts


def test_every_resample_equals_scipys_correlation_of_the_repeated_items():
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 6, 12).astype(float), rng.normal(size=12)  # ties in x
    draws = spearman_draws(x, y)
    counts = np.concatenate(list(resampled_counts(12))).astype(int)
    for resample in range(40):
        expected = stats.spearmanr(np.repeat(x, counts[resample]), np.repeat(y, counts[resample])).statistic
        assert draws[resample] == pytest.approx(expected)


@pytest.mark.parametrize(("kind", "oracle"), [("kendall", stats.kendalltau), ("spearman", stats.spearmanr)])
def test_values(kind, oracle):
    rng = np.random.default_rng(1)
    x = rng.normal(size=50)
    y = x + rng.normal(size=50)
    result = rank_agreement(x, y, kind=kind)
    assert result == pytest.approx(oracle(x, y).statistic)
    assert (rank_agreement(x, -y, kind=kind), rank_agreement(x, x, kind=kind)) == pytest.approx((-result, 1))


def test_the_bootstrap_covers_the_truth_of_a_normal_pair():
    # A normal pair of correlation 0.5 has rho = 6/pi asin(0.25).
    rng, covered = np.random.default_rng(2), []
    for _ in range(200):
        x = rng.normal(size=40)
        low, high = percentile_interval(spearman_draws(x, 0.5 * x + math.sqrt(0.75) * rng.normal(size=40)))
        covered.append(low <= 6 / math.pi * math.asin(0.25) <= high)
    assert 0.9 <= np.mean(covered) <= 0.99


def test_undefined_pairs_are_left_out_and_constants_have_no_correlation():
    assert rank_agreement([1, 2, 3, math.nan, 5], [1, 2, 3, 4, math.nan]) == 1
    assert math.isnan(rank_agreement([1, 1, 1], [1, 2, 3])) and math.isnan(rank_agreement([1, math.nan], [1, 2]))


def test_wrong_requests_are_refused():
    with pytest.raises(ValueError, match="one length"):
        rank_agreement([1, 2], [1, 2, 3])
    with pytest.raises(ValueError, match="kind"):
        rank_agreement([1, 2], [1, 2], kind="pearson")
