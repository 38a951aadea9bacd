import json

import torch

from xai_lib.files import read_frame, read_json
from xai_lib.page.notebook import end
from xai_lib.page.provenance import provenance, rows
from xai_lib.papers.contrastive import experiment
from xai_lib.run.stage import computed


def test_there_is_a_row_a_stage_of_all_that_the_cells_stand_on(smoke_run, read):
    rows = read(provenance(experiment.cells(smoke_run))).set_index("stage")
    assert rows["cells"].astype(int).to_dict() == {"train": 3, "predict": 6, "explain": 9, "score": 9}
    assert rows["computing time"].str.endswith(" min").all()
    assert rows["finished"].str.fullmatch(r"20\d\d-\d\d-\d\d \d\d:\d\d").all()


def test_every_cell_has_a_row_with_what_made_it(smoke_run):
    made = [read_json(computed(cell) / "provenance.json") for cell in experiment.cells(smoke_run)]
    found = rows(made)
    assert found["key"].tolist() == [cell.key[:12] for cell in experiment.cells(smoke_run)]
    assert (found["seconds"] > 0).all() and found["ended"].str.startswith("20").all()
    assert found["libraries"].str.contains(f"torch {torch.__version__.split('+')[0]}").all()
    assert found["commit"].str.fullmatch(r"[0-9a-f]{12}( with changes)?").all()


def test_a_record_gathers_the_cells_of_all_its_notebooks(smoke_run, tmp_path, monkeypatch):
    monkeypatch.setenv("XAI_RECORD", str(tmp_path))
    provenance(experiment.cells(smoke_run, ("predict",)), {"label": "one"})
    provenance(experiment.cells(smoke_run, ("explain",)), {"label": "two"})
    record = read_json(tmp_path / "provenance.json")
    assert record["label"] == "two"
    stages = [cell["stage"] for cell in record["cells"]]
    assert {name: stages.count(name) for name in stages} == {"train": 3, "predict": 6, "explain": 9}
    assert read_frame(tmp_path / "provenance.csv")["stage"].tolist() == stages
    assert "Provenance." in (tmp_path / "provenance.html").read_text()
    json.dumps(record)


def test_a_page_ends_with_the_command_that_runs_it_again(smoke_run):
    page = end("contrastive/training", smoke_run, experiment.cells(smoke_run, ("predict",)), model="not declared").data
    command = page.partition("<pre>")[2].partition("</pre>")[0]
    assert command.startswith(".venv/bin/papermill notebooks/contrastive/training.ipynb out.ipynb -r scale smoke")
    assert "-r device cpu" in command and "-r overrides &#x27;recipe=small" in command
    assert "model" not in command and "data_root" not in command
    assert "Provenance." in page and "This page ran with scale = smoke" in page
    assert "Provenance." not in end("contrastive/training", smoke_run, []).data
