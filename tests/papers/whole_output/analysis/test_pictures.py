import numpy as np
import pandas as pd
import pytest
import torch

from xai_lib import data as datasets
from xai_lib import models
from xai_lib.explainers.subject import Subject
from xai_lib.papers.whole_output import experiment
from xai_lib.papers.whole_output.analysis import pictures
from xai_lib.papers.whole_output.method.contrastive_maps import explain
from xai_lib.papers.whole_output.method.evaluation import DRAWN
from xai_lib.papers.whole_output.method.faithfulness import salient_pixels
from xai_lib.run.settings import Study, settings

PARTITION = [[0, 1], [2, 3, 7], [4, 5], [6], [8], [9]]
ALONE = [[label] for label in range(10)]


@pytest.fixture(scope="module")
def subject():
    split = datasets.load("planted", "test", n=24).subset(list(range(3, 24)))
    network = models.build("resnet8", len(split.classes), width=4, seed=0).eval()
    with torch.no_grad():
        network.head.weight.mul_(10)  # for outputs of three to five top classes
    return Subject(lambda: network, "untrained", (), None, split, lambda: split, torch.device("cpu"))


@pytest.fixture(scope="module")
def probabilities(subject):
    with torch.no_grad():
        return subject.network(subject.images.normalise(subject.images.images)).softmax(1)


@pytest.fixture(scope="module")
def clusters_of(probabilities, top_of, grouped):
    """Function (partition) -> the confusion clusters of each image."""
    tops = [top_of(row) for row in probabilities.tolist()]
    return lambda partition=PARTITION: [grouped(partition, top) for top in tops]


@pytest.fixture
def study_of(monkeypatch, subject, clusters_of):
    """Function (partition) -> a study of one untrained network, whose documents have these clusters."""

    def build(partition=PARTITION):
        said = [" | ".join(" ".join(map(str, group)) for group in clusters) for clusters in clusters_of(partition)]
        frame = pd.DataFrame({"network": "seed 0", "index": subject.images.index.tolist(), "clusters": said})
        rows = pd.concat([frame.assign(network="seed 1", clusters="8 9"), frame], ignore_index=True)
        monkeypatch.setattr(experiment, "partition", lambda corpus: partition)
        monkeypatch.setattr(experiment, "whole_outputs", lambda study: rows)
        layers = ("backbone.block3", "backbone.block1")
        corpus = experiment.Corpus("planted", tuple(subject.images.classes), "key", (), list)
        explained = experiment.ExplainedNetwork(subject, "", layers, corpus, None)
        return Study(settings(scale="smoke", device="cpu"), (explained,))

    return build


@pytest.fixture
def explained(subject, clusters_of):
    """Function (study, place of an image, base explainer) -> its explanation, by the plain function."""

    def build(study, place, base):
        images, given = subject.images.subset([place]), experiment.base_of(study, study.networks[0], base)
        how = {"base": given, "methods": DRAWN, "seed": 0, "index": images.index}
        return explain(subject.network, images.normalise(images.images), [clusters_of()[place]], **how)[0]

    return build


def place_of(subject, example):
    return subject.images.index.tolist().index(example.index)


@pytest.mark.parametrize("base", ["grad-cam", "rise"])
def test_the_example_is_the_image_that_wavers_most(study_of, subject, clusters_of, probabilities, explained, base):
    """The one with a pair whose second cluster has the highest probability."""
    shares = torch.zeros(2, len(probabilities))
    for place, groups in enumerate(clusters_of()):
        if max(map(len, groups)) > 1:
            own = sorted((float(probabilities[place, group].sum()) for group in groups), reverse=True)
            shares[: len(own), place] = torch.tensor(own[:2])
    sure, place = shares.argmax(1).tolist()
    study, split = study_of(), subject.images
    example = pictures.example(study, base)
    assert place_of(subject, example) == place and place not in (0, sure)
    assert torch.equal(example.picture * 255, split.images[place].float())
    assert torch.equal(example.x, split.normalise(split.images[[place]]))
    assert example.label == split.classes[int(split.labels[place])] and example.classes == tuple(split.classes)
    output = explained(study, place, base)
    assert (example.output.clusters, example.output.classes) == (output.clusters, output.classes)
    assert list(example.output.class_maps) == [*DRAWN]
    assert all(torch.equal(example.output.class_maps[method], maps) for method, maps in output.class_maps.items())


def test_the_first_is_the_example_of_one_cluster_of_one_candidate_and_none_without_a_pair(
    study_of, subject, clusters_of, monkeypatch
):
    example = pictures.example(study_of([list(range(10))]), "grad-cam")
    assert place_of(subject, example) == 0 and len(example.output.clusters) == 1
    first = next(place for place, groups in enumerate(clusters_of()) if max(map(len, groups)) > 1)
    monkeypatch.setattr(pictures, "_CANDIDATES", 1)
    assert place_of(subject, pictures.example(study_of(), "grad-cam")) == first
    with pytest.raises(ValueError, match=r"two classes of one cluster at its top. Got none: take more images"):
        pictures.example(study_of(ALONE), "grad-cam")
    with pytest.raises(ValueError, match=r"two maps to match. Got none .* take more images"):
        pictures.rounds(study_of(ALONE), n=1)


def test_curves_start_at_the_output_and_end_at_the_maps_own_pixels(study_of, subject):
    study, names = study_of(), subject.images.classes
    example = pictures.example(study, "rise")
    rows = pictures.curves(study, example)
    label, *others = next(group for group in example.output.clusters if len(group) > 1)
    assert set(rows["target_name"]) == {names[label]}
    assert set(rows["rival_names"]) == {", ".join(names[other] for other in others)}
    shown = {name: example.output.class_map(name, label) for name in ("cwox-2s", "swox", "cwox-1sa")}
    shown = {name: heat for name, heat in shown.items() if (heat > 0).any()}
    assert rows["method"].unique().tolist() == list(shown) and len(shown) > 1
    for method, curve in rows.groupby("method"):
        last = int(salient_pixels(shown[method][None])[0])
        assert len(curve) == min(last, 48) + 1 and curve["removed"].is_monotonic_increasing
        assert curve["removed"].iloc[0] == 0 and curve["removed"].iloc[-1] == last / 32**2
        order = shown[method].flatten().argsort(descending=True)
        for row in (curve.iloc[0], curve.iloc[-1]):
            x = example.x[0].clone().flatten(1)
            x[:, order[: round(row["removed"] * 32**2)]] = 0
            with torch.no_grad():
                shares = subject.network(x.reshape(1, 3, 32, 32)).softmax(1)[0]
            expected = [float(shares[label]), float(shares[others].sum())]
            assert row[["target", "rivals"]].tolist() == pytest.approx(expected, abs=1e-4)
        np.testing.assert_allclose(curve["score"], curve["target"] * (1 - curve["rivals"]), atol=1e-6)
    example.output.class_maps["swox"].zero_()  # without a positive value: no curve
    assert "swox" not in set(pictures.curves(study, example)["method"])


def test_each_image_is_played_with_one_method(study_of, subject, clusters_of, explained):
    study, split, places = study_of(), subject.images, []
    found = pictures.rounds(study, n=2)
    assert [one.method for one in found] == ["swox", "cwox-1sb", "cwox-2s"] * 2
    for one in found:
        place = next(p for p, picture in enumerate(split.images) if torch.equal(picture, (one.picture * 255).byte()))
        places.append(place)
        pair = next(group for group in clusters_of()[place] if len(group) > 1)[:2]
        assert one.labels == tuple(split.classes[label] for label in pair)
        assert one.label == split.classes[int(split.labels[place])]
        output = explained(study, place, "rise")
        for heat, label in zip(one.maps, pair):
            assert torch.equal(heat, output.class_map(one.method, label)) and (heat > 0).any()
        assert not torch.equal(*one.maps)
    assert places == sorted(set(places))  # the first there are


def test_maps_that_are_empty_or_alike_are_not_played(study_of, monkeypatch):
    """Of the first image's maps one is empty, the second image's are alike: the third is the first round."""
    study, true, seen = study_of(), pictures._explained, []

    def altered(*parts):
        example = true(*parts)
        maps, pair = example.output.class_maps["swox"], next(g for g in example.output.clusters if len(g) > 1)
        maps += torch.rand(maps.shape)
        if not seen:
            maps[example.output.classes.index(pair[1])] = 0
        elif len(seen) == 1:
            maps[:] = maps[:1]
        seen.append(example)
        return example

    monkeypatch.setattr(pictures, "_explained", altered)
    monkeypatch.setattr(pictures, "PLAYED", ("swox",))
    [one] = pictures.rounds(study, n=1)
    assert len(seen) == 3 and torch.equal(one.picture, seen[2].picture)


def test_thumbnails_are_of_the_first_image_of_each_class(study_of, subject):
    found, labels = pictures.thumbnails(study_of()), subject.images.labels.tolist()
    assert sorted(found) == sorted(set(labels))
    for label, picture in found.items():
        assert torch.equal(picture, subject.images.images[labels.index(label)].float() / 255)
