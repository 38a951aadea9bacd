"""Intervals at any level and the p-values that agree: scipy as oracle, ranges, and error rates by simulation."""

import math

import numpy as np
import pytest
from scipy import stats

from xai_lib.statistics import estimate_of, holm
from xai_lib.statistics.estimate import Estimate, of_trainings, welch

LEVELS = (0.5, 0.95, 0.999)


def test_without_skewness_and_seeds_it_is_student_s():
    values = np.tile([-1.0, 1.0], 20) + 0.3
    found = estimate_of(values)
    for level in LEVELS:
        assert found.interval(level) == pytest.approx(stats.t.interval(level, 39, 0.3, stats.sem(values)))
    assert found.p_value() == pytest.approx(stats.ttest_1samp(values, 0).pvalue)
    assert found.p_value(0.25) == pytest.approx(stats.ttest_1samp(values, 0.25).pvalue)


def test_skewness_moves_the_farther_end_by_hall_s_transformation():
    values = np.random.default_rng(0).exponential(size=50)
    n, mean, error, skew = 50, values.mean(), stats.sem(values), stats.skew(values, bias=False)
    t = stats.t.isf(0.025, 49)

    def hall(x):  # the root of g(T) = T + a T^2 / 3 + a^2 T^3 / 27 + a / 6 = x, a the skewness over sqrt(n)
        a = skew / math.sqrt(n)
        roots = np.roots([a**2 / 27, a / 3, 1, a / 6 - x])
        return float(roots[np.isreal(roots)].real[0])

    expected = mean - error * max(t, hall(t)), mean + error * max(t, -hall(-t))
    assert estimate_of(values).interval() == pytest.approx(expected)
    assert expected[1] - mean > 1.2 * (mean - expected[0])


@pytest.mark.parametrize("seeds", [1, 2, 5])
@pytest.mark.parametrize("range", [(-math.inf, math.inf), (0.0, 1.0)])
def test_p_is_where_the_interval_touches_the_null(seeds, range):
    table = np.random.default_rng(seeds).beta(2, 5, size=(seeds, 40))
    found = estimate_of(table, range=range)
    for null in (0.2, 0.25, 0.35):
        p = found.p_value(null)
        side = int(null > found.value)
        assert found.interval(1 - p)[side] == pytest.approx(null, abs=1e-6)
    assert found.p_value(found.value) == 1


def test_the_two_sources_are_added_in_squares():
    table = np.random.default_rng(1).normal(size=(4, 30)) + np.array([[0.0], [0.5], [1.0], [1.5]])
    both, images = estimate_of(table), estimate_of(table.mean(axis=0))
    seeds = stats.t.isf(0.025, 3) * stats.sem(table.mean(axis=1))
    below = images.value - images.interval()[0]
    assert both.value - both.interval()[0] == pytest.approx(math.hypot(below, seeds))


def test_networks_trained_apart_have_welch_s_error():
    a, b = np.array([0.1, 0.5, 0.3]), np.array([0.2, 0.21, 0.19, 0.2])
    found = welch(Estimate(0.1, n_images=10, n_seeds=3), a, b)
    oracle = stats.ttest_ind(a, b, equal_var=False)
    assert found.seed_degrees == pytest.approx(oracle.df)
    assert found.seed_error == pytest.approx((a.mean() - b.mean()) / oracle.statistic)


def test_intervals_stay_where_scores_can_be():
    near_one = 0.998 + np.random.default_rng(2).normal(0, 0.001, size=(2, 500)) + np.array([[0.0015], [-0.0015]])
    low, high = estimate_of(near_one, range=(0.0, 1.0)).interval()
    assert 0 < low < 0.998 < high < 1
    assert estimate_of(near_one).interval()[1] > 1
    assert estimate_of(np.ones(20), range=(0.0, 1.0)).interval() == pytest.approx((0.025 ** (1 / 20), 1))
    assert estimate_of(-np.ones(20), range=(-1.0, 1.0)).interval() == pytest.approx((-1, 1 - 2 * 0.025 ** (1 / 20)))
    assert estimate_of(np.array([0.0, 9.0, 0.0]), range=(0.0, math.inf)).interval()[0] == 0


def test_nothing_to_go_by_is_nan():
    for found in (estimate_of(np.array([0.3])), estimate_of(np.full((2, 3), math.nan)), of_trainings(np.array([0.3]))):
        assert math.isnan(found.p_value()) and all(map(math.isnan, found.interval()))


def test_trainings_alone_are_student_s():
    values = np.array([0.1, 0.2, math.nan, 0.4])
    found = of_trainings(values)
    assert found.p_value() == pytest.approx(stats.ttest_1samp(values[[0, 1, 3]], 0).pvalue)
    assert found.n_seeds == 3


def test_differences_that_are_all_the_same_are_certain():
    assert estimate_of(np.full(9, 0.2)).p_value() == 0 and estimate_of(np.zeros(9)).p_value() == 1


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["normal", "exponential", "lognormal"])
def test_families_of_skewed_images_err_rarely_and_intervals_cover(kind):
    """46 claims without any difference over 256 images; Wilcoxon's test erred in up to 95 % of such families."""
    rng = np.random.default_rng(7)
    draw = {
        "normal": rng.normal,
        "exponential": lambda size: rng.exponential(size=size) - 1,
        "lognormal": lambda size: rng.lognormal(size=size) - math.exp(0.5),
    }[kind]
    families, covered = [], []
    for _ in range(150):
        found = [estimate_of(row) for row in draw(size=(46, 256))]
        families.append(holm([one.p_value() for one in found]).min() < 0.05)
        covered += [low <= 0 <= high for low, high in (one.interval() for one in found)]
    assert np.mean(families) <= 0.08 + 0.05  # 0.08, and twice the error of 150 draws
    assert np.mean(covered) >= 0.93


@pytest.mark.slow
@pytest.mark.parametrize("n_seeds", [2, 3, 5])
@pytest.mark.parametrize("ratio", [0.75, 4])
def test_families_over_trainings_err_rarely_and_intervals_cover(n_seeds, ratio):
    """18 claims without any difference; the error over images is ``ratio`` times that over seeds."""
    rng, families, covered = np.random.default_rng(n_seeds), [], []
    deviation = ratio * math.sqrt(2 / n_seeds * 400)
    for _ in range(60):
        p_values = []
        for _ in range(18):
            a, b = rng.normal(size=(2, n_seeds))
            table = rng.normal(0, deviation, size=400) + (a - b)[:, None]
            found = welch(estimate_of(table), a, b)
            p_values.append(found.p_value())
            covered.append(found.interval()[0] <= 0 <= found.interval()[1])
        families.append(holm(p_values).min() < 0.05)
    assert np.mean(families) <= 0.06 + 0.06  # 0.06, and twice the error of 60 draws
    assert np.mean(covered) >= 0.93
