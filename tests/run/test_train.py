import pytest
import torch

from xai_lib import training
from xai_lib.run import settings, train
from xai_lib.run.store import Store


@pytest.fixture
def no_training(monkeypatch):
    def refuse(*arguments, **options):
        raise AssertionError("a network was trained again")

    monkeypatch.setattr(training, "fit", refuse)


@pytest.mark.parametrize("loss", settings.LOSSES)
def test_what_is_stored_is_read_and_not_trained_again(smoke_run, no_training, loss):
    first, second = train.trained(smoke_run, loss, 0), train.trained(smoke_run, loss, 0)
    one, other = first.classifier.state_dict(), second.classifier.state_dict()
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert first.recipe == smoke_run.recipe(loss)
    assert first.history["epoch"].tolist() == [1]
    assert not first.classifier.training


def test_another_seed_is_trained(smoke_run, no_training):
    with pytest.raises(AssertionError, match="trained again"):
        train.trained(smoke_run, "ce", 1)


def test_the_network_is_what_training_made(empty_store, monkeypatch):
    made = {}

    def remember(*arguments, **options):
        made["fitted"] = fit(*arguments, **options)
        return made["fitted"]

    fit = training.fit
    monkeypatch.setattr(training, "fit", remember)
    run = settings.settings(scale="smoke", device="cpu", overrides="n_train=50, width=4")
    found = train.trained(run, "scl", 3)
    expected, weights = made["fitted"].classifier.state_dict(), found.classifier.state_dict()
    assert expected.keys() == weights.keys()
    assert all(torch.equal(expected[name], weights[name]) for name in expected)
    assert found.history["loss"].tolist() == made["fitted"].history["loss"].tolist()


def test_a_finished_training_leaves_no_checkpoint(smoke_run):
    names = {path.name for path in Store().path(train.trained(smoke_run, "tl", 0).cell).iterdir()}
    assert names == {"classifier.pt", "history.csv", "provenance.json", "done.json"}
