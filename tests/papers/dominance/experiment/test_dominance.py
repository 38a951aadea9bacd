import copy
import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from xai_lib import data as datasets
from xai_lib import models
from xai_lib.explainers.subject import Subject
from xai_lib.files import read_json
from xai_lib.papers.dominance import experiment
from xai_lib.papers.dominance.experiment import dominance
from xai_lib.papers.dominance.experiment.dominance import (
    EXPLAINERS,
    PARTS,
    Hierarchies,
    RankedNetwork,
    computed,
    dominance_cell,
    dominance_parents,
)
from xai_lib.papers.dominance.method import choice, clusters, energy, mosaics, pairwise, single_images
from xai_lib.run import settings, stages
from xai_lib.run.settings import Settings
from xai_lib.run.store import Store
from xai_lib.run.workflow import of_hierarchies

FEW = (
    "size=16, n_train=120, n_test=150, n_clusters=3, n_mosaics=6, n_paired=3, paired_classes=2, n_focus=9,"
    "seeds=2, dominance_seeds=2, width=4"
)
LABELS = (1, 4, 7)  # of the ten classes, those with evaluation images
OF_ALL = {"clusters", "mosaics", "focus"}
GATHERED = {
    "images": experiment.cluster_images,
    "shares": experiment.training_shares,
    "choice": experiment.choices,
    "mosaics": experiment.mosaic_shares,
    "variants": experiment.variant_shares,
    "pairs": experiment.paired_images,
    "focus": experiment.focus_values,
}


@pytest.fixture(scope="module", autouse=True)
def _few_starts():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(clusters, "N_STARTS", 1)  # ten are most of the time of "choice"
        yield


@pytest.fixture(scope="module")
def images():
    """Some of three classes, up to two of each mode, in an order that is neither that of the classes nor of indices."""
    pool = datasets.load("planted", "test", n=150, size=16)
    table = pd.DataFrame({"label": pool.labels.numpy(), "mode": pool.factors["mode"]})
    table = table[table["label"].isin(LABELS)].groupby(["label", "mode"]).head(2)
    return pool.subset(table.sample(frac=1, random_state=0).index.tolist())


@pytest.fixture(scope="module")
def networks(images):
    """Two networks that nobody trained, with answers that differ between images."""
    found = []
    for seed in (0, 1):
        network = models.build("resnet8", 10, width=8, seed=seed).eval()
        weights = torch.randn(network.head.weight.shape, generator=torch.Generator().manual_seed(seed))
        network.head.weight.data = 3 * weights
        found.append(models.fold_batchnorm(network))
    return found


def made_by_hand(network, images, key, seed, device="cpu"):
    device = torch.device(device)
    return Subject(lambda: copy.deepcopy(network).to(device), key, (), None, images, lambda: images, device, seed)


def built(networks, images, device="cpu"):
    run = replace(settings.settings(scale="smoke", device="cpu", overrides=FEW), device=torch.device(device))
    tuned, trained = (
        made_by_hand(network, images, f"network {seed}", seed, device) for seed, network in enumerate(networks)
    )
    return Hierarchies(run, (RankedNetwork(tuned, "tuned"), RankedNetwork(trained, "ce")))


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    return tmp_path_factory.mktemp("kept") / "store"


@pytest.fixture
def of(networks, images, kept, monkeypatch):
    """The part on these two networks, one taken for fine-tuned; its store is the whole file's."""
    monkeypatch.setenv("XAI_STORE", str(kept))
    return built(networks, images)


def positions(split, label):
    return (split.labels == label).nonzero()[:, 0]


def normalised(split):
    return split.normalise(split.images)


def pooled(network, split):
    with torch.no_grad():
        return network.backbone(normalised(split)).mean((2, 3))


def rows_of(frame, **values):
    for name, value in values.items():
        frame = frame[frame[name] == value]
    return frame.reset_index(drop=True)


def assigned_to(of, ranked, label):
    """The clusters of a class's images, in the order of their positions."""
    split = ranked.subject.images
    frame = rows_of(experiment.cluster_images(of), kind=ranked.kind).set_index("index")
    return torch.tensor(frame.loc[split.index[positions(split, label)].tolist(), "cluster"].to_numpy())


def test_each_image_is_listed_with_its_cluster_and_what_its_network_says(of):
    frame = experiment.cluster_images(of)
    assert frame.columns.tolist() == [
        *("logit", "probability", "training_distance", "index", "label", "predicted", "cluster", "distance", "mode"),
        *("kind", "seed"),
    ]
    training = of.run.train_split()
    for ranked in of.networks:
        rows, split = rows_of(frame, kind=ranked.kind, seed=ranked.seed), ranked.subject.images
        network = ranked.subject.network
        order = torch.cat([positions(split, label) for label in LABELS])
        assert rows["index"].tolist() == split.index[order].tolist()
        assert rows["label"].tolist() == [split.classes[label] for label in split.labels[order].tolist()]
        assert rows["mode"].tolist() == split.factors["mode"].iloc[order.tolist()].tolist()
        with torch.no_grad():
            logits = network(normalised(split))[order]
        own = split.labels[order][:, None]
        assert rows["predicted"].tolist() == [split.classes[label] for label in logits.argmax(1).tolist()]
        np.testing.assert_allclose(rows["logit"], logits.gather(1, own)[:, 0], rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(rows["probability"], logits.softmax(1).gather(1, own)[:, 0], rtol=1e-3)
        for label in LABELS:
            here = pooled(network, split)[positions(split, label)]
            there = pooled(network, training)[positions(training, label)]
            of_class = rows_of(rows, label=split.classes[label])
            expected = clusters.kmeans(here, 3, seed=0)
            assert of_class["cluster"].tolist() == expected.assigned.tolist()
            centres = torch.stack([here[expected.assigned == cluster].mean(0) for cluster in range(3)])
            to_own = (here - centres[expected.assigned]).norm(dim=1)
            np.testing.assert_allclose(of_class["distance"], to_own, rtol=1e-3, atol=1e-5)
            nearest = (here[:, None] - there).norm(dim=2).sort(1).values[:, :5].mean(1)
            np.testing.assert_allclose(of_class["training_distance"], nearest, rtol=1e-3, atol=1e-5)
    assert len(frame) == 2 * len(of.networks[0].subject.images)


def test_training_images_are_counted_in_the_clusters_and_in_the_modes(of):
    frame = experiment.training_shares(of)
    assert frame.columns.tolist() == [
        *("cluster", "training", "evaluation", "training_share", "evaluation_share", "representation"),
        *("clustering", "label", "kind", "seed"),
    ]
    ranked, training = of.networks[0], of.run.train_split()
    split, label = ranked.subject.images, LABELS[1]
    here = pooled(ranked.subject.network, split)[positions(split, label)]
    there = pooled(ranked.subject.network, training)[positions(training, label)]
    assigned = assigned_to(of, ranked, label)
    centres = torch.stack([here[assigned == cluster].mean(0) for cluster in range(3)])
    nearest = (there[:, None] - centres).norm(dim=2).argmin(1)
    modes = [torch.tensor(part.factors["mode"].to_numpy())[positions(part, label)] for part in (training, split)]
    for name, (trained, evaluated) in {"k-means": (nearest, assigned), "modes": modes}.items():
        rows = rows_of(frame, kind="tuned", clustering=name, label=split.classes[label])
        assert rows["cluster"].tolist() == list(range(len(rows))) == sorted(evaluated.unique().tolist())
        assert rows["training"].tolist() == trained.bincount(minlength=len(rows)).tolist()
        assert rows["evaluation"].tolist() == evaluated.bincount().tolist()
        shares = rows["training"] / 12, rows["evaluation"] / len(here)
        np.testing.assert_allclose(rows["training_share"], shares[0])
        np.testing.assert_allclose(rows["evaluation_share"], shares[1])
        np.testing.assert_allclose(rows["representation"], shares[0] / shares[1])
    assert len(frame) == 2 * len(LABELS) * (3 + 5)


def test_numbers_of_clusters_are_compared_for_each_class_of_the_fine_tuned(of):
    frame = experiment.choices(of)
    assert frame.columns.tolist() == ["n_clusters", "silhouette", "gap", "gap_error", "label", "kind", "seed"]
    ranked = of.networks[0]
    split = ranked.subject.images
    assert set(frame["kind"]) == {"tuned"} and set(frame["label"]) == {split.classes[label] for label in LABELS}
    here = pooled(ranked.subject.network, split)[positions(split, LABELS[2])]
    expected = choice.choose(here, range(2, 10), seed=0)
    assert len(here) == 10
    found = rows_of(frame, label=split.classes[LABELS[2]])[expected.columns.tolist()]
    pd.testing.assert_frame_equal(found, expected, rtol=0.01, atol=0.01)


def expected_values(ranked, label, assigned, purpose, pair):
    """Two clusters of one class with the functions of the library, on positions of all images."""
    split, network = ranked.subject.images, ranked.subject.network
    here = positions(split, label)
    members = [here[assigned == cluster] for cluster in pair]
    drawn = mosaics.of_clusters(*members, 6, seed=0, purpose=f"{purpose}/{pair[0]}-{pair[1]}")
    target = torch.full((6,), label)
    return energy.shares(drawn, normalised(split), target, energy.by_grad_cam(network))["relu"].numpy()


@pytest.mark.parametrize("clustering", ["k-means", "shuffled", "modes"])
def test_shares_of_mosaics_are_those_of_one_pair_alone(of, clustering):
    frame = experiment.mosaic_shares(of)
    columns = ["first", "second", "mosaic", "value", "clustering", "label", "kind", "seed"]
    assert frame.columns.tolist() == columns
    for ranked, label, pair in [(of.networks[0], LABELS[1], (0, 2)), (of.networks[1], LABELS[0], (1, 2))]:
        split = ranked.subject.images
        name = split.classes[label]
        assigned = {
            "k-means": assigned_to(of, ranked, label),
            "shuffled": clusters.shuffled(assigned_to(of, ranked, label), seed=0),
            "modes": torch.tensor(split.factors["mode"].to_numpy())[positions(split, label)],
        }[clustering]
        rows = rows_of(frame, kind=ranked.kind, seed=ranked.seed, clustering=clustering, label=name)
        pairs = list(itertools.combinations(range(5 if clustering == "modes" else 3), 2))
        assert list(zip(rows["first"], rows["second"], rows["mosaic"])) == [(*p, n) for p in pairs for n in range(6)]
        expected = expected_values(ranked, label, assigned, f"{clustering}/{name}", pair)
        found = rows_of(rows, first=pair[0], second=pair[1])["value"]
        assert expected.std() > 0.02
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4)


@pytest.fixture
def drawn(monkeypatch):
    """The images, first quadrants, target and options of each call that explains the mosaics of a class, in order."""
    real, found = energy.shares, []

    def remember(shown, x, target, explain, **options):
        found.append((x[shown.images], shown.first, target, options))
        return real(shown, x, target, explain, **options)

    monkeypatch.setattr(pairwise.energy, "shares", remember)
    return found


def test_all_ways_of_explaining_see_the_mosaics_of_the_main_result(of, empty_store, drawn):
    ranked = of.networks[0]
    computed(of, ranked, "mosaics")
    by_class = drawn[::3]
    assert len(drawn) == 3 * len(LABELS)  # clusters, shuffled, modes
    del drawn[:]
    computed(of, ranked, "variants")
    assert len(drawn) == 6 * len(LABELS)
    for number, (shown, first, target, options) in enumerate(drawn):
        same = by_class[number // 6]
        assert torch.equal(shown, same[0]) and torch.equal(first, same[1]) and torch.equal(target, same[2])
        assert options["resized"] == (number % 6 == 5)
        assert set(target.tolist()) == {LABELS[number // 6]}


def test_variants_have_the_main_result_among_them(of):
    frame = experiment.variant_shares(of)
    columns = ["first", "second", "mosaic", "scaling", "value", "label", "explainer", "resized", "kind", "seed"]
    assert frame.columns.tolist() == columns
    assert set(frame["kind"]) == {"tuned"} and frame["resized"].dtype == bool
    ways = frame[["explainer", "resized", "scaling"]].drop_duplicates().to_numpy().tolist()
    assert ways == [
        [explainer, resized, scaling]
        for explainer, resized in [*((name, False) for name in EXPLAINERS), ("grad-cam", True)]
        for scaling in ("relu", "min-max")
    ]
    main = rows_of(experiment.mosaic_shares(of), kind="tuned", clustering="k-means")
    keys = ["label", "first", "second", "mosaic"]
    same = rows_of(frame, explainer="grad-cam", resized=False, scaling="relu")
    pd.testing.assert_frame_equal(same[[*keys, "value"]], main[[*keys, "value"]], atol=1e-5)
    for way, rows in frame.groupby(["explainer", "resized", "scaling"]):
        assert rows[keys].reset_index(drop=True).equals(main[keys])
        if way != ("grad-cam", False, "relu"):
            assert (rows["value"].to_numpy() != main["value"].to_numpy()).any() or way[2] == "min-max"


@pytest.mark.parametrize(
    ("explainer", "resized", "scaling"),
    [
        ("eigen-cam", False, "min-max"),
        ("gradient", False, "relu"),
        ("random", False, "relu"),
        ("grad-cam", True, "relu"),
    ],
)
def test_a_variant_is_what_it_says(of, explainer, resized, scaling):
    ranked, label = of.networks[0], LABELS[0]
    split, assigned = ranked.subject.images, assigned_to(of, ranked, label)
    name = split.classes[label]
    x = normalised(split)[positions(split, label)]
    explain = energy.of_explainer(ranked.subject.network, explainer)
    options = {"n": 6, "seed": 0, "purpose": f"k-means/{name}", "resized": resized, "scalings": (scaling,)}
    expected = pairwise.pairwise(x, label, assigned, explain, **options)["value"]
    found = rows_of(experiment.variant_shares(of), label=name, explainer=explainer, resized=resized, scaling=scaling)
    np.testing.assert_allclose(found["value"], expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("pair", [(0, 1), (1, 2)])
@pytest.mark.parametrize("label", LABELS)
def test_mosaics_that_are_shown_are_those_that_were_explained(of, label, pair):
    for ranked in of.networks:
        split = ranked.subject.images
        name = split.classes[label]
        found = experiment.class_mosaics(of, ranked, name, pair)
        assert len(found) == 6
        cluster_of = dict(zip(positions(split, label).tolist(), assigned_to(of, ranked, label).tolist()))
        for shown, first in zip(found.images, found.first, strict=True):
            assert (split.labels[shown] == label).all()
            assert [cluster_of[image] for image in shown[first].tolist()] == [pair[0]] * 2
            assert [cluster_of[image] for image in shown[~first].tolist()] == [pair[1]] * 2
        explain = energy.by_grad_cam(ranked.subject.network)
        value = energy.shares(found, normalised(split), torch.full((6,), label), explain)["relu"]
        rows = rows_of(
            experiment.mosaic_shares(of),
            kind=ranked.kind,
            clustering="k-means",
            label=name,
            first=pair[0],
            second=pair[1],
        )
        np.testing.assert_allclose(value, rows["value"], rtol=0, atol=1e-4)


@pytest.mark.parametrize("pair", [(1, 0), (0, 3), (1, 1)])
def test_a_pair_that_was_not_compared_has_no_mosaics(of, pair):
    name = of.networks[0].subject.images.classes[LABELS[0]]
    with pytest.raises(ValueError, match=r"two of the clusters 0 to 2, the smaller number first\. Got \("):
        experiment.class_mosaics(of, of.networks[0], name, pair)


def test_shuffled_clusters_have_the_sizes_of_those_found(of, empty_store, monkeypatch):
    seen = []
    real = pairwise.pairwise
    monkeypatch.setattr(
        dominance.pairwise,
        "pairwise",
        lambda *given, **options: seen.append((given, options)) or real(*given, **options),
    )
    computed(of, of.networks[1], "mosaics")
    assert len(seen) == 9
    for found, shuffled, modes in zip(*[iter(seen)] * 3, strict=True):
        (x, label, assigned, _), (_, _, dealt, _), (_, _, planted, _) = found[0], shuffled[0], modes[0]
        assert assigned.bincount().tolist() == dealt.bincount().tolist()
        assert not torch.equal(assigned, dealt)
        split = of.networks[1].subject.images
        assert planted.tolist() == split.factors["mode"].iloc[positions(split, label).tolist()].tolist()
        torch.testing.assert_close(x, normalised(split)[positions(split, label)])
        purposes = [options["purpose"] for _, options in (found, shuffled, modes)]
        assert purposes == [f"{name}/{split.classes[label]}" for name in ("k-means", "shuffled", "modes")]


def test_single_images_are_the_first_of_the_first_classes(of):
    frame = experiment.paired_images(of)
    assert frame.columns.tolist() == ["a", "b", "value", "n_undefined", "label", "kind", "seed"]
    ranked = of.networks[0]
    split = ranked.subject.images
    assert set(frame["kind"]) == {"tuned"}
    assert list(frame["label"].unique()) == [split.classes[label] for label in LABELS[:2]]
    for label in LABELS[:2]:
        rows = rows_of(frame, label=split.classes[label])
        three = positions(split, label)[:3]
        assert list(zip(rows["a"], rows["b"])) == list(itertools.combinations(split.index[three].tolist(), 2))
        explain = energy.by_grad_cam(ranked.subject.network)
        last = single_images.all_pairs(normalised(split)[three[1:]], label, explain)
        assert rows["value"].iloc[-1] == pytest.approx(last["value"].item(), abs=1e-4)


def test_single_images_of_all_classes_where_no_number_is_given(of, empty_store):
    every = changed(of, paired_classes=None, n_paired=2)
    assert experiment.paired_images(every)["label"].tolist() == [
        of.run.train_split().classes[label] for label in LABELS
    ]


def test_focus_is_of_mosaics_of_several_classes_by_each_explainer(of):
    frame = experiment.focus_values(of)
    assert frame.columns.tolist() == ["explainer", "target", "mosaic", "value", "kind", "seed"]
    for ranked in of.networks:
        split = ranked.subject.images
        shown, target = mosaics.of_classes(split.labels, 9, seed=0)
        rows = rows_of(frame, kind=ranked.kind, seed=ranked.seed)
        assert rows["explainer"].tolist() == [name for name in EXPLAINERS for _ in range(9)]
        for name in ("grad-cam", "random"):
            of_one = rows_of(rows, explainer=name)
            assert of_one["mosaic"].tolist() == list(range(9))
            assert of_one["target"].tolist() == [split.classes[label] for label in target.tolist()]
            explain = energy.of_explainer(ranked.subject.network, name)
            expected = energy.shares(shown, normalised(split), target, explain)["relu"]
            np.testing.assert_allclose(of_one["value"], expected, rtol=0, atol=1e-4)


def test_networks_trained_otherwise_have_the_parts_that_compare_them(of):
    for name, gathered in GATHERED.items():
        kinds = list(gathered(of)[["kind", "seed"]].drop_duplicates().itertuples(index=False, name=None))
        shared = name in ("images", "shares", "mosaics", "focus")
        assert kinds == ([("tuned", 0), ("ce", 1)] if shared else [("tuned", 0)])
    assert [ranked.parts for ranked in of.networks] == [PARTS, ("clusters", "mosaics", "focus")]
    assert of.kinds == ("tuned", "ce") and of.of("ce") == of.networks[1:]


def renamed(of, **values):
    """The same part on other images: the first network alone."""
    ranked = of.networks[0]
    other = replace(ranked.subject, images=replace(ranked.subject.images, **values), key="renamed")
    return replace(of, networks=(replace(ranked, subject=other),))


def test_modes_are_of_planted_images_alone(of, empty_store):
    other = renamed(of, name="another", factors=None, digest="0")
    assert "mode" not in experiment.cluster_images(other)
    assert set(experiment.training_shares(other)["clustering"]) == {"k-means"}
    assert list(experiment.mosaic_shares(other)["clustering"].unique()) == ["k-means", "shuffled"]
    same = ["label", "index", "cluster"]
    assert experiment.cluster_images(other)[same].equals(rows_of(experiment.cluster_images(of), kind="tuned")[same])


def test_classes_may_have_numbers_for_names(of, empty_store):
    classes = ("00", "01", "02", "03", "04", "NA", "06", "007", "08", "09")
    other = renamed(of, classes=classes, digest="0")
    assert list(experiment.cluster_images(other)["label"].unique()) == ["01", "04", "007"]
    assert set(experiment.cluster_images(other)["predicted"]) <= set(classes)
    for gathered, n_classes in (
        (experiment.mosaic_shares, 3),
        (experiment.training_shares, 3),
        (experiment.paired_images, 2),
    ):
        assert list(gathered(other)["label"].unique()) == ["01", "04", "007"][:n_classes]
    assert set(experiment.focus_values(other)["target"]) == {"01", "04", "007"}
    assert len(experiment.class_mosaics(other, other.networks[0], "007", (0, 1))) == 6


def changed(of, **values):
    return replace(of, run=replace(of.run, scale=replace(of.run.scale, **values)))


def keys(of, number=0):
    ranked = of.networks[number]
    return {part: dominance_cell(of, ranked, part).key for part in ranked.parts}


def differing(of, other):
    one, another = keys(of), keys(other)
    return {part for part in PARTS if one[part] != another[part]}


@pytest.mark.parametrize(
    ("values", "parts"),
    [
        ({"n_clusters": 4}, {"clusters", "mosaics", "variants"}),
        ({"n_train": 130}, {"clusters", "mosaics", "variants"}),
        ({"n_mosaics": 7}, {"mosaics", "variants"}),
        ({"n_paired": 4}, {"pairs"}),
        ({"paired_classes": None}, {"pairs"}),
        ({"n_focus": 10}, {"focus"}),
        ({"seeds": 9, "dominance_seeds": 9, "n_scored": 9, "n_outputs": 9, "rarity_trainings": 9}, set()),
    ],
)
def test_a_budget_changes_the_keys_of_the_parts_that_depend_on_it(of, values, parts):
    assert differing(of, changed(of, **values)) == parts


def test_keys_know_network_layer_and_images_but_no_device_no_label_and_no_kind(of, monkeypatch):
    ranked = of.networks[0]
    elsewhere = replace(
        of.run, device=torch.device("meta"), label="Another", data_root=Path("/elsewhere"), download=True
    )

    def with_subject(**values):
        return replace(of, networks=(replace(ranked, subject=replace(ranked.subject, **values)),))

    fewer = ranked.subject.images.subset(list(range(20)))
    every = set(PARTS)
    assert differing(of, replace(of, run=elsewhere)) == set()
    assert differing(of, with_subject(device=torch.device("meta"), seed=7)) == set()
    assert differing(of, replace(of, networks=(replace(ranked, kind="another"),))) == set()
    assert differing(of, with_subject(key="another")) == every
    assert differing(of, with_subject(layer="backbone.block1")) == every
    assert differing(of, with_subject(images=fewer)) == every
    before = keys(of)
    with monkeypatch.context() as patch:
        patch.setattr(dominance, "EXPLAINERS", EXPLAINERS[:2])
        assert {part for part in PARTS if keys(of)[part] != before[part]} == {"variants", "focus"}
    monkeypatch.setitem(stages.STAGES, "dominance", replace(stages.STAGES["dominance"], version=99))
    assert not set(before.values()) & set(keys(of).values())


def test_no_two_cells_have_one_key(of):
    found = [*keys(of, 0).values(), *keys(of, 1).values()]
    assert len(set(found)) == len(found) == len(PARTS) + len(OF_ALL)


def test_the_layer_of_the_network_is_clustered_and_explained(of, empty_store):
    ranked = of.networks[0]
    subject = replace(ranked.subject, layer="backbone.block1")
    other = replace(of, networks=(replace(ranked, subject=subject),))
    split, network = subject.images, ranked.subject.network
    here = positions(split, LABELS[0])
    with torch.no_grad():
        shallow = network.backbone.block1(network.backbone.stem(normalised(split)))
    expected = clusters.kmeans(shallow.mean((2, 3))[here], 3, seed=0).assigned
    found = assigned_to(other, other.networks[0], LABELS[0])
    assert found.tolist() == expected.tolist() != assigned_to(of, ranked, LABELS[0]).tolist()
    name = split.classes[LABELS[0]]
    explain = energy.by_grad_cam(network, "backbone.block1")
    values = pairwise.pairwise(normalised(split)[here], LABELS[0], found, explain, n=6, purpose=f"k-means/{name}")
    rows = rows_of(experiment.mosaic_shares(other), clustering="k-means", label=name)
    np.testing.assert_allclose(rows["value"], values["value"], rtol=0, atol=1e-4)


def test_clusters_come_first_and_are_on_record(of, empty_store):
    ranked = of.networks[0]
    clustered = dominance_cell(of, ranked, "clusters")
    for part in PARTS:
        stands_on_clusters = part in ("mosaics", "variants")
        assert [cell.key for cell in dominance_parents(of, ranked, part)] == [clustered.key] * stands_on_clusters
    folder = computed(of, ranked, "mosaics")
    assert Store().is_done(clustered)
    assert read_json(folder / "provenance.json")["parents"] == {clustered.key: "dominance"}
    assert {file.name for file in folder.glob("*.csv")} == {"mosaics.csv"}
    assert {file.name for file in Store().path(clustered).glob("*.csv")} == {"images.csv", "shares.csv"}


def test_what_is_listed_includes_what_it_came_from(of):
    listed = of_hierarchies(of, ("mosaics",))
    expected = [dominance_cell(of, ranked, part) for ranked in of.networks for part in ("clusters", "mosaics")]
    assert [cell.key for cell in listed if cell.stage == "dominance"] == [cell.key for cell in expected]
    assert {cell.key for cell in of_hierarchies(of) if cell.stage == "dominance"} == {
        *keys(of, 0).values(),
        *keys(of, 1).values(),
    }


def test_a_part_that_was_stopped_leaves_the_others_and_is_computed_again(of, empty_store, monkeypatch):
    ranked = of.networks[1]

    def killed(*_given, **_options):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(dominance.pairwise, "pairwise", killed)
        with pytest.raises(KeyboardInterrupt):
            computed(of, ranked, "mosaics")
    done = {part: Store().is_done(dominance_cell(of, ranked, part)) for part in ranked.parts}
    assert done == {"clusters": True, "mosaics": False, "focus": False}
    with monkeypatch.context() as patch:
        patch.setattr(dominance.clusters, "kmeans", killed)
        computed(of, ranked, "mosaics")
    assert Store().is_done(dominance_cell(of, ranked, "mosaics"))


@pytest.fixture
def run(empty_store):
    return settings.settings(scale="smoke", device="cpu", overrides=FEW)


def test_a_runs_networks_are_fine_tuned_and_of_each_loss_with_all_test_images(run, empty_store):
    of = experiment.hierarchies(run)
    kinds = [(ranked.kind, ranked.seed) for ranked in of.networks]
    assert kinds == [(kind, seed) for kind in ("tuned", "ce", "scl", "tl") for seed in (0, 1)]
    for ranked in of.networks:
        (made,) = ranked.subject.parents
        assert made.stage == ("tune" if ranked.kind == "tuned" else "train") and made.config["seed"] == ranked.seed
        assert made.config["recipe"]["loss"] == ("ce" if ranked.kind == "tuned" else ranked.kind)
        assert ranked.subject.key == made.key and ranked.subject.layer is None
        assert ranked.subject.images.index.tolist() == run.test_split().index.tolist()
        for part in ranked.parts:
            text = str(dominance_cell(of, ranked, part).config)
            assert all(cell.key in text for cell in dominance_parents(of, ranked, part))
    assert len(experiment.hierarchies(replace(run, scale=replace(run.scale, dominance_seeds=1))).networks) == 4
    assert not empty_store.exists()


def test_what_is_listed_of_a_run_comes_after_what_it_stands_on(run):
    of = experiment.hierarchies(replace(run, scale=replace(run.scale, seeds=1)))
    listed = of_hierarchies(of)
    assert [cell.stage for cell in listed] == ["train", "tune", "train", "train"] + ["dominance"] * (6 + 3 * 3)
    assert listed[1].config["start"] == {"train": listed[0].key}
    seen = set()
    parents = {
        dominance_cell(of, ranked, part).key: {cell.key for cell in dominance_parents(of, ranked, part)}
        for ranked in of.networks
        for part in ranked.parts
    }
    for cell in listed:
        assert parents.get(cell.key, set()) <= seen
        seen.add(cell.key)


def test_without_training_images_there_is_nothing_to_compare_clusters_with():
    run = Settings(settings.settings("smoke").scale, "imagenet:/somewhere", "", torch.device("cpu"), Path(), False)
    with pytest.raises(ValueError, match=r"Expected a data set with training images.*Got imagenet:/somewhere: take"):
        experiment.hierarchies(run)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_gpu_gives_the_same_clusters_and_nearly_the_same_shares(networks, images, of, tmp_path, monkeypatch):
    expected = {name: gathered(of) for name, gathered in GATHERED.items()}
    on_gpu = built(networks, images, "cuda")
    monkeypatch.setenv("XAI_STORE", str(tmp_path / "another"))
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    for name, gathered in GATHERED.items():
        found = gathered(on_gpu)
        assert found.columns.tolist() == expected[name].columns.tolist()
        for column in found.columns:
            if found[column].dtype == np.float64:
                np.testing.assert_allclose(found[column], expected[name][column], rtol=1e-2, atol=1e-3)
            else:
                assert found[column].equals(expected[name][column])
