import pandas as pd
import pytest

from xai_lib import artefacts, provenance, record
from xai_lib.results import contrastive as results
from xai_lib.store import Store


@pytest.fixture
def recorded(smoke_run, tmp_path, monkeypatch):
    monkeypatch.setattr(provenance, "require_clean_tree", lambda outputs: None)
    record.contrastive(smoke_run, tmp_path / "recorded")
    return tmp_path / "recorded"


def test_a_record_holds_numbers_views_figures_and_where_they_come_from(smoke_run, recorded):
    names = {path.name for path in recorded.iterdir()}
    assert {"results.csv", "results.html", "verdicts.csv", "overlays.png", "provenance.json"} <= names
    numbers, written = results.accuracy(smoke_run), artefacts.read_frame(recorded / "accuracy.csv")
    pd.testing.assert_frame_equal(written.select_dtypes("number"), numbers.select_dtypes("number"))
    assert "<caption>" in (recorded / "results.html").read_text()
    head = artefacts.read_json(recorded / "provenance.json")
    assert head["label"] == smoke_run.label and head["scale"]["name"] == "smoke"
    assert {cell["key"] for cell in head["cells"]} == {path.name for path in Store().root.glob("*/" + "[0-9a-f]" * 64)}


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
        record.contrastive(smoke_run, tmp_path / "recorded")
    assert not (tmp_path / "recorded").exists()
