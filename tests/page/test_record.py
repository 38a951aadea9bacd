import json

import matplotlib.pyplot as plt
import nbformat
import pandas as pd
import pytest

from xai_lib.page import record
from xai_lib.run import notebook, provenance

PARAMETERS = 'scale = "demo"\ntimes = 1'
CODE = """import matplotlib.pyplot as plt
import pandas as pd

from xai_lib.page.record import keep, write_text
from xai_lib.page.table import Column, show

frame = keep("numbers", pd.DataFrame({"a": [float(times)]}))
write_text("drawing", "<svg></svg>")
show(frame, [Column("a", "a")], f"At {scale}.", name="rows")"""


@pytest.fixture
def source(tmp_path, monkeypatch):
    """A notebook with a table, numbers, a drawing, and two figures of which one is recorded."""
    monkeypatch.setattr(provenance, "require_clean_tree", lambda: None)
    cell = nbformat.v4.new_code_cell
    parameters = cell(PARAMETERS, metadata={"tags": ["parameters"]})
    figures = [cell("plt.plot([1, 2]);", metadata={"recorded": "line"}), cell("plt.plot([2, 1]);")]
    made = nbformat.v4.new_notebook(cells=[parameters, cell(CODE), *figures])
    made.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(made, tmp_path / "a.ipynb")
    return tmp_path / "a.ipynb"


@pytest.mark.slow
def test_a_record_is_what_the_notebooks_show(source, tmp_path):
    folder = tmp_path / "recorded"
    (tmp_path / "recorded").mkdir()
    (folder / "provenance.json").write_text('{"cells": ["of an older record"]}')
    record.record([source], folder, {"scale": "smoke", "times": "2", "dataset": "not declared"}, tmp_path / "drafts")
    assert {path.name for path in folder.iterdir()} == {
        "numbers.csv", "drawing.html", "rows.csv", "rows.html", "line.png"
    }  # fmt: skip
    assert (folder / "numbers.csv").read_text() == (folder / "rows.csv").read_text() == "a\n2.0\n"
    assert "At smoke." in (folder / "rows.html").read_text()
    assert plt.imread(folder / "line.png").ndim == 3


def test_from_a_changed_tree_nothing_is_recorded(source, tmp_path, monkeypatch):
    def refuse():
        raise RuntimeError("Expected a clean tree")

    monkeypatch.setattr(provenance, "require_clean_tree", refuse)
    with pytest.raises(RuntimeError, match="clean tree"):
        record.record([source], tmp_path / "recorded", {}, tmp_path)
    assert not (tmp_path / "recorded").exists()


def test_after_a_failure_nothing_goes_on_being_recorded(source, tmp_path, monkeypatch):
    def fail(*arguments):
        raise notebook.NotebookError("it failed")

    monkeypatch.setattr(notebook, "execute", fail)
    with pytest.raises(notebook.NotebookError):
        record.record([source], tmp_path / "recorded", {}, tmp_path)
    record.keep("numbers", pd.DataFrame({"a": [1]}))
    assert list((tmp_path / "recorded").iterdir()) == []


def test_only_figures_with_a_name_are_kept(tmp_path):
    picture = {"output_type": "display_data", "data": {"image/png": "aGVsbG8="}, "metadata": {}}
    cells = [
        {"cell_type": "code", "metadata": {"recorded": "one"}, "outputs": [{"output_type": "stream"}, picture]},
        {"cell_type": "code", "metadata": {"recorded": "without a picture"}, "outputs": []},
        {"cell_type": "code", "metadata": {}, "outputs": [picture]},
    ]
    (tmp_path / "a.ipynb").write_text(json.dumps({"cells": cells}))
    record.write_figures(tmp_path / "a.ipynb", tmp_path)
    assert [path.name for path in sorted(tmp_path.glob("*.png"))] == ["one.png"]
    assert (tmp_path / "one.png").read_bytes() == b"hello"
