"""Means and intervals: hand-computed cases, scipy as oracle, and coverage by simulation."""

import math
import time

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from xai_lib.statistics import mean_interval, summarise
from xai_lib.statistics.intervals import resampled_counts


def scores_of(table, **labels):
    """A table [S, n] as a tidy frame."""
    seeds, images = np.indices(np.shape(table))
    frame = pd.DataFrame({"seed": seeds.ravel(), "index": images.ravel(), "value": np.ravel(table)})
    return frame.assign(**{"loss": "ce", "method": "grad-cam", "metric": "complexity", **labels})


def test_means_are_taken_per_seed_and_then_over_seeds():
    # Seed 0 has one defined image (1.0), seed 1 has three (0, 0, 0): pooled 0.25, over seeds 0.5.
    table = [[1.0, math.nan, math.nan], [0.0, 0.0, 0.0]]
    row = summarise(scores_of(table)).iloc[0]
    assert row["mean"] == 0.5
    assert row["spread"] == pytest.approx(math.sqrt(0.5))
    assert (row["n_images"], row["n_seeds"], row["n_undefined"]) == (3, 2, 2)


def test_one_seed_has_no_spread_and_about_scipys_bootstrap_interval_over_images():
    values = np.random.default_rng(3).exponential(size=1000)
    oracle = stats.bootstrap((values,), np.mean, method="BCa", n_resamples=4000, rng=1).confidence_interval
    interval = mean_interval(values)
    assert [interval.low, interval.high] == pytest.approx(list(oracle), abs=0.01)
    assert math.isnan(interval.spread)


def test_when_images_agree_the_interval_over_seeds_is_students():
    seed_means = np.array([0.31, 0.36, 0.33, 0.40, 0.35])
    interval = mean_interval(np.repeat(seed_means[:, None], 50, axis=1))
    low, high = stats.t.interval(0.95, 4, seed_means.mean(), stats.sem(seed_means))
    assert (interval.low, interval.high) == pytest.approx((low, high))
    assert interval.spread == pytest.approx(seed_means.std(ddof=1))


@pytest.mark.parametrize("n_seeds", [2, 3, 5, 10])
@pytest.mark.parametrize("between_seeds", [0.05, 0.3])
def test_the_interval_covers_the_truth_with_images_crossed_with_seeds(n_seeds, between_seeds):
    rng = np.random.default_rng(n_seeds)
    size = (600, n_seeds, 60)
    seeds = between_seeds * rng.normal(size=(600, n_seeds, 1))
    images = 0.5 * rng.normal(size=(600, 1, 60))
    tables = seeds + images + 0.3 * rng.normal(size=size)
    covered = np.mean([i.low <= 0 <= i.high for i in map(mean_interval, tables)])
    assert 0.93 <= covered <= 0.995  # two seeds with little between them are on the safe side


def test_few_images_are_covered_too():
    tables = np.random.default_rng(5).normal(size=(2000, 1, 8))
    covered = np.mean([i.low <= 0 <= i.high for i in map(mean_interval, tables)])
    assert 0.93 <= covered <= 0.97


def test_neither_the_order_of_rows_nor_other_groups_change_a_number():
    rng = np.random.default_rng(2)
    ce, scl = scores_of(rng.normal(size=(3, 40))), scores_of(rng.normal(size=(3, 40)), loss="scl")
    both = pd.concat([ce, scl])
    whole = summarise(both)
    pd.testing.assert_frame_equal(whole, summarise(both.sample(frac=1, random_state=1)))
    pd.testing.assert_frame_equal(whole.iloc[:1], summarise(ce), rtol=1e-12)


def test_undefined_scores_are_counted_and_left_out():
    table = np.random.default_rng(4).normal(size=(2, 30))
    with_gaps = np.concatenate([table, np.full((2, 5), math.nan)], axis=1)
    plain, gaps = mean_interval(table), mean_interval(with_gaps)
    assert gaps.n_undefined == 10
    assert (gaps.mean, gaps.low, gaps.high, gaps.n_images) == (plain.mean, plain.low, plain.high, 30)
    nothing = summarise(scores_of(np.full((2, 3), math.nan))).iloc[0]
    assert math.isnan(nothing["mean"])
    assert math.isnan(nothing["low"])
    assert (nothing["n_undefined"], nothing["n_images"]) == (6, 0)


def test_gaps_in_single_seeds_do_not_pull_the_interval_towards_zero():
    rng = np.random.default_rng(6)
    table = 10 + rng.normal(size=(5, 200))
    table[rng.random(table.shape) < 0.3] = math.nan
    interval = mean_interval(table)
    assert interval.low < interval.mean < interval.high
    assert interval.high - interval.low < 0.5


def test_one_image_has_a_mean_and_no_interval():
    interval = mean_interval([0.25])
    assert interval.mean == 0.25
    assert math.isnan(interval.low)


def test_images_that_differ_between_seeds_are_not_called_undefined():
    frame = scores_of([[1.0, 2.0, 3.0], [1.0, 2.0, 3.0]]).drop(index=[5])
    row = summarise(frame).iloc[0]
    assert row["n_undefined"] == 0
    assert row["mean"] == pytest.approx((2.0 + 1.5) / 2)


def test_intervals_stay_within_the_range_of_their_metric():
    frame = scores_of(np.r_[np.full(30, 1.0), 0.9][None], metric="share")
    assert summarise(frame)["high"].item() > 1
    assert summarise(frame, ranges={"share": (0.0, 1.0)})["high"].item() < 1
    assert summarise(frame, ranges=(0.0, 1.0)).equals(summarise(frame, ranges={"share": (0.0, 1.0)}))
    assert summarise(frame, ranges={"another": (0.0, 1.0)}).equals(summarise(frame))


def test_group_columns_are_a_parameter():
    frame = pd.concat([scores_of([[1.0, 2.0]], angle=15), scores_of([[3.0, 5.0]], angle=30)])
    assert summarise(frame, by=["metric", "angle"])["mean"].tolist() == [1.5, 4.0]
    with pytest.raises(ValueError, match="one score for each"):
        summarise(frame)


def test_wrong_scores_are_refused():
    frame = scores_of([[1.0, 2.0]])
    with pytest.raises(ValueError, match="without \\['seed'\\]"):
        summarise(frame.drop(columns="seed"))
    with pytest.raises(ValueError, match="infinite"):
        summarise(frame.assign(value=[1.0, math.inf]))
    with pytest.raises(ValueError, match="missing labels in \\['loss'\\]"):
        summarise(frame.assign(loss=["ce", None]))


def test_resamples_come_in_chunks_that_each_draw_n():
    chunks = list(resampled_counts(5000))
    assert len(chunks) > 1
    assert sum(map(len, chunks)) == 2000
    assert all((chunk.sum(axis=1) == 5000).all() for chunk in chunks)
    assert np.concatenate(chunks)[:, 0].var() == pytest.approx(1, abs=0.15)  # a Poisson(1) count


def test_150_000_scores_take_seconds():
    names = ["loss", "seed", "method", "metric", "index"]
    cells = pd.MultiIndex.from_product([list("abc"), range(5), list("de"), list("fghij"), range(1000)], names=names)
    frame = cells.to_frame(index=False).assign(value=np.random.default_rng(0).random(150_000))
    start = time.perf_counter()
    assert len(summarise(frame)) == 30
    assert time.perf_counter() - start < 5
