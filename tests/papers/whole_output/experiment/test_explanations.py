import copy
import itertools
import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torch import nn

from xai_lib import data as datasets
from xai_lib import pretrained
from xai_lib.data import planted
from xai_lib.explainers.subject import Subject
from xai_lib.files import read_json
from xai_lib.papers.whole_output import experiment
from xai_lib.papers.whole_output.experiment import explanations as whole_output
from xai_lib.papers.whole_output.experiment.documents import Corpus
from xai_lib.papers.whole_output.experiment.explanations import (
    PARTS,
    ExplainedNetwork,
    Study,
    chunks,
    outputs_of,
    scored_chunk,
    whole_output_cells,
)
from xai_lib.papers.whole_output.method import evaluation
from xai_lib.papers.whole_output.method.base_maps import BASES
from xai_lib.papers.whole_output.method.confusion import confusion_clusters
from xai_lib.papers.whole_output.method.evaluation import SCORED, Images
from xai_lib.run import settings, stages, workflow
from xai_lib.run.store import Store

TOGETHER = [[0, 1], [2, 3], [4, 5], [6, 7, 8], [9]]
FEW = "rise_masks=5, lime_samples=6, contrast_steps=3, stability_repeats=1, n_test=40"


class Confusing(nn.Module):
    """A network that mixes up the members of each pair of planted look-alikes, on two grids."""

    def __init__(self, seed, n_classes=10, names=("fine", "coarse")):
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.names = names
        for name, channels in zip(names, ((3, 6), (6, 8))):
            self.add_module(name, nn.Sequential(nn.Conv2d(*channels, 3, stride=2, padding=1), nn.ReLU()))
        self.head = nn.Linear(8, n_classes)
        for parameter in self.parameters():
            parameter.data = 0.5 * torch.randn(parameter.shape, generator=generator)
        for a in range(0, n_classes - 1, 2):
            self.head.weight.data[a + 1] = self.head.weight.data[a] + 0.3 * torch.randn(8, generator=generator)
            self.head.bias.data[a + 1] = self.head.bias.data[a]
        self.register_buffer("mean", torch.zeros(8))

    def features(self, x):
        for name in self.names:
            x = self.get_submodule(name)(x)
        return x.mean((2, 3))

    def forward(self, x):
        return 4 * self.head(self.features(x) - self.mean)


def confusing(seed, images):
    """Such a network, centred on some images so that its answers differ."""
    network = Confusing(seed).eval()
    with torch.no_grad():
        network.mean.copy_(network.features(images.normalise(images.images)).mean(0))
    return network


def confused():
    """Documents from which the latent tree makes the clusters above."""
    draw = random.Random(0)
    found = []
    for _ in range(600):
        cluster = draw.choice(TOGETHER)
        others = [label for label in range(10) if draw.random() < 0.05]
        found.append(list(dict.fromkeys([*cluster, *others])))
    return found


def made_by_hand(network, images, key, device="cpu"):
    device = torch.device(device)
    return Subject(lambda: copy.deepcopy(network).to(device), key, (), None, images, lambda: images, device)


def corpus(key="documents"):
    return Corpus("made up", planted.CLASSES, key, (), confused)


@pytest.fixture(scope="module")
def pool():
    return datasets.load("planted", "test", n=40, size=16)


@pytest.fixture(scope="module")
def networks(pool):
    return confusing(4, pool), confusing(2, pool)


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    return tmp_path_factory.mktemp("kept") / "store"


@pytest.fixture
def build(networks, pool, kept, monkeypatch):
    """Function (positions of images) -> a study of a network that nobody trained; its store is the whole file's.

    Of its images one has a single top class, one more than five, one both look-alikes, one a cluster of three.
    """
    monkeypatch.setenv("XAI_STORE", str(kept))

    def built(positions=(0, 10, 5, 18, 27), device="cpu"):
        run = replace(settings.settings(scale="smoke", device="cpu", overrides=FEW), device=torch.device(device))
        images = pool.subset(list(positions))
        subject, observer = (
            made_by_hand(network, images, key, device) for network, key in zip(networks, ("network", "observer"))
        )
        return Study(run, (ExplainedNetwork(subject, "", {"grad-cam": ("coarse", "fine")}, corpus(), observer),))

    return built


@pytest.fixture
def study(build):
    return build()


def in_order(frame):
    return frame.sort_values([name for name in frame.columns if name != "value"], ignore_index=True)[
        sorted(frame.columns)
    ]


def assert_same(found, expected):
    """The same rows and, but for a few, the same values: at a border, pixels of interpolated maps are equal, and which
    of them goes first is then a matter of rounding."""
    found, expected = in_order(found), in_order(expected)
    labels = [name for name in expected.columns if name != "value"]
    pd.testing.assert_frame_equal(found[labels], expected[labels])
    assert found["value"].isna().equals(expected["value"].isna())
    apart = (found["value"] - expected["value"]).abs().dropna()
    assert apart.max() < 0.01 and (apart > 1e-4).mean() < 0.01


def probabilities_of(explained):
    images = explained.subject.images
    with torch.no_grad():
        return explained.subject.network(images.normalise(images.images)).softmax(1).double()


def tops(explained, at_most=5):
    found = []
    for row in probabilities_of(explained):
        ranked = row.argsort(descending=True)
        n = int((row[ranked].cumsum(0) <= 0.95).sum()) + 1
        found.append(ranked[: min(n, at_most)].tolist())
    return found


def by_hand(study, variant="paper", **options):
    """Images with rivals and their scores, by the plain function, all at once."""
    [explained] = study.networks
    images, found = explained.subject.images, tops(explained)
    rows = [b for b, top in enumerate(found) if any(len(c) > 1 for c in confusion_clusters(TOGETHER, top))]
    part = images.subset(rows)
    partner = {a: pair for pair in planted.LOOK_ALIKE_PAIRS for a in pair}
    look_alike = [
        tuple(planted.CLASSES.index(name) for name in partner[planted.CLASSES[label]])
        if planted.CLASSES[label] in partner
        else None
        for label in part.labels.tolist()
    ]
    clusters = [confusion_clusters(TOGETHER, found[b]) for b in rows]
    shown = Images(images.normalise(part.images), part.index, clusters, part.masks["part"], look_alike)
    frame = evaluation.evaluate(
        explained.subject.network,
        shown,
        experiment.bases_of(study, explained, variant),
        n_classes=10,
        steps=3,
        variant=variant,
        **options,
    )
    return frame.assign(network="seed 0", seed=0), part.index.tolist()


def keys(study, part):
    return [cell.key for cell in whole_output_cells(study, study.networks[0], part)]


def changed(study, **values):
    return replace(study, run=replace(study.run, scale=replace(study.run.scale, **values)))


def with_network(study, **values):
    return replace(study, networks=(replace(study.networks[0], **values),))


def test_explained_are_the_top_classes_of_95_percent_and_five_at_most(study):
    [explained] = study.networks
    found = outputs_of(explained, explained.subject.images)
    assert found.top == tops(explained)
    assert max(map(len, tops(explained, at_most=10))) > 5 == max(map(len, found.top))
    torch.testing.assert_close(found.probabilities.double(), probabilities_of(explained), rtol=1e-4, atol=1e-6)
    assert torch.equal(found.x, found.images.normalise(found.images.images))
    assert not found.x.is_inference() and not found.probabilities.is_inference()


@pytest.mark.parametrize("variant", ["paper", "released"])
def test_stored_scores_are_those_of_the_plain_function_on_images_with_rivals(study, variant):
    frame = experiment.whole_output_scores(study, variant)
    observed_by = study.networks[0].observer.network if variant == "paper" else None
    expected, index = by_hand(study, variant, observed_by=observed_by)
    assert frame["index"].unique().tolist() == index and len(index) == 4
    assert_same(frame, expected)
    assert set(frame["base"]) == set(BASES) and set(frame["method"]) == set(SCORED)
    matched = frame["metric"].str.startswith("matching")
    assert matched.any() == (variant == "paper")
    energy = frame[frame["metric"] == "part-energy"]
    assert energy["value"].notna().any() and energy["value"].isna().any()


@pytest.fixture(scope="module")
def kept_of_quick(tmp_path_factory):
    return tmp_path_factory.mktemp("quick") / "store"


@pytest.fixture
def quick(build, kept_of_quick, monkeypatch):
    """As ``build``, with Grad-CAM alone, and another store."""
    plain = whole_output.bases_of
    monkeypatch.setenv("XAI_STORE", str(kept_of_quick))
    monkeypatch.setattr(whole_output, "bases_of", lambda *arguments: plain(*arguments)[:1])
    return build


def test_part_energy_is_left_out_where_images_have_no_parts(quick):
    study = quick()
    [explained] = study.networks
    other = replace(explained.subject, images=replace(explained.subject.images, name="another", digest="0"))
    frame = experiment.whole_output_scores(with_network(study, subject=other), "paper")
    assert "part-energy" not in set(frame["metric"]) and "cauc" in set(frame["metric"])


def test_clusterings_are_those_of_the_corpus_and_held_against_the_trees(study):
    frame = experiment.whole_output_scores(study, "clusterings")
    [explained] = study.networks
    partitions = experiment.clusterings_of(explained.corpus, 1)
    assert list(frame["clustering"].unique()) == list(partitions)
    alike = frame[frame["metric"] == "same-map"].set_index(["clustering", "index", "class"])["value"]
    found = dict(zip(explained.subject.images.index.tolist(), tops(explained)))
    several = {(number, label) for number, top in found.items() if len(top) > 1 for label in top}
    assert len(several) == 16
    for name in partitions:
        assert set(alike[name].index) == several
    assert alike["latent tree"].dropna().tolist() == pytest.approx([1] * alike["latent tree"].count())
    assert alike["random, same sizes"].dropna().min() < 0.9
    drops = frame[frame["metric"] == "cdrop"].groupby("clustering").size()
    for name, partition in partitions.items():
        sizes = [len(c) for top in found.values() for c in confusion_clusters(partition, top)]
        assert drops.get(name, 0) == sum(size for size in sizes if size > 1)
    paper = experiment.whole_output_scores(study, "paper")
    paper = paper[(paper["metric"] == "cdrop") & (paper["base"] == "grad-cam") & (paper["method"] == "cwox-2s")]
    own = frame[(frame["metric"] == "cdrop") & (frame["clustering"] == "latent tree")]
    same = own.set_index(["index", "class"])["value"].sort_index()
    expected = paper.set_index(["index", "class"])["value"].sort_index()
    pd.testing.assert_series_equal(same, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("part", PARTS)
def test_chunks_and_batches_of_images_give_the_rows_of_all_together(build, monkeypatch, part):
    study = build()
    whole = experiment.whole_output_scores(study, part)
    monkeypatch.setattr(whole_output, "_CHUNK", 3)
    monkeypatch.setattr(whole_output, "_PIXELS_AT_ONCE", 2 * 16 * 16 + 5)
    again = build()
    explained = again.networks[0]
    assert [len(images) for images in chunks(again, explained)] == [3, 2]
    assert [len(batch) for batch in whole_output._batches(explained.subject.images)] == [2, 2, 1]
    assert_same(experiment.whole_output_scores(again, part), whole)
    if part == "paper":
        pd.testing.assert_frame_equal(experiment.whole_outputs(again), experiment.whole_outputs(study), rtol=1e-5)


def test_an_image_larger_than_a_batch_is_a_batch(study, monkeypatch):
    monkeypatch.setattr(whole_output, "_PIXELS_AT_ONCE", 1)
    assert [len(batch) for batch in whole_output._batches(study.networks[0].subject.images)] == [1] * 5


def test_outputs_of_all_images_are_listed_with_their_clusters(study):
    [explained] = study.networks
    frame = experiment.whole_outputs(study)
    images, found, probabilities = explained.subject.images, tops(explained), probabilities_of(explained)
    assert frame["index"].tolist() == images.index.tolist() and frame["label"].tolist() == images.labels.tolist()
    assert set(frame["network"]) == {"seed 0"} and set(frame["seed"]) == {0}
    for row, top, shares in zip(frame.itertuples(), found, probabilities):
        assert [int(label) for label in row.top.split(" ")] == top
        clusters = [[int(label) for label in group.split(" ")] for group in row.clusters.split(" | ")]
        assert clusters == confusion_clusters(TOGETHER, top)
        assert row.probability == pytest.approx(float(shares[top].sum()), rel=1e-4)


def test_columns_have_one_type_whatever_a_chunk_holds(quick, monkeypatch):
    """Also where a chunk has no row, or one class in each, which a file of numbers does not tell from a number."""
    monkeypatch.setattr(whole_output, "_CHUNK", 2)
    single, pairs, three = [0, 4], [8, 13], [27]
    found = tops(quick([*single, *pairs, *three]).networks[0])
    sizes = [[len(cluster) for cluster in confusion_clusters(TOGETHER, top)] for top in found]
    assert sizes == [[1], [1], [2], [2], [2, 3]]
    for positions in (single, pairs, [*single, *pairs, *three]):
        study = quick(positions)
        for part in ("paper", "clusterings"):
            frame = experiment.whole_output_scores(study, part)
            assert frame["value"].dtype == np.float64
            assert frame["index"].dtype == frame["class"].dtype == np.int64
            assert frame.empty == (positions == single)
        rivals = experiment.whole_output_scores(study, "paper")["rivals"]
        assert all(isinstance(value, str) for value in rivals) and rivals.dtype == "str"
        listed = experiment.whole_outputs(study)
        assert all(isinstance(value, str) for name in ("top", "clusters") for value in listed[name])
        assert listed["top"].tolist() == [" ".join(map(str, top)) for top in tops(study.networks[0])]


def test_chunks_that_a_killed_run_had_finished_are_kept(quick, monkeypatch):
    monkeypatch.setattr(whole_output, "_CHUNK", 2)
    study = quick()
    [explained] = study.networks
    plain, scored = evaluation.evaluate, []

    def killed_in_the_second(network, images, *rest, **options):
        if scored:
            raise KeyboardInterrupt
        scored.append(images.index.tolist())
        return plain(network, images, *rest, **options)

    monkeypatch.setattr(evaluation, "evaluate", killed_in_the_second)
    with pytest.raises(KeyboardInterrupt):
        experiment.whole_output_scores(study, "paper")
    done = [Store().is_done(cell) for cell in whole_output_cells(study, explained, "paper")]
    assert done == [True, False, False]

    def resumed(network, images, *rest, **options):
        scored.append(images.index.tolist())
        return plain(network, images, *rest, **options)

    monkeypatch.setattr(evaluation, "evaluate", resumed)
    frame = experiment.whole_output_scores(study, "paper")
    assert frame["index"].unique().tolist() == list(itertools.chain(*scored))
    assert scored == [[10], [5, 18], [27]]
    experiment.whole_output_scores(quick(), "paper")
    assert len(scored) == 3
    assert all(Store().is_done(cell) for cell in whole_output_cells(study, explained, "paper"))


def test_what_a_chunk_stands_on_is_computed_first_and_on_record(study):
    [explained] = study.networks
    [images] = chunks(study, explained)
    stages = {}
    for part in PARTS:
        folder = scored_chunk(study, explained, part, images)
        stages[part] = sorted(read_json(folder / "provenance.json")["parents"].values())
        assert {file.name for file in folder.glob("*.csv")} == {"scores.csv"} | (
            {"outputs.csv"} if part != "clusterings" else set()
        )
    assert stages == {
        "paper": ["latent-tree"],
        "released": ["latent-tree"],
        "clusterings": ["latent-tree", "stability"],
    }


@pytest.mark.parametrize(
    ("values", "parts"),
    [
        ({"rise_masks": 6}, {"paper", "released"}),
        ({"lime_samples": 7}, {"paper", "released"}),
        ({"contrast_steps": 4}, set(PARTS)),
        ({"stability_repeats": 2}, {"clusterings"}),
        ({"causal_steps": 3, "n_saliency": 3, "epochs_ce": 9, "n_outputs": 9, "seeds": 9}, set()),
    ],
)
def test_a_budget_changes_the_keys_of_the_parts_that_depend_on_it(study, values, parts):
    other = changed(study, **values)
    assert {part for part in PARTS if keys(study, part) != keys(other, part)} == parts


def test_keys_know_network_layers_images_documents_and_observer_but_no_device_and_no_label(study, monkeypatch):
    [explained] = study.networks
    elsewhere = replace(
        study.run, device=torch.device("meta"), label="Another", data_root=Path("/elsewhere"), download=True
    )
    fewer = replace(explained.subject, images=explained.subject.images.subset([0, 1, 2]))
    others = {
        "elsewhere": replace(study, run=elsewhere),
        "label": with_network(study, corpus=replace(explained.corpus, label="Another"), model="a name"),
        "weights": with_network(study, subject=replace(explained.subject, key="other weights")),
        "layers": with_network(study, layers={"grad-cam": ("fine", "coarse")}),
        "layers of a base": with_network(
            study, layers={**explained.layers, "excitation-backprop": ("coarse", "coarse")}
        ),
        "images": with_network(study, subject=fewer),
        "documents": with_network(study, corpus=corpus("other documents")),
        "observer": with_network(study, observer=replace(explained.observer, key="another observer")),
        "no observer": with_network(study, observer=None),
    }
    differing = {
        name: {part for part in PARTS if keys(study, part) != keys(other, part)} for name, other in others.items()
    }
    for stage in ("whole-output", "latent-tree", "stability"):
        base = {part: keys(study, part) for part in PARTS}
        with monkeypatch.context() as patch:
            patch.setitem(stages.STAGES, stage, replace(stages.STAGES[stage], version=99))
            differing[stage] = {part for part in PARTS if base[part] != keys(study, part)}
    every = set(PARTS)
    assert differing == {
        "elsewhere": set(),
        "label": set(),
        "weights": every,
        "layers": every,
        "layers of a base": every,
        "images": every,
        "documents": every,
        "observer": {"paper"},
        "no observer": {"paper"},
        "whole-output": every,
        "latent-tree": every,
        "stability": {"clusterings"},
    }
    for one in (study, others["no observer"]):
        assert len({key for part in PARTS for key in keys(one, part)}) == len(PARTS)


def test_clusters_of_other_classes_are_refused_and_nothing_is_kept(build, empty_store, monkeypatch):
    study = build()
    monkeypatch.setenv("XAI_STORE", str(empty_store))
    few = Corpus("few", tuple("abcd"), "few", (), lambda: [[0, 1], [2, 3], [0, 1]])
    study = with_network(study, corpus=few)
    with pytest.raises(ValueError, match=r"Expected every top class in a cluster of the partition"):
        experiment.whole_output_scores(study, "paper")
    assert not any(Store().is_done(cell) for cell in whole_output_cells(study, study.networks[0], "paper"))


@pytest.fixture
def run(empty_store):
    return settings.settings(
        scale="smoke", device="cpu", overrides="n_train=60, n_test=40, n_outputs=6, saliency_seeds=2"
    )


def test_a_runs_networks_are_its_first_trainings_with_documents_of_the_training_images(run, empty_store):
    study = experiment.study(replace(run, scale=replace(run.scale, seeds=3)))
    assert [explained.subject.seed for explained in study.networks] == [0, 1]
    assert [explained.observer.seed for explained in study.networks] == [1, 2]  # the next, also if it is not explained
    train, test = run.train_split(), run.test_split()
    for explained in study.networks:
        assert explained.name == f"seed {explained.subject.seed}" and explained.model == ""
        assert explained.subject.images.index.tolist() == datasets.select(test, 6).index.tolist()
        [cell] = explained.corpus.made_by
        assert cell.config["images"] == {"digest": train.digest, "number": 60}
        assert cell.config["network"] == explained.subject.key == explained.subject.parents[0].key
        assert explained.corpus.classes == planted.CLASSES
        assert explained.layers == {"grad-cam": ("backbone.block3", "backbone.block2")}
        stages = [cell.stage for cell in whole_output.lineage(study, explained, whole_output.PARTS)]
        assert stages == ["train", "train", "documents", "latent-tree", "stability"]
    assert [explained.observer.seed for explained in experiment.study(run).networks] == [1, 0]  # of two, each other
    assert not empty_store.exists()


def test_maps_are_of_the_last_layer_and_of_the_last_of_the_stage_before(run):
    [explained, _] = experiment.study(replace(run, scale=replace(run.scale, recipe="paper/cifar10", width=4))).networks
    assert explained.layers == {"grad-cam": ("backbone.layer4.1", "backbone.layer3.1")}


def test_one_training_has_no_observer(run):
    [explained] = experiment.study(replace(run, scale=replace(run.scale, seeds=1))).networks
    assert explained.observer is None
    stages = [cell.stage for cell in whole_output.lineage(experiment.study(run), explained, ("paper",))]
    assert stages == ["train", "documents", "latent-tree"]  # nothing of the part that asks for other clusterings


def test_another_number_of_explained_images_changes_no_documents(run):
    one, other = (experiment.study(replace(run, scale=replace(run.scale, n_outputs=n))) for n in (6, None))
    assert len(other.networks[0].subject.images) == 40
    assert one.networks[0].corpus.key == other.networks[0].corpus.key
    assert keys(one, "paper") != keys(other, "paper")


def test_base_explainers_have_the_settings_of_the_run_and_the_layers_of_the_network(study):
    layers = {"grad-cam": ("a", "b"), "excitation-backprop": ("a", "c")}
    [explained] = with_network(study, layers=layers).networks
    for variant, first, second in (("paper", 7, 10), ("released", 15, 10)):
        found = {base.name: base for base in experiment.bases_of(study, explained, variant)}
        assert tuple(found) == BASES
        assert (found["grad-cam"].first, found["grad-cam"].second) == ({"layer": "a"}, {"layer": "b"})
        assert found["excitation-backprop"].second == {"layer": "c"}
        assert found["lime"].first == {"n_samples": 6}
        assert (found["rise"].first["n_masks"], found["rise"].first["grid"]) == (5, first)
        assert found["rise"].second["grid"] == second
    [explained] = study.networks
    assert experiment.bases_of(study, explained)[1].second == {"layer": "fine"}  # excitation backprop's, as Grad-CAM's


class Stub(nn.Module):
    """A network of three classes with some of torchvision's names of layers."""

    def __init__(self, seed, *, coarse, fine):
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.names = (fine, coarse)
        for name, (inside, out) in zip(self.names, ((3, 6), (6, 8))):
            layers = nn.Sequential(nn.Conv2d(inside, out, 3, stride=2, padding=1), nn.ReLU())
            self.add_module(name, nn.Sequential(layers))
        self.head = nn.Linear(8, 6)
        for parameter in self.parameters():
            parameter.data = 0.4 * torch.randn(parameter.shape, generator=generator)

    def forward(self, x):
        for name in self.names:
            x = self.get_submodule(name)(x)
        return self.head(x.mean((2, 3)))


@pytest.fixture
def imagenet(tmp_path):
    """Six classes in ImageNet's layout, four pictures each."""
    noise = np.random.default_rng(0)
    for label in range(6):
        folder = tmp_path / "imagenet" / f"n{label:08}"
        folder.mkdir(parents=True)
        for number in range(4):
            pixels = Image.fromarray(noise.integers(0, 256, (6, 8, 3), dtype=np.uint8))
            pixels.resize((64, 48), Image.Resampling.BICUBIC).save(folder / f"ILSVRC2012_val_{number:08}.JPEG")
    return tmp_path / "imagenet"


def test_imagenets_two_networks_observe_each_other_and_their_documents_are_of_all_validation_images(
    imagenet, empty_store, monkeypatch
):
    stubs = {
        "torchvision:resnet50": Stub(0, coarse="layer4", fine="layer3"),
        "torchvision:googlenet": Stub(1, coarse="inception5b", fine="inception5a"),
    }
    stubs["torchvision:googlenet"].inception5b.add_module("branch1", nn.Identity())
    asked = []
    monkeypatch.setattr(
        pretrained, "pretrained", lambda name, **options: asked.append((name, options)) or stubs[name].eval()
    )
    overrides = FEW.replace("n_test=40", "n_test=null, n_outputs=6, size=16")
    run = settings.settings("smoke", f"imagenet:{imagenet}", device="cpu", overrides=overrides)
    study = experiment.study(run)
    assert asked == [(name, {"download": False}) for name in stubs]
    assert [explained.name for explained in study.networks] == ["resnet50", "googlenet"]
    first, second = study.networks
    assert (first.observer, second.observer) == (second.subject, first.subject)
    for explained, network in zip(study.networks, stubs.values()):
        assert explained.subject.network is network and explained.subject.key == pretrained.state_digest(network)
        assert explained.subject.images.labels.tolist() == [0, 1, 2, 3, 4, 5]
        assert explained.subject.parents == ()
        every = run.test_split().materialised()
        with torch.no_grad():
            first_of_each = network(every.normalise(every.images)).argmax(1).tolist()
        assert [document[0] for document in explained.corpus.documents] == first_of_each and len(every) == 24
        [cell] = explained.corpus.made_by
        assert cell.config["images"] == {"digest": run.test_split().digest, "number": 24}
        assert explained.model in explained.corpus.label and "validation images" in explained.corpus.label
        assert [cell.stage for cell in whole_output.lineage(study, explained, whole_output.PARTS)] == [
            "documents",
            "latent-tree",
            "stability",
        ]
    assert {name: pair[0] for name, pair in first.layers.items()} == dict.fromkeys(first.layers, "layer4")
    assert second.layers["grad-cam"] == ("inception5b", "inception5b.branch1")

    plain = whole_output.bases_of
    monkeypatch.setattr(whole_output, "bases_of", lambda *arguments: plain(*arguments)[::3])
    monkeypatch.setattr(whole_output.documents, "partition", lambda corpus: [[0, 1, 2], [3, 4, 5]])
    layers = {"grad-cam": ("layer4", "layer3")}
    other = {"grad-cam": ("inception5b", "inception5a")}
    study = replace(study, networks=(replace(first, layers=layers), replace(second, layers=other)))
    for explained in study.networks:
        experiment.tree(explained.corpus)
    frame = experiment.whole_output_scores(study, "paper")
    assert list(frame["network"].unique()) == ["resnet50", "googlenet"] and set(frame["seed"]) == {0}
    assert set(frame["metric"]) == {
        "cauc",
        "cauc-bases",
        "cdrop",
        "salient-pixels",
        "degenerate",
        "matching-accuracy",
        "matching-margin",
    }
    assert frame.groupby("network")["index"].nunique().gt(3).all()
    listed = experiment.whole_outputs(study)
    assert listed.groupby("network", sort=False)["label"].agg(list).tolist() == [[0, 1, 2, 3, 4, 5]] * 2
    kept = first.subject.images.materialised()
    with torch.no_grad():
        shares = stubs["torchvision:resnet50"](kept.normalise(kept.images)).softmax(1)
    assert [int(row.split(" ")[0]) for row in listed["top"][:6]] == shares.argmax(1).tolist()
    jobs = [job for job in workflow.plan(run) if job["command"][0] == "whole-output"]
    assert len(jobs) == 2 * len(PARTS) and not any(job["needs"] for job in jobs)


@pytest.mark.parametrize("name", list(whole_output._TORCHVISION))
def test_torchvisions_networks_have_the_layers(name):
    with torch.device("meta"):
        network = pretrained._PUBLISHED[name].build()
    modules = dict(network.named_modules())
    found = whole_output._TORCHVISION[name]
    assert set(found) == {"grad-cam", "excitation-backprop"}
    for coarse, fine in found.values():
        assert coarse in modules and fine in modules and coarse != fine


def test_missing_weights_are_named_with_their_place(imagenet, empty_store, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    run = settings.settings("smoke", f"imagenet:{imagenet}", device="cpu", overrides="n_test=null, n_outputs=2")
    with pytest.raises(FileNotFoundError, match=r"weights of torchvision:resnet50.*resnet50-0676ba61\.pth"):
        experiment.study(run)
    assert not empty_store.exists()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_gpu_gives_the_same_rows_and_nearly_the_same_scores(build, tmp_path, monkeypatch):
    expected = {part: experiment.whole_output_scores(build(), part) for part in PARTS}
    on_gpu = build(device="cuda")
    monkeypatch.setenv("XAI_STORE", str(tmp_path / "another"))
    allowed = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    try:
        found = {part: experiment.whole_output_scores(on_gpu, part) for part in PARTS}
    finally:
        torch.backends.cudnn.allow_tf32 = allowed
    for part in PARTS:
        one, other = in_order(found[part]), in_order(expected[part])
        labels = [name for name in one.columns if name != "value"]
        pd.testing.assert_frame_equal(one[labels], other[labels])
        apart = (one["value"] - other["value"]).abs()[one["metric"] != "salient-pixels"].dropna()
        assert (apart > 1e-3).mean() < 0.05
