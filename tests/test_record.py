import runpy
from pathlib import Path

import pandas as pd
import pytest
import torch

from xai_lib import files as artefacts
from xai_lib import record
from xai_lib.papers.contrastive import analysis as results
from xai_lib.papers.saliency import claims as verdicts
from xai_lib.papers.saliency import experiment
from xai_lib.papers.saliency.analysis import pictures, printed
from xai_lib.papers.saliency.analysis.scores import FIDELITY
from xai_lib.papers.saliency.method import lineup
from xai_lib.run import provenance, workflow
from xai_lib.run.store import Store

MADE_UP = Path(__file__).parent / "papers/saliency/made_up.py"


@pytest.fixture
def recorded(smoke_run, tmp_path, monkeypatch):
    monkeypatch.setattr(provenance, "require_clean_tree", lambda outputs: None)
    record.contrastive.record(smoke_run, tmp_path / "recorded")
    return tmp_path / "recorded"


def test_a_record_holds_numbers_views_figures_and_where_they_come_from(smoke_run, recorded):
    names = {path.name for path in recorded.iterdir()}
    assert {"results.csv", "results.html", "verdicts.csv", "overlays.png", "provenance.json"} <= names
    numbers, written = results.accuracy(smoke_run), artefacts.read_frame(recorded / "accuracy.csv")
    pd.testing.assert_frame_equal(written.select_dtypes("number"), numbers.select_dtypes("number"))
    assert "<caption>" in (recorded / "results.html").read_text()
    head = artefacts.read_json(recorded / "provenance.json")
    assert head["label"] == smoke_run.label and head["scale"]["name"] == "smoke"
    assert [cell["key"] for cell in head["cells"]] == [cell.key for cell in workflow.of_run(smoke_run)]


def test_no_record_tells_where_the_machine_keeps_its_files(recorded):
    for path in recorded.iterdir():
        if path.suffix in (".csv", ".html", ".json"):
            assert str(Store().root) not in path.read_text()


def test_a_tree_with_changes_is_refused_before_anything_is_written(smoke_run, tmp_path, monkeypatch):
    def refuse(outputs):
        assert outputs == ("book/recorded",)
        raise RuntimeError("Expected a clean tree")

    monkeypatch.setattr(provenance, "require_clean_tree", refuse)
    with pytest.raises(RuntimeError, match="clean tree"):
        record.contrastive.record(smoke_run, tmp_path / "recorded")
    assert not (tmp_path / "recorded").exists()


@pytest.fixture
def bench(smoke_run, monkeypatch):
    """A benchmark of made-up scores and empty maps, said to be made by the cells of ``smoke_run``."""
    frames = runpy.run_path(str(MADE_UP))["frames"](n_images=4)
    bench = experiment.Bench(smoke_run, ())
    image, heat = torch.zeros(3, 8, 8), torch.zeros(8, 8)
    extremes = [
        {"metric": metric, "method": "iba", "which": which, "score": 0.5, "image": image, "maps": {"iba": heat}}
        for metric in FIDELITY
        for which in ("best", "worst")
    ]
    curves = pd.DataFrame({"method": "iba", "kind": "insertion", "fraction": [0.0, 1.0], "probability": [0.0, 1.0]})

    def causal_curves(bench, methods, n):
        assert set(methods) <= set(lineup.ALL)
        return curves

    monkeypatch.setattr(experiment, "saliency_scores", lambda bench, part: frames[part])
    monkeypatch.setattr(experiment, "bench", lambda run: bench)
    monkeypatch.setattr(workflow, "of_bench", lambda bench: workflow.of_run(smoke_run))
    monkeypatch.setattr(pictures, "maps", lambda bench, methods, n: (image[None], {"iba": heat[None]}, ["cat"]))
    monkeypatch.setattr(pictures, "extremes", lambda bench: extremes)
    monkeypatch.setattr(pictures, "causal_curves", causal_curves)
    monkeypatch.setattr(provenance, "require_clean_tree", lambda outputs: None)
    return bench


def test_a_record_of_the_saliency_run_has_every_table_and_figure(smoke_run, bench, tmp_path):
    record.saliency.record(smoke_run, tmp_path)
    names = {path.name for path in tmp_path.iterdir()}
    tables = {"table-1", "table-2", "table-3", "table-4", "unprinted", "readings", "stability", "fooled"}
    tables |= {"discrimination", "verdicts", "cost", "leaderboard", "provenance"}
    figures = {"maps", "curves", "extremes", "probability", "transforms", "readings", "agreement", "ranks-insertion"}
    figures |= {"ranks-gain", "fooled", "cost"}
    assert names == (
        {f"{name}.{end}" for name in tables for end in ("csv", "html")}
        | {"networks.html", "methods.html", "sanity.html", "agreement.csv", "by-setting.csv", "provenance.json"}
        | {f"{name}.png" for name in figures}
    )
    for name, compute in (("table-1", printed.table_1), ("verdicts", verdicts.verdicts)):
        written = artefacts.read_frame(tmp_path / f"{name}.csv")
        numbers = compute(bench).select_dtypes("number")
        pd.testing.assert_frame_equal(written[numbers.columns].astype(float), numbers.astype(float))
    written = artefacts.read_frame(tmp_path / "unprinted.csv")
    assert {"completeness", "pointing-game"} <= set(written["metric"]) and "median" in written
    assert (tmp_path / "maps.png").read_bytes().startswith(b"\x89PNG")
    head = artefacts.read_json(tmp_path / "provenance.json")
    assert head["label"] == smoke_run.label
    assert [cell["key"] for cell in head["cells"]] == [cell.key for cell in workflow.of_run(smoke_run)]
    for path in tmp_path.iterdir():
        if path.suffix != ".png":
            assert str(Store().root) not in path.read_text()


def test_a_saliency_run_is_not_recorded_from_a_tree_with_changes(smoke_run, bench, tmp_path, monkeypatch):
    def refuse(outputs):
        assert outputs == ("book/recorded",)
        raise RuntimeError("Expected a clean tree")

    monkeypatch.setattr(provenance, "require_clean_tree", refuse)
    with pytest.raises(RuntimeError, match="clean tree"):
        record.saliency.record(smoke_run, tmp_path / "recorded")
    assert not (tmp_path / "recorded").exists()
