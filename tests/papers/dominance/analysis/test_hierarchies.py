import itertools

import numpy as np
import pytest
from scipy import stats

from xai_lib.papers.dominance.analysis import hierarchies

NAN = float("nan")
GROUP = ["kind", "seed", "clustering", "label"]


def means_of(rows, n_clusters=4):
    """Dominance [P,P] in loops: the mean share of the row's cluster on its mosaics with the column's."""
    square = np.full((n_clusters, n_clusters), NAN)
    for a, b in itertools.combinations(range(n_clusters), 2):
        shares = [
            row.value for row in rows.itertuples() if (row.first, row.second) == (a, b) and not np.isnan(row.value)
        ]
        if shares:
            square[a, b] = sum(shares) / len(shares)
            square[b, a] = 1 - square[a, b]
    return square


def relative_of(rows, n_clusters=4):
    """Mean of each row of :func:`means_of` over the pairs that have a value [P]."""
    lines = [line[~np.isnan(line)] for line in means_of(rows, n_clusters)]
    return np.array([line.mean() if len(line) else NAN for line in lines])


def select(frame, **where):
    for column, value in where.items():
        frame = frame[frame[column] == value]
    assert len(frame), where
    return frame


def holm(p_values):
    ordered, running, corrected = sorted(p_values), 0, {}
    for rank, p in enumerate(ordered):
        running = max(running, min(1, (len(ordered) - rank) * p))
        corrected[p] = running
    return [corrected[p] for p in p_values]


def groups_of(frames, networks, clusterings, labels):
    """The rows of each network, clustering and class, as tests take them apart."""
    for (kind, seed), name, label in itertools.product(networks, clusterings, labels):
        yield (kind, seed, name, label), select(frames["mosaics"], kind=kind, seed=seed, clustering=name, label=label)


def test_pairs_and_clusters_are_those_of_each_network_clustering_and_class(hierarchies_of, made_up):
    frames = made_up.frames()
    of = hierarchies_of(frames)
    pairs, ranked = hierarchies.pairs(of).set_index(GROUP), hierarchies.ranked(of).set_index(GROUP)
    groups = list(groups_of(frames, made_up.NETWORKS, made_up.CLUSTERINGS, made_up.LABELS))
    assert len(pairs) == 6 * len(groups) and len(ranked) == 4 * len(groups)
    for key, rows in groups:
        means, here = means_of(rows), pairs.loc[key]
        np.testing.assert_allclose(here["dominance"], means[here["first"], here["second"]])
        tables = [select(rows, first=a, second=b)["value"].dropna() for a, b in zip(here["first"], here["second"])]
        p_values = [stats.ttest_1samp(table, 0.5).pvalue for table in tables]
        np.testing.assert_allclose(here["p_t"], p_values)
        np.testing.assert_allclose(here["p_t_holm"], holm(p_values))
        assert here["n"].tolist() == [len(table) for table in tables]
        np.testing.assert_allclose(ranked.loc[key, "dominance"], relative_of(rows))


def test_matrices_are_of_the_first_network_and_the_classes_asked_for(hierarchies_of, made_up):
    frames = made_up.frames()
    of = hierarchies_of(frames)
    found = hierarchies.matrices(of, "tuned", ["cat", "ship"])
    assert list(found) == ["cat", "ship"]
    for label, (dominance, p_values) in found.items():
        rows = select(frames["mosaics"], kind="tuned", seed=0, clustering="k-means", label=label)
        means = means_of(rows)
        np.fill_diagonal(means, 0.5)
        np.testing.assert_allclose(dominance, means)
        np.testing.assert_array_equal(p_values, p_values.T)
        here = hierarchies.pairs_of(of, "tuned", label)
        assert p_values[1, 3] == select(here, first=1, second=3)["p_t_holm"].item()


def test_ranked_matrices_have_the_most_dominant_cluster_first(hierarchies_of, made_up):
    frames = made_up.frames()
    of = hierarchies_of(frames)
    found = hierarchies.ranked_matrices(of, "ce")
    assert list(found) == list(made_up.LABELS)  # not in the order of the alphabet
    plain = hierarchies.matrices(of, "ce", made_up.LABELS)
    for label, (dominance, p_values) in found.items():
        rows = select(frames["mosaics"], kind="ce", seed=0, clustering="k-means", label=label)
        order = np.argsort(-relative_of(rows))
        assert order.tolist() != sorted(order)
        for square, expected in zip((dominance, p_values), plain[label]):
            np.testing.assert_array_equal(square, [[expected[i, j] for j in order] for i in order])


def test_a_class_in_a_line(hierarchies_of, made_up):
    frames = made_up.frames(clusterings=("k-means",), missing=0)
    made_up.order(frames, [0.1, 1.2, -0.7, 0.4], noise=0.02)
    here = {"kind": "tuned", "seed": 0, "clustering": "k-means", "label": "cat"}
    for first, second, share in ((0, 1, 0.6), (0, 2, 0.4), (1, 2, 0.6)):  # 0 over 1 over 2 over 0
        made_up.put(frames["mosaics"], "value", share, first=first, second=second, **here)
    made_up.put(frames["mosaics"], "value", 0.6, second=3, **here)  # and 3 below all of them
    of = hierarchies_of(frames)
    rows = hierarchies.classes(of, "tuned")
    assert rows["label"].tolist() == list(made_up.LABELS)
    rows = rows.set_index("label")
    ranked = hierarchies.ranked(of)
    for label, row in rows.iterrows():
        clusters = select(ranked, kind="tuned", seed=0, clustering="k-means", label=label)
        relative = relative_of(select(frames["mosaics"], **here | {"label": label}))
        assert row["least"] == relative.argmin() and row["dominance_least"] == pytest.approx(relative.min())
        assert row["dominance_most"] == pytest.approx(relative.max())
        least = clusters[clusters["cluster"] == row["least"]].squeeze()
        assert (row["low"], row["high"], row["certain"]) == (least["low"], least["high"], least["last"])
        pairs = hierarchies.pairs_of(of, "tuned", label)
        assert row["decided"] == (pairs["p_t_holm"] < 0.05).sum() and row["pairs"] == 6
    assert (rows["triples"] == 4).all()
    assert rows["cyclic"].to_dict() == {"ship": 0, "bird": 0, "cat": 1}
    assert rows.loc["ship", ["most", "least"]].tolist() == [1, 2]
    assert rows.loc["cat", "least"] == 3 and rows.loc["cat", "certain"] == 1
    # one number a cluster says it all but for noise; going round it cannot say: 0.1 is left of each of the three
    assert rows.loc["ship", "misfit"] < 0.03 and rows.loc["cat", "misfit"] == pytest.approx(0.1, abs=1e-6)


@pytest.mark.filterwarnings("error")
def test_clusters_without_a_value_are_neither_the_most_nor_the_least_dominant(hierarchies_of, made_up):
    frames = made_up.frames(made_up.NETWORKS[:1], clusterings=("k-means",), missing=0)
    made_up.order(frames, [1, 2, 0, 3], noise=0.01)
    mosaics = frames["mosaics"]
    made_up.put(mosaics, "value", NAN, first=(2,), label="ship")
    made_up.put(mosaics, "value", NAN, second=(2,), label="ship")
    made_up.put(mosaics, "value", NAN, label="bird")
    of = hierarchies_of(frames)
    rows = hierarchies.classes(of, "tuned").set_index("label")
    assert rows.loc["ship", ["most", "least"]].tolist() == [3, 0]  # not 2, of which nothing is known
    assert rows.loc["cat", ["most", "least"]].tolist() == [3, 2]
    unknown = ["dominance_most", "dominance_least", "low", "high", "certain", "misfit"]
    assert rows.loc["bird", unknown].isna().all() and (rows.loc["bird", ["decided", "triples"]] == 0).all()
    spread = select(hierarchies.spread(of), kind="tuned", clustering="k-means", label="bird")
    assert spread[["spread", "range", "mean"]].isna().all(axis=None) and (spread["n"] == 36).all()
    assert (spread["n_undefined"] == 36).all() and (spread["significant"] == 0).all()


def test_spread_says_how_far_pairs_lie_from_one_half(hierarchies_of, made_up):
    frames = made_up.frames(missing=0.2)
    of = hierarchies_of(frames)
    found = hierarchies.spread(of).set_index(GROUP)
    pairs = hierarchies.pairs(of).set_index(GROUP)
    groups = list(groups_of(frames, made_up.NETWORKS, made_up.CLUSTERINGS, made_up.LABELS))
    assert len(found) == len(groups)
    for key, rows in groups:
        means, row, here = means_of(rows), found.loc[key], pairs.loc[key]
        above = means[np.triu_indices(4, 1)]
        assert row["spread"] == pytest.approx(np.sqrt(np.mean([(share - 0.5) ** 2 for share in above])))
        assert row["mean"] == pytest.approx(above.mean())
        relative = relative_of(rows)
        assert row["range"] == pytest.approx(relative.max() - relative.min())
        assert (row["n"], row["n_undefined"]) == (36, rows["value"].isna().sum())
        for name, column in (
            ("significant", "p_t"),
            ("significant_holm", "p_t_holm"),
            ("significant_wilcoxon", "p_wilcoxon_holm"),
        ):
            assert row[name] == pytest.approx(sum(p < 0.05 for p in here[column]) / 6)
        cyclic = sum(
            (means[i, j] > 0.5) == (means[j, k] > 0.5) == (means[k, i] > 0.5)
            for i, j, k in itertools.combinations(range(4), 3)
        )
        assert (row["cyclic"], row["triples"]) == (cyclic, 4)


def test_significance_with_and_without_holm(hierarchies_of, made_up):
    """Of six pairs one is far from 0.5 and another a little: 2 of 6 before Holm's correction, 1 of 6 after it."""
    frames = made_up.frames((("ce", 0),), clusterings=("k-means",), missing=0)
    here = {"kind": "ce", "seed": 0, "clustering": "k-means", "label": "cat"}
    step = np.array([-2, -1, 0, 0, 1, 2])
    made_up.put(frames["mosaics"], "value", np.tile(0.5 + 0.01 * step, 6), **here)
    for (first, second), center, width in (((0, 3), 0.8, 0.01), ((1, 2), 0.53, 0.014)):
        made_up.put(frames["mosaics"], "value", center + width * step, first=first, second=second, **here)
    of = hierarchies_of(frames, (("ce", 0),))
    assert hierarchies.classes(of, "ce").set_index("label").loc["cat", "decided"] == 1
    row = select(hierarchies.spread(of), **here).squeeze()
    assert (row["significant"], row["significant_holm"], row["significant_wilcoxon"]) == (2 / 6, 1 / 6, 0)


def test_variants_are_compared_with_the_papers_way(hierarchies_of, made_up):
    frames = made_up.frames(missing=0.1)
    rows = hierarchies.variants(hierarchies_of(frames))
    by = ["explainer", "resized", "scaling"]
    assert [tuple(row) for row in rows[by].itertuples(index=False)] == list(made_up.VARIANTS)
    networks = [network for network in made_up.NETWORKS if network[0] == "tuned"]
    groups = [
        {"kind": kind, "seed": seed, "label": label} for (kind, seed) in networks for label in reversed(made_up.LABELS)
    ]
    for row in rows.to_dict("records"):
        spreads, correlations, same = [], [], []
        for group in groups:
            here = select(frames["variants"], **group, **{name: row[name] for name in by})
            paper = select(frames["variants"], **group, explainer="grad-cam", resized=False, scaling="relu")
            above = means_of(here)[np.triu_indices(4, 1)]
            spreads.append(np.sqrt(((above - 0.5) ** 2).mean()))
            mine, theirs = relative_of(here), relative_of(paper)
            correlations.append(stats.spearmanr(mine, theirs).statistic)
            same.append(mine.argmin() == theirs.argmin())
        assert row["spread"] == pytest.approx(np.mean(spreads))
        assert row["correlation"] == pytest.approx(np.mean(correlations))
        assert row["same_least"] == np.mean(same)
        of_variant = select(frames["variants"], **{name: row[name] for name in by})
        assert (row["n"], row["n_undefined"]) == (len(of_variant), of_variant["value"].isna().sum())
    assert (rows.loc[0, "correlation"], rows.loc[0, "same_least"]) == (1, 1)
    assert rows.loc[1:, "same_least"].between(0, 1, inclusive="neither").any()


@pytest.mark.filterwarnings("error")
def test_variants_without_values_have_no_number_and_agree_in_nothing(hierarchies_of, made_up):
    frames = made_up.frames(missing=0)
    variants = frames["variants"]
    made_up.order(frames, [1, 2, 0, 3], column="variants")
    made_up.put(variants, "value", NAN, explainer="eigen-cam", scaling="min-max")
    made_up.put(variants, "value", NAN, label="ship")  # by no explainer
    made_up.put(variants, "value", NAN, explainer="eigen-cam", label="cat")
    rows = hierarchies.variants(hierarchies_of(frames)).set_index(["explainer", "resized", "scaling"])
    assert rows.loc[("eigen-cam", False, "min-max"), ["spread", "correlation", "same_least"]].isna().all()
    rest = rows.drop(("eigen-cam", False, "min-max"))
    assert (rest["same_least"] == 1).all() and (rest["correlation"] == 1).all() and (rest["spread"] > 0.1).all()


def test_two_trainings_are_compared_over_images(hierarchies_of, made_up):
    networks = (("tuned", 0), ("tuned", 1), ("scl", 0), ("tuned", 2), ("scl", 1))
    frames = made_up.frames(networks, clusterings=("k-means",))
    rows = hierarchies.between_trainings(hierarchies_of(frames, networks)).set_index(["kind", "a", "b", "label"])
    expected = {}
    for kind, a, b in (("tuned", 0, 1), ("tuned", 0, 2), ("tuned", 1, 2), ("scl", 0, 1)):
        for label in made_up.LABELS:
            sides = []
            for seed in (a, b):
                here = {"kind": kind, "seed": seed, "label": label}
                relative = relative_of(select(frames["mosaics"], clustering="k-means", **here))
                images = select(frames["images"], **here)
                sides.append({row.index: relative[row.cluster] for row in images.itertuples(index=False)})
            shared = sorted(sides[0])
            assert shared == sorted(sides[1])
            pairs = [(sides[0][index], sides[1][index]) for index in shared]
            expected[kind, a, b, label] = stats.spearmanr(pairs).statistic
    assert rows["correlation"].to_dict() == pytest.approx(expected)


@pytest.mark.filterwarnings("error")
def test_one_training_alone_has_nothing_to_compare_with(hierarchies_of, made_up):
    networks = (("tuned", 0), ("ce", 0))
    rows = hierarchies.between_trainings(hierarchies_of(made_up.frames(networks), networks))
    assert rows.empty and list(rows) == ["kind", "a", "b", "label", "correlation"]


@pytest.mark.filterwarnings("error")
def test_one_class_and_one_pair_of_clusters(hierarchies_of, made_up):
    networks = (("tuned", 0),)
    frames = made_up.frames(networks, labels=("cat",), sizes=(3, 1), missing=0)
    made_up.order(frames, [0, 1], noise=0.01)
    of = hierarchies_of(frames, networks)
    row = hierarchies.classes(of, "tuned").squeeze()
    assert (row["most"], row["least"], row["pairs"], row["triples"], row["cyclic"]) == (1, 0, 1, 0, 0)
    assert row["misfit"] == pytest.approx(0, abs=1e-6)
    assert len(hierarchies.ranked_matrices(of, "tuned")["cat"][0]) == 2
    assert set(hierarchies.variants(of)["n"]) == {6}


def test_a_mean_share_is_that_of_the_pairs_first_cluster(hierarchies_of, made_up):
    """The larger one, as K-means' clusters are numbered by size: here all of them dominate the smaller ones."""
    networks = (("tuned", 0),)
    frames = made_up.frames(networks, clusterings=("k-means",), missing=0)
    made_up.order(frames, [3, 2, 1, 0])
    rows = hierarchies.spread(hierarchies_of(frames, networks))
    assert (rows.loc[rows["clustering"] == "k-means", "mean"] > 0.7).all()
