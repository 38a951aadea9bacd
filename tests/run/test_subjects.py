from dataclasses import replace

import pytest
import torch
from torch import nn

from xai_lib import data as datasets
from xai_lib import pretrained
from xai_lib.run import settings, subjects, train, tune


@pytest.fixture
def run(empty_store):
    return settings.settings(scale="smoke", device="cpu", overrides="n_train=30, n_test=20")


def with_scale(run, **values):
    return replace(run, scale=replace(run.scale, **values))


def test_there_are_as_many_networks_as_asked_for_and_no_more_than_trainings(run):
    assert subjects.seeds(with_scale(run, saliency_seeds=2, seeds=5)) == range(2)
    assert subjects.seeds(with_scale(run, saliency_seeds=5, seeds=2)) == range(2)


def test_images_are_the_first_when_classes_take_turns_or_all_where_there_are_fewer(run):
    split = run.test_split()
    assert subjects.some(split, 12).index.tolist() == datasets.select(split, 12).index.tolist()
    for n in (None, 20, 999):
        assert subjects.some(split, n).index.tolist() == split.index.tolist()


def test_a_network_trained_here_is_named_by_its_training_and_explained_on_test_images(run, empty_store):
    one, other = (subjects.trained_here(run, seed, 10) for seed in (0, 1))
    for seed, subject in enumerate((one, other)):
        assert subject.parents[0].config["seed"] == subject.seed == seed
        assert subject.key == subject.parents[0].key and subject.layer is None
        assert (subject.images.part, len(subject.images)) == ("test", 10)
        assert (subject.reference().part, len(subject.reference())) == ("train", 30)
    assert one.key != other.key
    assert not empty_store.exists()  # trained when the network is asked for


@pytest.mark.parametrize("kind", ["tuned", "scl"])
def test_other_networks_of_the_store_are_its_own_with_folded_normalisations(run, kind):
    run = with_scale(run, recipe="small", width=4, epochs_ce=1, epochs_tuned=1)
    if kind == "tuned":
        subject, made = subjects.fine_tuned(run, "tuned", 1, None), tune.tuned(run, "tuned", 1)
    else:
        subject, made = subjects.trained_here(run, 1, None, kind), train.trained(run, kind, 1)
    assert [cell.key for cell in subject.parents] == [made.cell.key] == [subject.key]
    assert (subject.seed, len(subject.images), subject.layer) == (1, 20, None)
    x = subject.images.normalise(subject.images.images)
    with torch.no_grad():
        torch.testing.assert_close(subject.network(x), made.classifier(x), rtol=1e-3, atol=1e-4)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in subject.network.modules())
    assert subject.network.head.weight.requires_grad and not subject.network.training


def test_torchvisions_network_is_named_by_its_weights(run, monkeypatch):
    asked, network = [], nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten()).eval()
    monkeypatch.setattr(pretrained, "pretrained", lambda *name, **options: asked.append((name, options)) or network)
    subject = subjects.from_torchvision(replace(run, download=True), "torchvision:resnet50", "0", 7)
    assert asked == [(("torchvision:resnet50",), {"download": True})]
    assert (subject.key, subject.parents, subject.layer) == (pretrained.state_digest(network), (), "0")
    assert (subject.seed, len(subject.images)) == (0, 7)
    assert subject.network is network and subject.network[0].weight.is_contiguous(memory_format=torch.channels_last)
    assert subject.reference().index.tolist() == subject.images.index.tolist()
