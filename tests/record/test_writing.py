import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from IPython.display import HTML

from xai_lib import files as artefacts
from xai_lib.page import style
from xai_lib.record import writing
from xai_lib.run import provenance, settings
from xai_lib.run.cell import Cell
from xai_lib.run.store import Store


def test_a_tree_with_changes_has_no_folder(tmp_path, monkeypatch):
    def refuse(outputs):
        assert outputs == ("book/recorded",)
        raise RuntimeError("Expected a clean tree")

    monkeypatch.setattr(provenance, "require_clean_tree", refuse)
    with pytest.raises(RuntimeError, match="clean tree"):
        writing.prepare(tmp_path / "a")
    assert not (tmp_path / "a").exists()


def test_a_clean_tree_has_a_folder_now_and_again(tmp_path, monkeypatch):
    monkeypatch.setattr(provenance, "require_clean_tree", lambda outputs: None)
    for _ in range(2):
        writing.prepare(tmp_path / "a/b")
        assert (tmp_path / "a/b").is_dir()


def test_every_name_has_its_files_and_all_are_of_the_same_run(tmp_path):
    numbers = pd.DataFrame({"x": [0.1, np.nan]})
    before = plt.get_fignums()

    def draw(of):
        figure, axis = plt.subplots()
        axis.set_title(of)
        return figure

    writing.write(
        "run",
        tmp_path,
        {"table": (lambda of: numbers.assign(of=of), lambda of: HTML(f"<b>{of}</b>"))},
        {"view": lambda of: HTML(f"<i>{of} ä</i>")},
        {"number": lambda of: numbers.assign(of=of)},
        {"figure": draw},
    )
    assert {path.name for path in tmp_path.iterdir()} == {
        *("table.csv", "table.html", "view.html", "number.csv", "figure.png")
    }
    for name in ("table", "number"):
        pd.testing.assert_frame_equal(artefacts.read_frame(tmp_path / f"{name}.csv"), numbers.assign(of="run"))
    assert (tmp_path / "table.html").read_bytes() == b"<b>run</b>\n"
    assert (tmp_path / "view.html").read_text() == "<i>run ä</i>\n"
    assert plt.get_fignums() == before  # figures are closed
    style.use_style()
    writing.save(draw("run"), tmp_path / "again.png")
    png = (tmp_path / "figure.png").read_bytes()
    assert png == (tmp_path / "again.png").read_bytes()  # drawn in the style of the book
    assert png.startswith(b"\x89PNG") and b"Software" not in png


def test_provenance_is_of_every_cell(empty_store, tmp_path):
    made = [Cell("predict", {"version": 1, "number": number}) for number in range(2)]
    for cell in made:
        Store().compute(cell, lambda folder: writing.write_text(folder / "a.txt", "a"))
    run = settings.settings(scale="smoke", device="cpu", label="some images")
    writing.write_provenance(run, tmp_path, made)
    head = artefacts.read_json(tmp_path / "provenance.json")
    assert (head["label"], head["scale"]["name"]) == ("some images", "smoke") and head[
        "tables"
    ] == provenance.software()
    assert [record["key"] for record in head["cells"]] == [cell.key for cell in made]
    assert len(artefacts.read_frame(tmp_path / "provenance.csv")) == 2
    assert "<caption>Provenance.</caption>" in (tmp_path / "provenance.html").read_text()
    assert not any(str(Store().root) in path.read_text() for path in tmp_path.glob("provenance.*"))
