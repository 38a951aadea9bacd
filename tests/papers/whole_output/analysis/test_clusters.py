import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

from xai_lib.data import planted
from xai_lib.papers.whole_output.analysis import clusters

NAN = float("nan")
LETTERS = tuple("abcde")
DOCUMENTS = [[0], [0, 1], [1, 0, 2], [3, 2], [4], [2, 3, 0, 1]]
TRUTH = [["cat", "rabbit"], ["mug", "bucket"], ["hammer", "axe"], ["house", "tree"], ["sailboat"], ["car"]]


def test_co_occurrence_is_shared_documents_over_those_of_either(corpus_of):
    frame = clusters.co_occurrence(corpus_of(partition=[[1, 3], [0], [4, 2]]))
    assert frame.index.tolist() == frame.columns.tolist() == ["b", "d", "a", "e", "c"]
    several = [set(found) for found in DOCUMENTS if len(found) > 1]
    for a, one in enumerate(LETTERS):
        for b, other in enumerate(LETTERS):
            either, both = sum(bool({a, b} & found) for found in several), sum({a, b} <= found for found in several)
            expected = NAN if a == b else both / either if either else 0
            assert frame.loc[one, other] == pytest.approx(expected, nan_ok=True)
    assert frame.loc["a", "b"] == 1 and frame.loc["a", "c"] == 2 / 4


def test_the_strongest_clusters_hold_most_documents_together(corpus_of):
    documents = [*DOCUMENTS, [2, 3], [3, 2, 4], [2, 0]]
    rows = clusters.strongest(corpus_of(documents), 5)
    assert rows.columns.tolist() == ["classes", "size", "documents"]
    assert rows.to_numpy().tolist() == [["c, d", 2, 4], ["a, b", 2, 3]]  # c, d: not the document with c alone
    assert clusters.strongest(corpus_of(documents), 1)["classes"].tolist() == ["c, d"]
    nothing = clusters.strongest(corpus_of(documents, [[label] for label in range(5)]), 5)
    assert nothing.empty and nothing.columns.tolist() == ["classes", "size", "documents"]


def test_the_papers_examples_are_looked_up_where_their_classes_are_known(corpus_of):
    classes = [*(name for names, _ in clusters._EXAMPLES for name in names), "crane"]
    number = classes.index
    partition = [
        [number("cello"), number("violin"), number("banjo")],
        [number("acoustic guitar"), number("electric guitar"), number("crane")],
        *([label] for label in range(5, len(classes) - 1)),
    ]
    rows = clusters.paper_examples(corpus_of(partition=partition, classes=tuple(classes))).set_index("classes")
    assert rows["together"].tolist() == [2, 2, 1, 1, 1, 1] and rows["size"].tolist() == [2, 3, 2, 2, 2, 2]
    assert rows.index[1] == "acoustic guitar, banjo, electric guitar"
    assert rows.loc["screwdriver, syringe", "section"] == "§3, Figure 1"
    assert clusters.paper_examples(corpus_of()).empty


def test_examples_and_clusters_are_set_against_wordnet(corpus_of):
    """Six classes: two in WordNet's one corner, four in its other, of which two are siblings."""
    classes = ("cello", "violin", "hare", "wood rabbit", "screwdriver", "syringe")
    steps = np.array([
        [0, 2, 9, 9, 9, 9], [2, 0, 9, 9, 9, 9], [9, 9, 0, 3, 6, 6], [9, 9, 3, 0, 6, 6], [9, 9, 6, 6, 0, 2],
        [9, 9, 6, 6, 2, 0],
    ])  # fmt: skip
    corpus = corpus_of(partition=[[0, 1], [2, 3, 4], [5]], classes=classes)
    rows = clusters.paper_examples(corpus, steps).set_index("classes")
    assert rows["steps"].tolist() == [2, 3, 2]
    assert rows["nearer"].tolist() == pytest.approx([2 / 15, 3 / 15, 2 / 15])
    found = clusters.against_wordnet(corpus, steps).set_index("clustering")
    assert found[["clusters", "pairs", "steps"]].to_numpy().tolist() == [[3, 4, 4.5], [3, 3, 2], [3, 4, 9]]
    assert found["siblings"].tolist() == pytest.approx([1 / 4, 2 / 3, 2 / 15])
    ari = adjusted_rand_score([0, 0, 1, 1, 1, 2], [0, 0, 1, 1, 2, 2])
    assert found["ari"].tolist() == pytest.approx([ari, 1, 0])


def test_clusterings_are_held_against_the_planted_truth(made_up, corpus_of):
    assert clusters.planted_truth() == TRUTH
    assert sorted(name for cluster in TRUTH for name in cluster) == sorted(planted.CLASSES)
    number = planted.CLASSES.index
    truth = [[number(name) for name in cluster] for cluster in TRUTH]
    found = {
        "perfect": truth,
        "merged": [[*truth[0], *truth[1]], *truth[2:4], [*truth[4], *truth[5]]],
        "alone": [[label] for label in range(10)],
        "shuffled": [[0, 2], [1, 3], [4, 6], [5, 7], [8], [9]],  # the right sizes, no right pair
        "wider": [[*truth[0], number("car")], *truth[1:5]],
        "together": [list(range(10))],
    }
    rows = clusters.against_truth(made_up.study(corpus=corpus_of(classes=planted.CLASSES, clusterings=found)))
    assert rows["network"].tolist() == ["seed 0"] * 6 + ["seed 1"] * 6
    rows = rows[rows["network"] == "seed 0"].set_index("clustering")
    assert rows.index.tolist() == list(found)
    assert rows["pairs"].tolist() == [4, 4, 0, 0, 4, 4] and rows["exact"].tolist() == [4, 2, 0, 0, 3, 0]
    assert rows["clusters"].tolist() == [6, 4, 10, 6, 5, 1]
    chance = 4 * 9 / 45  # 4 pairs of 45 are together in truth; of merged's 9, all 4 are
    assert rows.loc["merged", "ari"] == pytest.approx((4 - chance) / ((4 + 9) / 2 - chance))
    assert rows["ari"]["perfect"] == 1 and rows["ari"][["alone", "together"]].tolist() == [0, 0]
    assert rows.loc["shuffled", "ari"] == pytest.approx((0 - 16 / 45) / (4 - 16 / 45))


def test_other_clusterings_are_held_against_the_latent_tree(corpus_of):
    """Of the four documents with several classes, only a, b and c, d stand together in them in the latent tree."""
    found = {
        "average linkage": [[0, 1, 2, 3], [4]],
        "latent tree": [[0, 1], [2, 3], [4]],
        "spectral": [[0], [1], [2, 3, 4]],
    }
    rows = clusters.clusterings(corpus_of(clusterings=found), 2).set_index("clustering")
    assert rows.index.tolist() == list(found)
    assert rows.loc["latent tree"].to_dict() == {"clusters": 3, "largest": 2, "ari": 1, "changed": 0, "together": 1}
    # [0,1] and [3,2] stay; in [1,0,2] one of three pairs is put alike, in [2,3,0,1] two of six.
    one = rows.loc["average linkage"]
    assert one[["clusters", "largest", "changed"]].tolist() == [2, 4, 0.5]
    assert one["together"] == pytest.approx((1 + 1 + 1 / 3 + 2 / 6) / 4)
    # [0,1] falls apart; [1,0,2] and [2,3,0,1] lose it.
    other, chance = rows.loc["spectral"], 2 * 3 / 10
    assert other[["clusters", "largest", "changed"]].tolist() == [3, 3, 0.75]
    assert other["together"] == pytest.approx((0 + 1 + 2 / 3 + 5 / 6) / 4)
    assert other["ari"] == pytest.approx((1 - chance) / ((2 + 3) / 2 - chance))


@pytest.mark.parametrize("kind", ["OURS", "PRINTED"])
def test_the_effect_of_clusters_is_paired_image_by_image(study_of, made_up, kind):
    """An image counts once; where one clustering has no value for a pair, the difference does without the pair."""
    networks = getattr(made_up, kind)
    frames = made_up.frames(networks, n_images=5)
    frame = frames["clusterings"]
    tree, other, _ = made_up.CLUSTERINGS
    made_up.scale(frame, 1.5, metric="cdrop", clustering=other, base="rise", network=networks[0][0])
    made_up.put(frame, NAN, metric="cdrop", clustering=other, base="rise", index=0, class_=(0, 1, 2, 3))
    rows = clusters.effect_of_clusters(study_of({**frames, "clusterings": frame}, networks))
    models = dict.fromkeys(model for *_, model in networks)
    assert len(rows) == len(models) * 4 * 3 and rows[rows["clustering"] == tree]["difference"].isna().all()
    own = [name for name, _, model in networks if model == networks[0][2]]
    found = frame[(frame["metric"] == "cdrop") & (frame["base"] == "rise") & frame["network"].isin(own)]
    both = found.pivot(index=["network", "index", "class"], columns="clustering", values="value").dropna()
    expected = (both[other] - both[tree]).groupby(["network", "index"]).mean().groupby("index").mean().mean()
    rows = rows.set_index(["model", "base", "clustering"])
    row = rows.loc[networks[0][2], "rise", other]
    assert row["difference"] == pytest.approx(expected) and row["low"] < expected < row["high"] and row["n_images"] == 5
    where = {"base": "rise", "clustering": tree, "network": tuple(own)}
    row = rows.loc[networks[0][2], "rise", tree]
    assert row["mean"] == pytest.approx(made_up.mean_over_images(frame, metric="cdrop", **where))
    assert row["same_map"] == pytest.approx(made_up.mean_over_images(frame, metric="same-map", **where))
