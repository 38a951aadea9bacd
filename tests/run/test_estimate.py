"""Tests of what a run is estimated to take: against what it then takes."""

import pandas as pd
import pytest
from torch.utils.flop_counter import FlopCounterMode

from xai_lib.papers.saliency import experiment
from xai_lib.run import estimate, networks, workflow
from xai_lib.run.settings import settings
from xai_lib.run.stage import computed

FEW = "n_train=128, n_held_out=10, n_test=40, n_saliency=30, n_transformed=10, n_sensitivity=6, epochs_ce=2, size=16"


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A run of two trainings, of which one network is explained by RISE and by its gradient."""
    monkeypatch.setenv("XAI_STORE", str(tmp_path / "store"))
    monkeypatch.setattr(estimate, "_ENOUGH", 0.05)

    def jobs(run):
        yield "train", {}, [networks.train_cell(run, "ce", seed) for seed in run.seeds]
        yield "saliency", {}, experiment.saliency_cells(run, 0, ["rise", "gradient"])

    monkeypatch.setattr(workflow, "jobs", jobs)
    return settings(scale="smoke", device="cpu", overrides=FEW)


def test_the_estimate_is_what_the_run_then_does(run):
    before = estimate.estimate(run)
    assert before.index.tolist() == ["train", "saliency"]
    assert before["done"].tolist() == [0, 0] and before["taken"].tolist() == [0, 0]
    counts = {}
    for command, _, cells in workflow.jobs(run):
        with FlopCounterMode(display=False) as counted:
            for cell in cells:
                computed(cell)
        counts[command] = counted.get_total_flops()
    flops, _ = estimate._speed(run)
    assert before["forwards"].mul(1e6 * flops).to_dict() == pytest.approx(counts, rel=0.25)
    after = estimate.estimate(run)
    assert (after["done"] == after["cells"]).all() and (after["taken"] > 0).all()
    assert after["expected"].tolist() == after["hours"].tolist()
    assert after["forwards"].tolist() == pytest.approx(before["forwards"].tolist())
    store = estimate.Store().root
    written = sum(file.stat().st_size for file in store.rglob("*") if file.is_file() and "lock" not in file.name)
    assert before["disk"].sum() * 1e9 == pytest.approx(written, rel=0.5)


def test_an_estimate_is_told_in_lines(run):
    found = pd.DataFrame([[4, 2, 1, 1.5, 3.0, 0.1, 1.0, 2.0]], ["saliency"], list(estimate.COLUMNS))
    found = found.astype(dict.fromkeys(estimate.COLUMNS[:3], int))
    found.attrs["memory"] = 1.24
    lines = estimate.told(found).splitlines()
    assert [line.split()[0] for line in lines[1:3]] == ["saliency", "all"]
    assert "held 1.2 GB" in lines[3] and lines[4].startswith("1 cells are not counted")
    assert lines[5] == "What is done took 2.00 times what is expected of it."
    found[["expected", "taken", "done", "untried"]] = 0
    assert len(estimate.told(found).splitlines()) == 4


def test_what_fails_in_the_trial_is_not_counted_and_takes_nothing_down(run, monkeypatch):
    plain = estimate.computed

    def failing(cell):
        if "explained" in cell.arguments and cell.arguments["explained"].method == "gradient":
            raise RuntimeError("no gradient")
        return plain(cell)

    monkeypatch.setattr(estimate, "computed", failing)
    found = estimate.estimate(run)
    gradient = experiment.saliency_cells(run, 0, ["gradient"])
    assert found.loc["train", "untried"] == 0 < len(gradient) <= found.loc["saliency", "untried"]
    assert found.loc["saliency", "forwards"] > 0
