import itertools
from dataclasses import replace

import pytest
import torch

from xai_lib import data as datasets
from xai_lib import models
from xai_lib.explainers.subject import Subject
from xai_lib.metrics.mosaics import focus
from xai_lib.papers.dominance import experiment, figures
from xai_lib.papers.dominance.analysis import pictures
from xai_lib.papers.dominance.experiment import RankedNetwork
from xai_lib.papers.dominance.method import energy_share, mosaics
from xai_lib.run.settings import Study

NAN = float("nan")
KIND = "tuned"
PAIRS = list(itertools.combinations(range(3), 2))


@pytest.fixture(scope="module")
def subject():
    split = datasets.load("planted", "test", n=100)
    order = torch.randperm(90, generator=torch.Generator().manual_seed(0))
    split = split.subset((order + 10).tolist())  # numbers of images are no positions
    network = models.build("resnet8", len(split.classes), width=4, seed=0).eval()
    return Subject(lambda: network, "untrained", (), None, split, lambda: split, torch.device("cpu"))


@pytest.fixture
def frames(subject, made_up, monkeypatch):
    """Tables of two trainings: three clusters in every class, and what they share of three mosaics a pair."""
    split, given = subject.images, {"sizes": (4, 3, 2), "clusterings": ("k-means",), "n_mosaics": 3, "missing": 0}
    found = made_up.frames(((KIND, 0), (KIND, 1)), labels=split.classes, **given)
    for (number, label), seed in itertools.product(enumerate(split.classes), (0, 1)):
        made_up.put(found["images"], "index", split.index[split.labels == number].numpy(), label=label, seed=seed)
    monkeypatch.setattr(experiment, "table", lambda study, name: found[name])
    monkeypatch.setattr(experiment, "class_mosaics", lambda _study, _ranked, *which: drawn(found, subject, *which))
    return found


@pytest.fixture
def study_with(subject, made_up):
    """Function () -> a study of these tables that nothing was computed from yet."""
    ranked = tuple(RankedNetwork(replace(subject, seed=seed), KIND) for seed in (0, 1))
    return lambda: Study(made_up.run(n_clusters=3), ranked)


def drawn(frames, subject, label, pair):
    """Four mosaics of two clusters, by positions in the images of their class."""
    split = experiment.class_images(RankedNetwork(subject, KIND), label)
    rows = frames["images"][(frames["images"]["seed"] == 0) & (frames["images"]["label"] == label)]
    numbers = (torch.tensor(rows.loc[rows["cluster"] == cluster, "index"].to_numpy()) for cluster in pair)
    first, second = ((split.index == number[:, None]).nonzero()[:, 1] for number in numbers)
    return mosaics.of_clusters(first, second, 4, seed=0, purpose="test")


@pytest.mark.filterwarnings("error")
def test_the_classes_shown_are_those_with_the_largest_and_the_smallest_range(frames, study_with, subject):
    ranges, table = {}, frames["mosaics"]
    for label, rows in table[table["seed"] == 0].groupby("label"):
        means = rows.groupby(["first", "second"])["value"].mean()
        one, two, three = (means[pair] for pair in PAIRS)
        relative = [(one + two) / 2, (1 - one + three) / 2, (2 - two - three) / 2]
        ranges[label] = max(relative) - min(relative)
    found = pictures.widest_and_narrowest(study_with(), KIND)
    assert found == (max(ranges, key=ranges.get), min(ranges, key=ranges.get))
    table.loc[table["label"].isin(found), "value"] = NAN  # a class without values is neither
    left = {label: ranges[label] for label in ranges if label not in found}
    assert pictures.widest_and_narrowest(study_with(), KIND) == (max(left, key=left.get), min(left, key=left.get))
    table["value"] = NAN  # without any value some class and pair are shown
    label = subject.images.classes[0]
    assert pictures.widest_and_narrowest(study_with(), KIND) == (label, label)
    assert [one.names for one in pictures.examples(study_with(), KIND, label, n=1)] == [("A", "B")]


def test_representatives_are_the_images_nearest_to_the_centre(frames, study_with, subject):
    split, label = subject.images, subject.images.classes[3]
    found = pictures.representatives(study_with(), KIND, label, n=2)
    rows = frames["images"][(frames["images"]["seed"] == 0) & (frames["images"]["label"] == label)]
    sizes = rows["cluster"].value_counts()
    assert list(found) == [f"{letter} ({sizes[cluster]})" for cluster, letter in enumerate("ABC")]
    for cluster, images in enumerate(found.values()):
        members = rows[rows["cluster"] == cluster]
        for image, (_, number) in zip(images, sorted(zip(members["distance"], members["index"]))[:2], strict=True):
            place = split.index.tolist().index(number)
            assert split.labels[place] == 3 and torch.equal(image * 255, split.images[place].float())
    assert figures.representatives(found).axes


@pytest.mark.parametrize("number", [0, 7])
def test_shown_mosaics_are_of_the_class_with_its_map_and_its_share(frames, study_with, subject, number):
    label, study = subject.images.classes[number], study_with()
    split, expected = experiment.class_images(study.networks[0], label), drawn(frames, subject, label, (2, 0))
    shown = pictures.shown_mosaics(study, study.networks[0], label, (2, 0), 3)
    assert len(shown) == 3 and len({one.title for one in shown}) > 1
    for one, images, first in zip(shown, expected.images, expected.first, strict=False):
        assert set(split.labels[images].tolist()) == {number}
        assert torch.equal(one.image, mosaics.assemble(split.images[images][None].float() / 255)[0])
        assert torch.equal(one.first, first) and one.names == ("C", "A")
        x = mosaics.assemble(split.normalise(split.images[images])[None])
        heat = energy_share.by_grad_cam(subject.network)(x, torch.tensor([number]), None)
        assert one.title == f"{label}: C has {round(100 * focus(heat, first[None]).item())} %"
        torch.testing.assert_close(one.heat, (heat - heat.min())[0] / (heat.max() - heat.min()), atol=1e-4, rtol=0)


def test_examples_are_of_the_pair_furthest_apart_and_of_the_one_nearest_to_one_half(frames, study_with, subject):
    label, mosaics = subject.images.classes[5], frames["mosaics"]
    here = mosaics["label"] == label
    for pair, share in zip(PAIRS, (0.55, 0.52, 0.3)):
        rows = here & (mosaics["first"] == pair[0]) & (mosaics["second"] == pair[1])
        mosaics.loc[rows & (mosaics["seed"] == 0), "value"] = share
    study = study_with()
    shown = pictures.examples(study, KIND, label, n=2)
    assert [one.names for one in shown] == [("B", "C"), ("B", "C"), ("A", "C"), ("A", "C")]
    plain = pictures.shown_mosaics(study, study.networks[0], label, (1, 2), 2)
    assert [one.title for one in shown[:2]] == [one.title for one in plain]
    assert figures.mosaics(shown).axes
    for side, left in (("first", [("A", "B"), ("A", "C")]), ("second", [("A", "C")])):  # one pair is both
        mosaics.loc[here & (mosaics[side] == 1), "value"] = NAN
        assert [one.names for one in pictures.examples(study_with(), KIND, label, n=1)] == left


@pytest.mark.filterwarnings("error")
def test_an_empty_map_has_no_share(frames, study_with, subject, monkeypatch):
    empty = lambda network, layer: lambda x, target, index: -x[:, 0].abs()  # noqa: E731
    monkeypatch.setattr(pictures.energy_share, "by_grad_cam", empty)
    label, study = subject.images.classes[0], study_with()
    (one,) = pictures.shown_mosaics(study, study.networks[0], label, (0, 1), 1)
    assert one.title == f"{label}: empty map" and not one.heat.any()
