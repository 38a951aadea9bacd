"""The dominance matrix against numbers by hand, scipy and Holm's rule; what it refuses."""

import itertools
import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from xai_lib.papers.dominance.method.matrix import matrix, pairs
from xai_lib.statistics import mean_interval


@pytest.fixture
def tables():
    rng = np.random.default_rng(0)
    found = {(0, 1): rng.beta(5, 4, size=25), (0, 2): rng.beta(4, 8, size=25), (1, 2): rng.beta(4, 4, size=25)}
    found[0, 2][[3, 7]] = math.nan
    return found


def test_each_pair_has_its_mean_interval_and_scipys_tests(values_of, tables):
    result = pairs(values_of(tables)).set_index(["first", "second"])
    assert list(result.index) == [(0, 1), (0, 2), (1, 2)]
    for pair, values in tables.items():
        row, defined = result.loc[pair], values[~np.isnan(values)]
        interval = mean_interval(values)
        assert (row["low"], row["high"]) == pytest.approx((interval.low, interval.high))
        assert row["dominance"] == pytest.approx(defined.mean())
        assert row["p_t"] == pytest.approx(stats.ttest_1samp(defined, 0.5).pvalue)
        assert row["p_wilcoxon"] == pytest.approx(stats.wilcoxon(defined - 0.5).pvalue)
        assert (row["n"], row["n_undefined"]) == (len(defined), 25 - len(defined))


def test_p_values_are_corrected_over_the_pairs_of_the_class(values_of, tables):
    result = pairs(values_of(tables))
    for test in ("t", "wilcoxon"):
        p = result[f"p_{test}"].to_numpy()
        small, middle, large = np.argsort(p)
        corrected = np.empty(3)
        corrected[small] = 3 * p[small]
        corrected[middle] = max(corrected[small], 2 * p[middle])
        corrected[large] = max(corrected[middle], p[large])
        assert result[f"p_{test}_holm"].to_numpy() == pytest.approx(np.minimum(corrected, 1))


def test_either_order_and_any_order_of_rows_says_the_same(values_of, tables):
    frame = values_of(tables)
    turned = frame.assign(first=frame["second"], second=frame["first"], value=1 - frame["value"])
    mixed = pd.concat([frame[::2], turned[1::2]]).sample(frac=1, random_state=1).assign(label="baby")
    pd.testing.assert_frame_equal(pairs(mixed), pairs(frame))


def test_both_orders_of_a_pair_are_pooled_if_their_mosaics_differ(values_of):
    frame = values_of({(0, 1): [0.75, 0.5], (1, 0): [0.0, 0.5]})
    with pytest.raises(ValueError, match=r"Got 2 more.*'mosaic': 0"):
        pairs(frame)
    result = pairs(frame.assign(mosaic=range(4))).iloc[0]
    assert (result["dominance"], result["n"]) == (0.6875, 4)  # 0.75, 0.5, 1.0, 0.5


@pytest.mark.parametrize(
    ("values", "p_t", "p_wilcoxon"),
    [
        ([0.5] * 6, 1, 1),
        ([0.75] * 6, 0, 2 / 2**6),
        ([0.75], math.nan, math.nan),
        ([0.75, math.nan], math.nan, math.nan),
        ([math.nan] * 3, math.nan, math.nan),
    ],
)
def test_constant_and_few_values(values_of, values, p_t, p_wilcoxon):
    result = pairs(values_of({(0, 1): values})).iloc[0]
    assert (result["p_t"], result["p_wilcoxon"]) == pytest.approx((p_t, p_wilcoxon), nan_ok=True)
    assert result["n"] == np.isfinite(values).sum()
    assert math.isnan(result["low"]) == (result["n"] < 2)
    assert math.isnan(result["dominance"]) == (result["n"] == 0)


def test_a_pair_without_values_is_not_in_the_family(values_of):
    rest = {(0, 1): [0.6, 0.7, 0.8], (0, 2): [math.nan] * 3, (1, 2): [0.4, 0.45, 0.6]}
    result = pairs(values_of(rest))
    assert result["p_t_holm"].isna().tolist() == [False, True, False]
    assert result["p_t_holm"][0] == pytest.approx(2 * result["p_t"][0])


def test_entries_mirror_at_one_half(values_of, tables):
    frame = pairs(values_of(tables))
    square = matrix(frame)
    assert np.diag(square).tolist() == [0.5] * 3
    for i, j in itertools.combinations(range(3), 2):
        assert square[i, j] == pytest.approx(np.nanmean(tables[i, j]))
        assert square[j, i] == 1 - square[i, j]


def test_p_values_are_symmetric_without_a_diagonal(values_of, tables):
    frame = pairs(values_of(tables))
    square = matrix(frame, "p_t_holm")
    assert np.isnan(np.diag(square)).all()
    np.testing.assert_array_equal(square, square.T)
    assert square[[0, 0, 1], [1, 2, 2]].tolist() == frame["p_t_holm"].tolist()


def test_clusters_are_in_the_order_of_their_numbers(values_of):
    frame = pairs(values_of({(7, 2): [0.1, 0.3], (4, 7): [0.4, 0.6], (2, 4): [0.9, 0.7]}))
    assert matrix(frame) == pytest.approx(np.array([[0.5, 0.8, 0.8], [0.2, 0.5, 0.5], [0.2, 0.5, 0.5]]))


def test_the_t_test_rejects_as_often_as_it_says(values_of):
    """496 pairs without dominance: about 5 % of p-values are below 0.05."""
    draws = np.random.default_rng(3).beta(6, 6, size=(496, 25))
    every_pair = itertools.combinations(range(32), 2)
    result = pairs(values_of(dict(zip(every_pair, draws))))
    for test in ("t", "wilcoxon"):
        assert 0.03 < (result[f"p_{test}"] < 0.05).mean() < 0.075
        assert (result[f"p_{test}_holm"] < 0.05).sum() <= 1


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ({"first": [0], "second": [1], "value": [0.5]}, "without \\['mosaic'\\]"),
        ({"first": [0, 1], "second": [1, 1], "mosaic": 0, "value": 0.5}, "a cluster with itself"),
        ({"first": [0], "second": [1], "mosaic": 0, "value": [1.2]}, "Got 1.2"),
        ({"first": [0], "second": [1], "mosaic": 0, "value": [-math.inf]}, "shares in \\[0, 1\\]"),
        ({"first": [0, 1], "second": [1, 2], "mosaic": 0, "value": 0.5}, "without \\[\\(0, 2\\)\\]"),
        ({"first": [], "second": [], "mosaic": [], "value": []}, "two or more clusters"),
    ],
)
def test_what_is_no_class_of_pairs_is_refused(rows, message):
    with pytest.raises(ValueError, match=message):
        pairs(pd.DataFrame(rows))
