"""Controls that are and are not preferred, mean ranks, ranks over several metrics."""

import math

import numpy as np
import pytest
from scipy import stats

from xai_lib.statistics import fooled, mean_ranks, nemenyi, overall_ranks, paired_comparison
from xai_lib.statistics.estimate import estimate_of
from xai_lib.statistics.leaderboard import MEAN_RANK


def test_a_control_that_always_wins_fools_one_that_always_loses_does_not(frame_of):
    rng = np.random.default_rng(0)
    table = rng.random((2, 4, 30))
    table[:, 0] += 2
    table[:, 1] -= 2
    result = fooled(frame_of(x=table), {"x": "higher"}, ["a", "b"], ["c", "d"]).set_index("control")
    assert result.loc["a", ["superiority", "high", "rank", "verdict"]].tolist() == [1, 1, 1, "fooled"]
    assert result.loc["a", "low"] == pytest.approx(0.0125 ** (1 / 30))  # two claims: 97.5 %
    assert result.loc["b", ["superiority", "low", "rank", "verdict"]].tolist() == [0, 0, 3, "not fooled"]
    turned = fooled(frame_of(x=table), {"x": "lower"}, ["a", "b"], ["c", "d"]).set_index("control")
    assert turned["verdict"].tolist() == ["not fooled", "fooled"]
    assert turned["rank"].tolist() == [3, 1]


def test_superiority_counts_methods_images_and_ties_of_the_seeds_average(frame_of):
    rng = np.random.default_rng(1)
    x = np.round(rng.normal(size=(2, 4, 25)), 0)
    x[:, 2, 3] = math.nan
    row = fooled(frame_of(x=x), {"x": "higher"}, ["a"], ["b", "c", "d"]).iloc[0]
    mean = x.mean(axis=0)
    wins = np.where(np.isnan(mean[1:]), math.nan, (mean[0] > mean[1:]) + 0.5 * (mean[0] == mean[1:]))
    per_image = np.nanmean(wins, axis=0)
    assert row["superiority"] == pytest.approx(per_image.mean())
    assert (row["low"], row["high"]) == pytest.approx(estimate_of(per_image, range=(0.0, 1.0)).interval())
    assert (row["n_methods"], row["n_images"]) == (4, 25)


def test_a_control_like_the_others_is_undecided(frame_of):
    row = fooled(frame_of(x=np.random.default_rng(2).random((1, 3, 60))), {"x": "lower"}, ["a"], ["b", "c"]).iloc[0]
    assert row["low"] < 0.5 < row["high"]
    assert row["verdict"] == "undecided"
    tied = fooled(frame_of(x=np.ones((1, 3, 9))), {"x": "lower"}, ["a"], ["b", "c"]).iloc[0]
    assert (tied["superiority"], tied["rank"], tied["verdict"]) == (0.5, 1, "undecided")


@pytest.mark.slow
def test_in_a_table_of_nulls_hardly_ever_is_anything_fooled(frame_of):
    """19 metrics, 5 controls: uncorrected intervals called some cell of nearly every such table fooled."""
    rng = np.random.default_rng(3)
    names = {f"m{n}": "higher" for n in range(19)}
    found = []
    for _ in range(40):
        tables = {name: rng.normal(size=(1, 8, 100)) for name in names}
        result = fooled(frame_of(**tables), names, list("abcde"), list("fgh"))
        found.append((result["verdict"] != "undecided").any())
    assert np.mean(found) <= 0.05 + 2 * (0.05 * 0.95 / 40) ** 0.5


def test_rank_is_by_mean_and_undefined_rivals_are_not_counted(frame_of):
    x = np.array([[[0.5, 0.5], [0.9, 0.3], [math.nan, math.nan], [0.4, 0.0]]])
    row = fooled(frame_of(x=x), {"x": "higher"}, ["a"], ["b", "c", "d"]).iloc[0]
    assert (row["rank"], row["n_methods"], row["superiority"]) == (2, 3, 0.75)
    undefined = fooled(frame_of(x=x), {"x": "higher"}, ["c"], ["a", "b", "d"]).iloc[0]
    assert math.isnan(undefined["rank"])
    assert math.isnan(undefined["superiority"])
    assert (undefined["n_methods"], undefined["n_images"], undefined["verdict"]) == (3, 0, "undecided")


def test_one_image_decides_nothing(frame_of):
    row = fooled(frame_of(x=np.array([[[2.0], [1], [0]]])), {"x": "higher"}, ["a"], ["b", "c"]).iloc[0]
    assert (row["superiority"], row["verdict"]) == (1, "undecided")


def test_a_control_cannot_be_informed(frame_of):
    with pytest.raises(ValueError, match="each method once"):
        fooled(frame_of(x=np.ones((1, 3, 4))), {"x": "higher"}, ["a"], ["a", "b"])


def test_nemenyi_has_the_published_critical_values():
    # Demšar 2006, Table 5(a): q for k = 4 is 2.569; his example has N = 14 data sets and CD = 1.25.
    values = np.random.default_rng(0).normal(size=(4, 14))
    critical = nemenyi(values)
    assert critical == pytest.approx(2.569 * math.sqrt(4 * 5 / (6 * 14)), abs=1e-3)
    values = np.concatenate([values, np.full((4, 1), math.nan)], axis=1)
    assert nemenyi(values) == critical


@pytest.mark.parametrize("better", ["higher", "lower"])
def test_mean_ranks_are_of_the_images_on_which_all_are_defined(frame_of, better):
    rng = np.random.default_rng(3)
    x = np.array([0, 0, 1, 3])[:, None] + rng.normal(size=(2, 4, 40))
    x[:, 1, 5] = math.nan
    frame = frame_of(x=x, y=rng.normal(size=(2, 4, 40)))
    table = x.mean(axis=0) * (1 if better == "higher" else -1)
    expected = stats.rankdata(-table[:, ~np.isnan(table).any(axis=0)], axis=0).mean(axis=1)
    ranks, apart = mean_ranks(frame, {"x": better}, list("abcd"), "x")
    assert ranks["mean_rank"].is_monotonic_increasing
    assert ranks.set_index("method").loc[list("abcd"), "mean_rank"].to_numpy() == pytest.approx(expected)
    assert ranks["method"][0] == ("d" if better == "higher" else ranks["method"][0])
    assert apart == nemenyi(table)


def test_methods_that_a_metric_leaves_undefined_are_out_and_too_few_are_nan(frame_of):
    x = np.random.default_rng(5).random((1, 4, 20))
    x[:, 3] = math.nan
    y = x.copy()
    y[:, 2] = math.nan
    better = {"x": "higher", "y": "higher"}
    three, two = (mean_ranks(frame_of(x=x, y=y), better, list("abcd"), name) for name in better)
    assert set(three[0]["method"]) == set("abc") and three[1] > 0
    assert two[0]["mean_rank"].isna().all() and math.isnan(two[1])


def test_overall_ranks_average_ranks_over_metrics_on_shared_images(frame_of):
    x = np.array([[[1.0, 1, 5], [2, 2, 5], [3, math.nan, 6]]])  # best: c b a on image 0; image 1 left out
    y = np.array([[[0.1, 0.1, 0.1], [0.2, 0.2, 0.2], [0.0, 0.0, 0.3]]])  # lower better: c a b, then a b c
    better = {"x": "higher", "y": "lower"}
    result = overall_ranks(frame_of(x=x, y=y), better, list("abc"))
    table = result.pivot(index="method", columns="index", values="value")
    assert table.to_dict() == {0: {"a": 2.5, "b": 2.5, "c": 1.0}, 2: {"a": 1.75, "b": 2.25, "c": 2.0}}
    assert set(result["metric"]) == {MEAN_RANK}
    only = overall_ranks(frame_of(x=x, y=y), {"y": "lower"}, ["c", "a"])
    assert only.pivot(index="method", columns="index", values="value").loc["c"].tolist() == [1, 1, 2]


def test_overall_ranks_go_into_a_paired_comparison_seed_by_seed(frame_of):
    x = np.arange(3.0)[:, None] + np.zeros((2, 3, 8))
    x[1, :, 5] = math.nan
    ranks = overall_ranks(frame_of(x=x), {"x": "higher"}, list("abc"))
    result = paired_comparison(ranks, metric=MEAN_RANK, a="c", b="a", between="method", unit="image")
    assert (result.difference, result.n_seeds, result.n_images) == (-2, 2, 8)
    assert len(ranks) == 3 * (8 + 7)


def test_no_shared_image_names_what_is_undefined(frame_of):
    x = np.ones((1, 3, 4))
    y = x.copy()
    y[:, 1] = math.nan
    with pytest.raises(ValueError, match="'b' under 'y', on 100% of the images"):
        overall_ranks(frame_of(x=x, y=y), {"x": "higher", "y": "lower"}, list("abc"))
