import json
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from xai_lib.__main__ import main
from xai_lib.run.store import Store

ROOT = Path(__file__).parents[1]
TINY = ["--scale", "smoke", "--device", "cpu", "--overrides", "seeds=1, n_train=50, width=4"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "required: command"),
        (["fly"], "choose from"),
        (["train", "--loss", "mse", "--seed", "0"], "'ce', 'scl', 'tl'"),
        (["train", "--loss", "ce"], "--seed"),
        (["train", "--loss", "ce", "--seed", "zero"], "expected a whole number from 0 to 2147483647, got 'zero'"),
        (["score", "--loss", "ce", "--seed=-1"], "expected a whole number from 0 to 2147483647, got '-1'"),
        (["train", "--loss", "ce", "--seed", "2147483648"], "got '2147483648'"),
        (["cells", "--label", "--scale", "smoke"], "--label"),
        (["score", "--loss", "ce"], "--seed"),
        (["cells", "--download", "2"], "expected True or False, got '2'"),
        (["cells", "--dataste", "planted"], "--dataste"),
        (["record", "alliance", "out"], "expected notebooks or a folder of notebooks, got 'alliance'"),
        (["saliency", "--seed", "0"], "--methods"),
        (["saliency", "--methods", "rise"], "--seed"),
        (["tune", "--seed", "0"], "--name"),
        (["tune", "--name", "tuned"], "--seed"),
        (["dominance"], "--network"),
        (["dominance", "--network", "ce"], "invalid int value: 'ce'"),
        (["rarity"], "--training"),
        (["rarity", "--training", "first"], "invalid int value: 'first'"),
    ],
)
def test_an_option_that_does_not_exist_stops_with_usage(capsys, arguments, message):
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2
    printed = capsys.readouterr()
    assert printed.out == "" and message in printed.err.splitlines()[-1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["cells", "--scale", "huge"], "ValueError: Expected a scale out of smoke, demo, laptop, paper. Got 'huge'."),
        (["cells", "--dataset", "mnist"], "ValueError: Expected a data set out of planted, cifar10,"),
        (["cells", "--device", "tpu"], "ValueError: Expected a device out of auto, cpu, cuda. Got 'tpu'."),
        (["cells", "--overrides", "seed=1"], "ValueError: Unknown setting seed. A scale has: "),
        (["execute", "nowhere.ipynb", "out.ipynb"], "nowhere.ipynb"),
        (["saliency", "--seed", "0", "--methods", "", "--scale", "smoke"], "Expected methods out of fake-cam,"),
        (["tune", "--seed", "0", "--name", "turned", "--scale", "smoke"], "out of tuned. Got 'turned'."),
    ],
)
def test_a_wrong_value_stops_with_one_line(empty_store, capsys, arguments, message):
    assert main(arguments) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    [line] = printed.err.splitlines()
    assert message in line


def test_faults_of_a_folder_are_told_without_a_traceback(empty_store, capsys):
    assert main(["cells", "--dataset", "folder:/nowhere/at/all"]) == 1
    printed = capsys.readouterr()
    assert printed.out == "" and "/nowhere/at/all" in printed.err and "Traceback" not in printed.err


def test_cells_are_listed_as_json_and_nothing_is_computed(empty_store, capsys):
    assert main(["cells", "--scale", "smoke"]) == 0
    jobs = json.loads(capsys.readouterr().out)
    assert len(jobs) == 12 + 4 + 2 + 3 + 7
    commands = {"train", "score", "match", "saliency", "whole-output", "tune", "dominance", "rarity"}
    assert {job["command"][0] for job in jobs} == commands
    assert all(set(job) == {"id", "command", "needs", "key", "folder", "done"} for job in jobs)
    assert not empty_store.exists()


def test_train_fills_the_store_with_the_listed_cell(empty_store, capsys):
    assert main(["train", "--loss", "tl", "--seed", "0", *TINY]) == 0
    capsys.readouterr()
    main(["cells", *TINY])
    listed = {job["id"]: job for job in json.loads(capsys.readouterr().out)}
    assert listed["train-tl-0"]["done"] and not listed["train-ce-0"]["done"]
    assert (Store().root / "train" / listed["train-tl-0"]["key"] / "classifier.pt").exists()


def test_score_does_what_it_needs_first(smoke_run):
    """The fixture's store was filled by train and score alone, yet has predictions and maps."""
    assert {path.name for path in Store().root.iterdir()} >= {"train", "predict", "explain", "score"}


@pytest.fixture
def notebook(tmp_path):
    cells = [
        nbformat.v4.new_code_cell("scale = 'demo'\nseeds = 1", metadata={"tags": ["parameters"]}),
        nbformat.v4.new_code_cell("print(scale)\nassert scale != 'laptop', 'too large'"),
    ]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=kernel), tmp_path / "a.ipynb")
    return tmp_path / "a.ipynb"


@pytest.mark.slow
def test_execute_gives_a_notebook_the_settings_that_it_declares(notebook, capsys):
    output = notebook.with_name("out.ipynb")
    assert main(["execute", str(notebook), str(output), "--scale", "smoke", "--dataset", "cifar10"]) == 0
    printed = [cell.outputs[0].text for cell in nbformat.read(output, 4).cells if cell.get("outputs")]
    assert printed == ["smoke\n"]
    capsys.readouterr()
    assert main(["execute", str(notebook), str(output), "--scale", "laptop"]) == 1
    line = capsys.readouterr().err.splitlines()[-1]
    assert line.startswith("NotebookError: ") and "too large" in line
    assert [cell.outputs[0].text for cell in nbformat.read(output, 4).cells if cell.get("outputs")] == printed


@pytest.mark.slow
def test_the_command_line_is_a_module(tmp_path):
    command = [sys.executable, "-m", "xai_lib", "cells", "--scale", "huge"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "ValueError: Expected a scale out of smoke, demo, laptop, paper. Got 'huge'.\n"


def test_a_wrong_option_does_not_wait_for_torch():
    lines = ["import sys", "from xai_lib.__main__ import main", "try:", "    main(['fly'])", "except SystemExit:"]
    code = "\n".join([*lines, "    print('torch' in sys.modules)"])
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout == "False\n", done.stderr
