"""Rankings of methods: scipy as oracle for values and resamples, planted orders, undefined scores, several seeds."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from xai_lib.statistics import mean_ranks, metric_agreement, rank_stability
from xai_lib.statistics.intervals import percentile_interval, resampled_counts

UP = {"x": "higher", "y": "higher"}


def kendalls_w(judges):
    """W of m judges over k items, [m, k], by Friedman's statistic; a judge with a NaN is left out."""
    judges = judges[~np.isnan(judges).any(axis=1)]
    m, k = judges.shape
    return stats.friedmanchisquare(*judges.T).statistic / (m * (k - 1))


def unbiased(w, m):
    return (m * w - 1) / (m - 1)


@pytest.fixture
def noisy(frame_of):
    """Two metrics, two seeds, five methods, 30 images; y agrees with x in part."""
    rng = np.random.default_rng(0)
    skill = 0.3 * np.arange(5)[:, None]
    x = skill + rng.normal(size=(2, 5, 30))
    return x, 0.3 * x + rng.normal(size=(2, 5, 30))


def test_tau_and_its_resamples_are_scipys_of_the_mean_scores(noisy, frame_of):
    x, y = noisy
    row = metric_agreement(frame_of(x=x, y=y), UP).iloc[0]
    assert row["tau"] == pytest.approx(stats.kendalltau(x.mean(axis=(0, 2)), y.mean(axis=(0, 2))).statistic)
    counts = np.concatenate(list(resampled_counts(30))).astype(int)
    draws = [
        stats.kendalltau(*(np.repeat(v, count, axis=2).mean(axis=(0, 2)) for v in (x, y))).statistic for count in counts
    ]
    assert (row["low"], row["high"]) == pytest.approx(percentile_interval(np.array(draws)))
    assert (row["metric_a"], row["metric_b"], row["n_methods"], row["n_images"]) == ("x", "y", 5, 30)


def test_direction_is_best_to_worst(noisy, frame_of):
    x, _ = noisy
    same = metric_agreement(frame_of(x=x, y=2 * x + 1), UP).iloc[0]
    assert (same["tau"], same["low"], same["high"]) == (1, 1, 1)
    turned = metric_agreement(frame_of(x=x, y=x), {"x": "higher", "y": "lower"}).iloc[0]
    assert (turned["tau"], turned["low"], turned["high"]) == (-1, -1, -1)
    assert metric_agreement(frame_of(x=x, y=-x), {"y": "lower", "x": "higher"}).iloc[0]["tau"] == 1


def test_ties_are_tau_b_also_where_sums_differ_by_rounding(frame_of):
    x = np.array([[[0.1, 0.2, 0.3], [0.3, 0.2, 0.1], [0.6, 0.7, 0.8], [0.9, 0.9, 0.9]]])  # a and b tie
    y = np.array([[[0.0], [1], [2], [3]]]) + np.zeros((1, 4, 3))
    tau = metric_agreement(frame_of(x=x, y=y), UP).iloc[0]["tau"]
    assert tau == pytest.approx(stats.kendalltau([0, 0, 1, 2], [0, 1, 2, 3]).statistic)
    assert math.isnan(metric_agreement(frame_of(x=np.ones((1, 4, 3)), y=y), UP).iloc[0]["tau"])


def test_every_pair_once_in_the_order_given(noisy, frame_of):
    x, y = noisy
    better = {"z": "lower", "x": "higher", "y": "higher"}
    pairs = metric_agreement(frame_of(x=x, y=y, z=x, unused=x), better)
    assert pairs[["metric_a", "metric_b"]].to_numpy().tolist() == [["z", "x"], ["z", "y"], ["x", "y"]]
    assert pairs["tau"].tolist() == pytest.approx([-1, -pairs["tau"][2], pairs["tau"][2]])


def test_undefined_methods_leave_the_pair_and_are_counted(noisy, frame_of):
    x, y = noisy
    y[:, 1] = math.nan
    row = metric_agreement(frame_of(x=x, y=y), UP).iloc[0]
    kept = [0, 2, 3, 4]
    assert row["n_methods"] == 4
    expected = stats.kendalltau(x.mean(axis=(0, 2))[kept], y.mean(axis=(0, 2))[kept]).statistic
    assert row["tau"] == pytest.approx(expected)
    assert not math.isnan(row["low"])


def test_seeds_count_alike_whatever_is_undefined_in_them(frame_of):
    # Method a: 10 on the one image that seed 0 defines, 0 in seed 1: mean 5, ahead of b and c. By image it were 0.5.
    x = np.stack([np.full((2, 10), level) for level in (0.0, 1.0, 2.0)], axis=1)
    x[0, 0] = [10.0] + [math.nan] * 9
    y = np.array([5.0, 1, 2])[:, None] + np.zeros((2, 3, 10))
    assert metric_agreement(frame_of(x=x, y=y), UP).iloc[0]["tau"] == 1


def test_a_metric_with_fewer_images_is_ranked_on_those(noisy, frame_of):
    x, y = noisy
    y[..., 10:] = math.nan
    row = metric_agreement(frame_of(x=x, y=y), UP).iloc[0]
    expected = stats.kendalltau(x.mean(axis=(0, 2)), y[..., :10].mean(axis=(0, 2))).statistic
    assert (row["tau"], row["n_images"]) == (pytest.approx(expected), 10)


def test_w_and_its_resamples_are_kendalls_over_images(noisy, frame_of):
    x, _ = noisy
    x = np.round(x)  # ties
    x[0, 2, 4] = math.nan  # defined in the other seed
    x[:, 3, 7] = math.nan
    row = rank_stability(frame_of(x=x), {"x": "lower"}).iloc[0]
    with np.errstate(invalid="ignore"):
        judges = np.where(np.isnan(x[0]), x[1], np.where(np.isnan(x[1]), x[0], x.mean(axis=0))).T  # [n, M]
    assert row["w_images"] == pytest.approx(unbiased(kendalls_w(judges), 29))
    counts = np.concatenate(list(resampled_counts(30))).astype(int)
    drawn = np.array([kendalls_w(np.repeat(judges, count, axis=0)) for count in counts])
    assert (row["low"], row["high"]) == pytest.approx(percentile_interval(unbiased(unbiased(drawn, 29), 29)))
    assert (row["n_images"], row["n_seeds"], row["n_methods"]) == (29, 2, 5)


@pytest.mark.slow
@pytest.mark.parametrize("skill", [0.0, 0.5, 2.0])
def test_w_has_no_bias_and_its_interval_covers(frame_of, skill):
    rng = np.random.default_rng(4)
    drawn = lambda n: skill * np.arange(4.0)[:, None] + rng.normal(size=(4, n))  # noqa: E731
    truth = kendalls_w(drawn(200_000).T)
    found = pd.concat([rank_stability(frame_of(x=drawn(64)[None]), {"x": "higher"}) for _ in range(100)])
    assert found["w_images"].mean() == pytest.approx(truth, abs=0.01)
    assert (
        (found["low"] <= truth) & (truth <= found["high"])
    ).mean() >= 0.93 - 0.05  # 0.93, and twice the error of 100 draws


def test_planted_orders_are_stable_and_noise_is_not(frame_of):
    rng = np.random.default_rng(1)
    order = np.arange(5)[:, None] + 0.1 * rng.random((3, 5, 40))
    tables = rank_stability(frame_of(x=order, y=rng.normal(size=(3, 5, 40))), UP).set_index("metric")
    stable = tables.loc["x", ["w_images", "low", "high", "tau_seeds", "tau_halves"]]
    assert stable.astype(float).tolist() == pytest.approx([1] * 5)
    assert tables.loc["y", "high"] < 0.2
    assert abs(tables.loc["y", "tau_seeds"]) < 0.8
    assert abs(tables.loc["y", "tau_halves"]) < 0.6


def test_seeds_are_compared_two_by_two(frame_of):
    rng = np.random.default_rng(2)
    x = 0.3 * np.arange(5)[:, None] + rng.normal(size=(3, 5, 30))
    row = rank_stability(frame_of(x=x), {"x": "lower"}).iloc[0]
    pairs = ((0, 1), (0, 2), (1, 2))

    def taus(table):
        means = table.mean(axis=2)
        return np.mean([stats.kendalltau(means[p], means[q]).statistic for p, q in pairs])

    assert row["tau_seeds"] == pytest.approx(taus(x))
    assert math.isnan(rank_stability(frame_of(x=x[:1]), {"x": "lower"}).iloc[0]["tau_seeds"])


def test_a_seed_that_reverses_the_order_disagrees_with_the_other(frame_of):
    order = np.arange(4.0)[:, None] + np.zeros((4, 6))
    row = rank_stability(frame_of(x=np.stack([order, -1.5 * order])), {"x": "higher"}).iloc[0]
    assert (row["tau_seeds"], row["w_images"]) == (-1, 1)


def test_halves_share_no_image(frame_of):
    # On two images with opposite orders, each half is one image: any overlap would lift tau above -1.
    order = np.arange(4.0)
    row = rank_stability(frame_of(x=np.stack([order, -order], axis=-1)[None]), {"x": "higher"}).iloc[0]
    assert row["tau_halves"] == -1


def test_halves_are_of_the_images_the_metric_has(frame_of):
    rng = np.random.default_rng(3)
    x = np.arange(5)[:, None] * 0.2 + rng.normal(size=(1, 5, 40))
    padded = np.concatenate([x, np.full_like(x, math.nan)], axis=2)
    alone = rank_stability(frame_of(x=x), {"x": "higher"}).iloc[0]
    within = rank_stability(frame_of(x=padded, y=np.concatenate([x, x], axis=2)), UP).iloc[0]
    for column in ("w_images", "tau_halves", "n_images"):
        assert within[column] == pytest.approx(alone[column])


def test_too_little_to_rank_is_nan_not_an_error(frame_of):
    one_image = np.arange(4.0)[None, :, None]
    frame = frame_of(x=one_image, y=np.full((1, 4, 1), math.nan))
    stability = rank_stability(frame, UP)
    assert stability[["w_images", "low", "high", "tau_seeds", "tau_halves"]].isna().all(axis=None)
    assert stability["n_methods"].tolist() == [4, 0]
    same = metric_agreement(frame_of(x=one_image, y=one_image), UP).iloc[0]
    assert same["tau"] == 1
    assert math.isnan(same["low"])
    assert math.isnan(metric_agreement(frame, UP).iloc[0]["tau"])
    two = rank_stability(frame_of(x=np.random.default_rng(0).random((1, 2, 9))), {"x": "higher"})
    assert two["w_images"].isna().all()


def test_the_order_of_rows_does_not_matter(noisy, frame_of):
    frame = frame_of(x=noisy[0], y=noisy[1])
    shuffled = frame.sample(frac=1, random_state=0)
    pd.testing.assert_frame_equal(metric_agreement(frame, UP), metric_agreement(shuffled, UP))
    pd.testing.assert_frame_equal(rank_stability(frame, UP), rank_stability(shuffled, UP))


def test_wrong_metrics_methods_and_scores_are_refused(noisy, frame_of):
    frame, up = frame_of(x=noisy[0]), {"x": "higher"}
    for ask, message in (
        (lambda: metric_agreement(frame, {"x": "up"}), "'higher' or 'lower'"),
        (lambda: metric_agreement(frame, up | {"z": "lower"}), "every metric"),
        (lambda: mean_ranks(frame, up, ["a", "b", "z"], "x"), "every method"),
        (lambda: mean_ranks(frame, up, ["a", "b", "a"], "x"), "each method once"),
        (lambda: rank_stability(pd.concat([frame, frame]), up), "one score"),
        (lambda: rank_stability(frame.drop(columns="method"), up), "without"),
    ):
        with pytest.raises(ValueError, match=message):
            ask()
