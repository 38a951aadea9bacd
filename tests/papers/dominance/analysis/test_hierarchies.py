import itertools

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from xai_lib.papers.dominance.analysis import hierarchies
from xai_lib.papers.dominance.method import dominance, relative_dominance

NAN = float("nan")
GROUP = ["kind", "seed", "clustering", "label"]
ONE = (("tuned", 0),)


def relative_of(rows):
    """Relative dominance [P] of the clusters of one class."""
    return relative_dominance.relative(dominance.matrix(dominance.pairs(rows)))


def test_each_network_clustering_and_class_has_its_pairs_clusters_and_spread(study_of, made_up, select):
    frames = made_up.frames(missing=0.2)
    study = study_of(frames)
    found = {name: getattr(hierarchies, name)(study).set_index(GROUP) for name in ("pairs", "ranked", "spread")}
    groups = list(itertools.product(made_up.NETWORKS, made_up.CLUSTERINGS, made_up.LABELS))
    n, n_dealt = len(groups), len(made_up.NETWORKS) * len(made_up.LABELS) * made_up.DEALS
    assert [len(frame) for frame in found.values()] == [6 * (n + n_dealt), 4 * n, n + n_dealt]
    assert (found["spread"].loc[:, :, "dealt"]["deal"].value_counts() == 9).all()
    for (kind, seed), clustering, label in groups:
        rows = select(frames["mosaics"], kind=kind, seed=seed, clustering=clustering, label=label)
        pairs, ranked, spread = (frame.loc[kind, seed, clustering, label] for frame in found.values())
        expected = dominance.pairs(rows)
        pd.testing.assert_frame_equal(pairs.reset_index(drop=True)[list(expected)], expected)
        pd.testing.assert_frame_equal(ranked.reset_index(drop=True), relative_dominance.hierarchy(rows))
        share = pairs["dominance"]  # of the pair's first cluster: the larger one, of those by K-means
        expected = (share - 0.5).abs().mean(), share.mean(), np.ptp(ranked["dominance"])
        assert tuple(spread[["spread", "mean", "range"]]) == pytest.approx(expected)
        assert (spread["n"], spread["n_undefined"]) == (36, rows["value"].isna().sum())
        for name, column in {"significant": "p_t", "significant_holm": "p_t_holm"}.items():
            assert spread[name] == pytest.approx(sum(p < 0.05 for p in pairs[column]) / 6)
        cyclic = relative_dominance.cyclic_triples(dominance.matrix(pairs))
        assert (spread["cyclic"], spread["triples"]) == cyclic and spread["cyclic_share"] == cyclic[0] / cyclic[1]
        centres = select(frames["centres"], kind=kind, seed=seed, label=label)["distance"]
        similar = stats.spearmanr(abs(share - 0.5), centres).statistic if clustering == "k-means" else NAN
        assert spread["similar"] == pytest.approx(similar, nan_ok=True)
        nearest = abs(share - 0.5).to_numpy()[centres.to_numpy().argmin()] if clustering == "k-means" else NAN
        assert spread["nearest"] == pytest.approx(nearest, nan_ok=True)
    assert found["spread"]["significant"].sum() > found["spread"]["significant_holm"].sum()  # none is for another


def test_matrices_are_of_the_first_network_by_number_or_by_rank(study, made_up, select):
    for kind, labels in (("tuned", ["cat", "ship"]), ("ce", list(made_up.LABELS))):
        found = hierarchies.matrices(study, kind, labels)
        assert list(found) == labels
        for label, both in found.items():
            here = hierarchies.pairs_of(study, kind, label)
            assert set(here["seed"]) == {0} and set(here["clustering"]) == {"k-means"}
            for square, column in zip(both, ("dominance", "p_t_holm")):
                np.testing.assert_array_equal(square, dominance.matrix(here, column))
    ranked = hierarchies.ranked_matrices(study, "ce")
    assert list(ranked) == labels  # not in the order of the alphabet
    for label, squares in ranked.items():
        clusters = select(hierarchies.ranked(study), kind="ce", seed=0, clustering="k-means", label=label)
        order = np.argsort(-clusters["dominance"].to_numpy())
        assert order.tolist() != sorted(order)
        for square, expected in zip(squares, found[label]):
            np.testing.assert_array_equal(square, expected[np.ix_(order, order)])


def test_a_class_in_a_line(study_of, made_up, select):
    frames = made_up.frames(clusterings=("k-means",), missing=0)
    made_up.order(frames["mosaics"], [0.1, 1.2, -0.7, 0.4], noise=0.02)
    here = {"kind": "tuned", "seed": 0, "clustering": "k-means", "label": "cat"}
    for first, second, share in ((0, 1, 0.6), (0, 2, 0.4), (1, 2, 0.6)):  # 0 over 1 over 2 over 0
        made_up.put(frames["mosaics"], "value", share, first=first, second=second, **here)
    made_up.put(frames["mosaics"], "value", 0.6, second=3, **here)  # and 3 below all of them
    study = study_of(frames)
    rows = hierarchies.classes(study, "tuned")
    assert rows["label"].tolist() == list(made_up.LABELS)
    rows = rows.set_index("label")
    for label, row in rows.iterrows():
        clusters = select(hierarchies.ranked(study), **here | {"label": label})
        relative = relative_of(select(frames["mosaics"], **here | {"label": label}))
        assert row["least"] == relative.argmin() and row["dominance_least"] == pytest.approx(relative.min())
        assert row["dominance_most"] == pytest.approx(relative.max())
        least = clusters[clusters["cluster"] == row["least"]].squeeze()
        assert (row["low"], row["high"], row["certain"]) == (least["low"], least["high"], least["last"])
        decided = (hierarchies.pairs_of(study, "tuned", label)["p_t_holm"] < 0.05).sum()
        assert (row["decided"], row["pairs"], row["triples"]) == (decided, 6, 4)
    assert rows["cyclic"].to_dict() == {"ship": 0, "bird": 0, "cat": 1}
    assert rows.loc["ship", ["most", "least"]].tolist() == [1, 2]
    assert rows.loc["cat", "least"] == 3 and rows.loc["cat", "certain"] == 1


@pytest.mark.filterwarnings("error")
def test_clusters_without_a_value_are_neither_the_most_nor_the_least_dominant(study_of, made_up, select):
    frames = made_up.frames(ONE, clusterings=("k-means",), missing=0)
    made_up.order(frames["mosaics"], [1, 2, 0, 3], noise=0.01)
    for where in ({"label": "ship", "first": 2}, {"label": "ship", "second": 2}, {"label": "bird"}):
        made_up.put(frames["mosaics"], "value", NAN, **where)
    study = study_of(frames)
    rows = hierarchies.classes(study, "tuned").set_index("label")
    assert rows.loc["ship", ["most", "least"]].tolist() == [3, 0]  # not 2, of which nothing is known
    assert rows.loc["cat", ["most", "least"]].tolist() == [3, 2]
    unknown = ["dominance_most", "dominance_least", "low", "high", "certain"]
    assert rows.loc["bird", unknown].isna().all() and (rows.loc["bird", ["decided", "triples"]] == 0).all()
    spread = select(hierarchies.spread(study), label="bird", clustering="k-means", kind="tuned", seed=0).squeeze()
    assert spread[["spread", "range", "mean"]].isna().all()
    assert spread[["n", "n_undefined", "significant"]].tolist() == [36, 36, 0]


def test_variants_are_compared_with_the_papers_way(study_of, made_up, select):
    frames = made_up.frames(missing=0.1)
    rows = hierarchies.variants(study_of(frames))
    by = ["explainer", "size", "scaling"]
    assert [tuple(row) for row in rows[by].itertuples(index=False)] == list(made_up.VARIANTS)
    for row in rows.to_dict("records"):
        found, of_variant = [], select(frames["variants"], **{name: row[name] for name in by})
        for seed, label in itertools.product((0, 1), made_up.LABELS):
            here = select(of_variant, seed=seed, label=label)
            paper = dict(zip(by, ("grad-cam", "rescaled", "relu")))
            paper = select(frames["variants"], kind="tuned", seed=seed, label=label, **paper)
            spread = (dominance.pairs(here)["dominance"] - 0.5).abs().mean()
            mine, theirs = relative_of(here), relative_of(paper)
            found.append((spread, stats.spearmanr(mine, theirs).statistic, mine.argmin() == theirs.argmin()))
        assert (row["spread"], row["correlation"], row["same_least"]) == pytest.approx(tuple(np.mean(found, axis=0)))
        assert (row["n"], row["n_undefined"]) == (len(of_variant), of_variant["value"].isna().sum())
    assert (rows.loc[0, "correlation"], rows.loc[0, "same_least"]) == (1, 1)
    assert rows.loc[1:, "same_least"].between(0, 1, inclusive="neither").any()


@pytest.mark.filterwarnings("error")
def test_variants_without_values_have_no_number_and_agree_in_nothing(study_of, made_up):
    frames = made_up.frames(missing=0)
    made_up.order(frames["variants"], [1, 2, 0, 3])
    for where in ({"explainer": "eigen-cam", "scaling": "min-max"}, {"label": "ship"}):  # one by no explainer
        made_up.put(frames["variants"], "value", NAN, **where)
    made_up.put(frames["variants"], "value", NAN, explainer="eigen-cam", label="cat")
    rows = hierarchies.variants(study_of(frames)).set_index(["explainer", "size", "scaling"])
    assert rows.loc[("eigen-cam", "rescaled", "min-max"), ["spread", "correlation", "same_least"]].isna().all()
    rest = rows.drop(("eigen-cam", "rescaled", "min-max"))
    assert (rest["same_least"] == 1).all() and (rest["correlation"] == 1).all() and (rest["spread"] > 0.1).all()


def test_two_trainings_are_compared_over_images(study_of, made_up, select):
    networks = (("tuned", 0), ("tuned", 1), ("scl", 0), ("tuned", 2), ("scl", 1))
    frames = made_up.frames(networks, clusterings=("k-means",))
    rows = hierarchies.between_trainings(study_of(frames, networks)).set_index(["kind", "a", "b", "label"])

    def of_images(**here):
        images, relative = select(frames["images"], **here), relative_of(select(frames["mosaics"], **here))
        return relative[images.sort_values("index")["cluster"]]

    expected = {
        (kind, a, b, label): stats.spearmanr(*(of_images(kind=kind, seed=s, label=label) for s in (a, b))).statistic
        for kind, a, b in (("tuned", 0, 1), ("tuned", 0, 2), ("tuned", 1, 2), ("scl", 0, 1))
        for label in made_up.LABELS
    }
    assert rows["correlation"].to_dict() == pytest.approx(expected)
