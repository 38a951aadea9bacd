import numpy as np
import pytest
from scipy import stats

from xai_lib import statistics
from xai_lib.papers.dominance.analysis import hierarchies, training
from xai_lib.papers.dominance.method import share

NAN = float("nan")
BY = ["kind", "seed", "label", "cluster"]


def select(frame, **where):
    for column, value in where.items():
        frame = frame[frame[column] == value]
    assert len(frame), where
    return frame


def test_a_cluster_has_its_dominance_its_shares_and_the_means_of_its_images(hierarchies_of, made_up):
    frames = made_up.frames()
    of = hierarchies_of(frames)
    rows, ranked = training.clusters(of), hierarchies.ranked(of)
    assert len(rows) == 4 * len(made_up.LABELS) * len(made_up.NETWORKS) and not rows.duplicated(BY).any()
    for row in rows.to_dict("records"):
        where = {name: row[name] for name in BY}
        found = select(ranked, **where, clustering="k-means").squeeze()
        assert all(row[name] == found[name] for name in ("dominance", "rank", "low", "high"))
        counted = select(frames["shares"], **where, clustering="k-means").squeeze()
        assert all(row[name] == counted[name] for name in ("training", "evaluation", "training_share"))
        images = select(frames["images"], **where)
        assert len(images) == row["evaluation"]
        for name in ("training_distance", "logit", "probability"):
            assert row[name] == pytest.approx(sum(images[name]) / len(images))


def test_planted_modes_have_shares_but_no_means(hierarchies_of, made_up):
    frames = made_up.frames()
    of = hierarchies_of(frames)
    rows = training.clusters(of, "modes").set_index(BY)
    counted = select(frames["shares"], clustering="modes").set_index(BY)
    assert (rows["training_share"] == counted["training_share"].reindex(rows.index)).all() and "logit" not in rows
    assert set(training.correlations(of, "modes")["share"]) == {"training_share", "representation"}


def test_correlations_are_spearmans_over_the_clusters_of_each_class(hierarchies_of, made_up):
    of = hierarchies_of(made_up.frames())
    clusters, rows = training.clusters(of), training.correlations(of)
    assert len(rows) == 3 * len(made_up.LABELS) * len(made_up.NETWORKS)
    for row in rows.to_dict("records"):
        here = select(clusters, kind=row["kind"], seed=row["seed"], label=row["label"])
        assert row["correlation"] == pytest.approx(stats.spearmanr(here["dominance"], here[row["share"]]).statistic)


def test_over_classes_networks_are_averaged_first(hierarchies_of, made_up):
    frames = made_up.frames()
    here = {"kind": "tuned", "seed": 0, "label": "ship"}
    made_up.put(frames["mosaics"], "value", 0.5, **here)  # no correlation in one of its two networks
    made_up.put(frames["mosaics"], "value", 0.5, kind="ce", label="cat")  # none at all
    of = hierarchies_of(frames)
    clusters, rows = training.clusters(of), training.over_classes(of)
    assert [*rows[["kind", "share"]].itertuples(index=False, name=None)] == [
        (kind, name) for kind in ("tuned", "ce") for name in training.SHARES
    ]
    for row in rows.to_dict("records"):
        by_class = []
        for label in made_up.LABELS:
            values = []
            for _, group in select(clusters, kind=row["kind"], label=label).groupby("seed"):
                if group["dominance"].nunique() > 1:
                    values.append(stats.spearmanr(group["dominance"], group[row["share"]]).statistic)
            if values:
                by_class.append(np.mean(values))
        assert row["correlation"] == pytest.approx(np.mean(by_class))
        interval = statistics.mean_interval(np.array(by_class))
        assert row["low"] == pytest.approx(interval.low) and row["high"] == pytest.approx(interval.high)
        assert (row["classes"], row["positive"]) == (len(by_class), sum(value > 0 for value in by_class))
        assert row["networks"] == (2 if row["kind"] == "tuned" else 1)
        test = share.permutation_test(select(clusters, kind=row["kind"]), row["share"])
        assert row["p_value"] == test.p_value and row["correlation"] == pytest.approx(test.value)


def test_clusters_are_correlated_with_outputs_as_well(hierarchies_of, made_up):
    of = hierarchies_of(made_up.frames())
    clusters, rows = training.clusters(of), training.over_classes(of, training.OUTPUTS)
    assert rows["share"].tolist() == ["logit", "probability"] * 2
    for row in rows.to_dict("records"):
        here = select(clusters, kind=row["kind"])
        by_class = [
            np.mean([stats.spearmanr(part["dominance"], part[row["share"]]).statistic for _, part in of_class])
            for of_class in (select(here, label=label).groupby("seed") for label in made_up.LABELS)
        ]
        assert row["correlation"] == pytest.approx(np.mean(by_class)) and row["classes"] == 3
        assert row["p_value"] == share.permutation_test(here, row["share"]).p_value


def test_least_is_of_one_kind_at_a_time_and_its_numbers_count_classes(hierarchies_of, made_up):
    of = hierarchies_of(made_up.frames())
    clusters = training.clusters(of)
    for name in ("training_share", "representation"):
        rows = training.least(of, name)
        assert len(rows) == len(made_up.LABELS) * len(made_up.NETWORKS)
        for row in rows.to_dict("records"):
            here = select(clusters, kind=row["kind"], seed=row["seed"], label=row["label"]).set_index("cluster")
            assert (row["least_dominant"], row["fewest"]) == (here["dominance"].idxmin(), here[name].idxmin())
            assert row["share_of_least"] == here.loc[here["dominance"].idxmin(), name]
    numbers = training.least_in_numbers(of)
    assert [*numbers[["share", "kind", "seed"]].itertuples(index=False, name=None)] == [
        (name, *network) for name in ("training_share", "representation") for network in made_up.NETWORKS
    ]
    n = len(made_up.LABELS)
    assert numbers["same"].nunique() > 1
    for row in numbers.to_dict("records"):
        found = select(training.least(of, row["share"]), kind=row["kind"], seed=row["seed"])
        assert (row["same"], row["classes"]) == (found["same"].sum(), n) and row["expected"] == n / 4
        assert row["p_value"] == pytest.approx(stats.binomtest(row["same"], n, 1 / 4).pvalue)
        assert row["share_of_least"] == pytest.approx(found["share_of_least"].mean())


def test_shares_by_rank_are_means_over_the_networks_of_a_kind(hierarchies_of, made_up):
    frames = made_up.frames()
    made_up.put(frames["mosaics"], "value", NAN, second=3, label="cat")  # a cluster without a dominance has no rank
    of = hierarchies_of(frames)
    rows, clusters = training.by_rank(of, "tuned"), select(training.clusters(of), kind="tuned")
    assert len(rows) == 4 + 4 + 3
    for row in rows.to_dict("records"):
        shares = []
        for _, group in select(clusters, label=row["label"]).groupby("seed"):
            place = group["dominance"].sort_values(ascending=False).index[row["rank"] - 1]
            shares.append(group.loc[place, ["training_share", "representation"]])
        assert len(shares) == 2
        for name in ("training_share", "representation"):
            assert row[name] == pytest.approx(np.mean([one[name] for one in shares]))
    assert select(rows, label="cat")["rank"].max() == 3


@pytest.mark.filterwarnings("error")
def test_without_a_value_there_is_no_number(hierarchies_of, made_up):
    networks = made_up.NETWORKS[:1]
    frames = made_up.frames(networks)
    made_up.put(frames["mosaics"], "value", NAN)
    of = hierarchies_of(frames, networks)
    rows = training.over_classes(of)
    assert rows[["correlation", "low", "high", "p_value"]].isna().all(axis=None) and (rows["classes"] == 0).all()
    assert training.least(of).empty and training.least_in_numbers(of).empty and training.by_rank(of, "tuned").empty


@pytest.mark.filterwarnings("error")
def test_one_class_has_a_correlation_but_no_interval(hierarchies_of, made_up):
    networks = made_up.NETWORKS[:1]
    of = hierarchies_of(made_up.frames(networks, labels=("cat",)), networks)
    rows = training.over_classes(of)
    assert rows["correlation"].notna().all() and rows[["low", "high"]].isna().all(axis=None)
