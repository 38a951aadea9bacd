import itertools
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from xai_lib.papers.dominance.analysis import hierarchies, training
from xai_lib.papers.dominance.method import dominance, relative_dominance, training_share

NAN = float("nan")
BY = ["kind", "seed", "label", "cluster"]
ONE = (("tuned", 0),)


def test_a_cluster_has_its_dominance_its_shares_and_the_means_of_its_images(study_of, made_up, select):
    frames = made_up.frames()
    study = study_of(frames)
    rows = training.clusters(study)
    assert len(rows) == 4 * len(made_up.LABELS) * len(made_up.NETWORKS) and not rows.duplicated(BY).any()
    for row in rows.to_dict("records"):
        where = {name: row[name] for name in BY}
        found = select(hierarchies.ranked(study), **where, clustering="k-means").squeeze()
        assert all(row[name] == found[name] for name in ("dominance", "rank", "low", "high"))
        counted = select(frames["shares"], **where, clustering="k-means").squeeze()
        assert all(row[name] == counted[name] for name in ("training", "evaluation", "training_share"))
        images = select(frames["images"], **where)
        assert len(images) == row["evaluation"]
        for name in ("training_distance", "logit", "probability"):
            assert row[name] == pytest.approx(sum(images[name]) / len(images))


@pytest.mark.parametrize("names", [training.SHARES, training.OUTPUTS], ids=["shares", "outputs"])
def test_over_classes_networks_are_averaged_first(study_of, made_up, select, names):
    frames = made_up.frames()
    for where in ({"kind": "tuned", "seed": 0, "label": "ship"}, {"kind": "ce", "label": "cat"}):
        made_up.put(frames["mosaics"], "value", 0.5, **where)  # no correlation in one of two networks, or in the only
    study = study_of(frames)
    clusters, rows = training.clusters(study), training.over_classes(study, names)
    expected = [(kind, name) for kind in ("tuned", "ce") for name in names]
    assert [*rows[["kind", "share"]].itertuples(index=False, name=None)] == expected
    for row in rows.to_dict("records"):
        found = training_share.correlations(select(clusters, kind=row["kind"]), row["share"])
        by_class = [np.mean(of_class) for _, of_class in found.dropna().groupby("label")["correlation"]]
        assert (row["classes"], row["positive"]) == (len(by_class), sum(value > 0 for value in by_class))
        assert row["networks"] == (2 if row["kind"] == "tuned" else 1)
        test = training_share.permutation_test(select(clusters, kind=row["kind"]), row["share"])
        assert row["p_value"] == test.p_value() and row["correlation"] == pytest.approx(np.mean(by_class))
        assert (row["low"], row["high"]) == pytest.approx(test.interval())


def test_a_mean_of_zero_but_for_rounding_is_not_above_zero(study, monkeypatch):
    thirds = pd.DataFrame({"label": "cat", "correlation": [0.1, 0.2, -0.3]})
    assert thirds["correlation"].mean() > 0
    monkeypatch.setattr(training, "training_share", SimpleNamespace(**vars(training_share)))
    monkeypatch.setattr(training.training_share, "correlations", lambda *given: thirds)
    assert (training.over_classes(study)["positive"] == 0).all()


def test_numbers_are_of_one_kind_at_a_time(study, made_up, select):
    kinds = {"tuned", "ce"}
    of_kind = {kind: select(training.clusters(study), kind=kind) for kind in kinds}
    for kind in kinds:
        for name in training.SHARES:
            expected = training_share.correlations(of_kind[kind], name)
            found = select(training.correlations(study), kind=kind, share=name)
            assert found["correlation"].tolist() == expected["correlation"].tolist()
    least = training.least(study)
    assert set(least["kind"]) == set(training.correlations(study)["kind"]) == kinds and len(least) == 9
    for row in least.to_dict("records"):
        here = select(of_kind[row["kind"]], seed=row["seed"], label=row["label"]).set_index("cluster")
        assert (row["cluster"], row["fewest"]) == (here["dominance"].idxmin(), here["training_share"].idxmin())
        assert row["same"] == (row["cluster"] == row["fewest"]) and row["training"] == here["training"][row["cluster"]]


@pytest.mark.parametrize("name", ["training_share", "representation"])
def test_the_ends_of_the_hierarchies_are_set_against_dealt_ones(study, made_up, select, name):
    """In loops: relative dominance of each deal, with the shares of the real clusters."""
    shares, means = training.clusters(study), []
    numbers = select(training.ranks_in_numbers(study), share=name, kind="tuned").set_index("rank")
    for seed, label in itertools.product((0, 1), made_up.LABELS):
        where = {"kind": "tuned", "seed": seed, "label": label}
        share = select(shares, **where).sort_values("cluster")[name].to_numpy()
        pairs = select(hierarchies.pairs(study), **where, clustering=("k-means", "dealt"))
        for deal, here in pairs.groupby("deal"):
            found = share[np.argsort(-relative_dominance.relative(dominance.matrix(here)))]
            means.append((deal >= 0, found[-1], found[-2:].mean(), found[0], found[-1] == found.min()))
    means = pd.DataFrame(means, columns=["dealt", *training.RANKS]).astype(float).groupby("dealt").mean()
    for rank, row in numbers.iterrows():
        assert row["value"] == pytest.approx(means.loc[0, rank]) and row["dealt"] == pytest.approx(means.loc[1, rank])
        assert row["difference"] == pytest.approx(means.loc[0, rank] - means.loc[1, rank])
        assert row["low"] < row["difference"] < row["high"] and (row["classes"], row["networks"]) == (3, 2)


def test_the_exception_is_described_by_its_place_among_the_classes(study_of, made_up, select):
    frames = made_up.frames()
    made_up.put(frames["mosaics"], "value", 0.5, label="cat", kind="tuned")
    made_up.put(frames["mosaics"], "value", 0.51, label="cat", kind="tuned", first=0)  # the largest cluster dominates
    for cluster, share in enumerate((0.1, 0.3, 0.3, 0.3)):  # and has the fewest training images
        made_up.put(frames["shares"], "training_share", share, label="cat", kind="tuned", cluster=cluster)
    study = study_of(frames)
    found = training.exception(study, "tuned", "cat")
    correlations = select(training.correlations(study), kind="tuned", share="training_share")
    by_class = correlations.groupby("label")["correlation"].mean()
    assert found["correlation"] == pytest.approx(-1) and (found["below"], found["classes"]) == (0, 3)
    assert found["others"] == pytest.approx(by_class.drop("cat").mean())
    assert (found["narrower"], found["smallest"]) == (1, min(made_up.SIZES)) and found["spread"] == pytest.approx(0.005)
    assert training.exception(study, "tuned") is None  # no airplane


def test_shares_by_rank_are_means_over_the_networks_of_a_kind(study_of, made_up, select):
    frames, names = made_up.frames(), ["training_share", "representation"]
    made_up.put(frames["mosaics"], "value", NAN, second=3, label="cat")  # a cluster without a dominance has no rank
    study = study_of(frames)
    rows, clusters = training.by_rank(study, "tuned"), select(training.clusters(study), kind="tuned")
    assert len(rows) == 4 + 4 + 3 and select(rows, label="cat")["rank"].max() == 3
    for row in rows.to_dict("records"):
        ordered = select(clusters, label=row["label"]).sort_values("dominance", ascending=False)
        shares = ordered.groupby("seed").nth(row["rank"] - 1)[names]
        assert len(shares) == 2 and [row[name] for name in names] == pytest.approx(shares.mean().tolist())


@pytest.mark.filterwarnings("error")
def test_without_a_value_there_is_no_number_and_of_one_class_there_is_one(study_of, made_up):
    frames = made_up.frames(ONE)
    made_up.put(frames["mosaics"], "value", NAN)
    study = study_of(frames, ONE)
    rows = training.over_classes(study)
    assert rows[["correlation", "low", "high", "p_value"]].isna().all(axis=None) and (rows["classes"] == 0).all()
    assert training.least(study).empty and training.ranks_in_numbers(study)["difference"].isna().all()
    assert training.by_rank(study, "tuned").empty
    rows = training.over_classes(study_of(made_up.frames(ONE, labels=("cat",)), ONE))
    assert rows[["correlation", "low", "high"]].notna().all(axis=None)
