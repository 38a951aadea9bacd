"""Paired comparisons: scipy as oracle, pairing, NaN, and Holm's correction."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests

from xai_lib.statistics import compare_differences, estimate_of, holm, holm_levels, paired_comparison


def frame_of(**tables):
    """Tables [S, n] by loss, as a tidy frame of pixel flipping on Grad-CAM."""
    parts = []
    for loss, table in tables.items():
        seeds, images = np.indices(np.shape(table))
        columns = {"loss": loss, "seed": seeds.ravel(), "index": images.ravel(), "value": np.ravel(table)}
        parts.append(pd.DataFrame(columns))
    return pd.concat(parts, ignore_index=True).assign(method="grad-cam", metric="pixel-flipping")


def compare(frame, **settings):
    return paired_comparison(
        frame, **{"metric": "pixel-flipping", "method": "grad-cam", "a": "scl", "b": "ce"} | settings
    )


def test_networks_trained_apart_are_compared_by_welch_crossed_with_images():
    rng = np.random.default_rng(0)
    ce, scl = rng.normal(size=(5, 80)), rng.normal(0.2, 1, size=(5, 80))
    result = compare(frame_of(ce=ce, scl=scl))
    by_seed, by_image = (scl - ce).mean(axis=1), (scl - ce).mean(axis=0)
    assert result.difference == pytest.approx(by_seed.mean())
    assert result.test == "Welch's t over trainings, crossed with images"
    oracle = stats.ttest_ind(scl.mean(axis=1), ce.mean(axis=1), equal_var=False)
    assert result.estimate.seed_error == pytest.approx(result.difference / oracle.statistic)
    assert result.estimate.image_error == pytest.approx(stats.sem(by_image))
    assert result.p_value > oracle.pvalue
    assert (result.n_seeds, result.n_images, result.n_undefined) == (5, 80, 0)


def test_few_and_skewed_differences_are_not_trusted():
    rng = np.random.default_rng(1)
    few, many = (rng.lognormal(size=n) for n in (64, 500))
    rare = np.r_[np.zeros(60), np.ones(10)]
    found = [compare_differences(table, a="a", b="b", unit="image").trusted for table in (few, rare, many, few**0.1)]
    assert found == [False, False, True, True]


def test_pairing_is_by_image_and_seed_not_by_row():
    rng = np.random.default_rng(2)
    base = rng.normal(size=(5, 30))
    frame = frame_of(ce=base, scl=base + 0.1 * np.arange(1, 6)[:, None])
    shuffled = frame.sample(frac=1, random_state=3)
    assert compare(frame) == compare(shuffled)
    paired = paired_comparison(shuffled.assign(model=shuffled["loss"]).drop(columns="loss"), metric="pixel-flipping",
                               method="grad-cam", a="scl", b="ce", between="model", unit="image")  # fmt: skip
    assert paired.difference == pytest.approx(0.3)
    result = compare(shuffled)
    assert result.difference == pytest.approx(0.3)


def test_swapping_the_conditions_mirrors_everything():
    rng = np.random.default_rng(4)
    frame = frame_of(ce=rng.normal(size=(5, 40)), scl=rng.exponential(size=(5, 40)))
    one, other = compare(frame), compare(frame, a="ce", b="scl")
    assert other.difference == pytest.approx(-one.difference)
    assert other.estimate.interval() == pytest.approx([-end for end in one.estimate.interval()[::-1]])
    assert other.p_value == pytest.approx(one.p_value)


def test_undefined_pairs_are_left_out_on_both_sides_and_counted():
    ce = np.array([[0.0, 100.0, 2.0, math.nan]])
    scl = np.array([[1.0, math.nan, 4.0, math.nan]])
    result = compare(frame_of(ce=ce, scl=scl))
    assert result.difference == 1.5
    assert (result.n_undefined, result.n_images) == (2, 2)


def test_images_and_seeds_without_a_partner_are_left_out():
    frame = frame_of(ce=np.zeros((3, 4)), scl=np.ones((2, 4)))
    frame = frame[~((frame["loss"] == "scl") & (frame["seed"] == 0) & (frame["index"] == 0))]
    result = compare(frame)
    assert (result.n_seeds, result.n_images, result.n_undefined) == (2, 4, 0)
    assert result.difference == 1


def test_unit_image_speaks_about_these_networks():
    rng = np.random.default_rng(5)
    a, b = rng.normal(0.5, 1, size=(2, 60)), rng.normal(size=(2, 60))
    result = compare(frame_of(scl=a, ce=b), unit="image")
    assert result.estimate.interval() == estimate_of((a - b).mean(axis=0)).interval()
    assert result.test == "t over images, corrected for skewness"


def test_methods_can_be_compared_instead_of_losses():
    frame = frame_of(ce=np.random.default_rng(0).random((5, 10)))
    frame = pd.concat([frame, frame.assign(method="eigen-cam", value=frame["value"] - 1)])
    result = paired_comparison(frame, metric="pixel-flipping", between="method", a="grad-cam", b="eigen-cam")
    assert result.difference == pytest.approx(1)
    assert result.p_value == 0  # the same difference in every seed


def test_no_difference_at_all_is_a_p_value_of_one():
    same = np.random.default_rng(0).random((5, 10))
    result = compare(frame_of(ce=same, scl=same))
    assert (result.difference, result.p_value) == (0, 1)


def test_nothing_defined_is_nan_and_counted():
    result = compare(frame_of(ce=np.zeros((5, 3)), scl=np.full((5, 3), math.nan)))
    assert math.isnan(result.difference)
    assert math.isnan(result.p_value)
    assert (result.n_images, result.n_seeds, result.n_undefined) == (0, 0, 15)


def test_wrong_requests_are_refused():
    frame = frame_of(ce=np.zeros((1, 3)), scl=np.ones((1, 3)))
    with pytest.raises(ValueError, match=r"loss 'tl'.*Got \['ce', 'scl'\]"):
        compare(frame, a="tl")
    with pytest.raises(ValueError, match="unit"):
        compare(frame, unit="pixel")
    with pytest.raises(ValueError, match="adjusted_for"):
        compare(frame, adjusted_for={"size"})
    with pytest.raises(ValueError, match="without \\['model'\\]"):
        compare(frame, between="model")
    with pytest.raises(ValueError, match="share within a seed"):
        compare(frame.assign(seed=frame["loss"].map({"ce": 0, "scl": 1})))
    twice = pd.concat([frame, frame.assign(method="eigen-cam")])
    with pytest.raises(ValueError, match="one score for each"):
        compare(twice, method=None)


@pytest.mark.parametrize("n", [1, 2, 10, 45])
def test_holm_is_that_of_statsmodels(n):
    p = np.random.default_rng(n).uniform(size=n).round(1) ** 2  # with ties, zeros and ones
    assert holm(p) == pytest.approx(multipletests(p, method="holm")[1])


def test_holm_by_hand_and_nan_outside_the_family():
    assert holm([0.01, 0.04, 0.03, 0.005]).tolist() == pytest.approx([0.03, 0.06, 0.06, 0.02])
    with_nan = holm([0.01, math.nan, 0.04])
    assert math.isnan(with_nan[1])
    assert with_nan[[0, 2]].tolist() == pytest.approx([0.02, 0.04])
    assert np.isnan(holm([math.nan])).all()


@pytest.mark.parametrize("n", [1, 2, 10, 45])
def test_an_interval_of_holm_s_level_excludes_zero_exactly_where_holm_s_p_is_below_0_05(n):
    rng = np.random.default_rng(n)
    found = [estimate_of(rng.normal(shift, 1, size=50)) for shift in rng.uniform(0, 0.7, size=n)]
    p_values = [one.p_value() for one in found]
    levels = holm_levels([*p_values, math.nan])
    for one, level, p in zip(found, levels, holm(p_values)):
        low, high = one.interval(float(level))
        assert (low > 0 or high < 0) == (p < 0.05)
    assert levels[-1] == pytest.approx(1 - 0.05 / n)


def test_a_difference_stays_within_what_the_metric_allows():
    frame = frame_of(ce=np.zeros((2, 4)), scl=np.array([[1.0, 1, 1, 0.9], [0.2, 0.1, 0.3, 0.2]]))
    assert compare(frame).estimate.interval()[1] > 1
    assert compare(frame, range=(0.0, 1.0)).estimate.interval() == (-1, 1)
