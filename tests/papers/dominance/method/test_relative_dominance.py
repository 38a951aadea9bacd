"""The order of clusters: row means and coverage by simulation, triples by hand."""

import itertools
import math

import numpy as np
import pandas as pd
import pytest
from scipy import special

from xai_lib.papers.dominance.method.dominance import matrix, pairs
from xai_lib.papers.dominance.method.relative_dominance import cyclic_triples, hierarchy, relative

NAN = math.nan


def drawn(means, n, seed):
    """Values in [0, 1] of all pairs whose means are the upper half of ``means`` [P,P]."""
    rng = np.random.default_rng(seed)
    upper = itertools.combinations(range(len(means)), 2)
    return {(i, j): rng.beta(6 * means[i, j], 6 * (1 - means[i, j]), size=n) for i, j in upper}


def square_of(upper, n_clusters):
    """A dominance matrix from its entries above the diagonal, row by row."""
    square = np.full((n_clusters, n_clusters), 0.5)
    for (i, j), value in zip(itertools.combinations(range(n_clusters), 2), upper):
        square[i, j], square[j, i] = value, 1 - value
    return square


def of_strengths(strengths):
    return special.expit(np.subtract.outer(strengths, strengths))


def test_relative_dominance_is_the_mean_over_the_others(values_of):
    tables = drawn(of_strengths(np.array([0.0, 0.8, -0.5, 0.3])), 10, 0)
    tables[0, 3][:4] = NAN
    square = matrix(pairs(values_of(tables)))
    expected = np.array([np.delete(row, i).mean() for i, row in enumerate(square)])
    assert relative(square) == pytest.approx(expected)
    result = hierarchy(values_of(tables))
    assert result["cluster"].tolist() == [0, 1, 2, 3]
    assert result["dominance"].to_numpy() == pytest.approx(expected)
    assert result["rank"].tolist() == (1 + np.argsort(np.argsort(-expected))).tolist()


def test_intervals_cover_the_truth(values_of):
    """100 classes of four clusters: 400 intervals of 95 %."""
    means = square_of([0.6, 0.7, 0.5, 0.45, 0.6, 0.55], 4)
    truth = (means.sum(axis=1) - 0.5) / 3
    results = pd.concat([hierarchy(values_of(drawn(means, 12, seed))).assign(truth=truth) for seed in range(100)])
    assert 0.92 < ((results["low"] <= results["truth"]) & (results["truth"] <= results["high"])).mean() < 0.975
    spread = [math.sqrt(sum(m * (1 - m) / 7 for m in np.delete(row, i)) / 12) / 3 for i, row in enumerate(means)]
    assert (results["high"] - results["low"]).mean() == pytest.approx(2 * 1.96 * np.mean(spread), rel=0.05)


def test_pairs_are_resampled_apart(values_of):
    """Values of the first cluster that agree in all its pairs: one resample for all would triple the variance."""
    values = np.linspace(0.2, 0.8, 25)
    tables = {(i, j): values if i == 0 else np.full(25, 0.5) for i, j in itertools.combinations(range(4), 2)}
    result = hierarchy(values_of(tables))
    expected = 2 * 1.96 * values.std(ddof=1) / math.sqrt(25 * 3)
    assert result["high"][0] - result["low"][0] == pytest.approx(expected, rel=0.08)


def test_first_and_last_are_shares_of_resamples_and_equals_share(values_of):
    clear = hierarchy(values_of(drawn(of_strengths(np.array([-1.5, 1.5, 0.0])), 25, 0)))
    assert clear[["first", "last"]].to_numpy().tolist() == [[0, 1], [1, 0], [0, 0]]
    half = np.random.default_rng(0).uniform(0.3, 0.7, size=50)
    even = hierarchy(values_of({(0, 1): np.r_[half, 1 - half]}))
    assert even["first"].to_numpy() == pytest.approx([0.5, 0.5], abs=0.04)
    assert even["first"].tolist() == even["last"].tolist()[::-1]
    equal = hierarchy(values_of({pair: [0.5] * 4 for pair in itertools.combinations(range(3), 2)}))
    assert equal["rank"].tolist() == [1, 2, 3]  # in the order of their numbers
    assert equal[["first", "last"]].to_numpy() == pytest.approx(np.full((3, 2), 1 / 3))
    assert equal[["low", "high"]].to_numpy().tolist() == [[0.5, 0.5]] * 3


def test_a_cluster_without_values_is_last_and_one_value_has_no_interval(values_of):
    tables = {(0, 1): [NAN] * 3, (0, 2): [NAN] * 3, (1, 2): [0.6, 0.7, 0.8]}
    result = hierarchy(values_of(tables))
    assert result["dominance"].to_numpy() == pytest.approx([NAN, 0.7, 0.3], nan_ok=True)
    assert result["rank"].tolist() == [3, 1, 2]
    assert result["low"].isna().tolist() == [True, False, False]
    assert result["first"].isna().all()
    result = hierarchy(values_of({(0, 1): [0.7], (0, 2): [0.6, 0.7], (1, 2): [0.5, 0.6]}))
    assert result["low"].isna().tolist() == [True, True, False]
    assert result["dominance"].to_numpy() == pytest.approx([0.675, 0.425, 0.4])


@pytest.mark.parametrize(
    ("upper", "expected"),
    [
        ([0.7, 0.3, 0.8], (1, 1)),  # D_01, D_02, D_12
        ([0.3, 0.7, 0.2], (1, 1)),
        ([0.7, 0.6, 0.8], (0, 1)),
        ([0.7, 0.5, 0.8], (0, 0)),  # only triples with three winners count
        ([0.7, NAN, 0.8], (0, 0)),
    ],
)
def test_a_triple_goes_round_or_has_an_order(upper, expected):
    assert cyclic_triples(square_of(upper, 3)) == expected
    assert cyclic_triples(square_of(upper[:1], 2)) == (0, 0)
