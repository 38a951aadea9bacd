import io

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from xai_lib import data as datasets
from xai_lib import models
from xai_lib.explainers.subject import Subject
from xai_lib.page.names import WHOLE_OUTPUT_NAMES
from xai_lib.papers.whole_output import experiment
from xai_lib.papers.whole_output.analysis import pictures
from xai_lib.papers.whole_output.method.documents import top_classes
from xai_lib.papers.whole_output.method.explanation import FINE, METHODS, explain
from xai_lib.papers.whole_output.method.faithfulness import salient_pixels
from xai_lib.run import settings

PARTITION = [[0, 1], [2, 3, 7], [4, 5], [6], [8], [9]]


@pytest.fixture(scope="module")
def subject():
    split = datasets.load("planted", "test", n=24).subset(list(range(3, 24)))
    network = models.build("resnet8", len(split.classes), width=4, seed=0).eval()
    with torch.no_grad():
        network.head.weight.mul_(10)  # for outputs of three to five top classes
    return Subject(
        load=lambda: network,
        key="untrained",
        parents=(),
        layer=None,
        images=split,
        reference=lambda: split,
        device=torch.device("cpu"),
    )


@pytest.fixture(scope="module")
def tops(subject):
    """The ranked top classes of each image, and the probabilities of all, worked out once more."""
    with torch.no_grad():
        probabilities = subject.network(subject.images.normalise(subject.images.images)).softmax(1)
    found = []
    for row in probabilities.tolist():
        order, top = sorted(range(10), key=lambda label: -row[label]), []
        while len(top) < 5 and sum(row[label] for label in top) <= 0.95:
            top.append(order[len(top)])
        found.append(top)
    return found, probabilities


def clusters_of(top, partition=PARTITION):
    groups = [[label for label in top if label in cluster] for cluster in partition]
    return sorted((group for group in groups if group), key=lambda group: top.index(group[0]))


def listed(subject, clusters):
    """What the store has about outputs with these clusters."""
    rows = [" | ".join(" ".join(map(str, group)) for group in groups) for groups in clusters]
    frame = pd.DataFrame({"network": "seed 0", "index": subject.images.index.tolist(), "clusters": rows})
    return pd.concat([frame.assign(network="seed 1", clusters="8 9"), frame], ignore_index=True)


@pytest.fixture
def study_of(monkeypatch, subject, tops):
    """Function (partition) -> a study of one untrained network, whose documents have these clusters."""

    def build(partition=PARTITION):
        rows = listed(subject, [clusters_of(top, partition) for top in tops[0]])
        monkeypatch.setattr(experiment, "partition", lambda corpus: partition)
        monkeypatch.setattr(experiment, "whole_outputs", lambda study: rows)
        layers = {"grad-cam": ("backbone.block3", "backbone.block2")}
        corpus = experiment.Corpus("planted", tuple(subject.images.classes), "key", (), list)
        run = settings.settings(scale="smoke", device="cpu")
        return experiment.Study(run, (experiment.ExplainedNetwork(subject, "", layers, corpus, None),))

    return build


def place_of(subject, example):
    return subject.images.index.tolist().index(example.index)


def most_wavering(tops, of=1):
    """The place of the image with a pair whose second cluster (or first, for 0) has the highest probability."""
    found, probabilities = tops
    best, chosen = -1, None
    for place, top in enumerate(found):
        groups = clusters_of(top)
        shares = [*sorted((sum(probabilities[place, group].tolist()) for group in groups), reverse=True), 0]
        if max(map(len, groups)) > 1 and shares[of] > best:
            best, chosen = shares[of], place
    return chosen


@pytest.mark.parametrize("base", ["grad-cam", "rise"])
def test_the_example_is_the_image_that_wavers_most(study_of, subject, tops, base):
    study = study_of()
    example = pictures.example(study, base)
    place, sure = most_wavering(tops), most_wavering(tops, of=0)
    assert place_of(subject, example) == place and place not in (0, sure)
    split = subject.images
    assert torch.equal(example.picture * 255, split.images[place].float())
    assert torch.equal(example.x, split.normalise(split.images[[place]]))
    assert example.label == split.classes[int(split.labels[place])] and example.classes == tuple(split.classes)
    (settings,) = (one for one in experiment.bases_of(study, study.networks[0]) if one.name == base)
    groups = clusters_of(tops[0][place])
    (output,) = explain(
        subject.network,
        example.x,
        [groups],
        base=settings,
        methods=(*METHODS, FINE),
        seed=0,
        index=split.index[[place]],
    )
    assert example.output.clusters == groups and example.output.classes == tops[0][place]
    assert list(example.output.class_maps) == [*METHODS, FINE]
    for method, maps in output.class_maps.items():
        assert torch.equal(example.output.class_maps[method], maps)


def test_where_all_have_one_cluster_the_first_is_the_example(study_of, subject):
    example = pictures.example(study_of([list(range(10))]), "grad-cam")
    assert place_of(subject, example) == 0 and len(example.output.clusters) == 1


def test_only_the_first_candidates_are_looked_at(study_of, subject, tops, monkeypatch):
    with_pair = [place for place, top in enumerate(tops[0]) if max(map(len, clusters_of(top))) > 1]
    monkeypatch.setattr(pictures, "_CANDIDATES", 1)
    assert place_of(subject, pictures.example(study_of(), "grad-cam")) == with_pair[0]


def test_outputs_without_a_pair_are_no_example(study_of):
    study = study_of([[label] for label in range(10)])
    with pytest.raises(ValueError, match=r"two classes of one cluster at its top. Got none: take more images"):
        pictures.example(study, "grad-cam")
    with pytest.raises(ValueError, match=r"two maps to match. Got none .* take more images"):
        pictures.rounds(study, n=1)


def test_single_classes_that_were_read_as_numbers_are_no_pair(study_of, monkeypatch):
    study = study_of([[label] for label in range(10)])
    numbers = experiment.whole_outputs(study).assign(clusters=7)
    monkeypatch.setattr(experiment, "whole_outputs", lambda study: numbers)
    with pytest.raises(ValueError, match="Got none"):
        pictures.example(study, "grad-cam")


def test_curves_start_at_the_output_and_end_at_the_maps_own_pixels(study_of, subject, tops):
    study = study_of()
    example = pictures.example(study, "rise")
    rows = pictures.curves(study, example)
    label, *others = next(group for group in example.output.clusters if len(group) > 1)
    names = subject.images.classes
    assert set(rows["target_name"]) == {names[label]}
    assert set(rows["rival_names"]) == {", ".join(names[other] for other in others)}
    shares = tops[1][place_of(subject, example)]
    shown = [name for name in ("cwox-2s", "swox", "cwox-1sa") if (of(example, name, label) > 0).any()]
    assert rows["method"].unique().tolist() == shown and len(shown) > 1
    for method, curve in rows.groupby("method"):
        start = curve.iloc[0]
        assert start["removed"] == 0
        assert start["target"] == pytest.approx(float(shares[label]), abs=1e-5)
        assert start["rivals"] == pytest.approx(float(shares[others].sum()), abs=1e-5)
        assert curve["removed"].iloc[-1] == int(salient_pixels(of(example, method, label)[None])) / 32**2
        np.testing.assert_allclose(curve["score"], curve["target"] * (1 - curve["rivals"]), atol=1e-6)


def test_a_map_without_a_positive_value_has_no_curve(study_of):
    study = study_of()
    example = pictures.example(study, "rise")
    example.output.class_maps["swox"].zero_()
    assert "swox" not in set(pictures.curves(study, example)["method"])


def of(example, method, label):
    return example.output.class_maps[method][example.output.classes.index(label)]


def opened(png):
    return Image.open(io.BytesIO(png))


def maps_of(study, subject, place, base, methods):
    """Class -> its map by the one method."""
    split = subject.images
    x, index = split.normalise(split.images[[place]]), split.index[[place]]
    (settings,) = (one for one in experiment.bases_of(study, study.networks[0]) if one.name == base)
    with torch.no_grad():
        (top,) = top_classes(subject.network(x).softmax(1), at_most=5)
    (output,) = explain(subject.network, x, [clusters_of(top)], base=settings, methods=methods, index=index)
    return dict(zip(output.classes, output.class_maps[methods[0]]))


def test_each_image_is_played_with_one_method(study_of, subject, tops):
    study = study_of()
    found = pictures.rounds(study, n=2)
    names = [WHOLE_OUTPUT_NAMES[name] for name in ("swox", "cwox-1sb", "cwox-2s")]
    assert [one.method for one in found] == names * 2
    assert len({one.image for one in found}) == 6
    classes = subject.images.classes
    shown, places = [opened(one.image) for one in found], []
    for one, image in zip(found, shown):
        assert image.size == (168, 168)
        assert all(opened(heat).size == (168, 168) for heat in one.maps) and one.maps[0] != one.maps[1]
        pixels = torch.from_numpy(np.array(image.resize((32, 32), Image.Resampling.NEAREST))).permute(2, 0, 1)
        place = next(p for p, picture in enumerate(subject.images.images) if torch.equal(picture, pixels))
        group = next(group for group in clusters_of(tops[0][place]) if len(group) > 1)
        assert one.labels == tuple(classes[label] for label in group[:2])
        assert one.image_alt == f"An image of the class {classes[int(subject.images.labels[place])]}."
        assert not any(label in text for text in one.map_alts for label in one.labels)
        maps = maps_of(
            study, subject, place, "rise", [name for name in METHODS if WHOLE_OUTPUT_NAMES[name] == one.method]
        )
        picture = subject.images.images[place].float() / 255
        assert one.maps == tuple(pictures._overlay(picture, maps[label]) for label in group[:2])
        assert one.map_alts == tuple(pictures._where(maps[label]) for label in group[:2])
        places.append(place)
    assert places == sorted(places)  # the first there are


def test_maps_that_are_empty_or_alike_are_not_played(study_of, monkeypatch):
    """Of the first image's maps one is empty, the second image's are alike: the third is the first round."""
    study = study_of()
    true, seen = pictures._explained, []

    def explained(*parts):
        example = true(*parts)
        seen.append(example)
        maps = example.output.class_maps["swox"]
        if len(seen) == 1:
            maps[example.output.classes.index(next(g for g in example.output.clusters if len(g) > 1)[1])] = 0
        elif len(seen) == 2:
            maps[:] = maps[:1]
        else:
            maps += torch.rand(maps.shape)
        return example

    monkeypatch.setattr(pictures, "_explained", explained)
    monkeypatch.setattr(pictures, "PLAYED", ("swox",))
    [one] = pictures.rounds(study, n=1)
    assert len(seen) == 3
    assert one.image == pictures._png(seen[2].picture, 168)


@pytest.mark.parametrize(
    ("rows", "columns", "words"),
    [
        (slice(0, 2), slice(0, 2), "top left"),
        (slice(4, 5), slice(7, 9), "middle right"),
        (slice(7, 9), slice(4, 5), "bottom centre"),
        (slice(3, 6), slice(3, 6), "centre"),
    ],
)
def test_words_say_where_a_map_is_strongest(rows, columns, words):
    heat = torch.full((9, 9), 0.2)
    heat[rows, columns] = 1
    share = round(100 * float((heat == 1).float().mean()))
    assert pictures._where(heat) == f"Heat map: strongest around the {words}, over {share} % of the image."


def test_an_overlay_is_bright_where_the_map_is(subject):
    heat = torch.zeros(32, 32)
    heat[:16] = 1
    pixels = np.array(opened(pictures._overlay(torch.full((3, 32, 32), 0.5), heat)), dtype=float)
    assert pixels[:80].mean() > pixels[88:].mean() + 50


def test_thumbnails_are_of_the_first_image_of_each_class(study_of, subject):
    found = pictures.thumbnails(study_of())
    labels = subject.images.labels.tolist()
    assert sorted(found) == sorted(set(labels))
    for label, png in found.items():
        assert opened(png).size == (48, 48)
        picture = subject.images.images[labels.index(label)].float() / 255
        assert png == pictures._png(picture, 48)


def test_a_picture_keeps_its_pixels_and_its_shape():
    wide = torch.zeros(3, 4, 8)
    wide[0, :, 4:] = 1
    image = opened(pictures._png(wide, 16))
    pixels = np.array(image)
    assert image.size == (32, 16)
    assert (pixels[:, 16:, 0] == 255).all() and (pixels[:, :16] == 0).all() and (pixels[..., 1:] == 0).all()
