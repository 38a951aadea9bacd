"""The real Snakefile and profile, on a stub of the library that takes no time (and on the real one, dry)."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SNAKEMAKE = Path(sys.executable).with_name("snakemake")

STUB = """
import hashlib, json, os, pathlib, shutil, sys, time

command, *rest = sys.argv[1:]
store = pathlib.Path(".store")
with open("journal", "a") as journal:
    journal.write(json.dumps({"arguments": sys.argv[1:], "threads": os.environ.get("OMP_NUM_THREADS")}) + "\\n")


def cell(*command, needs=()):
    key = hashlib.sha256("/".join(command).encode()).hexdigest()
    done = (store / command[0] / key).exists()
    where = f"{command[0]}/{key}"
    return {"id": "-".join(command), "command": command, "needs": needs, "key": key, "folder": where, "done": done}


cells = [cell("train", "--seed", seed) for seed in "01"]
cells += [cell("score", "--seed", seed, needs=[f"train---seed-{seed}"]) for seed in "01"]
while pathlib.Path("hang").exists() and command == "train":
    time.sleep(0.05)
if pathlib.Path(f"fail-{command}").exists():
    sys.exit("loss is NaN in epoch 3")
if command == "cells":
    print(json.dumps(cells))
elif command == "execute":
    shutil.copy(rest[0], rest[1])
else:
    [mine] = [each for each in cells if each["command"] == (command, *rest[:2])]
    (store / command).mkdir(parents=True, exist_ok=True)
    (store / command / mine["key"]).touch()
"""


@pytest.fixture
def project(tmp_path):
    shutil.copy(ROOT / "Snakefile", tmp_path)
    shutil.copytree(ROOT / "profiles", tmp_path / "profiles")
    texts = {
        "xai_lib/__init__.py": "",
        "xai_lib/__main__.py": STUB,
        "notebooks/contrastive/a.ipynb": "{}",
        "notebooks/contrastive/b.ipynb": "{}",
        "book/recorded/table.csv": "1",
        "book/index.md": "# Title",
    }
    for name, text in texts.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def command(*targets, **settings):
    pairs = [f"{name}={value}" for name, value in ({"scale": "demo"} | settings).items()]
    options = ["--profile", "profiles/local", "--cores", "2", "--nolock", "--rerun-incomplete"]
    # the lock belongs to whoever calls snakemake, and must die with it: -o
    lock = ["flock", "-n", "-o", "-E", "75", "lock"]
    return [*lock, SNAKEMAKE, *targets, *options, "--config", *pairs]


def snakemake(project, *targets, **settings):
    done = subprocess.run(command(*targets, **settings), cwd=project, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


def journal(project):
    """The commands run since the last look, without the listing of cells."""
    file = project / "journal"
    entries = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
    file.unlink(missing_ok=True)
    return [entry for entry in entries if entry["arguments"][0] != "cells"]


def names(project):
    """What was run since the last look: stage and seed, or notebook."""
    shown = {"execute": 1}
    return sorted(
        f"{entry['arguments'][0]} {entry['arguments'][shown.get(entry['arguments'][0], 2)]}"
        for entry in journal(project)
    )


NOTEBOOKS = [f"execute notebooks/contrastive/{name}.ipynb" for name in "ab"]
CELLS = ["score 0", "score 1", "train 0", "train 1"]


def test_settings_reach_every_process_and_needs_come_first(project):
    settings = {"scale": "laptop", "data_root": "/some where/x", "overrides": 'a=1, b="c d", e=$HOME, {f}, it\\\'s #7'}
    code, text = snakemake(project, "notebooks", **settings)
    assert code == 0, text
    entries = journal(project)
    for entry in entries:
        given = dict(word.split("=", 1) for word in entry["arguments"][-3:])
        assert given == {"--scale": "laptop", "--data-root": "/some where/x", "--overrides": settings["overrides"]}
        assert entry["threads"] == "1"
    order = [(entry["arguments"][0], entry["arguments"][2]) for entry in entries]
    assert len(order) == 6
    for seed in "01":
        assert order.index(("train", seed)) < order.index(("score", seed))
    assert [stage for stage, _ in order[4:]] == ["execute", "execute"]
    assert (project / "book/executed/contrastive/a.ipynb").read_text() == "{}"


@pytest.mark.slow
def test_nothing_changed_runs_nothing(project):
    snakemake(project, "notebooks")
    assert names(project) == NOTEBOOKS + CELLS
    code, text = snakemake(project, "notebooks")
    assert code == 0 and "Nothing to be done" in text
    assert names(project) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["xai_lib/__main__.py", "notebooks/contrastive/a.ipynb", "book/executed/contrastive/a.ipynb"]
)
def test_a_file_of_the_future_is_made_again_once_and_nothing_is_lost(project, name):
    """As a clock that was ahead leaves it."""
    snakemake(project, "notebooks")
    journal(project)
    in_two_days = time.time() + 172_800
    os.utime(project / name, (in_two_days, in_two_days))
    code, text = snakemake(project, "notebooks")
    assert code == 0, text
    assert set(names(project)) <= set(NOTEBOOKS)
    code, text = snakemake(project, "notebooks")
    assert code == 0 and names(project) == [], text
    assert (project / "book/executed/contrastive/a.ipynb").read_text() == "{}"


@pytest.mark.slow
def test_a_change_reruns_what_stands_on_it_and_no_cell(project):
    snakemake(project, "notebooks")
    journal(project)
    for changed, expected in {
        "notebooks/contrastive/a.ipynb": NOTEBOOKS[:1],
        "xai_lib/new.py": NOTEBOOKS,
        "xai_lib/run/scales/demo.yaml": NOTEBOOKS,
        "book/recorded/table.csv": NOTEBOOKS,
        "book/index.md": [],
    }.items():
        time.sleep(0.02)
        (project / changed).parent.mkdir(parents=True, exist_ok=True)
        (project / changed).write_text("[]")
        snakemake(project, "notebooks")
        assert names(project) == expected, changed


@pytest.mark.slow
def test_stamps_follow_the_store(project):
    """A cell computed elsewhere costs no process; one that is gone is computed again, with what stands on it."""
    snakemake(project, "store")
    journal(project)
    shutil.rmtree(project / ".store/stamps")
    code, text = snakemake(project, "store")
    assert code == 0, text
    assert names(project) == []
    shutil.rmtree(project / ".store/train")
    snakemake(project, "store")
    assert set(names(project)) >= {"train 0", "train 1"}


@pytest.mark.slow
def test_a_failing_cell_shows_its_error_and_the_same_command_goes_on(project):
    (project / "fail-score").touch()
    code, text = snakemake(project, "notebooks")
    assert code != 0
    assert "loss is NaN in epoch 3" in text
    assert "train 0" in names(project)
    (project / "fail-score").unlink()
    code, text = snakemake(project, "notebooks")
    assert code == 0, text
    assert names(project) == [*NOTEBOOKS, "score 0", "score 1"]


def test_cells_that_cannot_be_listed_stop_everything(project):
    (project / "fail-cells").touch()
    code, text = snakemake(project, "notebooks")
    assert code != 0
    assert "loss is NaN in epoch 3" in text and "The cells could not be listed" in text
    assert names(project) == []


@pytest.mark.slow
def test_a_job_that_computes_another_key_than_the_listed_one_fails(project):
    """As on a cluster whose login node has no GPU; there a launcher lists the cells on a node that has."""
    stub = project / "xai_lib/__main__.py"
    stub.write_text(STUB.replace('"/".join(command)', '(os.environ.get("NODE", "login") + "/".join(command))'))
    code, text = snakemake(project, "notebooks", launcher="env NODE=gpu")
    assert code != 0
    assert "Got another key" in text
    assert not any(entry.startswith(("score", "execute")) for entry in names(project))


@pytest.mark.slow
def test_a_second_run_is_refused_and_a_killed_one_goes_on(project):
    (project / "hang").touch()
    with (project / "output").open("w") as output:
        first = subprocess.Popen(
            command("notebooks"), cwd=project, stdout=output, stderr=output, start_new_session=True
        )
    deadline = time.monotonic() + 30
    started = project / "journal"
    while not started.exists() or '"train"' not in started.read_text():
        assert time.monotonic() < deadline, (project / "output").read_text()
        time.sleep(0.05)
    code, _ = snakemake(project, "notebooks")
    assert code == 75
    os.killpg(first.pid, signal.SIGKILL)
    first.wait()
    (project / "hang").unlink()
    code, text = snakemake(project, "notebooks")
    assert code == 0, text
    assert set(names(project)) == {*NOTEBOOKS, *CELLS}


@pytest.mark.slow
def test_a_strict_build_fails_until_the_page_is_mended(project):
    (project / "_config.yml").write_text('title: T\nonly_build_toc_files: true\nexecute:\n  execute_notebooks: "off"\n')
    (project / "book/_toc.yml").write_text("format: jb-book\nroot: index\n")
    page = project / "book/index.md"
    page.write_text("# Title\n\n{ref}`nowhere`\n")
    for notebook in (project / "notebooks/contrastive").iterdir():
        notebook.unlink()
    for _ in range(2):  # a page that is not read again keeps its warning to itself
        code, text = snakemake(project)
        assert code != 0 and "nowhere" in text
    page.write_text("# Title\n\nMended.\n")
    code, text = snakemake(project)
    assert code == 0, text
    assert "Mended." in (project / "book/_build/html/index.html").read_text()
    assert not (project / "_build").exists()
    code, text = snakemake(project)
    assert code == 0 and "Nothing to be done" in text


@pytest.mark.slow
@pytest.mark.skipif(find_spec("xai_lib.__main__") is None, reason="the command line is not there yet")
def test_the_library_lists_cells_that_the_workflow_accepts(tmp_path):
    environment = os.environ | {"XAI_STORE": str(tmp_path)}
    arguments = [SNAKEMAKE, "--profile", "profiles/local", "--dry-run", "--nolock", "--config", "scale=smoke"]
    done = subprocess.run(arguments, cwd=ROOT, env=environment, capture_output=True, text=True)
    text = done.stdout + done.stderr
    assert done.returncode == 0, text
    [plan] = (tmp_path / "plans").iterdir()
    cells = json.loads(plan.read_text())
    assert len({cell["key"] for cell in cells}) == len(cells) > 0
    for cell in cells:
        assert f": {' '.join(cell['command'])}" in text
    for notebook in (ROOT / "notebooks").glob("*/*.ipynb"):
        assert notebook.relative_to(ROOT).as_posix() in text
