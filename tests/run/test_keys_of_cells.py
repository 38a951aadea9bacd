"""What a cell's key depends on: everything that its numbers depend on, and nothing else."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from xai_lib import training
from xai_lib.papers.contrastive.experiment.explain import explain_cell
from xai_lib.papers.contrastive.experiment.predict import predict_cell
from xai_lib.papers.contrastive.experiment.score import score_cell
from xai_lib.run import stages
from xai_lib.run.cell import Cell
from xai_lib.run.train import train_cell

STAGES = ("train", "predict", "explain", "score")


def keys(run, loss="ce", seed=0, method="grad-cam"):
    made = (
        train_cell(run, loss, seed),
        predict_cell(run, loss, seed),
        explain_cell(run, loss, seed, method),
        score_cell(run, loss, seed, method),
    )
    return dict(zip(STAGES, (cell.key for cell in made)))


def changed(run, **values):
    return replace(run, scale=replace(run.scale, **values))


def differing(one, other):
    return tuple(stage for stage in STAGES if one[stage] != other[stage])


@pytest.mark.parametrize(
    ("values", "stages"),
    [
        ({"n_train": 110}, STAGES),
        ({"epochs_ce": 2}, STAGES),
        ({"width": 5}, STAGES),
        ({"recipe": "paper/cifar10"}, STAGES),
        ({"size": 24}, STAGES),
        ({"n_scored": 20}, ("explain", "score")),
        ({"flipping_step": 512}, ("score",)),
        ({"n_quantus": 3}, ("score",)),
        ({"epochs_scl": 2}, ()),
        ({"seeds": 5}, ()),
    ],
)
def test_a_setting_changes_the_keys_of_the_stages_that_use_it(smoke_run, values, stages):
    assert differing(keys(smoke_run), keys(changed(smoke_run, **values))) == stages


def test_another_number_of_test_images_trains_no_network_anew(smoke_run):
    different = differing(keys(smoke_run), keys(changed(smoke_run, n_test=50)))
    assert "predict" in different and "train" not in different


def test_loss_and_seed_are_in_every_key_and_the_method_where_there_is_one(smoke_run):
    base = keys(smoke_run)
    assert differing(base, keys(smoke_run, loss="tl")) == STAGES
    assert differing(base, keys(smoke_run, seed=1)) == STAGES
    assert differing(base, keys(smoke_run, method="eigen-cam")) == ("explain", "score")


def test_device_label_and_folders_are_in_no_key(smoke_run, monkeypatch):
    monkeypatch.setattr(training, "numerics", lambda device: training.Numerics("float32", False, "no"))
    elsewhere = replace(
        smoke_run, device=torch.device("cuda"), label="Another", data_root=Path("/elsewhere"), download=True
    )
    assert keys(elsewhere) == keys(smoke_run)


def test_the_arithmetic_of_training_is_in_every_key(smoke_run, monkeypatch):
    base = keys(smoke_run)
    monkeypatch.setattr(training, "numerics", lambda device: training.Numerics("float64", False, "no"))
    assert differing(base, keys(smoke_run)) == STAGES


@pytest.mark.parametrize("stage", STAGES)
def test_the_version_of_its_code_is_in_the_key(smoke_run, monkeypatch, stage):
    base = keys(smoke_run)
    monkeypatch.setitem(stages.STAGES, stage, replace(stages.STAGES[stage], version=99))
    below = {"train": STAGES, "predict": ("predict",), "explain": ("explain", "score"), "score": ("score",)}
    assert differing(base, keys(smoke_run)) == below[stage]


def test_keys_are_the_same_in_every_process(smoke_run):
    """What stands in the configuration is all there is: a cell made of its stored configuration is the same cell."""
    cell = score_cell(smoke_run, "ce", 0, "grad-cam")
    assert Cell("score", dict(reversed(cell.config.items()))).key == cell.key
