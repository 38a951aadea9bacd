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
from xai_lib.papers.whole_output import experiment, latent_tree
from xai_lib.papers.whole_output.experiment import PARTS, Corpus, ExplainedNetwork, score_cell
from xai_lib.papers.whole_output.method import documents, evaluation
from xai_lib.papers.whole_output.method.base_maps import BASES, base
from xai_lib.papers.whole_output.method.clusters import confusion_clusters
from xai_lib.papers.whole_output.method.evaluation import SCORED, Outputs, outputs_of
from xai_lib.run.settings import Study, settings
from xai_lib.run.stage import computed, lineage

TOGETHER = [[0, 1], [2, 3], [4, 5], [6, 7, 8], [9]]
FEW = "rise_masks=5, lime_samples=6, contrast_steps=3, stability_repeats=1, n_test=40"


class Confusing(nn.Module):
    """A network that mixes up pairs of look-alikes, on two grids; centred on images, so that its answers differ."""

    def __init__(self, seed, images=None, n_classes=10, names=("fine", "coarse")):
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
        if images is not None:
            mean = self.features(images.normalise(images.images)).mean(0).detach()
            self.head.bias.data -= self.head.weight.data @ mean

    def features(self, x):
        for name in self.names:
            x = self.get_submodule(name)(x)
        return x.mean((2, 3))

    def forward(self, x):
        return 4 * self.head(self.features(x))


def confused():
    """Documents from which the latent tree makes the clusters above."""
    draw = random.Random(0)
    drawn = [(draw.choice(TOGETHER[:4]), [label for label in range(9) if draw.random() < 0.05]) for _ in range(600)]
    return [list(dict.fromkeys([*cluster, *others])) for cluster, others in drawn]


def corpus(key="documents"):
    return Corpus("made up", planted.CLASSES, key, (), confused)


@pytest.fixture(scope="module")
def pool():
    return datasets.load("planted", "test", n=40, size=16)


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    return tmp_path_factory.mktemp("kept") / "store"


@pytest.fixture
def build(pool, kept, monkeypatch):
    """Function (positions of images) -> a study of a network that nobody trained; its store is the whole file's.

    Of its images one has a single top class, one more than five, one both look-alikes, one a cluster of three.
    """
    monkeypatch.setenv("XAI_STORE", str(kept))

    def built(positions=(0, 10, 5, 18, 27), device="cpu"):
        run = replace(settings(scale="smoke", device="cpu", overrides=FEW), device=torch.device(device))
        images = pool.subset(list(positions))
        subject, observer = (
            Subject(lambda n=n: n.to(run.device), key, (), None, images, lambda: images, run.device)
            for n, key in ((Confusing(4, pool).eval(), "network"), (Confusing(2, pool).eval(), "observer"))
        )
        return Study(run, (ExplainedNetwork(subject, "", ("coarse", "fine"), corpus(), (observer,)),))

    return built


@pytest.fixture
def study(build):
    return build()


@pytest.fixture
def plain(top_of):
    """Function (explained network) -> the outputs of its images, worked out once more."""

    def outputs(explained):
        network, images = explained.subject.network, explained.subject.images
        x, number = images.normalise(images.images), planted.CLASSES.index
        with torch.no_grad():
            probabilities = network(x).softmax(1)
        top = [top_of(row) for row in probabilities.tolist()]
        partner = {number(a): tuple(map(number, pair)) for pair in planted.LOOK_ALIKE_PAIRS for a in pair}
        look_alike = [partner.get(label, ()) for label in images.labels.tolist()]
        clusters = [confusion_clusters(TOGETHER, own) for own in top]
        pictured = [
            (label, number(second)) if second else ()
            for label, second in zip(images.labels.tolist(), images.factors["second"])
        ]
        objects = torch.stack([images.masks["object"], images.masks["second"]], dim=1)
        given = (images.masks["part"], look_alike, objects, pictured)
        return Outputs(network, x, images.index, probabilities, top, clusters, *given)

    return outputs


def in_order(frame):
    names = [name for name in frame.columns if name != "value"]
    return frame.sort_values(names, ignore_index=True)[sorted(frame.columns)]


def assert_same(found, expected):
    """The same rows and, but for a few, the same values: at a border, pixels of interpolated maps are equal, and which
    of them goes first is then a matter of rounding."""
    found, expected = in_order(found), in_order(expected)
    pd.testing.assert_frame_equal(found.drop(columns="value"), expected.drop(columns="value"))
    assert found["value"].isna().equals(expected["value"].isna())
    apart = (found["value"] - expected["value"]).abs().dropna()
    assert apart.max() < 0.01 and (apart > 1e-4).mean() < 0.01


def keys(study, part):
    return [cell.key for cell in experiment.cells(study, (part,))]


def grad_cam_alone(study, explained, part):
    return [experiment.base_of(study, explained, "grad-cam")]


def with_network(study, **values):
    return replace(study, networks=(replace(study.networks[0], **values),))


def test_explained_are_the_top_classes_of_95_percent_and_five_at_most_as_listed_of_all_images(study, plain, top_of):
    [explained] = study.networks
    images, expected = explained.subject.images, plain(explained)
    found = outputs_of(explained.subject.network, images, TOGETHER, study.run.device)
    assert (found.top, found.clusters) == (expected.top, expected.clusters)
    assert max(len(top_of(row, at_most=10)) for row in expected.probabilities.tolist()) > 5 == max(map(len, found.top))
    torch.testing.assert_close(found.probabilities, expected.probabilities, rtol=1e-4, atol=1e-6)
    assert torch.equal(found.x, expected.x) and torch.equal(found.index, images.index)
    assert not found.x.is_inference() and not found.probabilities.is_inference()
    frame = experiment.whole_outputs(study)
    assert frame["index"].tolist() == images.index.tolist() and frame["label"].tolist() == images.labels.tolist()
    assert set(frame["network"]) == {"seed 0"} and set(frame["seed"]) == {0}
    for row, top, clusters, shares in zip(frame.itertuples(), expected.top, expected.clusters, expected.probabilities):
        assert row.top == " ".join(map(str, top))
        assert row.clusters == " | ".join(" ".join(map(str, group)) for group in clusters)
        assert row.probability == pytest.approx(float(shares[top].sum()), rel=1e-4)


@pytest.mark.parametrize("variant", ["paper", "released"])
def test_stored_scores_are_those_of_the_plain_function_on_images_with_rivals(study, plain, variant):
    frame, [explained] = experiment.whole_output_scores(study, variant), study.networks
    outputs = plain(explained)
    several = outputs.part([b for b, clusters in enumerate(outputs.clusters) if max(map(len, clusters)) > 1])
    bases, observer = experiment.bases_of(study, explained, variant), explained.observers[0].network
    how = {"steps": 3, "variant": variant, "observed_by": [observer] if variant == "paper" else []}
    expected = evaluation.evaluate(several, bases, **how)
    assert_same(frame, expected.assign(network="seed 0", seed=0, model=""))
    assert frame["index"].unique().tolist() == several.index.tolist() and len(several.top) == 4
    assert set(frame["base"]) == set(BASES) and set(frame["method"]) == set(SCORED)
    assert frame["metric"].str.startswith("matching").any() == (variant == "paper")
    energy = frame[frame["metric"] == "part-energy"]
    assert energy["value"].notna().any() and energy["value"].isna().any()


def test_clusterings_are_those_of_the_corpus_and_held_against_the_trees(study, plain):
    frame, [explained] = experiment.whole_output_scores(study, "clusterings"), study.networks
    partitions, outputs = experiment.clusterings_of(explained.corpus, 1), plain(explained)
    several = outputs.part([b for b, clusters in enumerate(outputs.clusters) if max(map(len, clusters)) > 1])
    assert list(frame["clustering"].unique()) == list(partitions) and len(several.top) == 4
    bases = experiment.bases_of(study, explained)
    expected = evaluation.compare_clusterings(several, partitions, bases)
    assert_same(frame, expected.assign(network="seed 0", seed=0, model=""))
    alike = frame[frame["metric"] == "same-map"].groupby("clustering")["value"].min()
    assert alike["latent tree"] == pytest.approx(1) and alike["random, same sizes"] < 0.9
    own = replace(explained.corpus, key="others", load=lambda: [[0, 1], [0, 1], [2, 3], [2, 3], [4], [0, 1, 4]])
    frame = experiment.whole_output_scores(replace(study, networks=(replace(explained, own=own),)), "clusterings")
    name = experiment.documents.OWN
    assert list(frame["clustering"].unique()) == [*partitions, name]
    two = {"latent tree": partitions["latent tree"], name: experiment.partition(own)}
    expected = evaluation.compare_clusterings(several, two, bases).query("clustering == @name")
    assert_same(frame[frame["clustering"] == name], expected.assign(network="seed 0", seed=0, model=""))


@pytest.mark.parametrize("part", PARTS)
def test_chunks_and_batches_of_images_give_the_rows_of_all_together(build, monkeypatch, part):
    study = build()
    whole = experiment.whole_output_scores(study, part)
    monkeypatch.setattr(experiment, "_CHUNK", 3)
    monkeypatch.setattr(experiment, "_PIXELS_AT_ONCE", {"cpu": 2 * 16 * 16 + 5, "gpu": 1})
    again = build()
    [explained] = again.networks
    assert [len(images) for images in explained.chunks] == [3, 2] and len(experiment.cells(again, (part,))) == 2
    assert [len(batch) for batch in experiment._batches(explained.subject.images, torch.device("cpu"))] == [2, 2, 1]
    assert_same(experiment.whole_output_scores(again, part), whole)
    if part == "paper":
        pd.testing.assert_frame_equal(experiment.whole_outputs(again), experiment.whole_outputs(study), rtol=1e-5)
    monkeypatch.setattr(experiment, "_PIXELS_AT_ONCE", {"cpu": 1, "gpu": 1 << 20})  # an image larger than a batch
    images = explained.subject.images
    assert [len(batch) for batch in experiment._batches(images, torch.device("cpu"))] == [1] * 5
    assert [len(batch) for batch in experiment._batches(images, torch.device("meta"))] == [5]  # not the processor


def test_columns_have_one_type_whatever_a_chunk_holds(build, empty_store, plain, monkeypatch):
    """Also where a chunk has no row, or one class in each, which a file of numbers does not tell from a number."""
    monkeypatch.setattr(experiment, "bases_of", grad_cam_alone)
    monkeypatch.setattr(experiment, "_CHUNK", 2)
    single, pairs, three = [0, 4], [8, 13], [27]
    clusters = plain(build([*single, *pairs, *three]).networks[0]).clusters
    assert [list(map(len, found)) for found in clusters] == [[1], [1], [2], [2], [2, 3]]
    for positions in (single, pairs, [*single, *pairs, *three]):
        study = build(positions)
        for part in ("paper", "clusterings"):
            frame = experiment.whole_output_scores(study, part)
            assert frame["value"].dtype == np.float64 and frame["index"].dtype == frame["class"].dtype == np.int64
            assert frame.empty == (positions == single)
        rivals, listed = experiment.whole_output_scores(study, "paper")["rivals"], experiment.whole_outputs(study)
        assert all(isinstance(value, str) for value in (*rivals, *listed["top"], *listed["clusters"]))
        assert rivals.dtype == "str"


def test_what_a_chunk_stands_on_is_on_record(study):
    stands_on = {"paper": "latent-tree", "released": "latent-tree", "clusterings": "stability"}
    for (part, stage), cell in zip(stands_on.items(), experiment.cells(study), strict=True):
        assert list(read_json(computed(cell) / "provenance.json")["parents"].values()) == [stage]
        files = {file.name for file in computed(cell).glob("*.csv")}
        assert files == {"scores.csv", "outputs.csv"} - ({"outputs.csv"} if part == "clusterings" else set())


def test_keys_know_budgets_network_layers_images_documents_and_observer_but_no_place_and_no_label(study, changed):
    [explained] = study.networks
    of_others = {"causal_steps": 3, "n_saliency": 3, "epochs_ce": 9, "n_outputs": 9, "seeds": 9}
    elsewhere = replace(study.run, label="Another", data_root=Path("/elsewhere"), download=True)
    fewer = replace(explained.subject, images=explained.subject.images.subset([0, 1, 2]))
    relabelled, every = replace(explained.corpus, label="Another"), set(PARTS)
    released = {"excitation-backprop": ("coarse", "coarse")}
    differing = [
        (replace(study, run=changed(study.run, **of_others)), set()),
        (replace(study, run=changed(study.run, rise_masks=6)), {"paper", "clusterings"}),
        (replace(study, run=changed(study.run, lime_samples=7)), {"paper", "clusterings"}),
        (replace(study, run=changed(study.run, released_masks=6)), {"released"}),
        (replace(study, run=changed(study.run, released_samples=6)), {"released"}),
        (replace(study, run=changed(study.run, contrast_steps=4)), every),
        (replace(study, run=changed(study.run, stability_repeats=2)), {"clusterings"}),
        (replace(study, run=elsewhere), set()),
        (with_network(study, corpus=relabelled, model="a name"), set()),
        (with_network(study, subject=replace(explained.subject, key="other weights")), every),
        (with_network(study, layers=("fine", "coarse")), every),
        (with_network(study, released=released), {"released"}),
        (with_network(study, subject=fewer), every),
        (with_network(study, corpus=corpus("other documents")), every),
        (with_network(study, observers=(replace(explained.observers[0], key="another observer"),)), {"paper"}),
        (with_network(study, observers=explained.observers * 2), {"paper"}),
        (with_network(study, observers=()), {"paper"}),
    ]
    for other, parts in differing:
        assert {part for part in PARTS if keys(study, part) != keys(other, part)} == parts
        assert len({key for part in PARTS for key in keys(other, part)}) == len(PARTS)


@pytest.fixture
def run(empty_store):
    return settings(scale="smoke", device="cpu", overrides="n_train=60, n_test=40, n_outputs=6, saliency_seeds=2")


def test_a_runs_networks_are_its_first_trainings_with_documents_of_the_training_images(run, changed, empty_store):
    study = experiment.study(changed(run, seeds=3))
    assert [explained.subject.seed for explained in study.networks] == [0, 1]
    assert [[one.seed for one in explained.observers] for explained in study.networks] == [
        [1],
        [2],
    ]  # the next, also if it is not explained
    train = run.train_split()
    for explained in study.networks:
        subject, [cell] = explained.subject, explained.corpus.parents
        assert explained.name == f"seed {subject.seed}" and explained.model == "" and len(subject.images) == 6
        assert cell.config["images"] == {"digest": train.digest, "number": 60}
        assert cell.config["network"]["network"] == subject.key == subject.parents[0].key
        assert explained.corpus.classes == planted.CLASSES
        assert explained.layers == ("backbone.block3", "backbone.block1")  # the last of a finer grid
        stages = [cell.stage for cell in lineage([score_cell(study, explained, "paper", explained.chunks[0])])]
        assert sorted(stages) == ["documents", "latent-tree", "train", "train", "whole-output"]
    assert [explained.observers[0].seed for explained in experiment.study(run).networks] == [1, 0]  # of two, each other
    [explained] = experiment.study(changed(run, seeds=1)).networks
    assert explained.observers == ()
    [explained, _] = experiment.study(changed(run, recipe="paper/cifar10", width=4)).networks
    assert explained.layers == ("backbone.layer4.1", "backbone.layer3")  # last of the stage before
    one, other = (experiment.study(changed(run, n_outputs=n)) for n in (6, None))
    assert one.networks[0].corpus.key == other.networks[0].corpus.key  # documents are not of the explained images
    assert keys(one, "paper") != keys(other, "paper") and not empty_store.exists()


def test_base_explainers_have_the_settings_of_the_run_and_the_layers_of_the_network(study):
    released = {"grad-cam": ("a", "b"), "excitation-backprop": ("a", "c")}
    [explained] = with_network(study, released=released).networks
    for variant, layers, n_masks, n_samples in (("paper", {}, 5, 6), ("released", released, 8, 20)):
        how = {"variant": variant, "n_masks": n_masks, "n_samples": n_samples}
        expected = [base(name, layers.get(name, ("coarse", "fine")), **how) for name in BASES]
        assert experiment.bases_of(study, explained, variant) == expected
    [explained] = study.networks
    assert experiment.bases_of(study, explained, "released")[1].second == {"layer": "fine"}  # where none were released


def test_the_variant_released_has_the_released_budgets_at_scale_paper(study):
    run = settings(scale="paper", device="cpu")
    found = {one.name: one for one in experiment.bases_of(replace(study, run=run), study.networks[0], "released")}
    assert [found["rise"].first["n_masks"], found["rise"].second["n_masks"]] == [5000, 3000]
    assert found["lime"].first["n_samples"] == found["lime"].second["n_samples"] == 2000


def test_documents_and_a_tree_of_a_file_serve_a_run(run, study, empty_store, tmp_path):
    """A few images need no documents of their own."""
    file, tree = tmp_path / "documents.json", tmp_path / "tree.json"
    documents.write(file, {str(number): document for number, document in enumerate(confused())})
    latent_tree.save(latent_tree.fit_tree(confused(), 10), tree)
    given = experiment.study(run, str(file)).networks
    assert [one.corpus.informative for one in given] == [[found for found in confused() if len(found) > 1]] * 2
    assert {one.corpus.label for one in given} == {"documents.json"}  # no page says where it lies
    assert [one.own.key for one in given] == [one.corpus.key for one in experiment.study(run).networks]
    both = experiment.study(run, tree=str(tree)).networks[0].corpus
    assert experiment.partition(both) == TOGETHER and both.parents == ()
    assert len({one.corpus.key for one in (*given, *experiment.study(run).networks)} | {both.key}) == 4
    assert not any(empty_store.glob("documents/*"))
    latent_tree.save(latent_tree.fit_tree([[0, 1]] * 9, 3), tree)
    with pytest.raises(ValueError, match=r"Expected a tree of 10 classes in .*tree.json. Got one of 3"):
        experiment.study(run, tree=str(tree))


@pytest.mark.parametrize("clusters, none", [(["0", "3 | 1"], True), (["0", "3 | 1 2"], False)])
def test_outputs_without_a_pair_leave_the_pages_out_and_say_so(study, monkeypatch, clusters, none):
    listed = pd.DataFrame({"clusters": clusters})
    monkeypatch.setattr(experiment, "whole_outputs", lambda study: listed)
    reason = experiment.without_pairs(study)
    assert reason.startswith("None of the 2 outputs") if none else reason == ""


def test_two_classes_leave_the_part_out_and_say_so_at_once(tmp_path):
    noise = np.random.default_rng(0)
    for part, name, number in itertools.product(("train", "test"), ("cats", "dogs"), range(3)):
        (tmp_path / part / name).mkdir(parents=True, exist_ok=True)
        pixels = noise.integers(0, 256, (32, 32, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / part / name / f"{number}.png")
    run = settings("smoke", f"folder:{tmp_path}", device="cpu", overrides="n_train=null, n_test=null")
    assert "needs at least three classes" in experiment.left_out(run) and "cats, dogs" in experiment.left_out(run)
    assert list(experiment.jobs(run)) == [] and experiment.left_out(settings("smoke", device="cpu")) == ""
    with pytest.raises(ValueError, match="needs at least three classes"):
        experiment.study(run)


@pytest.fixture
def imagenet(tmp_path):
    """Six classes in ImageNet's layout, four pictures each."""
    noise = np.random.default_rng(0)
    for label, number in itertools.product(range(6), range(4)):
        folder = tmp_path / "imagenet" / f"n{label:08}"
        folder.mkdir(parents=True, exist_ok=True)
        pixels = Image.fromarray(noise.integers(0, 256, (6, 8, 3), dtype=np.uint8))
        pixels.resize((64, 48), Image.Resampling.BICUBIC).save(folder / f"ILSVRC2012_val_{number:08}.JPEG")
    return tmp_path / "imagenet"


def test_imagenets_two_networks_observe_each_other_and_their_documents_are_of_all_validation_images(
    imagenet, empty_store, monkeypatch
):
    layers = (("layer3", "layer4"), ("inception5a", "inception5b"))
    stubs = (Confusing(7 * k, None, 6, names) for k, names in enumerate(layers))
    stubs = dict(zip(experiment._RELEASED, stubs))
    stubs["torchvision:googlenet"].inception5b.add_module("branch1", nn.Identity())
    for stub in stubs.values():
        stub.head.weight.data *= 0.1  # every class has some probability
        stub.head.bias.data *= 0.1
    monkeypatch.setattr(pretrained, "pretrained", lambda name, download: stubs[name].eval())
    overrides = FEW.replace("n_test=40", "n_test=null, n_outputs=6, size=16, saliency_seeds=2")
    run = settings("smoke", f"imagenet:{imagenet}", device="cpu", overrides=overrides)
    study = experiment.study(run)
    assert [explained.name for explained in study.networks] == ["resnet50", "googlenet"]
    first, second = study.networks
    assert (first.observers, second.observers) == ((second.subject,), (first.subject,))
    [alone] = experiment.study(replace(run, networks=replace(run.networks, saliency_seeds=1))).networks
    assert alone.name == "resnet50" and len(alone.observers) == 1
    every = run.test_split().materialised()
    for explained, network in zip(study.networks, stubs.values()):
        x = every.normalise(every.images)
        torch.testing.assert_close(explained.subject.network(x), network(x), rtol=1e-5, atol=1e-5)
        assert explained.subject.images.labels.tolist() == [0, 1, 2, 3, 4, 5]
        with torch.no_grad():
            first_of_each = network(every.normalise(every.images)).argmax(1).tolist()
        assert [document[0] for document in explained.corpus.documents] == first_of_each and len(every) == 24
        [cell] = explained.corpus.parents
        split = run.test_split()
        expected = {"digest": split.digest, "number": 24, "content": split.images.content()}
        assert cell.config["images"] == expected
        assert explained.model in explained.corpus.label and "validation images" in explained.corpus.label
        stages = [cell.stage for cell in lineage([score_cell(study, explained, "paper", explained.chunks[0])])]
        assert stages == ["documents", "latent-tree", "whole-output"]
    assert first.layers == ("layer4", "layer3") and second.layers == ("inception5b", "inception5a")
    assert second.released["grad-cam"] == ("inception5b", "inception5b.branch1")

    monkeypatch.setattr(experiment, "bases_of", grad_cam_alone)
    made = [Corpus("made up", tuple("abcdef"), key, (), lambda: [[0, 1], [3, 4]] * 20) for key in "ab"]
    networks = [replace(one, corpus=own) for one, own in zip(study.networks, made)]
    study = replace(study, networks=tuple(networks))
    frame = experiment.whole_output_scores(study, "paper")
    assert set(frame["network"]) == {"resnet50", "googlenet"} and set(frame["seed"]) == {0}
    assert "matching-accuracy" in set(frame["metric"]) and "part-energy" not in set(frame["metric"])  # without parts
    listed = experiment.whole_outputs(study)
    assert listed.groupby("network", sort=False)["label"].agg(list).tolist() == [[0, 1, 2, 3, 4, 5]] * 2
    assert [options["network"] for _, options in experiment.jobs(run)] == [0, 0, 0, 1, 1, 1]


@pytest.mark.parametrize("name", list(experiment._RELEASED))
def test_torchvisions_networks_have_the_layers(name):
    with torch.device("meta"):
        modules = dict(pretrained._PUBLISHED[name].build().named_modules())
    found = experiment._RELEASED[name]
    assert set(found) == {"grad-cam", "excitation-backprop"}
    for coarse, fine in found.values():
        assert coarse in modules and fine in modules and coarse != fine


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("part", PARTS)
def test_gpu_gives_the_same_rows_and_nearly_the_same_scores(build, tmp_path, monkeypatch, part):
    expected = in_order(experiment.whole_output_scores(build(), part))
    monkeypatch.setenv("XAI_STORE", str(tmp_path / "another"))
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    found = in_order(experiment.whole_output_scores(build(device="cuda"), part))
    pd.testing.assert_frame_equal(found.drop(columns="value"), expected.drop(columns="value"))
    apart = (found["value"] - expected["value"]).abs()[found["metric"] != "salient-pixels"].dropna()
    assert (apart > 1e-3).mean() < 0.05
