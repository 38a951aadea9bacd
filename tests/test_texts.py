"""Texts that a user gives reach the library as they are: through make, the workflow, the command line and papermill."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import nbformat
import pytest

from xai_lib.__main__ import _given, _parsed
from xai_lib.run.notebook import execute

ROOT = Path(__file__).parents[1]
STUB = """
import json, sys
json.dump(sys.argv[1:], open("given.json", "w"))
sys.exit(1)
"""
TEXTS = [
    *("folder:/x/h1 #2", "my photos: 2", "007", "0x1F", "0o17", "1e3", "1_000", "-7", ".5", "nan", "-inf", "12:30:45"),
    *("null", "~", "true", "No", "on", "2026-01-02", "2024_05", "# only", "trailed ", "-x", "-p", "--", "=a=b"),
    *("a'b", "''", "'quoted'", '"quoted"', "it's \"both\"", "`id`", "[1, 2]", "{a: 1}", "{", "}}", "{label}", "a, b"),
    *("!!python/object:os.system", "&a *a", "@at", "|", ">", "? x", "- item", "key: {", "a\\nb", "tail\\"),
    *("$HOME", "$(touch executed)", "${PATH}", "$5 $$ $", "$(shell touch executed)", "$(LABEL)", "a;touch executed"),
    *("a\nb", "tab\tx", "größe", "写真 📷", "e\u0301", "\u2028", "a&b|c>d<e", "*", "~root", "a/../b", "%s %(x)s"),
]  # fmt: skip


@pytest.fixture
def project(tmp_path):
    """The real Makefile, Snakefile and profiles, on a library that keeps its arguments and stops."""
    for name in ("Makefile", "Snakefile"):
        shutil.copy(ROOT / name, tmp_path)
    shutil.copytree(ROOT / "profiles", tmp_path / "profiles")
    stubs = {"xai_lib/__init__.py": "", "xai_lib/__main__.py": STUB, "xai_lib/run/scales/demo.yaml": ""}
    for name, text in {**stubs, "scripts/setup.sh": ""}.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def parsed(arguments):
    return _given(_parsed(arguments))


def through_make(project, variables, **environment):
    """What the library is given by `make book` with these variables."""
    (project / "given.json").unlink(missing_ok=True)
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    command = ["make", "book", *(f"{name.upper()}={value}" for name, value in variables.items())]
    done = subprocess.run(command, cwd=project, env=inherited | environment, capture_output=True, text=True, timeout=90)
    assert (project / "given.json").exists(), done.stdout + done.stderr
    assert not (project / "executed").exists()
    return parsed(json.loads((project / "given.json").read_text()))


SOME = [TEXTS[number : number + 6] for number in range(0, len(TEXTS), 6)]


@pytest.mark.parametrize(
    "texts", [pytest.param(texts, marks=pytest.mark.slow if number else ()) for number, texts in enumerate(SOME)]
)
def test_a_text_passes_make_the_workflow_and_the_command_line(project, texts):
    for three in (texts[:3], texts[3:]):
        given = dict(zip(("label", "dataset", "overrides"), three))
        found = through_make(project, given)
        assert {name: found[name] for name in given} == given


@pytest.mark.parametrize("text", ["$(shell touch executed)", "$5", "$(touch executed)"])
def test_a_text_of_the_environment_is_not_expanded(project, text):
    assert through_make(project, {}, LABEL=text)["label"] == text


@pytest.mark.slow
@pytest.mark.parametrize("name", ["SCALE", "CORES", "PROFILE", "PORT", "DOWNLOAD", "LAUNCHER"])
def test_no_variable_of_make_is_executed(project, name):
    for text in ("$(shell touch executed)", "1; touch executed;", "$(touch executed)", '"; touch executed; "'):
        for target in ("book", "serve"):
            subprocess.run(["make", target, f"{name}={text}"], cwd=project, capture_output=True, timeout=90)
    assert not (project / "executed").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("value", "download"), [("1", True), ("True", True), ("true", True), ("0", False), ("False", False), ("", False)]
)
def test_download_is_said_by_1_or_true(project, value, download):
    assert through_make(project, {"download": value})["download"] is download


def test_the_command_line_takes_any_text_and_papermill_gives_it_to_the_notebook(tmp_path):
    texts = [parsed(["cells", f"--label={text}"])["label"] for text in TEXTS]
    assert parsed(["cells", "--label", "-x"])["label"] == "-x"
    assert texts == TEXTS
    names = [f"text_{number}" for number in range(len(TEXTS))]
    cells = [
        nbformat.v4.new_code_cell("\n".join(f'{name} = ""' for name in names), metadata={"tags": ["parameters"]}),
        nbformat.v4.new_code_cell(f"import json\nprint(json.dumps([{', '.join(names)}]))"),
    ]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    source = tmp_path / "{folder}" / "a {b}.ipynb"
    source.parent.mkdir()
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=kernel), source)
    execute(source, source.with_name("{out}.ipynb"), dict(zip(names, TEXTS)))
    assert json.loads(nbformat.read(source.with_name("{out}.ipynb"), 4).cells[-1].outputs[0].text) == TEXTS
