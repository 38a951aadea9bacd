"""The front door: one dependency list, a lock that covers it, and a set-up that fails in one clear line."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from importlib.metadata import distribution
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

import xai_lib

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
LOCK_LINES = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
LOCK = {canonicalize_name(name): version for name, version in (line.split("==") for line in LOCK_LINES)}
MINORS = [f"3.{minor}" for minor in range(8, 20) if f"3.{minor}" in SpecifierSet(PROJECT["requires-python"])]

FAKE_PYTHON = """#!/usr/bin/env bash
# An interpreter whose environments record what pip is asked instead of doing it.
if [[ $1 == -c && $2 == *_base_executable* ]]; then echo "VERSION $0"; exit; fi
if [[ $1 == -c || $1 == --version ]]; then exec "REAL" "$@"; fi
echo "$*" >>"CALLS"
if [[ "$1 $2" == "-m venv" ]]; then mkdir -p "$3/bin"; cp "$0" "$3/bin/python"; exit; fi
echo "$PIP_SAYS"
[[ -z $PIP_SAYS ]]
"""


@pytest.fixture
def project(tmp_path):
    """A copy of what set-up needs, in a folder with a space in its name."""
    folder = tmp_path / "a companion"
    (folder / "scripts").mkdir(parents=True)
    (folder / "xai_lib" / "run" / "scales").mkdir(parents=True)
    (folder / "xai_lib" / "run" / "scales" / "demo.yaml").touch()
    for name in ("Makefile", "pyproject.toml", "constraints.txt", "scripts/setup.sh"):
        shutil.copy(ROOT / name, folder / name)
    return folder


def write_executable(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


def fake_python(project, version="3.11"):
    text = FAKE_PYTHON.replace("VERSION", version).replace("REAL", sys.executable)
    return write_executable(project.parent / f"python-{version}", text.replace("CALLS", str(project / "calls")))


def make(project, *arguments, **environment):
    """Run make there with nothing of this process's pip settings."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "MAKE", "MFLAGS"))}
    return subprocess.run(
        ["make", *arguments],
        cwd=project,
        env=inherited | {"PIP_CONFIG_FILE": os.devnull} | environment,
        capture_output=True,
        text=True,
        timeout=100,
    )


def assert_refused(result, *words):
    """Nonzero, and one line of error (make adds its own)."""
    assert result.returncode != 0
    lines = [line for line in result.stderr.splitlines() if not line.startswith("make")]
    assert len(lines) == 1, result.stderr
    for word in words:
        assert word in lines[0]


def calls(project):
    file = project / "calls"
    return file.read_text().splitlines() if file.exists() else []


def test_lock_lines_are_plain_and_unique():
    for line in LOCK_LINES:
        assert re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][0-9a-z.]*", line), line
    assert len(LOCK) == len(LOCK_LINES)


def test_lock_satisfies_every_requirement_of_pyproject():
    for text in PROJECT["dependencies"] + PROJECT["optional-dependencies"]["dev"]:
        requirement = Requirement(text)
        assert LOCK[canonicalize_name(requirement.name)] in requirement.specifier, text


def test_environment_is_the_lock():
    """Everything this project pulls in, at any depth, is pinned and installed at its pin (torch pins its own CUDA)."""
    waiting, seen = [("xai-companion", "dev")], set()
    while waiting:
        name, extra = waiting.pop()
        if (name, extra) in seen:
            continue
        seen.add((name, extra))
        for text in distribution(name).requires or []:
            requirement = Requirement(text)
            if requirement.marker and not requirement.marker.evaluate({"extra": extra}):
                continue
            needed = canonicalize_name(requirement.name)
            if needed.startswith(("nvidia-", "cuda-", "triton")):
                continue
            assert needed in LOCK, f"{needed}, needed by {name}, is not in constraints.txt"
            assert distribution(needed).version.split("+")[0] == LOCK[needed]
            waiting += [(needed, each) for each in (requirement.extras or {""})]
    assert len(seen) > 100


def test_opencv_is_the_headless_one():
    import cv2

    assert re.search(r"GUI:\s+NONE", cv2.getBuildInformation())
    assert "opencv-python-headless" in LOCK


def test_conda_door_cannot_drift():
    conda = yaml.safe_load((ROOT / "environment.yml").read_text())
    python, pip, door = conda["dependencies"]
    assert python == f"python {PROJECT['requires-python']}"
    assert pip == "pip"
    assert door == {"pip": ["-c constraints.txt", "-e .[dev]"]}


def test_supported_pythons_agree_everywhere():
    script = (ROOT / "scripts" / "setup.sh").read_text()
    assert MINORS == ["3.11", "3.12", "3.13"]
    assert f"for candidate in {' '.join(f'python{minor}' for minor in MINORS)} python3;" in script
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "book.yml").read_text())
    assert workflow["jobs"]["test"]["strategy"]["matrix"]["python"] == MINORS


def test_continuous_integration_runs_the_readme_commands():
    def runs(job):
        return [step["run"] for step in job["steps"] if "run" in step]

    jobs = yaml.safe_load((ROOT / ".github" / "workflows" / "book.yml").read_text())["jobs"]
    assert runs(jobs["test"]) == ["make test"]
    assert runs(jobs["publish"]) == ["make book"]
    assert (ROOT / ".ci" / "run").read_text().splitlines()[-1] == "make test"
    assert os.access(ROOT / ".ci" / "run", os.X_OK)
    actions = [step["uses"] for job in jobs.values() for step in job["steps"] if "uses" in step]
    assert actions and all(re.fullmatch(r"actions/[a-z-]+@v\d+", action) for action in actions)
    readme = (ROOT / "README.md").read_text()
    assert "make book\n" in readme and "make test\n" in readme


def test_citation_names_this_version():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["cff-version"] == "1.2.0"
    assert citation["version"] == xai_lib.__version__
    assert citation["license"] == PROJECT["license"]
    assert len(citation["references"]) == 4


def test_help_lists_every_target_and_variable(project):
    makefile = (ROOT / "Makefile").read_text()
    targets = re.search(r"\.PHONY: (.*)", makefile)[1].split()
    variables = re.findall(r"^([A-Z]+) \?=", makefile, flags=re.MULTILINE)
    text = make(project, "help").stdout
    assert make(project).stdout == text
    listed = re.findall(r"^  (?:make )?(\w+)", text, flags=re.MULTILINE)
    assert listed == targets + variables
    assert {"book", "test", "SCALE", "DATASET"} <= set(listed)


def test_missing_python_is_one_line(project):
    assert_refused(make(project, "env", PYTHON="/nowhere/python3.11"), "3.11, 3.12 or 3.13", "/nowhere/python3.11")
    assert not (project / ".venv").exists()


@pytest.mark.parametrize("version", ["3.10", "3.14", "2.7"])
def test_wrong_python_is_one_line(project, version):
    assert_refused(make(project, "env", PYTHON=str(fake_python(project, version))), "Got", f"Python {version}")
    assert not (project / ".venv").exists()


def test_first_python_that_runs_and_fits_is_taken(project):
    """A python3.11 on PATH that does not run is passed over, and so is a python3.12 of another version."""
    folder = project.parent / "bin"
    write_executable(folder / "python3.11", "#!/bin/sh\nexit 127\n")
    shutil.copy(fake_python(project, "3.9"), folder / "python3.12")
    shutil.copy(fake_python(project, "3.13"), folder / "python3.13")
    result = make(project, "env", PATH=f"{folder}:{os.environ['PATH']}")
    assert result.returncode == 0, result.stderr
    assert "3.13 " in (project / ".venv" / "bin" / "python").read_text()


def test_little_disk_is_one_line(project):
    folder = project.parent / "bin"
    write_executable(folder / "df", "#!/bin/sh\necho head\necho /dev/x 9 9 2097152 9% /\n")
    result = make(project, "env", PYTHON=str(fake_python(project)), PATH=f"{folder}:{os.environ['PATH']}")
    assert_refused(result, "at least 4 GB", "Got 2 GB")
    assert not (project / ".venv").exists()


@pytest.mark.parametrize(
    ("pip_says", "words"),
    [
        ("OSError: [Errno 28] No space left on device", "The disk filled up"),
        ("NewConnectionError: Temporary failure in name resolution", "registry could not be reached"),
        ("ERROR: No matching distribution found for x", "pip failed: ERROR: No matching distribution found for x"),
    ],
)
def test_failing_pip_is_one_line_and_begun_again(project, pip_says, words):
    python = str(fake_python(project))
    assert_refused(make(project, "env", PYTHON=python, PIP_SAYS=pip_says), words, ".store/setup.log")
    assert pip_says in (project / ".store" / "setup.log").read_text()
    (project / ".venv" / "half-made").touch()
    assert make(project, "env", PYTHON=python).returncode == 0
    assert not (project / ".venv" / "half-made").exists()


@pytest.mark.parametrize("kind", ["folder", "link", "file"])
def test_an_environment_of_the_users_own_is_refused_and_kept(project, kind):
    own = project / ".venv"
    if kind == "folder":
        write_executable(own / "bin" / "python", "#!/bin/sh\n")
    elif kind == "link":
        own.symlink_to(project.parent)
    else:
        own.write_text("mine")
    assert_refused(make(project, "env", PYTHON=str(fake_python(project))), "Got another", "move it away or delete it")
    assert (
        own.is_symlink() if kind == "link" else own.is_file() if kind == "file" else (own / "bin" / "python").exists()
    )
    assert calls(project) == []


def test_an_environment_of_before_there_was_a_mark_is_brought_up_to_date(project):
    python = str(fake_python(project))
    assert make(project, "env", PYTHON=python).returncode == 0
    (project / ".venv" / "made-by-make").unlink()
    with (project / "pyproject.toml").open("a") as file:
        file.write("# changed\n")
    assert make(project, "env", PYTHON=python, PIP_SAYS="ERROR: interrupted").returncode != 0
    assert make(project, "env", PYTHON=python).returncode == 0


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("kill -9 $$", ["ended by signal 9", "setup.log"]),
        ("echo strange; exit 3", ["pip failed: strange", "setup.log"]),
    ],
)
def test_the_reason_of_a_failing_set_up_is_not_lost(project, what, words):
    python = Path(fake_python(project))
    python.write_text(python.read_text().replace('echo "$PIP_SAYS"', what))
    assert_refused(make(project, "env", PYTHON=str(python)), *words)


def test_a_log_that_cannot_be_written_is_one_line(project):
    (project / ".store").write_text("a file where the folder should be")
    assert_refused(make(project, "env", PYTHON=str(fake_python(project))), "Expected to write .store/setup.log")


def test_a_disk_that_filled_up_is_named_where_not_even_the_log_could_say_so(project):
    count = project.parent / "count"
    df = f"#!/bin/sh\necho x >>'{count}'\n[ $(wc -l <'{count}') -gt 1 ] && left=0 || left=99999999\n"
    write_executable(project.parent / "bin" / "df", df + "echo head\necho /dev/x 9 9 $left 9% /\n")
    path = f"{project.parent / 'bin'}:{os.environ['PATH']}"
    result = make(project, "env", PYTHON=str(fake_python(project)), PIP_SAYS="nothing", PATH=path)
    assert_refused(result, "The disk filled up")


def test_environment_is_made_once_and_redone_when_its_files_change(project):
    python = str(fake_python(project))
    assert make(project, "env", PYTHON=python).returncode == 0
    venv, first, last = calls(project)
    assert venv == "-m venv .venv"
    assert first == "-m pip install --constraint constraints.txt --editable .[dev]"
    assert last.endswith("--no-deps --force-reinstall opencv-python-headless")
    assert make(project, "env").stdout == ""
    assert len(calls(project)) == 3
    for name in ("pyproject.toml", "constraints.txt"):
        with (project / name).open("a") as file:
            file.write("# changed\n")
        before = len(calls(project))
        assert make(project, "env").returncode == 0
        assert calls(project)[before:] == [first, last]


def test_failed_update_is_begun_from_nothing(project):
    python = str(fake_python(project))
    make(project, "env", PYTHON=python)
    with (project / "pyproject.toml").open("a") as file:
        file.write("# changed\n")
    assert make(project, "env", PYTHON=python, PIP_SAYS="ERROR: killed").returncode != 0
    make(project, "env", PYTHON=python)
    assert calls(project).count("-m venv .venv") == 2


def test_moved_folder_gets_a_new_environment(project):
    python = str(fake_python(project))
    make(project, "env", PYTHON=python)
    moved = project.rename(project.parent / "elsewhere")
    (moved / "calls").unlink()
    write_executable(Path(python), Path(python).read_text().replace(str(project), str(moved)))
    assert make(moved, "env", PYTHON=python).returncode == 0
    assert calls(moved)[0] == "-m venv .venv"


@pytest.mark.slow
def test_no_network_is_one_line(project):
    for name in ("README.md", "LICENSE"):
        shutil.copy(ROOT / name, project / name)
    result = make(project, "env", PYTHON=sys.executable, PIP_INDEX_URL="http://127.0.0.1:9/simple", PIP_RETRIES="0")
    assert_refused(result, "registry could not be reached", ".store/setup.log")
    assert not (project / ".venv" / "complete").exists()


@pytest.fixture
def project_with_snakemake(project):
    """A complete environment whose snakemake writes its arguments, one a line."""
    make(project, "env", PYTHON=str(fake_python(project)))
    write_executable(project / ".venv" / "bin" / "snakemake", "#!/bin/sh\nprintf '%s\\n' \"$@\" >arguments\n")
    return project


def test_book_hands_its_settings_to_snakemake(project_with_snakemake):
    def config(*variables):
        assert make(project_with_snakemake, "book", *variables).returncode == 0
        arguments = (project_with_snakemake / "arguments").read_text().splitlines()
        assert arguments[0] == "book"
        assert {"--nolock", "--rerun-incomplete"} <= set(arguments)
        return arguments[arguments.index("--config") + 1 :]

    assert config("DATASET=") == ["scale==demo"]
    given = {"dataset": "folder:/my images", "label": "Mine, 'all'", "overrides": "seeds=3, n_scored=5"}
    given |= {"download": "True"}
    assert config(*(f"{name.upper()}={value}" for name, value in given.items())) == [
        "scale==demo", *(f"{name}=={value}" for name, value in given.items())
    ]  # fmt: skip


def test_unknown_scale_is_one_line(project_with_snakemake):
    assert_refused(make(project_with_snakemake, "book", "SCALE=huge"), "SCALE=huge", "demo")
    assert not (project_with_snakemake / "arguments").exists()


def test_second_book_is_refused_and_the_next_one_runs(project_with_snakemake):
    project = project_with_snakemake
    holder = subprocess.Popen(
        ["flock", "-n", "-o", project / ".store" / "book.lock", "sh", "-c", "echo held; read _"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert holder.stdout.readline() == b"held\n"
    assert_refused(make(project, "book"), "Another make book is running")
    assert not (project / "arguments").exists()
    holder.communicate(b"\n")
    assert make(project, "book").returncode == 0


def test_failing_book_fails(project_with_snakemake):
    write_executable(project_with_snakemake / ".venv" / "bin" / "snakemake", "#!/bin/sh\nexit 3\n")
    assert make(project_with_snakemake, "book").returncode != 0


def test_serve_without_a_book_is_one_line(project):
    assert_refused(make(project, "serve"), "make book")


def test_clean_keeps_computed_work(project):
    kept = [project / ".store" / "cell", project / ".venv" / "bin", project / "data" / "images"]
    built = [project / "book" / "_build", project / "book" / "executed"]
    for folder in kept + built:
        folder.mkdir(parents=True)
    assert make(project, "clean").returncode == 0
    assert all(folder.exists() for folder in kept)
    assert not any(folder.exists() for folder in built)
