import hashlib
from dataclasses import replace

import pytest
import torch
from torch import nn
from torchvision.models import resnet18

from xai_lib import models, pretrained, training
from xai_lib.__main__ import main
from xai_lib.files import read_json
from xai_lib.pretrained import state_digest
from xai_lib.run import settings, stages, train, tune, workflow
from xai_lib.run.store import Store
from xai_lib.run.train import train_cell
from xai_lib.run.tune import tune_cell

TINY = "recipe=small, seeds=2, n_train=50, width=4, epochs_ce=1, epochs_tuned=1"


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


def changed(run, **values):
    return replace(run, scale=replace(run.scale, **values))


def test_a_network_is_tuned_from_the_one_trained_here_with_its_seed(tiny, fits):
    tuned = tune.tuned(tiny, "tuned", 1)
    trained = train.trained(tiny, "ce", 1)
    first, second = fits  # the training that it needs, then the tuning; nothing a second time
    assert first["recipe"] == trained.recipe == tiny.recipe("ce")
    assert second["recipe"] == tuned.recipe == tiny.fine_tunings["tuned"]
    assert state_digest(second["start"]) == state_digest(trained.classifier)
    assert state_digest(tuned.classifier) == state_digest(second["fitted"].classifier)
    assert state_digest(tuned.classifier) != state_digest(trained.classifier)
    assert not tuned.classifier.training
    assert tuned.history["epoch"].tolist() == [1]


def test_what_is_stored_is_read_and_what_it_came_from_is_on_record(tiny, fits):
    first, again = tune.tuned(tiny, "tuned", 0), tune.tuned(tiny, "tuned", 0)
    assert len(fits) == 2
    assert state_digest(first.classifier) == state_digest(again.classifier)
    folder = Store().path(first.cell)
    assert {path.name for path in folder.iterdir()} == {"classifier.pt", "history.csv", "provenance.json", "done.json"}
    assert read_json(folder / "provenance.json")["parents"] == {train_cell(tiny, "ce", 0).key: "train"}


def test_the_command_computes_the_cell_of_the_plan(tiny, capsys):
    options = ["--scale", "smoke", "--device", "cpu", "--overrides", TINY]
    (job,) = [job for job in workflow.plan(tiny) if job["command"][0] == "tune"]
    assert not job["done"]
    assert main([*job["command"], *options]) == 0
    done = {job["id"] for job in workflow.plan(tiny) if job["done"]}
    assert done == {"train-ce-0", "tune-tuned-0"}


@pytest.mark.parametrize("values", [{"epochs_ce": 2}, {"epochs_tuned": 2}, {"n_train": 60}, {"width": 5}])
def test_what_decides_a_tuning_is_in_its_key(tiny, values):
    assert tune_cell(tiny, "tuned", 0).key != tune_cell(changed(tiny, **values), "tuned", 0).key


@pytest.mark.parametrize("values", [{"epochs_scl": 2}, {"seeds": 5}, {"n_scored": 5}, {"n_clusters": 4}])
def test_what_does_not_is_not(tiny, values):
    assert tune_cell(tiny, "tuned", 0).key == tune_cell(changed(tiny, **values), "tuned", 0).key


def test_the_seed_the_arithmetic_and_the_versions_are_in_the_key(tiny, monkeypatch):
    keys = [tune_cell(tiny, "tuned", 0).key, tune_cell(tiny, "tuned", 1).key]
    for stage in ("tune", "train"):
        with monkeypatch.context() as patch:
            patch.setitem(stages.STAGES, stage, replace(stages.STAGES[stage], version=99))
            keys.append(tune_cell(tiny, "tuned", 0).key)
    monkeypatch.setattr(training, "numerics", lambda device: training.Numerics("float64", False, "no"))
    keys.append(tune_cell(tiny, "tuned", 0).key)
    assert len(set(keys)) == 5


def test_a_fine_tuning_that_does_not_exist_is_refused_with_the_choices(tiny):
    with pytest.raises(ValueError, match=r"Expected a fine-tuning out of tuned\. Got 'turned'"):
        tune.tuned(tiny, "turned", 0)
    none = changed(tiny, recipe="paper/imagenet-s50")
    with pytest.raises(ValueError, match=r"out of none, which is what this run has\. Got 'tuned'"):
        tune.tuned(none, "tuned", 0)


def test_a_network_with_published_weights_is_named_by_their_file_and_needs_no_training(tiny, monkeypatch):
    run = changed(tiny, recipe="paper/cifar10")
    cell = tune_cell(run, "tuned-resnet18", 0)
    assert cell.config["start"] == {"published": "resnet18-f37072fd.pth"}
    assert tune_cell(changed(run, epochs_ce=7), "tuned-resnet18", 0).key == cell.key
    assert tune_cell(run, "tuned-resnet18", 1).key != cell.key
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(Store().root / "hub"))
    with pytest.raises(FileNotFoundError, match=r"put resnet18-f37072fd\.pth from"):
        tune.tuned(run, "tuned-resnet18", 0)


@pytest.mark.slow
def test_published_weights_are_tuned(tiny, fits, monkeypatch):
    """On one batch of small images, which the network enlarges itself."""
    torch.manual_seed(0)
    published = resnet18()
    folder = Store().root / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    torch.save(published.state_dict(), folder / "plain.pth")
    start = hashlib.sha256((folder / "plain.pth").read_bytes()).hexdigest()[:8]
    (folder / "plain.pth").rename(folder / f"small-{start}.pth")
    entry = pretrained._Published(resnet18, f"x/small-{start}.pth")
    monkeypatch.setitem(pretrained._PUBLISHED, "torchvision:resnet18", entry)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(Store().root / "hub"))
    tuned = tune.tuned(changed(tiny, recipe="paper/cifar10", n_train=10), "tuned-resnet18", 0)
    (only,) = fits
    assert torch.equal(only["start"].backbone.stem[0].weight, published.conv1.weight)
    assert isinstance(tuned.classifier.backbone.resize, nn.Upsample)
    assert not torch.equal(tuned.classifier.head.weight, only["start"].head.weight)
    assert state_digest(tuned.classifier) == state_digest(only["fitted"].classifier)
    assert models.fold_batchnorm(tuned.classifier)(torch.zeros(1, 3, 64, 64)).shape == (1, 10)
