"""Paired comparisons: scipy as oracle, hand-computed effect sizes, pairing, NaN, and the error rate by simulation."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests

from xai_lib.statistics import compare_differences, holm, paired_comparison


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


def test_five_seeds_are_tested_by_t_on_the_per_seed_differences():
    rng = np.random.default_rng(0)
    ce, scl = rng.normal(size=(5, 80)), rng.normal(0.2, 1, size=(5, 80))
    result = compare(frame_of(ce=ce, scl=scl))
    by_seed, by_image = (scl - ce).mean(axis=1), (scl - ce).mean(axis=0)
    assert result.difference == pytest.approx(by_seed.mean())
    assert result.test == "t over seeds"
    assert result.p_value == pytest.approx(stats.ttest_rel(scl.mean(axis=1), ce.mean(axis=1)).pvalue)
    assert result.p_images == pytest.approx(stats.wilcoxon(by_image).pvalue)
    assert result.d_seeds == pytest.approx(by_seed.mean() / by_seed.std(ddof=1))
    assert result.d_images == pytest.approx(by_image.mean() / by_image.std(ddof=1))
    assert result.superiority == pytest.approx((scl > ce).mean())
    assert (result.n_seeds, result.n_images, result.n_undefined, result.n_unpaired) == (5, 80, 0, 0)


def test_the_test_over_seeds_is_student_s():
    result = compare_differences(np.array([[0.1], [0.2], [0.3], [0.2], [0.1]]) + np.zeros((5, 4)), a="a", b="b")
    assert result.p_value == pytest.approx(stats.ttest_1samp([0.1, 0.2, 0.3, 0.2, 0.1], 0).pvalue)


def test_few_seeds_give_an_interval_and_no_p_value_over_seeds():
    rng = np.random.default_rng(1)
    result = compare(frame_of(ce=rng.normal(size=(2, 50)), scl=rng.normal(size=(2, 50))))
    assert math.isnan(result.p_value)
    assert result.test == "none (fewer than 5 seeds)"
    assert result.p_images > 0
    assert result.low < result.difference < result.high


def test_pairing_is_by_image_and_seed_not_by_row():
    rng = np.random.default_rng(2)
    base = rng.normal(size=(5, 30))
    frame = frame_of(ce=base, scl=base + 0.1 * np.arange(1, 6)[:, None])
    shuffled = frame.sample(frac=1, random_state=3)
    assert compare(frame) == compare(shuffled)
    result = compare(shuffled)
    assert result.superiority == 1
    assert result.difference == pytest.approx(0.3)
    assert result.high - result.low == pytest.approx(2 * stats.t.ppf(0.975, 4) * 0.1 * math.sqrt(2.5 / 5))


def test_swapping_the_conditions_mirrors_everything():
    rng = np.random.default_rng(4)
    frame = frame_of(ce=rng.normal(size=(5, 40)), scl=rng.exponential(size=(5, 40)))
    one, other = compare(frame), compare(frame, a="ce", b="scl")
    assert other.difference == pytest.approx(-one.difference)
    assert (other.low, other.high) == pytest.approx((-one.high, -one.low))
    assert other.superiority == pytest.approx(1 - one.superiority)
    assert other.p_value == pytest.approx(one.p_value)


def test_undefined_pairs_are_left_out_on_both_sides_and_counted():
    ce = np.array([[0.0, 100.0, 2.0, math.nan]])
    scl = np.array([[1.0, math.nan, 4.0, math.nan]])
    result = compare(frame_of(ce=ce, scl=scl))
    assert result.difference == 1.5
    assert (result.n_undefined, result.n_images) == (2, 2)


def test_images_and_seeds_without_a_partner_are_left_out_and_counted():
    frame = frame_of(ce=np.zeros((3, 4)), scl=np.ones((2, 4)))
    frame = frame[~((frame["loss"] == "scl") & (frame["seed"] == 0) & (frame["index"] == 0))]
    result = compare(frame)
    assert (result.n_seeds, result.n_unpaired, result.n_undefined) == (2, 5, 0)
    assert result.difference == 1


def test_unit_image_speaks_about_these_networks():
    rng = np.random.default_rng(5)
    a, b = rng.normal(0.5, 1, size=(2, 60)), rng.normal(size=(2, 60))
    result = compare(frame_of(scl=a, ce=b), unit="image")
    assert result.interval_over == "images"
    assert result.p_value == result.p_images == pytest.approx(stats.wilcoxon((a - b).mean(axis=0)).pvalue)
    assert result.test == "Wilcoxon signed-rank over images"


def test_methods_can_be_compared_instead_of_losses():
    frame = frame_of(ce=np.random.default_rng(0).random((5, 10)))
    frame = pd.concat([frame, frame.assign(method="eigen-cam", value=frame["value"] - 1)])
    result = paired_comparison(frame, metric="pixel-flipping", between="method", a="grad-cam", b="eigen-cam")
    assert result.difference == pytest.approx(1)
    assert result.p_value == 0  # the same difference in every seed
    assert math.isnan(result.d_seeds)


def test_no_difference_at_all_is_a_p_value_of_one():
    same = np.random.default_rng(0).random((5, 10))
    result = compare(frame_of(ce=same, scl=same))
    assert (result.difference, result.p_value, result.p_images, result.superiority) == (0, 1, 1, 0.5)
    assert math.isnan(result.d_images)


def test_nothing_defined_is_nan_and_counted():
    result = compare(frame_of(ce=np.zeros((5, 3)), scl=np.full((5, 3), math.nan)))
    assert math.isnan(result.difference)
    assert math.isnan(result.p_value)
    assert math.isnan(result.superiority)
    assert (result.n_images, result.n_seeds, result.n_undefined) == (0, 0, 15)


def test_equal_losses_are_found_different_in_one_case_of_twenty_however_many_images():
    # Pooling images would call nearly every pair of trainings different: seeds differ, losses do not.
    rng = np.random.default_rng(6)
    found, pooled = [], []
    for _ in range(300):
        differences = 0.1 * rng.normal(size=(5, 1)) + 0.1 * rng.normal(size=(5, 300))
        result = compare_differences(differences, a="a", b="b")
        found.append(result.p_value < 0.05)
        pooled.append(result.p_images < 0.05)
    assert 0.02 <= np.mean(found) <= 0.085
    assert np.mean(pooled) > 0.5


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
