import copy
import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import selecting
import torch

from xai_lib import data as datasets
from xai_lib import models
from xai_lib.explainers.subject import Subject
from xai_lib.papers.dominance import experiment
from xai_lib.papers.dominance.experiment import EXPLAINERS, PARTS, RankedNetwork, cells, part_cell, table
from xai_lib.papers.dominance.experiment.parts import batches, positions
from xai_lib.papers.dominance.method import (
    clusters,
    dominance,
    energy_share,
    mosaics,
    single_images,
    training_share,
)
from xai_lib.run import settings
from xai_lib.run.settings import Study
from xai_lib.run.stage import computed, lineage
from xai_lib.run.store import Store

FEW = (
    "size=16, n_train=120, n_test=150, n_clusters=3, n_mosaics=6, n_paired=3, paired_classes=2, n_focus=9,"
    "seeds=2, dominance_seeds=2, width=4"
)
LABELS = (1, 4, 7)  # of the ten classes, those with evaluation images
OF_ALL = ("clusters", "mosaics", "focus")
COLUMNS = {
    "images": "logit probability training_distance index label predicted cluster distance mode",
    "shares": "cluster training evaluation training_share evaluation_share representation clustering label",
    "centres": "first second distance label",
    "dealt": "first second dominance low high n n_undefined p_t p_t_holm deal label",
    "choice": "n_clusters silhouette gap gap_error label",
    "mosaics": "first second mosaic value clustering label",
    "variants": "first second mosaic scaling value label explainer size",
    "pairs": "a b value n_undefined logit size label",
    "focus": "explainer target mosaic value",
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
    of_pool = pd.DataFrame({"label": pool.labels.numpy(), "mode": pool.factors["mode"]})
    of_pool = of_pool[of_pool["label"].isin(LABELS)].groupby(["label", "mode"]).head(2)
    return pool.subset(of_pool.sample(frac=1, random_state=0).index.tolist())


@pytest.fixture(scope="module")
def networks():
    """Two networks that nobody trained, with answers that differ between images."""
    found = []
    for seed in (0, 1):
        network = models.build("resnet8", 10, width=8, seed=seed).eval()
        weights = torch.randn(network.head.weight.shape, generator=torch.Generator().manual_seed(seed))
        network.head.weight.data = 3 * weights
        found.append(models.fold_batchnorm(network))
    return found


def built(networks, images, device="cpu"):
    device = torch.device(device)
    run = replace(settings.settings(scale="smoke", device="cpu", overrides=FEW), device=device)

    def ranked(network, seed, kind):
        load = lambda: copy.deepcopy(network).to(device)  # noqa: E731
        subject = Subject(load, f"network {seed}", (), None, images, lambda: images, device, seed)
        return RankedNetwork(subject, kind, PARTS if kind == "tuned" else OF_ALL)

    return Study(run, tuple(map(ranked, networks, (0, 1), ("tuned", "ce"))))


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    return tmp_path_factory.mktemp("kept") / "store"


@pytest.fixture
def study(networks, images, kept, monkeypatch):
    """The part on these two networks, one taken for fine-tuned; its store is the whole file's."""
    monkeypatch.setenv("XAI_STORE", str(kept))
    return built(networks, images)


def normalised(split):
    return split.normalise(split.images)


def pooled(network, split):
    with torch.no_grad():
        return network.backbone(normalised(split)).mean((2, 3))


def rows_of(frame, **values):
    return frame[selecting.rows(frame, **values)].reset_index(drop=True)


def modes_of(split, label):
    return torch.tensor(split.factors["mode"].to_numpy())[positions(split, label)]


def assigned_to(study, ranked, label):
    """The clusters of a class's images, in the order of their positions."""
    split = ranked.subject.images
    frame = rows_of(table(study, "images"), kind=ranked.kind).set_index("index")
    return torch.tensor(frame.loc[split.index[positions(split, label)].tolist(), "cluster"].to_numpy())


def shares_of(ranked, drawn, target):
    """What Grad-CAM of a network gives to the first groups of mosaics."""
    explain = energy_share.by_grad_cam(ranked.subject.network)
    return energy_share.shares(drawn, normalised(ranked.subject.images), target, explain)["relu"]


@pytest.mark.parametrize("name", COLUMNS)
def test_tables_have_their_columns_of_the_networks_that_have_the_part(study, name):
    frame = table(study, name)
    assert frame.columns.tolist() == [*COLUMNS[name].split(), "kind", "seed"]
    networks = list(frame[["kind", "seed"]].drop_duplicates().itertuples(index=False, name=None))
    shared = name in ("images", "shares", "centres", "mosaics", "dealt", "focus")
    assert networks == ([("tuned", 0), ("ce", 1)] if shared else [("tuned", 0)])
    assert [ranked.parts for ranked in study.networks] == [PARTS, OF_ALL]


def test_each_image_is_listed_with_its_cluster_and_counted_and_what_its_network_says(study):
    training = study.run.train_split()
    for ranked in study.networks:
        rows, split = rows_of(table(study, "images"), kind=ranked.kind, seed=ranked.subject.seed), ranked.subject.images
        order = torch.cat([positions(split, label) for label in LABELS])
        assert rows["index"].tolist() == split.index[order].tolist()
        assert rows["label"].tolist() == [split.classes[label] for label in split.labels[order].tolist()]
        assert rows["mode"].tolist() == split.factors["mode"].iloc[order.tolist()].tolist()
        here, there = (pooled(ranked.subject.network, part) for part in (split, training))
        with torch.no_grad():
            logits = ranked.subject.network(normalised(split))
        assert rows["predicted"].tolist() == [split.classes[label] for label in logits[order].argmax(1).tolist()]
        for label in LABELS:
            own, seen, name = positions(split, label), positions(training, label), split.classes[label]
            apart = rows_of(table(study, "centres"), kind=ranked.kind, label=name)
            assert list(zip(apart["first"], apart["second"])) == [(0, 1), (0, 2), (1, 2)]
            centres = clusters.kmeans(here[own], 3, seed=0).centres
            np.testing.assert_allclose(apart["distance"], torch.pdist(centres), rtol=1e-2)
            of_class, found = rows_of(rows, label=name), clusters.kmeans(here[own], 3, seed=0)
            assert of_class["cluster"].tolist() == found.assigned.tolist()
            said = single_images.outputs(label, logits[own], here[own], there[seen])
            for column, values in {**said, "distance": found.distance.numpy()}.items():
                np.testing.assert_allclose(of_class[column], values, rtol=1e-3, atol=1e-4)
            of_k_means = clusters.assign(there[seen], found.centres)[0], found.assigned
            of_modes = [modes_of(part, label) for part in (training, split)]
            for clustering, parts in {"k-means": of_k_means, "modes": of_modes}.items():
                shares = rows_of(table(study, "shares"), kind=ranked.kind, clustering=clustering, label=name)
                expected = training_share.shares(*(part.numpy() for part in parts), len(shares))
                pd.testing.assert_frame_equal(shares[expected.columns], expected)
                assert len(shares) == len(parts[1].unique()) and expected["training"].sum() == 12
    assert len(table(study, "images")) == 2 * len(study.networks[0].subject.images)
    assert len(table(study, "shares")) == 2 * len(LABELS) * (3 + 5)


def test_numbers_of_clusters_are_compared_for_each_class(study):
    frame, ranked = table(study, "choice"), study.networks[0]
    split = ranked.subject.images
    assert set(frame["label"]) == {split.classes[label] for label in LABELS}
    here = clusters.pooled(ranked.subject.network, batches(split, torch.device("cpu")), ranked.subject.layer)
    expected = clusters.choose(here[positions(split, LABELS[2])], range(2, 10), seed=0)  # of features equal to the bit
    found = rows_of(frame, label=split.classes[LABELS[2]])[expected.columns.tolist()]
    pd.testing.assert_frame_equal(found, expected, rtol=0.01, atol=0.01)


def test_dealt_clusters_have_the_sizes_of_the_real_ones_and_other_images_each_time(study):
    ranked, label = study.networks[1], LABELS[2]
    split = ranked.subject.images
    name, found = split.classes[label], assigned_to(study, ranked, label)
    frame = rows_of(table(study, "dealt"), kind="ce", label=name)
    assert sorted(frame["deal"].unique()) == [0, 1] and len(frame) == 2 * 3
    x, explain = normalised(split)[positions(split, label)], energy_share.by_grad_cam(ranked.subject.network)
    for deal in (0, 1):
        dealt = clusters.shuffled(found, seed=deal)
        assert dealt.bincount().tolist() == found.bincount().tolist() and not torch.equal(dealt, found)
        values = dominance.pairwise(x, label, dealt, explain, n=6, purpose=f"deal {deal}/{name}")
        expected, here = dominance.pairs(values), rows_of(frame, deal=deal)
        np.testing.assert_allclose(here["dominance"], expected["dominance"], rtol=0, atol=1e-4)
        np.testing.assert_allclose(here["p_t"], expected["p_t"], rtol=0.05, atol=1e-3)


@pytest.mark.parametrize("clustering", ["k-means", "modes"])
def test_shares_of_mosaics_are_those_of_one_pair_alone_and_what_is_shown(study, clustering):
    for ranked, label, pair in [(study.networks[0], LABELS[1], (0, 2)), (study.networks[1], LABELS[0], (1, 2))]:
        split = ranked.subject.images
        name, found = split.classes[label], assigned_to(study, ranked, label)
        assigned, seed = {"k-means": found, "modes": modes_of(split, label)}[clustering], ranked.subject.seed
        rows = rows_of(table(study, "mosaics"), kind=ranked.kind, seed=seed, clustering=clustering, label=name)
        pairs = list(itertools.combinations(range(5 if clustering == "modes" else 3), 2))
        assert list(zip(rows["first"], rows["second"], rows["mosaic"])) == [(*p, n) for p in pairs for n in range(6)]
        members = [positions(split, label)[assigned == cluster] for cluster in pair]
        drawn = mosaics.of_clusters(*members, 6, seed=0, purpose=f"{clustering}/{name}/{pair[0]}-{pair[1]}")
        expected = shares_of(ranked, drawn, torch.full((6,), label))
        assert np.nanstd(expected) > 0.02
        np.testing.assert_allclose(rows_of(rows, first=pair[0], second=pair[1])["value"], expected, rtol=0, atol=1e-4)
        shown = experiment.class_mosaics(study, ranked, name, pair)
        there = positions(split, label)[shown.images]
        same = torch.equal(there, drawn.images) and torch.equal(shown.first, drawn.first)
        assert same == (clustering == "k-means")


WAYS = [
    (*way, scaling)
    for way in [*((name, "rescaled") for name in EXPLAINERS), ("grad-cam", "whole")]
    for scaling in ("relu", "min-max")
]


@pytest.mark.parametrize(("explainer", "size", "scaling"), WAYS)
def test_a_variant_is_what_it_says_on_the_mosaics_of_the_main_result(study, explainer, size, scaling):
    ranked, label, frame = study.networks[0], LABELS[0], table(study, "variants")
    assert [*frame[["explainer", "size", "scaling"]].drop_duplicates().itertuples(index=False, name=None)] == WAYS
    split, assigned = ranked.subject.images, assigned_to(study, ranked, label)
    name = split.classes[label]
    x = normalised(split)[positions(split, label)]
    explain = energy_share.of_explainer(ranked.subject.network, explainer)
    options = {"n": 6, "seed": 0, "purpose": f"k-means/{name}", "resized": size == "rescaled", "scalings": (scaling,)}
    expected = dominance.pairwise(x, label, assigned, explain, **options)["value"]
    found = rows_of(frame, explainer=explainer, size=size, scaling=scaling)
    np.testing.assert_allclose(rows_of(found, label=name)["value"], expected, rtol=0, atol=1e-4)
    main = rows_of(table(study, "mosaics"), kind="tuned", clustering="k-means")
    keys = ["label", "first", "second", "mosaic"]
    assert found[keys].equals(main[keys])
    if (explainer, size, scaling) == WAYS[0]:
        np.testing.assert_allclose(found["value"], main["value"], rtol=0, atol=1e-5)


def test_a_pair_that_was_not_compared_has_no_mosaics(study):
    ranked = study.networks[0]
    for pair in [(1, 0), (0, 3), (1, 1)]:
        with pytest.raises(ValueError, match=r"two of the clusters 0 to 2, the smaller number first\. Got \("):
            experiment.class_mosaics(study, ranked, ranked.subject.images.classes[LABELS[0]], pair)


def test_single_images_are_the_first_of_the_first_classes_or_of_all(study, empty_store):
    frame, ranked = table(study, "pairs"), study.networks[0]
    split, explain = ranked.subject.images, energy_share.by_grad_cam(ranked.subject.network)
    assert list(frame["label"].unique()) == [split.classes[label] for label in LABELS[:2]]
    for label in LABELS[:2]:
        for size in ("rescaled", "whole"):
            rows, three = rows_of(frame, label=split.classes[label], size=size), positions(split, label)[:3]
            assert list(zip(rows["a"], rows["b"])) == list(itertools.combinations(split.index[three].tolist(), 2))
            given = normalised(split)[three[1:]], label, explain, ranked.subject.network
            last = single_images.all_pairs(*given, resized=size == "rescaled")
            assert rows["value"].iloc[-1] == pytest.approx(last["value"].item(), abs=1e-4, nan_ok=True)
            assert rows["logit"].iloc[-1] == pytest.approx(last["logit"].item(), abs=1e-3)
    every = table(with_budgets(study, paired_classes=None, n_paired=2), "pairs")
    assert list(every["label"].unique()) == [split.classes[label] for label in LABELS]


def test_focus_is_of_mosaics_of_several_classes_by_each_explainer(study):
    for ranked in study.networks:
        split = ranked.subject.images
        shown, target = mosaics.of_classes(split.labels, 9, seed=0)
        rows = rows_of(table(study, "focus"), kind=ranked.kind, seed=ranked.subject.seed)
        assert rows["explainer"].tolist() == [name for name in EXPLAINERS for _ in range(9)]
        assert rows["mosaic"].tolist() == [*range(9)] * len(EXPLAINERS)
        assert rows["target"].tolist() == [split.classes[label] for label in target.tolist()] * len(EXPLAINERS)
        for name in ("grad-cam", "random"):
            explain = energy_share.of_explainer(ranked.subject.network, name)
            expected = energy_share.shares(shown, normalised(split), target, explain)["relu"]
            np.testing.assert_allclose(rows_of(rows, explainer=name)["value"], expected, rtol=0, atol=1e-4)


def first_alone(study, key="another", **values):
    """The part of the first network alone, with a subject of other values."""
    ranked = study.networks[0]
    return replace(study, networks=(replace(ranked, subject=replace(ranked.subject, key=key, **values)),))


def test_modes_are_of_planted_images_alone_and_classes_may_have_numbers_for_names(study, empty_store):
    classes = ("00", "01", "02", "03", "04", "NA", "06", "007", "08", "09")
    images = replace(study.networks[0].subject.images, source="0", name="another", factors=None, classes=classes)
    other = first_alone(study, images=images)
    assert "mode" not in table(other, "images")
    assert set(table(other, "shares")["clustering"]) == {"k-means"}
    assert list(table(other, "mosaics")["clustering"].unique()) == ["k-means"]
    same = ["index", "cluster"]
    assert table(other, "images")[same].equals(rows_of(table(study, "images"), kind="tuned")[same])
    for name, n_classes in (("images", 3), ("mosaics", 3), ("shares", 3), ("pairs", 2)):
        assert list(table(other, name)["label"].unique()) == ["01", "04", "007"][:n_classes]
    assert set(table(other, "images")["predicted"]) <= set(classes)
    assert set(table(other, "focus")["target"]) == {"01", "04", "007"}
    assert len(experiment.class_mosaics(other, other.networks[0], "007", (0, 1))) == 6


def test_the_layer_of_the_network_is_clustered_and_explained(study, empty_store):
    ranked, other = study.networks[0], first_alone(study, layer="backbone.block1")
    split, network = ranked.subject.images, ranked.subject.network
    here, name = positions(split, LABELS[0]), split.classes[LABELS[0]]
    with torch.no_grad():
        shallow = network.backbone.block1(network.backbone.stem(normalised(split)))
    expected = clusters.kmeans(shallow.mean((2, 3))[here], 3, seed=0).assigned
    found = assigned_to(other, other.networks[0], LABELS[0])
    assert found.tolist() == expected.tolist() != assigned_to(study, ranked, LABELS[0]).tolist()
    explain = energy_share.by_grad_cam(network, "backbone.block1")
    values = dominance.pairwise(normalised(split)[here], LABELS[0], found, explain, n=6, purpose=f"k-means/{name}")
    rows = rows_of(table(other, "mosaics"), clustering="k-means", label=name)
    np.testing.assert_allclose(rows["value"], values["value"], rtol=0, atol=1e-4)


def run_of(overrides=""):
    return settings.settings(scale="smoke", device="cpu", overrides=f"{FEW}, {overrides}".removesuffix(", "))


def with_budgets(study, **values):
    overrides = ", ".join(f"{name}={'null' if value is None else value}" for name, value in values.items())
    return replace(study, run=run_of(overrides))


def keys(study):
    ranked = study.networks[0]
    return {part: part_cell(study, ranked, part).key for part in ranked.parts}


@pytest.mark.parametrize(
    ("values", "changed"),
    [
        ({"n_clusters": 4}, {"clusters", "mosaics", "variants"}),
        ({"n_train": 130}, {"clusters", "mosaics", "variants"}),
        ({"n_mosaics": 7}, {"mosaics", "variants"}),
        ({"n_deals": 3}, {"mosaics"}),
        ({"n_paired": 4}, {"pairs"}),
        ({"paired_classes": None}, {"pairs"}),
        ({"n_focus": 10}, {"focus"}),
        ({"seeds": 9, "dominance_seeds": 9, "n_scored": 9, "n_outputs": 9, "rarity_trainings": 9}, set()),
    ],
)
def test_a_budget_changes_the_keys_of_the_parts_that_depend_on_it(study, values, changed):
    one, another = keys(study), keys(with_budgets(study, **values))
    assert {part for part in PARTS if one[part] != another[part]} == changed


def test_keys_know_network_layer_images_and_explainers_but_no_device_no_label_and_no_kind(study, monkeypatch):
    ranked, before = study.networks[0], keys(study)
    key, few = ranked.subject.key, ranked.subject.images.subset(list(range(20)))
    elsewhere = {"device": torch.device("meta"), "label": "Another", "data_root": Path("/elsewhere"), "download": True}
    for same in (
        replace(study, run=replace(study.run, **elsewhere)),
        first_alone(study, key, device=torch.device("meta"), seed=7),
        replace(study, networks=(replace(ranked, kind="another"),)),
    ):
        assert keys(same) == before
    for values in ({}, {"key": key, "layer": "backbone.block1"}, {"key": key, "images": few}):
        assert not set(keys(first_alone(study, **values)).values()) & set(before.values())
    monkeypatch.setattr(experiment, "EXPLAINERS", EXPLAINERS[:2])
    assert {part for part in PARTS if keys(study)[part] != before[part]} == {"variants", "focus"}


def test_clusters_come_first_in_a_cell_of_their_own(study, empty_store):
    ranked = study.networks[0]
    clustered = part_cell(study, ranked, "clusters")
    for part in PARTS:
        stands_on = [clustered.key] * (part in ("mosaics", "variants"))
        assert [cell.key for cell in part_cell(study, ranked, part).parents] == stands_on
    folder = computed(part_cell(study, ranked, "mosaics"))
    assert {file.name for file in folder.glob("*.csv")} == {"mosaics.csv", "dealt.csv"}
    assert {file.name for file in Store().path(clustered).glob("*.csv")} == {"images.csv", "shares.csv", "centres.csv"}


@pytest.fixture
def run(empty_store):
    return run_of()


def test_a_runs_networks_are_fine_tuned_and_of_each_loss_with_all_test_images(run, empty_store):
    study, kinds = experiment.study(run), ("tuned", "ce", "scl", "tl", "untrained")
    assert experiment.kinds(study) == kinds and experiment.networks_of(study, "ce") == study.networks[2:4]
    assert [(ranked.kind, ranked.subject.seed) for ranked in study.networks] == list(itertools.product(kinds, (0, 1)))
    for ranked in study.networks:
        if ranked.kind == "untrained":
            continue
        (made,) = ranked.subject.parents
        assert ranked.subject.layer is None and made.stage == ("tune" if ranked.kind == "tuned" else "train")
        assert made.config["recipe"]["loss"] == ("ce" if ranked.kind == "tuned" else ranked.kind)
        assert (made.config["seed"], made.key) == (ranked.subject.seed, ranked.subject.key)
        assert ranked.subject.images.index.tolist() == run.test_split().index.tolist()
    assert len(experiment.study(run_of("dominance_seeds=1")).networks) == 5
    assert experiment.judged(study) == ("tuned",)
    assert not empty_store.exists()


def test_untrained_networks_have_the_architecture_of_the_fine_tuned_ones_and_random_weights(run):
    ranked = experiment.networks_of(experiment.study(run), "untrained")
    assert [one.subject.seed for one in ranked] == [0, 1] and ranked[0].subject.key != ranked[1].subject.key
    assert all(one.parts == ("clusters", "pairs") and one.subject.parents == () for one in ranked)
    subject, recipe = ranked[0].subject, run.fine_tunings["tuned"]
    x = subject.images.normalise(subject.images.images[:8])
    expected = models.build(recipe.architecture, 10, width=recipe.width, seed=0).eval()
    with torch.no_grad():
        torch.testing.assert_close(subject.network(x), expected(x), rtol=1e-3, atol=1e-4)
    kinds = experiment.kinds(experiment.study(run_of("recipe=paper/cifar10, width=null, kinds=scl untrained")))
    assert kinds == ("scl", "untrained-resnet18", "untrained-resnet50")


def test_kinds_choose_the_networks_and_the_first_has_every_part(run):
    study = experiment.study(run_of("kinds=tl untrained ce"))
    assert experiment.kinds(study) == ("ce", "tl", "untrained") and experiment.judged(study) == ("ce",)
    assert [ranked.parts for ranked in study.networks[::2]] == [PARTS, OF_ALL, ("clusters", "pairs")]
    for wrong in ("tuned sgd", "untrained"):
        with pytest.raises(ValueError, match=f"Expected kinds out of tuned ce scl tl untrained, .* Got .*{wrong[-3:]}"):
            experiment.study(run_of(f"kinds={wrong}"))


def test_a_network_that_scales_whatever_it_gets_sees_no_whole_mosaics():
    assert experiment.mosaic_sizes(models.build("resnet8", 3, seed=0)) == {"rescaled": True, "whole": False}
    assert experiment.mosaic_sizes(models.build("resnet18-224", 3, seed=0)) == {"rescaled": False}


def test_the_cells_of_a_run_are_those_of_its_jobs(run):
    jobs = [*experiment.jobs(run)]
    numbers = [("dominance", {"network": number}) for number in range(10)]
    assert jobs == [*numbers, *(("rarity", {"training": number}) for number in range(run.dominance.rarity_trainings))]
    listed = cells(experiment.study(run))
    by_jobs = [cell.key for _, options in numbers for cell in experiment.dominance_cells(run, **options)]
    assert [cell.key for cell in listed] == by_jobs and len(set(by_jobs)) == len(by_jobs) == 2 * (6 + 3 * 3 + 2)
    some = cells(experiment.study(run), ("choice", "focus"))
    assert {cell.stage for cell in some} == {"dominance-choice", "dominance-focus"}
    assert [cell.stage for cell in lineage(listed)[:3]] == ["train", "tune", "dominance-clusters"]


@pytest.mark.parametrize(
    ("cells_of", "number", "dataset", "message"),
    [
        ("dominance_cells", 10, "planted", r"Expected a network from 0 to 9\. Got 10\."),
        ("dominance_cells", -1, "planted", r"Expected a network from 0 to 9\. Got -1\."),
        ("rarity_cells", 1, "planted", r"Expected a training from 0 to 0\. Got 1\."),
        ("dominance_cells", 0, "imagenet:/x", r"Expected training images.*in a folder train\. Got none: imagenet:/x\."),
        ("rarity_cells", 0, "imagenet:/x", r"Expected a run that trains networks\. Got imagenet:/x: take"),
    ],
)
def test_what_a_run_has_not_is_refused(run, cells_of, number, dataset, message):
    run = replace(run, dataset=dataset)
    assert bool([*experiment.jobs(run)]) == (dataset == "planted")  # without training images there is nothing to do
    with pytest.raises(ValueError, match=message):
        getattr(experiment, cells_of)(run, number)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_gpu_gives_the_same_clusters_and_nearly_the_same_shares(networks, images, study, tmp_path, monkeypatch):
    expected = {name: table(study, name) for name in COLUMNS}
    on_gpu = built(networks, images, "cuda")
    monkeypatch.setenv("XAI_STORE", str(tmp_path / "another"))
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    for name in COLUMNS:
        pd.testing.assert_frame_equal(table(on_gpu, name), expected[name], rtol=1e-2, atol=1e-3)
