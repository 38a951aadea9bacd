import itertools

import numpy as np
import pandas as pd
import pytest
import torch

from xai_lib import data as datasets
from xai_lib import models
from xai_lib.explainers import cams
from xai_lib.explainers.subject import Subject
from xai_lib.papers.dominance import experiment, figures
from xai_lib.papers.dominance.analysis import pictures
from xai_lib.papers.dominance.experiment.dominance import Hierarchies, RankedNetwork
from xai_lib.papers.dominance.method.mosaics import Mosaics

NAN = float("nan")
KIND = "tuned"


@pytest.fixture(scope="module")
def subject():
    split = datasets.load("planted", "test", n=100)
    order = torch.randperm(100, generator=torch.Generator().manual_seed(0))
    split = split.subset(order[:90].tolist())  # numbers of images are no positions
    network = models.build("resnet8", len(split.classes), width=4, seed=0).eval()
    return Subject(
        load=lambda: network,
        key="untrained",
        parents=(),
        layer=None,
        images=split,
        reference=lambda: split,
        device=torch.device("cpu"),
    )


@pytest.fixture
def of(subject, made_up, monkeypatch):
    """Hierarchies of two trainings with one untrained network: three clusters in every class."""
    split, rng = subject.images, np.random.default_rng(0)
    rows, pairs = [], []
    for seed in (0, 1):
        for number, label in enumerate(split.classes):
            members = (split.labels == number).nonzero()[:, 0]
            rows.append(
                pd.DataFrame(
                    {
                        "index": split.index[members],
                        "cluster": rng.permutation([0, 1, 2, 0, 0, 1, 2, 2, 2, 2][: len(members)]),
                        "distance": rng.random(len(members)),
                    }
                ).assign(kind=KIND, seed=seed, label=label)
            )
            values = pd.DataFrame(itertools.combinations(range(3), 2), columns=["first", "second"])
            values = values.loc[values.index.repeat(3)].assign(mosaic=[0, 1, 2] * 3, value=rng.beta(5, 5, 9))
            pairs.append(values.assign(kind=KIND, seed=seed, label=label, clustering="k-means"))
    frames = {"images": pd.concat(rows, ignore_index=True), "mosaics": pd.concat(pairs, ignore_index=True)}
    monkeypatch.setattr(experiment, "cluster_images", lambda of: frames["images"])
    monkeypatch.setattr(experiment, "mosaic_shares", lambda of: frames["mosaics"])
    monkeypatch.setattr(experiment, "class_mosaics", lambda of, ranked, label, pair: drawn(frames, split, label, pair))
    networks = tuple(RankedNetwork(Numbered(subject, seed), KIND) for seed in (0, 1))
    found = Hierarchies(made_up.run(n_clusters=3), networks)
    return found, frames


class Numbered:
    """The subject as another training has it."""

    def __init__(self, subject, seed):
        self.subject, self.seed = subject, seed

    def __getattr__(self, name):
        return getattr(self.subject, name)


def drawn(frames, split, label, pair):
    """Four mosaics of two clusters, by positions in the split: two images of each in other places every time."""
    rows = frames["images"][(frames["images"]["seed"] == 0) & (frames["images"]["label"] == label)]
    place = {number: position for position, number in enumerate(split.index.tolist())}
    first, second = ([place[n] for n in rows.loc[rows["cluster"] == cluster, "index"]] for cluster in pair)
    layouts = torch.tensor([[1, 0, 0, 1], [0, 1, 1, 0], [1, 1, 0, 0], [0, 1, 0, 1]], dtype=torch.bool)
    images = torch.empty(4, 4, dtype=torch.int64)
    for number, layout in enumerate(layouts):
        for members, where in ((first, layout), (second, ~layout)):
            images[number, where] = torch.tensor([members[number % len(members)], members[(number + 1) % len(members)]])
    return Mosaics(images, layouts)


def share_of(subject, label, images, first):
    """Grad-CAM's map of a mosaic and the first cluster's share of its energy, in plain steps."""
    split = subject.images
    tiles = [split.normalise(split.images[[position]])[0] for position in images.tolist()]
    x = torch.cat([torch.cat(tiles[:2], 2), torch.cat(tiles[2:], 2)], 1)[None]
    network = subject.network
    kept = {}
    handle = network.default_layer().register_forward_hook(lambda module, inputs, output: kept.update(a=output))
    score = network(x)[0, split.classes.index(label)]
    handle.remove()
    (gradient,) = torch.autograd.grad(score, kept["a"])
    coarse = (gradient.mean((2, 3), keepdim=True) * kept["a"]).sum(1).relu()
    heat = cams.upsample(coarse, x.shape[-2:])[0].detach()
    h, w = heat.shape[0] // 2, heat.shape[1] // 2
    energies = [float(part.sum()) for part in (heat[:h, :w], heat[:h, w:], heat[h:, :w], heat[h:, w:])]
    return heat, sum(part for part, mine in zip(energies, first.tolist()) if mine) / sum(energies)


def test_the_classes_shown_are_those_with_the_largest_and_the_smallest_range(of):
    of, frames = of
    ranges = {}
    here = frames["mosaics"][frames["mosaics"]["seed"] == 0]
    for label, rows in here.groupby("label"):
        means = rows.groupby(["first", "second"])["value"].mean()
        one, two, three = means[0, 1], means[0, 2], means[1, 2]
        relative = [(one + two) / 2, (1 - one + three) / 2, (2 - two - three) / 2]
        ranges[label] = max(relative) - min(relative)
    found = pictures.widest_and_narrowest(of, KIND)
    assert found == (max(ranges, key=ranges.get), min(ranges, key=ranges.get))
    # a class without values is neither
    frames["mosaics"].loc[frames["mosaics"]["label"].isin(found), "value"] = NAN
    left = {label: ranges[label] for label in ranges if label not in found}
    again = Hierarchies(of.run, of.networks)  # results of the first are kept
    assert pictures.widest_and_narrowest(again, KIND) == (max(left, key=left.get), min(left, key=left.get))


@pytest.mark.filterwarnings("error")
def test_without_any_value_some_class_and_pair_are_shown(of, subject):
    of, frames = of
    frames["mosaics"]["value"] = NAN
    label = subject.images.classes[0]
    assert pictures.widest_and_narrowest(of, KIND) == (label, label)
    assert [one.names for one in pictures.examples(of, KIND, label, n=1)] == [("A", "B")]


def test_representatives_are_the_images_nearest_to_the_centre(of, subject):
    of, frames = of
    split, label = subject.images, subject.images.classes[3]
    found = pictures.representatives(of, KIND, label, n=2)
    rows = frames["images"][(frames["images"]["seed"] == 0) & (frames["images"]["label"] == label)]
    sizes = rows["cluster"].value_counts()
    assert list(found) == [f"{letter} ({sizes[cluster]})" for cluster, letter in enumerate("ABC")]
    for cluster, images in enumerate(found.values()):
        members = rows[rows["cluster"] == cluster]
        nearest = sorted(zip(members["distance"], members["index"]))[:2]
        assert len(images) == len(nearest)
        for image, (_, number) in zip(images, nearest):
            place = split.index.tolist().index(number)
            assert split.labels[place] == 3 and torch.equal(image * 255, split.images[place].float())
    assert figures.representatives(found).axes


@pytest.mark.parametrize("number", [0, 7])
def test_shown_mosaics_are_of_the_class_with_its_map_and_its_share(of, subject, number):
    of, frames = of
    split, label = subject.images, subject.images.classes[number]
    expected = drawn(frames, split, label, (2, 0))
    shown = pictures.shown_mosaics(of, of.networks[0], label, (2, 0), 3)
    assert len(shown) == 3
    for one, images, first in zip(shown, expected.images, expected.first):
        assert set(split.labels[images].tolist()) == {number}
        tiles = [split.images[position].float() / 255 for position in images.tolist()]
        assert torch.equal(one.image, torch.cat([torch.cat(tiles[:2], 2), torch.cat(tiles[2:], 2)], 1))
        assert torch.equal(one.first, first) and one.names == ("C", "A")
        heat, share = share_of(subject, label, images, first)
        assert one.title == f"{label}: C has {round(100 * share)} %"
        low, high = heat.min(), heat.max()
        torch.testing.assert_close(one.heat, (heat - low) / (high - low), atol=1e-4, rtol=0)
    assert len({one.title for one in shown}) > 1


def test_examples_are_of_the_pair_furthest_apart_and_of_the_one_nearest_to_one_half(of, subject):
    of, frames = of
    label = subject.images.classes[5]
    here = frames["mosaics"]["label"] == label
    for pair, share in (((0, 1), 0.55), ((0, 2), 0.52), ((1, 2), 0.3)):
        rows = here & (frames["mosaics"]["first"] == pair[0]) & (frames["mosaics"]["second"] == pair[1])
        frames["mosaics"].loc[rows & (frames["mosaics"]["seed"] == 0), "value"] = share
    shown = pictures.examples(of, KIND, label, n=2)
    assert [one.names for one in shown] == [("B", "C"), ("B", "C"), ("A", "C"), ("A", "C")]
    plain = pictures.shown_mosaics(of, of.networks[0], label, (1, 2), 2)
    assert [one.title for one in shown[:2]] == [one.title for one in plain]
    assert figures.mosaics(shown).axes
    frames["mosaics"].loc[here & (frames["mosaics"]["first"] == 1), "value"] = NAN
    again = Hierarchies(of.run, of.networks)
    assert [one.names for one in pictures.examples(again, KIND, label, n=1)] == [("A", "B"), ("A", "C")]
    frames["mosaics"].loc[here & (frames["mosaics"]["second"] == 1), "value"] = NAN
    again = Hierarchies(of.run, of.networks)  # the pair that is furthest apart is the nearest one as well
    assert [one.names for one in pictures.examples(again, KIND, label, n=1)] == [("A", "C")]


@pytest.mark.filterwarnings("error")
def test_an_empty_map_has_no_share(of, subject, monkeypatch):
    of, _ = of
    monkeypatch.setattr(pictures.energy, "by_grad_cam", lambda network, layer: lambda x, target, index: -x[:, 0].abs())
    label = subject.images.classes[0]
    (one,) = pictures.shown_mosaics(of, of.networks[0], label, (0, 1), 1)
    assert one.title == f"{label}: empty map" and not one.heat.any()
