import numpy as np
import pandas as pd
import pytest

from xai_lib.papers.saliency.analysis import printed, scores
from xai_lib.papers.saliency.method import lineup

NAN = float("nan")


@pytest.fixture
def frames(made_up):
    return made_up.frames(n_images=6, n_seeds=2)


def test_table_1_stands_beside_print_in_our_units(study_of, frames):
    found = printed.table_1(study_of(frames)).set_index(["metric", "method"])
    for key, value in {
        ("average-increase", "grad-cam"): 0.444,
        ("average-drop", "grad-cam"): 0.124,  # printed as its complement, 87.6
        ("average-gain", "score-cam"): 0.217,
        ("insertion", "rise"): 0.650,
        ("deletion", "fake-cam"): 0.384,
        ("monotonicity", "gradient"): -0.19,
    }.items():
        row = found.loc[key]
        assert row["published"] == pytest.approx(value)
    assert set(found.index.get_level_values("metric")) == {*lineup.TABLE_1, "monotonicity-quantus"}
    assert "difference" not in found
    ranks = found.loc["insertion", "published_rank"]
    assert ranks[["grad-cam", "score-cam", "iba", "fake-cam", "gradient"]].tolist() == [1, 2, 3, 7, 10]
    assert found.loc["deletion", "published_rank"]["integrated-gradients"] == 1 and ranks.notna().sum() == 10
    values = found.loc["insertion", "mean"][list(lineup.PAPER)]
    assert found.loc["insertion", "rank"][list(lineup.PAPER)].equals(values.rank(ascending=False))


def test_methods_beyond_the_papers_have_no_published_value(study_of, frames):
    for table in (printed.table_1, printed.table_2, printed.table_3, printed.table_4):
        rows = table(study_of(frames))
        inside = rows["method"].isin(lineup.PAPER)
        assert rows.loc[inside, "published"].notna().all() and rows.loc[~inside, "published"].isna().all()
        assert inside.any() and not inside.all()


def test_table_2_has_the_three_classes(study_of, made_up, frames):
    made_up.put(frames["fidelity"], 0.25, metric="insertion", method="grad-cam", target="predicted")
    made_up.put(frames["fidelity"], 9, metric="insertion", reading="black")
    rows = printed.table_2(study_of(frames))
    assert len(rows) == 5 * 23 * 3
    found = rows.set_index(["metric", "method", "target"])
    predicted = found.loc[("insertion", "grad-cam", "predicted")]
    assert (predicted["mean"], predicted["published"]) == pytest.approx((0.25, 0.752))
    assert found.loc[("insertion", "grad-cam", "ground-truth"), "published"] == pytest.approx(0.668)
    assert found.loc[("average-drop", "rise", "least-probable"), "published"] == pytest.approx(0.117)
    assert found["mean"].max() < 1  # other readings stay out


def test_table_3_has_robustness_and_complexity(study_of, frames):
    found = printed.table_3(study_of(frames)).set_index(["metric", "method"])
    assert found.loc[("max-sensitivity", "guided-backprop"), "published"] == pytest.approx(1.22)
    assert found.loc[("sparseness", "lime"), "published"] == pytest.approx(0.723)
    assert found.loc[("effective-complexity", "lime"), "published"] == pytest.approx(26506.4 / 224**2)
    assert found.index.get_level_values("metric").unique().tolist() == list(lineup.TABLE_3)


def test_table_4_averages_the_settings_of_a_transformation(study_of, made_up, frames):
    here = {"metric": "average-gain", "method": "fake-cam", "transform": "resize"}
    for setting, value in zip((0.75, 0.5, 0.375, 0.25), (0.1, 0.2, 0.3, 0.8)):
        made_up.put(frames["transformed"], value, setting=setting, **here)
    rows = printed.table_4(study_of(frames))
    assert len(rows) == 5 * 14 * 4
    found = rows.set_index(["metric", "method", "transform"])
    gain = found.loc[("average-gain", "fake-cam", "resize")]
    assert (gain["mean"], gain["published"]) == pytest.approx((0.35, 0.905))
    assert gain["n_images"] == 6 and "swapped" in gain["erratum"]
    assert found.loc[("average-drop", "fake-cam", "resize"), "published"] == pytest.approx(0.98)
    assert found.loc[("deletion", "grad-cam", "crop"), "published"] == pytest.approx(0.212)


def test_tables_are_in_the_order_of_the_pages(study_of, frames):
    rows = printed.table_1(study_of(frames))
    assert rows["metric"].unique().tolist() == [*lineup.TABLE_1, "monotonicity-quantus"]
    for _, group in rows.groupby("metric"):
        assert group["method"].tolist() == list(lineup.ALL)


def test_by_setting_keeps_the_settings_in_their_order(study_of, made_up, frames):
    here = {"metric": "insertion", "method": "rise", "transform": "rotation"}
    made_up.put(frames["transformed"], 0.1, setting=90.0, **here)
    rows = printed.by_setting(study_of(frames))
    assert rows.loc[rows["transform"] == "resize", "setting"].unique().tolist() == [0.75, 0.5, 0.375, 0.25]
    rows = rows[(rows["metric"] == "insertion") & (rows["method"] == "rise") & (rows["transform"] == "rotation")]
    assert rows["setting"].tolist() == [15.0, 45.0, 90.0, 180.0]
    assert rows["mean"].round(1).tolist() == [0.5, 0.5, 0.1, 0.5]


def test_networks_weigh_alike_however_many_of_their_scores_are_undefined(study_of, made_up, frames):
    """One network scores 1 on its only image, the other 0 on all six: a half, not a seventh."""
    here = {"metric": "insertion", "method": "rise", "transform": "crop", "setting": 0.9}
    made_up.put(frames["transformed"], 0.0, seed=1, **here)
    made_up.put(frames["transformed"], NAN, seed=0, **here)
    made_up.put(frames["transformed"], 1.0, seed=0, index=3, **here)
    rows = printed.by_setting(study_of(frames)).set_index(["method", "transform", "setting", "metric"])
    assert rows.loc[("rise", "crop", 0.9, "insertion"), "mean"] == 0.5


def test_unprinted_has_the_median_beside_the_mean(study_of, made_up, frames):
    gaps = {"metric": "completeness", "method": "lime"}
    for seed, values in enumerate([(1, 1, 1, 1, 1, 1000), (3, 3, 3, 3, 3, NAN)]):
        for index, value in enumerate(values):
            made_up.put(frames["fidelity"], value, seed=seed, index=index, **gaps)
    rows = printed.unprinted(study_of(frames), ("local-accuracy", "completeness"))
    row = rows.set_index(["metric", "method"]).loc[("completeness", "lime")]
    assert row["median"] == 2 and row["mean"] == pytest.approx((5 * 2 + 1000) / 6)
    assert row["n_undefined"] == 1
    assert rows["metric"].unique().tolist() == ["local-accuracy", "completeness"]


def test_a_leaderboard_has_means_but_the_median_where_a_mean_says_nothing(study_of, made_up, frames):
    made_up.put(frames["fidelity"], 1e6, metric=("completeness", "insertion"), method="iba", index=0)
    made_up.put(frames["repeated"], NAN, metric="monotonicity", method="uniform")
    study = study_of(frames)
    wide = printed.leaderboard(study, ("insertion", "completeness", "monotonicity")).set_index("method")
    assert wide.index.tolist() == list(lineup.ALL)
    assert wide.columns.tolist() == ["insertion", "completeness (median)", "monotonicity"]
    assert wide.loc["iba", "completeness (median)"] == pytest.approx(0.5, abs=0.02)
    assert wide.loc["iba", "insertion"] == pytest.approx(1e6 / 6, rel=1e-3)
    assert np.isnan(wide.loc["uniform", "monotonicity"]) and wide["monotonicity"].notna().sum() == len(lineup.ALL) - 1


def test_a_metric_that_was_not_computed_is_not_present(study_of, made_up, frames):
    kept = frames["fidelity"][~made_up.rows(frames["fidelity"], metric=lineup.LOCALISATION)]
    study = study_of({**frames, "fidelity": kept})
    assert scores.present(study) == tuple(name for name in lineup.METRICS if name not in lineup.LOCALISATION)
    assert scores.present(study_of(frames)) == lineup.METRICS


def test_scores_are_those_of_the_true_class_and_the_repeated_ones(study_of, frames):
    found = scores.scores(study_of(frames))
    assert not found.duplicated(["seed", "method", "index", "metric"]).any()
    assert set(found["metric"]) == {"probability", *lineup.METRICS}
    plain = frames["fidelity"]
    plain = plain[(plain["target"] == "ground-truth") & (plain["reading"] == "absolute")]
    assert len(found) == len(plain) + (frames["repeated"]["reading"] == "absolute").sum()
    pd.testing.assert_series_equal(found["value"][: len(plain)], plain["value"].reset_index(drop=True))
