from dataclasses import replace

import pytest
import torch
from torch import nn
from torchvision.models import resnet18

from xai_lib import data as datasets
from xai_lib import models, pretrained, training
from xai_lib.pretrained import state_digest
from xai_lib.run import networks, settings, stage
from xai_lib.run.networks import train_cell, tune_cell
from xai_lib.run.store import Store

TINY = "recipe=small, seeds=2, n_train=50, width=4, epochs_ce=1, epochs_tuned=1"


def load_tuned(run, name, seed):
    return networks.load(tune_cell(run, name, seed))


@pytest.fixture
def no_training(monkeypatch):
    def refuse(*arguments, **options):
        raise AssertionError("a network was trained again")

    monkeypatch.setattr(training, "fit", refuse)


@pytest.mark.parametrize("loss", settings.LOSSES)
def test_what_is_stored_is_read_and_not_trained_again(smoke_run, no_training, loss):
    first, second = networks.trained(smoke_run, loss, 0), networks.trained(smoke_run, loss, 0)
    one, other = first.classifier.state_dict(), second.classifier.state_dict()
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert first.recipe == smoke_run.recipe(loss)
    assert first.history["epoch"].tolist() == [1]
    assert not first.classifier.training


@pytest.fixture
def tiny(empty_store):
    """Settings of a run whose networks are made in no time; its store is empty."""
    return settings.settings(scale="smoke", device="cpu", overrides=TINY)


@pytest.fixture
def fits(monkeypatch):
    """What each call of ``training.fit`` was given and gave, in order."""
    real, found = training.fit, []

    def remember(recipe, split, **options):
        found.append({"recipe": recipe, "start": options.get("network"), "fitted": real(recipe, split, **options)})
        return found[-1]["fitted"]

    monkeypatch.setattr(training, "fit", remember)
    return found


def test_a_network_is_tuned_from_the_one_trained_here_with_its_seed(tiny, fits):
    tuned = load_tuned(tiny, "tuned", 1)
    trained = networks.trained(tiny, "ce", 1)
    assert networks.trained(tiny, "scl", 3).history.equals(fits[-1]["fitted"].history)
    assert state_digest(networks.trained(tiny, "scl", 3).classifier) == state_digest(fits.pop()["fitted"].network)
    first, second = fits  # the training that it needs, then the tuning; nothing a second time
    assert first["recipe"] == trained.recipe == tiny.recipe("ce")
    assert second["recipe"] == tuned.recipe == tiny.fine_tunings["tuned"]
    assert state_digest(second["start"]) == state_digest(trained.classifier)
    assert state_digest(tuned.classifier) == state_digest(second["fitted"].network)
    assert state_digest(tuned.classifier) != state_digest(trained.classifier)
    assert not tuned.classifier.training
    assert tuned.history["epoch"].tolist() == [1]
    kept = {path.name for path in Store().path(tune_cell(tiny, "tuned", 1)).iterdir()}
    assert kept == {"classifier.pt", "history.csv", "provenance.json", "done.json"}


@pytest.mark.parametrize("loss", ["ce", "tl"])
def test_networks_of_several_epochs_are_kept_and_the_last_is_the_trainings_own(tiny, fits, changed, loss):
    run = changed(tiny, epochs_ce=2, epochs_tl=2)
    cell = train_cell(run, loss, 0)
    found = networks.kept(cell)
    assert list(found) == [1, 2] and found[2].key == cell.key != found[1].key
    how = {"network": cell, "probe": "paper", "device": run.device}
    trained, early, again, best = (
        networks.load(one)
        for one in (
            cell,
            found[1],
            networks.checkpoint.cell(epoch=2, chosen_on=None, **how),
            networks.checkpoint.cell(epoch=None, chosen_on=run.test_split(), **how),
        )
    )
    assert state_digest(again.classifier) == state_digest(trained.classifier) != state_digest(early.classifier)
    assert early.history.equals(trained.history) and not early.classifier.training and len(fits) == 1
    accuracies = {
        state_digest(one.classifier): training.accuracy(one.classifier, run.test_split()) for one in (early, trained)
    }
    assert accuracies[state_digest(best.classifier)] == max(accuracies.values())


def test_what_decides_a_tuning_is_in_its_key_and_nothing_else(tiny, changed):
    def changes_the_key(name, value):
        return tune_cell(tiny, "tuned", 0).key != tune_cell(changed(tiny, **{name: value}), "tuned", 0).key

    values = {"epochs_ce": 2, "epochs_tuned": 2, "n_train": 60, "width": 5}
    others = {"epochs_scl": 2, "seeds": 5, "n_scored": 5, "n_clusters": 4}
    assert {name for name, value in (values | others).items() if changes_the_key(name, value)} == set(values)


def test_the_seed_the_arithmetic_and_the_versions_are_in_the_key(tiny, monkeypatch):
    keys = [tune_cell(tiny, "tuned", 0).key, tune_cell(tiny, "tuned", 1).key]
    for name in ("tune", "train"):
        with monkeypatch.context() as patch:
            patch.setattr(networks, name, replace(getattr(networks, name), version=99))
            keys.append(tune_cell(tiny, "tuned", 0).key)
    monkeypatch.setattr(stage, "numerics", lambda device: training.Numerics("float64", False, "no"))
    keys.append(tune_cell(tiny, "tuned", 0).key)
    assert len(set(keys)) == 5


def test_a_fine_tuning_that_does_not_exist_is_refused_with_the_choices(tiny, changed):
    with pytest.raises(ValueError, match=r"Expected a fine-tuning out of tuned\. Got 'turned'"):
        load_tuned(tiny, "turned", 0)
    none = changed(tiny, recipe="paper/imagenet-s50")
    with pytest.raises(ValueError, match=r"out of none, which is what this run has\. Got 'tuned'"):
        load_tuned(none, "tuned", 0)


def test_a_network_with_published_weights_is_named_by_their_file_and_needs_no_training(tiny, monkeypatch, changed):
    run = changed(tiny, recipe="paper/cifar10")
    cell = tune_cell(run, "tuned-resnet18", 0)
    assert cell.config["start"]["published"] == "resnet18-f37072fd.pth"
    assert tune_cell(changed(run, epochs_ce=7), "tuned-resnet18", 0).key == cell.key
    assert tune_cell(run, "tuned-resnet18", 1).key != cell.key
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(Store().root / "hub"))
    with pytest.raises(FileNotFoundError, match=r"put resnet18-f37072fd\.pth from"):
        load_tuned(run, "tuned-resnet18", 0)


@pytest.mark.slow
def test_published_weights_are_tuned(tiny, fits, monkeypatch, changed):
    """On one batch of small images, which the network enlarges itself."""
    torch.manual_seed(0)
    published = resnet18()
    monkeypatch.setattr(pretrained, "pretrained", lambda name, **options: published)
    tuned = load_tuned(changed(tiny, recipe="paper/cifar10", n_train=10), "tuned-resnet18", 0)
    (only,) = fits
    assert torch.equal(only["start"].backbone.stem[0].weight, published.conv1.weight)
    assert isinstance(tuned.classifier.backbone.resize, nn.Upsample)
    assert not torch.equal(tuned.classifier.head.weight, only["start"].head.weight)
    assert state_digest(tuned.classifier) == state_digest(only["fitted"].network)
    assert models.fold_batchnorm(tuned.classifier)(torch.zeros(1, 3, 64, 64)).shape == (1, 10)


@pytest.fixture
def run(empty_store):
    return settings.settings(scale="smoke", device="cpu", overrides="n_train=30, n_test=20")


def test_there_are_as_many_networks_as_asked_for_and_no_more_than_trainings(run, changed):
    assert networks.explained_seeds(changed(run, saliency_seeds=2, seeds=5)) == range(2)
    assert networks.explained_seeds(changed(run, saliency_seeds=5, seeds=2)) == range(2)


def test_images_are_the_first_when_classes_take_turns_or_all_where_there_are_fewer(run):
    split = run.test_split()
    assert networks.some(split, 12).index.tolist() == datasets.select(split, 12).index.tolist()
    for n in (None, 20, 999):
        assert networks.some(split, n).index.tolist() == split.index.tolist()


def test_a_network_trained_here_is_named_by_its_training_and_explained_on_test_images(run, empty_store):
    one, other = (networks.with_images(run, train_cell(run, "ce", seed), 10) for seed in (0, 1))
    for seed, subject in enumerate((one, other)):
        assert subject.parents[0].config["seed"] == subject.seed == seed
        assert subject.key == subject.parents[0].key and subject.layer is None
        assert (subject.images.part, len(subject.images)) == ("test", 10)
        assert (subject.reference().part, len(subject.reference())) == ("train", 30)
    assert one.key != other.key
    assert not empty_store.exists()  # trained when the network is asked for


@pytest.mark.parametrize("kind", ["tuned", "scl"])
def test_other_networks_of_the_store_are_its_own_with_folded_normalisations(run, kind, changed):
    run = changed(run, recipe="small", width=4, epochs_ce=1, epochs_tuned=1)
    cell = tune_cell(run, "tuned", 1) if kind == "tuned" else train_cell(run, kind, 1)
    subject, made = networks.with_images(run, cell, None), networks.load(cell)
    assert [parent.key for parent in subject.parents] == [cell.key] == [subject.key]
    assert (subject.seed, len(subject.images), subject.layer) == (1, 20, None)
    x = subject.images.normalise(subject.images.images)
    with torch.no_grad():
        torch.testing.assert_close(subject.network(x), made.classifier(x), rtol=1e-3, atol=1e-4)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in subject.network.modules())
    assert subject.network.head.weight.requires_grad and not subject.network.training


def test_a_published_network_is_named_by_its_weights_and_sees_the_colours_that_it_was_trained_with(run, monkeypatch):
    norm = nn.BatchNorm2d(4)
    norm.running_mean += 1
    asked, network = [], nn.Sequential(nn.Conv2d(3, 4, 3), norm, nn.AdaptiveAvgPool2d(1), nn.Flatten()).eval()
    monkeypatch.setattr(pretrained, "pretrained", lambda *name, **options: asked.append((name, options)) or network)
    subject = networks.from_published(replace(run, download=True), "torchvision:resnet50", 7)
    assert asked == [(("torchvision:resnet50",), {"download": True})]
    assert (subject.key, subject.parents, subject.layer) == (pretrained.state_digest(network), (), "1")
    assert (subject.seed, len(subject.images)) == (0, 7)
    assert isinstance(subject.network[1], nn.Identity) and isinstance(network[1], nn.BatchNorm2d)
    assert subject.network[0].weight.is_contiguous(memory_format=torch.channels_last)
    x = torch.rand(2, 3, 16, 16)
    with torch.no_grad():
        torch.testing.assert_close(subject.network(x), network(x), rtol=1e-4, atol=1e-5)
    lite = networks.from_published(run, "package:efficientnet-lite0", 7)
    assert lite.images.mean == pretrained.inputs("package:efficientnet-lite0").mean != subject.images.mean
    assert lite.images.digest != subject.images.digest
    assert subject.reference().index.tolist() == subject.images.index.tolist()
