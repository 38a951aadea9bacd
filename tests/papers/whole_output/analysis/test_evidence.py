from collections import defaultdict
from statistics import fmean

import numpy as np
import pandas as pd
import pytest
import torch

from xai_lib.data import planted
from xai_lib.papers.whole_output import experiment
from xai_lib.papers.whole_output.analysis import evidence
from xai_lib.papers.whole_output.experiment.explanations import Outputs

NAN = float("nan")
LETTERS = ("a", "b", "c", "d", "e")
DOCUMENTS = [[0], [0, 1], [1, 0, 2], [3, 2], [4], [2, 3, 0, 1]]
PARTITION = [[0, 1], [2, 3], [4]]
TRUTH = [["cat", "rabbit"], ["mug", "bucket"], ["hammer", "axe"], ["house", "tree"], ["sailboat"], ["car"]]


@pytest.fixture
def corpus_of(monkeypatch):
    """Function (documents, partition, class names) -> a corpus with these clusters."""

    def build(documents=DOCUMENTS, partition=PARTITION, classes=LETTERS):
        monkeypatch.setattr(experiment, "partition", lambda corpus: partition)
        return experiment.Corpus("five letters", classes, "key", (), lambda: documents)

    return build


def test_documents_and_clusters_are_counted(made_up, corpus_of):
    expected = {
        "documents": 6,
        "of_one": 2,
        "mean_length": (2 + 3 + 2 + 4) / 4,
        "longest": 4,
        "clusters": 3,
        "largest": 2,
        "alone": 1,
    }
    corpus = corpus_of()
    assert evidence.corpus_row(corpus) == expected
    rows = evidence.corpora(made_up.study(made_up.PRINTED, corpus))
    assert rows["network"].tolist() == ["googlenet", "resnet50"]
    assert rows.drop(columns="network").to_dict("records") == [expected, expected]


def test_co_occurrence_is_shared_documents_over_those_of_either(corpus_of):
    frame = evidence.co_occurrence(corpus_of(partition=[[1, 3], [0], [4, 2]]))
    assert frame.index.tolist() == frame.columns.tolist() == ["b", "d", "a", "e", "c"]
    several = [set(found) for found in DOCUMENTS if len(found) > 1]
    for a, one in enumerate(LETTERS):
        for b, other in enumerate(LETTERS):
            either = sum(bool({a, b} & found) for found in several)
            both = sum({a, b} <= found for found in several)
            expected = NAN if a == b else both / either if either else 0
            assert frame.loc[one, other] == pytest.approx(expected, nan_ok=True)
    assert frame.loc["a", "b"] == 1 and frame.loc["a", "c"] == 2 / 4


def test_the_strongest_clusters_hold_most_documents_together(corpus_of):
    documents = [*DOCUMENTS, [2, 3], [3, 2, 4], [2, 0]]
    rows = evidence.strongest(corpus_of(documents), 5)
    assert rows.to_dict("records") == [
        {"classes": "c, d", "size": 2, "documents": 4},  # not the one with c alone
        {"classes": "a, b", "size": 2, "documents": 3},
    ]
    assert evidence.strongest(corpus_of(documents), 1)["classes"].tolist() == ["c, d"]
    nothing = evidence.strongest(corpus_of(documents, [[label] for label in range(5)]), 5)
    assert nothing.empty and nothing.columns.tolist() == ["classes", "size", "documents"]


def test_the_papers_examples_are_looked_up(corpus_of):
    classes = [*(name for names, _ in evidence._EXAMPLES for name in names), "crane"]
    number = classes.index
    partition = [
        [number("cello"), number("violin"), number("banjo")],
        [number("acoustic guitar"), number("electric guitar"), number("crane")],
        *([label] for label in range(5, len(classes) - 1)),
    ]
    rows = evidence.paper_examples(corpus_of(partition=partition, classes=tuple(classes))).set_index("classes")
    assert rows["together"].tolist() == [2, 2, 1, 1, 1, 1] and rows["size"].tolist() == [2, 3, 2, 2, 2, 2]
    assert rows.index[1] == "acoustic guitar, banjo, electric guitar"
    assert rows.loc["screwdriver, syringe", "section"] == "§3, Figure 1"


def test_the_truth_is_what_the_planted_data_have():
    assert evidence.planted_truth() == TRUTH
    assert sorted(name for cluster in TRUTH for name in cluster) == sorted(planted.CLASSES)


def test_clusterings_are_held_against_the_planted_truth(made_up, corpus_of, monkeypatch):
    number = planted.CLASSES.index
    truth = [[number(name) for name in cluster] for cluster in TRUTH]
    merged = [[*truth[0], *truth[1]], *truth[2:4], [*truth[4], *truth[5]]]
    alone = [[label] for label in range(10)]
    shuffled = [[0, 2], [1, 3], [4, 6], [5, 7], [8], [9]]  # the right sizes, no right pair
    wider = [[*truth[0], number("car")], *truth[1:5]]
    corpus = corpus_of(classes=planted.CLASSES)
    found = {"perfect": truth, "merged": merged, "alone": alone, "shuffled": shuffled, "wider": wider}
    found["together"] = [list(range(10))]
    asked = []
    monkeypatch.setattr(experiment, "clusterings_of", lambda corpus, repeats: asked.append((corpus, repeats)) or found)
    study = made_up.study(corpus=corpus)
    rows = evidence.against_truth(study)
    assert asked == [(corpus, study.run.whole_output.stability_repeats)] * 2
    assert rows["network"].tolist() == ["seed 0"] * 6 + ["seed 1"] * 6
    rows = rows[rows["network"] == "seed 0"].set_index("clustering")
    assert rows["pairs"].to_dict() == {
        **{"perfect": 4, "merged": 4, "alone": 0, "shuffled": 0, "wider": 4, "together": 4},
    }
    assert rows["exact"].to_dict() == {
        **{"perfect": 4, "merged": 2, "alone": 0, "shuffled": 0, "wider": 3, "together": 0},
    }
    assert rows["clusters"].tolist() == [6, 4, 10, 6, 5, 1]
    # 4 pairs of 45 are together in truth; of merged's 9, all 4 are.
    chance = 4 * 9 / 45
    assert rows.loc["merged", "ari"] == pytest.approx((4 - chance) / ((4 + 9) / 2 - chance))
    assert rows["ari"]["perfect"] == 1 and rows["ari"][["alone", "together"]].tolist() == [0, 0]
    assert rows.loc["shuffled", "ari"] == pytest.approx((0 - 16 / 45) / (4 - 16 / 45))


def test_random_clusters_are_near_chance(made_up, corpus_of, monkeypatch):
    rng = np.random.default_rng(0)
    corpus = corpus_of(classes=planted.CLASSES)
    drawn = {}
    for draw in range(200):
        order = rng.permutation(10).tolist()
        drawn[str(draw)] = [order[:2], order[2:4], order[4:6], order[6:8], order[8:9], order[9:]]
    monkeypatch.setattr(experiment, "clusterings_of", lambda corpus, repeats: drawn)
    rows = evidence.against_truth(made_up.study(made_up.OURS[:1], corpus))
    assert abs(rows["ari"].mean()) < 0.05
    assert rows["exact"].mean() == pytest.approx(4 * 4 / 45, abs=0.15)


def test_stability_is_a_mean_with_the_smallest_and_largest(corpus_of, monkeypatch):
    rows = [
        *(("spectral", "halves", value) for value in (0.1, 0.4, 0.4)),
        *(("latent tree", "bootstrap", value) for value in (0.5, 0.7, 0.9)),
        *(("latent tree", "seeds", value) for value in (1.0, 1.0, 1.0)),
    ]
    found = pd.DataFrame(rows, columns=["clustering", "what", "ari"])
    monkeypatch.setattr(experiment, "stability_of", lambda corpus, repeats: {3: found}[repeats])
    table = evidence.stability(corpus_of(), 3)
    assert table.columns.tolist() == ["clustering", "what", "ari", "low", "high", "repeats"]
    assert table.to_numpy().tolist() == [
        ["spectral", "halves", pytest.approx(0.3), 0.1, 0.4, 3],
        ["latent tree", "bootstrap", pytest.approx(0.7), 0.5, 0.9, 3],
        ["latent tree", "seeds", 1.0, 1.0, 1.0, 3],
    ]


def test_other_clusterings_are_held_against_the_latent_tree(corpus_of, monkeypatch):
    """Of the four documents with several classes, only a, b and c, d stand together in them in the latent tree."""
    found = {
        "average linkage": [[0, 1, 2, 3], [4]],
        "latent tree": PARTITION,
        "spectral": [[0], [1], [2, 3, 4]],
    }
    monkeypatch.setattr(experiment, "clusterings_of", lambda corpus, repeats: {2: found}[repeats])
    rows = evidence.clusterings(corpus_of(), 2).set_index("clustering")
    assert rows.index.tolist() == list(found)
    assert rows.loc["latent tree"].to_dict() == {"clusters": 3, "largest": 2, "ari": 1, "changed": 0, "together": 1}
    # [0,1] and [3,2] stay; in [1,0,2] one of three pairs is put alike, in [2,3,0,1] two of six.
    one = rows.loc["average linkage"]
    assert one[["clusters", "largest", "changed"]].tolist() == [2, 4, 0.5]
    assert one["together"] == pytest.approx((1 + 1 + 1 / 3 + 2 / 6) / 4)
    # [0,1] falls apart; [1,0,2] and [2,3,0,1] lose it.
    other = rows.loc["spectral"]
    assert other[["clusters", "largest", "changed"]].tolist() == [3, 3, 0.75]
    assert other["together"] == pytest.approx((0 + 1 + 2 / 3 + 5 / 6) / 4)
    chance = 2 * 3 / 10
    assert other["ari"] == pytest.approx((1 - chance) / ((2 + 3) / 2 - chance))


@pytest.mark.parametrize("networks", ["OURS", "PRINTED"])
def test_the_effect_of_clusters_is_a_mean_over_images_then_networks(study_of, made_up, networks):
    """One network has no value for the five pairs of image 0 but one: it must not weigh less."""
    networks = getattr(made_up, networks)
    frames = made_up.frames(networks, n_images=5)
    frame = frames["clusterings"] = frames["clusterings"].sample(frac=1, random_state=0)
    first = made_up.CLUSTERINGS[1]
    where = {"metric": "cdrop", "clustering": first, "network": networks[0][0], "index": 0}
    made_up.put(frame, NAN, **where)
    made_up.put(frame, 0.9, class_=2, **where)
    frame = pd.concat([frame[frame["clustering"] == name] for name in made_up.CLUSTERINGS])
    rows = evidence.effect_of_clusters(study_of({**frames, "clusterings": frame}, networks))
    assert rows[["metric", "clustering"]].to_numpy().tolist() == [
        [metric, name] for metric in ("cdrop", "same-map") for name in made_up.CLUSTERINGS
    ]
    for row in rows.to_dict("records"):
        own = defaultdict(list)
        for one in frame.to_dict("records"):
            if (one["metric"], one["clustering"]) == (row["metric"], row["clustering"]) and one["value"] == one[
                "value"
            ]:
                own[one["index"], one["network"]].append(one["value"])
        images = defaultdict(list)
        for (index, _), values in own.items():
            images[index].append(fmean(values))
        assert row["mean"] == pytest.approx(fmean(map(fmean, images.values())))
        assert (row["n_images"], row["n_seeds"]) == (5, 2)


@pytest.fixture
def epsilons_of(made_up, corpus_of, monkeypatch):
    """Function (rows of index, class, metric, value, epsilon) -> what the table says, and what was asked for."""
    asked = []

    class Images:
        index = torch.arange(6) + 20
        classes = LETTERS

        def __len__(self):
            return len(self.index)

        def subset(self, places):
            images = Images()
            images.index = self.index[places]
            return images

    def outputs_of(explained, images):
        tops = [[1, 0, 4], [2, 0], [3, 2]]
        return Outputs(images, torch.zeros(len(images), 3, 4, 4), tops[: len(images)], torch.zeros(len(images), 5))

    def build(rows, n=3):
        def compare_epsilons(network, images, base, epsilons, **settings):
            asked.append((network, images, base, epsilons, settings))
            return rows

        monkeypatch.setattr(evidence, "compare_epsilons", compare_epsilons)
        monkeypatch.setattr(evidence, "outputs_of", outputs_of)
        study = made_up.study(corpus=corpus_of())
        for explained in study.networks:
            explained.subject.images, explained.subject.network = Images(), f"network {explained.name}"
        return study, evidence.epsilons(study, "rise", n), asked[0]

    return build


def test_epsilon_is_a_mean_over_images_of_the_first_network(epsilons_of):
    rows = [
        *((20, 1, "cdrop", 0.1, 0.0), (20, 0, "cdrop", 0.3, 0.0), (21, 2, "cdrop", 0.5, 0.0)),
        *((20, 1, "cdrop", 0.4, 0.5), (20, 0, "cdrop", NAN, 0.5), (21, 2, "cdrop", NAN, 0.5)),
        *((20, 1, "degenerate", 0.0, 0.0), (20, 0, "degenerate", 0.0, 0.0), (21, 2, "degenerate", 0.0, 0.0)),
        *((20, 1, "degenerate", 0.0, 0.5), (20, 0, "degenerate", 1.0, 0.5), (21, 2, "degenerate", 1.0, 0.5)),
    ]
    rows = pd.DataFrame(rows, columns=["index", "class", "metric", "value", "epsilon"])
    study, table, (network, images, base, epsilons, settings) = epsilons_of(rows)
    table = table.set_index("epsilon")
    assert table["mean"].to_dict() == pytest.approx({0.0: (0.2 + 0.5) / 2, 0.5: 0.4})
    assert table[["n_images", "degenerate", "maps"]].to_numpy().tolist() == [[2, 0, 3], [1, 2, 3]]
    assert network == "network seed 0" and base.name == "rise" and 0.0 in epsilons
    assert images.index.tolist() == [20, 21, 22]
    assert images.clusters == [[[1, 0], [4]], [[2], [0]], [[3, 2]]]
    assert settings == {"n_classes": 5, "steps": study.run.whole_output.contrast_steps}


def test_epsilon_has_no_rows_where_no_image_has_rivals(epsilons_of):
    nothing = pd.DataFrame(columns=["index", "class", "rivals", "base", "method", "metric", "value", "epsilon"])
    _, table, (_, images, *_) = epsilons_of(nothing, n=2)
    assert table.empty and {"epsilon", "mean", "degenerate", "maps"} <= set(table)
    assert images.index.tolist() == [20, 21]


def test_part_energy_is_over_images_that_have_the_part(study_of, made_up):
    frames = made_up.frames(n_images=6)
    paper = frames["paper"]
    made_up.put(paper, NAN, metric="part-energy", index=(0, 2, 4))
    here = {"metric": "part-energy", "base": "lime", "method": "cwox-2s", "index": 1}
    made_up.put(paper, 0.2, class_=0, **here)
    made_up.put(paper, 0.4, class_=1, **here)
    for index in (3, 5):
        made_up.put(paper, 0.9, **{**here, "index": index})
    rows = evidence.part_energy(study_of(frames))
    assert (rows["n_images"] == 3).all() and len(rows) == 4 * 6
    assert rows["base"].unique().tolist() == ["grad-cam", "excitation-backprop", "lime", "rise"]
    assert rows["method"].tolist()[:6] == list(made_up.SCORED)
    row = rows.set_index(["base", "method"]).loc[("lime", "cwox-2s")]
    assert row["mean"] == pytest.approx((0.3 + 0.9 + 0.9) / 3)


@pytest.mark.parametrize("undefined", [False, True])
def test_without_a_planted_part_there_are_no_rows(study_of, made_up, undefined):
    frames = made_up.frames(n_images=2, planted=undefined)
    if undefined:  # planted images, but no output has both look-alikes
        made_up.put(frames["paper"], NAN, metric="part-energy")
    rows = evidence.part_energy(study_of(frames))
    assert rows.empty and {"base", "method", "mean", "low", "high", "n_images"} <= set(rows)


def gain(rows, step, **where):
    for column, value in where.items():
        rows = rows[rows[column] == value]
    return rows.set_index("step").loc[step]


STEPS = ("finer maps", "own rivals and region")


@pytest.mark.parametrize("networks", ["OURS", "PRINTED"])
def test_the_two_steps_add_up_to_the_whole_gain(study_of, made_up, networks):
    """All have values, so the steps are of the same pairs: 2s less 1sA, with the sign that makes a gain positive."""
    networks = getattr(made_up, networks)
    frames = made_up.frames(networks, n_images=6)
    paper = frames["paper"]
    made_up.scale(paper, 0.5, metric="cauc", base="rise", method="cwox-2s", network=networks[1][0])
    made_up.scale(paper, 0.8, metric="cauc", base="rise", method="cwox-1sa-fine")
    made_up.scale(paper, 3.0, metric="cdrop", base="lime", method="cwox-2s")
    rows = evidence.shares_of_the_gain(study_of(frames, networks))
    models = dict.fromkeys(model for _, _, model in networks)
    assert len(rows) == len(models) * 2 * 4 * 2 and (rows["n_images"] == 6).all()
    for model in models:
        names = [name for name, _, of in networks if of == model]
        for metric, sign in (("cauc", -1), ("cdrop", 1)):
            for base in ("grad-cam", "lime", "rise"):
                chosen = paper[made_up.rows(paper, metric=metric, base=base, network=tuple(names))]
                images = chosen.groupby(["method", "network", "index"])["value"].mean().groupby("method").mean()
                one, two = (gain(rows, step, model=model, metric=metric, base=base)["difference"] for step in STEPS)
                assert one + two == pytest.approx(sign * (images["cwox-2s"] - images["cwox-1sa"]), rel=1e-9)
                assert one == pytest.approx(sign * (images["cwox-1sa-fine"] - images["cwox-1sa"]), rel=1e-9)
    one = gain(rows, STEPS[0], model=next(iter(models)), metric="cauc", base="rise")
    assert 0 < one["low"] < one["difference"] < one["high"]  # lower CAUC is a gain
    two = gain(rows, STEPS[1], model=next(iter(models)), metric="cdrop", base="lime")
    assert 0 < two["low"] < two["difference"] < two["high"]


def test_a_step_without_any_pair_is_undefined(study_of, made_up):
    frames = made_up.frames(n_images=3)
    made_up.put(frames["paper"], NAN, metric="cauc", base="rise", method="cwox-2s")
    rows = evidence.shares_of_the_gain(study_of(frames))
    row = gain(rows, STEPS[1], metric="cauc", base="rise")
    assert np.isnan([row["difference"], row["low"], row["high"]]).all() and row["n_images"] == 0
    assert rows["difference"].notna().sum() == 15


@pytest.mark.parametrize("networks", ["OURS", "PRINTED"])
def test_variants_are_beside_each_other(study_of, made_up, networks):
    networks = getattr(made_up, networks)
    frames = made_up.frames(networks, n_images=3)
    name, _, model = networks[1]
    here = {"metric": "cauc", "base": "lime", "method": "cwox-2s", "network": name}
    made_up.put(frames["paper"], 0.25, **here)
    made_up.put(frames["released"], 0.75, **here)
    rows = evidence.variants(study_of(frames, networks))
    models = dict.fromkeys(model for _, _, model in networks)
    assert len(rows) == len(models) * 2 * 4 * 4
    assert set(rows["method"]) == {"swox", "cwox-1sa", "cwox-1sb", "cwox-2s"}
    assert set(rows["metric"]) == {"cauc", "cdrop"}
    row = rows.set_index(["metric", "model", "base", "method"]).loc[("cauc", model, "lime", "cwox-2s")]
    if model:
        assert row[["paper", "released"]].tolist() == pytest.approx([0.25, 0.75])
    else:  # two trainings of one model, one of them near 0.005
        assert row[["paper", "released"]].tolist() == pytest.approx([0.125, 0.375], abs=0.01)
