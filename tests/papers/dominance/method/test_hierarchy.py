"""The order of clusters: row means and coverage by simulation, triples by hand, Bradley-Terry against likelihoods."""

import itertools
import math

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy import special

from xai_lib.papers.dominance.method.hierarchy import Triples, bradley_terry, hierarchy, misfit, triples
from xai_lib.papers.dominance.method.matrix import matrix, pairs


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
    tables[0, 3][:4] = math.nan
    square = matrix(pairs(values_of(tables)))
    expected = np.array([np.delete(row, i).mean() for i, row in enumerate(square)])
    result = hierarchy(values_of(tables))
    assert result["cluster"].tolist() == [0, 1, 2, 3]
    assert result["dominance"].to_numpy() == pytest.approx(expected)
    assert result["rank"].tolist() == (1 + np.argsort(np.argsort(-expected))).tolist()
    assert result["strength"].mean() == pytest.approx(0, abs=1e-12)
    weights = np.where(np.eye(4, dtype=bool), 0, 10)
    weights[0, 3] = weights[3, 0] = 6
    assert result["strength"].to_numpy() == pytest.approx(bradley_terry(square, weights))


def test_the_hierarchy_does_not_depend_on_the_order_of_rows_and_sides(values_of):
    frame = values_of(drawn(of_strengths(np.array([0.4, 0.0, -0.4])), 12, 1))
    turned = frame.assign(first=frame["second"], second=frame["first"], value=1 - frame["value"])
    mixed = pd.concat([frame[::2], turned[1::2]]).sample(frac=1, random_state=1)
    pd.testing.assert_frame_equal(hierarchy(mixed), hierarchy(frame))


def test_intervals_cover_the_truth(values_of):
    """100 classes of four clusters: 400 intervals of 95 %."""
    means = square_of([0.6, 0.7, 0.5, 0.45, 0.6, 0.55], 4)
    truth = (means.sum(axis=1) - 0.5) / 3
    covered, lengths = [], []
    for seed in range(100):
        result = hierarchy(values_of(drawn(means, 12, seed)))
        covered.extend((result["low"] <= truth) & (truth <= result["high"]))
        lengths.extend(result["high"] - result["low"])
    assert 0.92 < np.mean(covered) < 0.975
    spread = [math.sqrt(sum(m * (1 - m) / 7 for m in np.delete(row, i)) / 12) / 3 for i, row in enumerate(means)]
    assert np.mean(lengths) == pytest.approx(2 * 1.96 * np.mean(spread), rel=0.05)


def test_pairs_are_resampled_apart(values_of):
    """Values of the first cluster that agree in all its pairs: one resample for all would triple the variance."""
    values = np.linspace(0.2, 0.8, 25)
    tables = {(i, j): values if i == 0 else np.full(25, 0.5) for i, j in itertools.combinations(range(4), 2)}
    result = hierarchy(values_of(tables))
    expected = 2 * 1.96 * values.std(ddof=1) / math.sqrt(25 * 3)
    assert result["high"][0] - result["low"][0] == pytest.approx(expected, rel=0.08)


def test_first_and_last_are_shares_of_resamples(values_of):
    clear = hierarchy(values_of(drawn(of_strengths(np.array([-1.5, 1.5, 0.0])), 25, 0)))
    assert clear[["first", "last"]].to_numpy().tolist() == [[0, 1], [1, 0], [0, 0]]
    rng = np.random.default_rng(0)
    half = rng.uniform(0.3, 0.7, size=50)
    even = hierarchy(values_of({(0, 1): np.r_[half, 1 - half]}))
    assert even["first"].to_numpy() == pytest.approx([0.5, 0.5], abs=0.04)
    assert even["first"].tolist() == even["last"].tolist()[::-1]


def test_equals_share_and_keep_their_order(values_of):
    result = hierarchy(values_of({pair: [0.5] * 4 for pair in itertools.combinations(range(3), 2)}))
    assert result["rank"].tolist() == result["strength_rank"].tolist() == [1, 2, 3]
    assert result[["first", "last"]].to_numpy() == pytest.approx(np.full((3, 2), 1 / 3))
    assert result[["low", "high"]].to_numpy().tolist() == [[0.5, 0.5]] * 3


def test_a_cluster_without_values_is_last(values_of):
    tables = {(0, 1): [math.nan] * 3, (0, 2): [math.nan] * 3, (1, 2): [0.6, 0.7, 0.8]}
    result = hierarchy(values_of(tables))
    assert result["dominance"].to_numpy() == pytest.approx([math.nan, 0.7, 0.3], nan_ok=True)
    assert result["rank"].tolist() == result["strength_rank"].tolist() == [3, 1, 2]
    assert np.isnan(result["strength"][0]) and result["strength"][1] > 0
    assert result["low"].isna().tolist() == [True, False, False]
    assert result["first"].isna().all()


def test_one_value_has_no_interval(values_of):
    result = hierarchy(values_of({(0, 1): [0.7], (0, 2): [0.6, 0.7], (1, 2): [0.5, 0.6]}))
    assert result["low"].isna().tolist() == [True, True, False]
    assert result["dominance"].to_numpy() == pytest.approx([0.675, 0.425, 0.4])


CYCLE, ORDER = [0.7, 0.3, 0.8], [0.7, 0.6, 0.8]  # D_01, D_02, D_12


@pytest.mark.parametrize(
    ("upper", "cyclic"), [(CYCLE, 1), ([0.3, 0.7, 0.2], 1), (ORDER, 0), ([0.3, 0.7, 0.8], 0), ([0.7, 0.3, 0.2], 0)]
)
def test_a_triple_goes_round_or_has_an_order(upper, cyclic):
    assert triples(square_of(upper, 3)) == Triples(1, cyclic, None, None)


def test_only_triples_with_three_winners_count():
    assert triples(square_of([0.7, 0.5, 0.8], 3)) == Triples(0, 0, None, None)
    assert triples(square_of([0.7, math.nan, 0.8], 3)) == Triples(0, 0, None, None)
    assert triples(square_of([0.7], 2)) == Triples(0, 0, None, None)


def test_a_triple_is_decided_if_its_three_pairs_are():
    p = square_of([0.01, 0.04, 0.2], 3)
    p = np.triu(p, 1) + np.triu(p, 1).T
    assert triples(square_of(CYCLE, 3), p) == Triples(1, 1, 0, 0)
    assert triples(square_of(CYCLE, 3), p, level=0.3) == Triples(1, 1, 1, 1)
    assert triples(square_of(ORDER, 3), p, level=0.3) == Triples(1, 0, 1, 0)
    assert triples(square_of(ORDER, 3), np.full((3, 3), math.nan)) == Triples(1, 0, 0, 0)
    assert triples(square_of([0.5, 0.6, 0.8], 3), p, level=0.3) == Triples(
        0, 0, 0, 0
    )  # ranks can differ at a mean of 0.5


def test_cycles_against_kendalls_formula():
    """A tournament of P players with w wins each has C(P,3) - sum of C(w,2) cyclic triples (Kendall & Smith 1940)."""
    rng = np.random.default_rng(0)
    for n_clusters in (4, 5, 8):
        square = square_of(rng.uniform(size=n_clusters * (n_clusters - 1) // 2), n_clusters)
        wins = (square > 0.5).sum(axis=1)
        expected = math.comb(n_clusters, 3) - sum(math.comb(w, 2) for w in wins)
        assert triples(square) == Triples(math.comb(n_clusters, 3), expected, None, None)


def test_strengths_are_found_again():
    strengths = np.array([1.2, -0.4, 0.1, -0.9])
    square = of_strengths(strengths)
    found = bradley_terry(square)
    assert found == pytest.approx(strengths - strengths.mean())
    assert misfit(square, found) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("n_clusters", [3, 5, 10])
def test_strengths_are_those_of_a_binomial_regression(n_clusters):
    rng = np.random.default_rng(n_clusters)
    upper = list(itertools.combinations(range(n_clusters), 2))
    square = square_of(rng.uniform(0.05, 0.95, size=len(upper)), n_clusters)
    weights = np.triu(rng.integers(1, 30, size=(n_clusters, n_clusters)), 1)
    weights = weights + weights.T
    design = np.array([[(k == i) - float(k == j) for k in range(n_clusters)] for i, j in upper])[:, 1:]
    fitted = sm.GLM(
        [square[pair] for pair in upper],
        design,
        family=sm.families.Binomial(),
        freq_weights=[weights[pair] for pair in upper],
    ).fit(tol=1e-12)
    expected = np.r_[0, fitted.params]
    found = bradley_terry(square, weights)
    assert found == pytest.approx(expected - expected.mean(), abs=1e-7)
    residuals = [abs(square[i, j] - special.expit(expected[i] - expected[j])) for i, j in upper]
    assert misfit(square, found) == pytest.approx(max(residuals), abs=1e-7)


def test_with_equal_weights_the_order_is_that_of_the_row_means():
    rng = np.random.default_rng(0)
    for n_clusters in [3, 5, 8] * 15:
        upper = rng.beta(0.3, 0.3, size=n_clusters * (n_clusters - 1) // 2)
        upper[rng.random(len(upper)) < 0.2] = 1  # some maxima at infinity
        square = square_of(upper, n_clusters)
        found = bradley_terry(square, np.full(square.shape, 25))
        means = np.argsort(square.sum(axis=1), kind="stable")
        assert (np.diff(found[means]) > -1e-9).all()


def test_a_steep_but_finite_maximum_is_found():
    strengths = np.array([15.0, 5.0, -3.0, -17.0])
    assert bradley_terry(of_strengths(strengths)) == pytest.approx(strengths, rel=1e-6)


def test_full_steps_would_run_away():
    square = square_of([5e-06, 0.032295, 0.999665, 0.999993, 0.990987, 0.005486], 4)
    weights = square_of([1e6, 0, 1e5, 1e3, 1, 0.1], 4)
    weights = np.triu(weights, 1) + np.triu(weights, 1).T
    found = bradley_terry(square, weights)
    expected_wins = (weights * of_strengths(found)).sum(axis=1)
    assert (weights * square).sum(axis=1) == pytest.approx(expected_wins, rel=1e-9)


def test_all_of_the_energy_is_half_a_win_short_of_infinity():
    square = square_of([1.0], 2)
    assert bradley_terry(square) == pytest.approx(np.array([1, -1]) * math.log(3) / 2)  # 1.5 wins of 2
    weights = np.full((2, 2), 25)
    assert bradley_terry(square, weights) == pytest.approx(np.array([1, -1]) * math.log(51) / 2)  # 25.5 of 26
    assert bradley_terry(square_of([0.8], 2), weights) == pytest.approx(np.array([1, -1]) * math.log(4) / 2)


def test_pairs_without_a_value_are_left_out():
    strengths = np.array([0.6, 0.2, -0.8])
    square = of_strengths(strengths)
    square[0, 1] = square[1, 0] = math.nan
    found = bradley_terry(square)
    assert found == pytest.approx(strengths)
    assert misfit(square, found) == pytest.approx(0, abs=1e-12)
    square[0, 2] = square[2, 0] = math.nan
    assert bradley_terry(square) == pytest.approx([math.nan, 0.5, -0.5], nan_ok=True)
    assert np.isnan(bradley_terry(square_of([math.nan], 2))).all()


def test_a_cycle_has_equal_strengths_and_the_whole_misfit():
    square = square_of([0.8, 0.2, 0.8], 3)
    found = bradley_terry(square)
    assert found == pytest.approx(np.zeros(3), abs=1e-9)
    assert misfit(square, found) == pytest.approx(0.3)
