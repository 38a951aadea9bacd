"""A stored result must not outlive the code that made it: changed code needs a new version of its stage."""

import ast
import runpy
import sys
from pathlib import Path

import pytest

from xai_lib.run import workflow
from xai_lib.run.stage import STAGES, computed, lineage

SCRIPT = Path(__file__).with_name("stage_sources.py")
stage_sources = runpy.run_path(str(SCRIPT))
normalised, unannounced, sources = (stage_sources[name] for name in ("normalised", "unannounced", "sources"))

HELP = (
    "If what a stage computes can differ, raise its version where it is defined. Then, or if it cannot differ: "
    "python tests/stage_sources.py, and commit tests/stage_sources.json."
)


@pytest.mark.parametrize(
    "other",
    [
        '"""Other."""\ndef f(x):\n    """Doc."""\n    return x + 1\n',
        "def f(x):  # comment\n    return (\n        x + 1\n    )\n",
    ],
)
def test_words_and_layout_are_not_code(other):
    assert normalised('"""Doc."""\n\n\ndef f(x):\n    return x + 1') == normalised(other)


@pytest.mark.parametrize(
    "other",
    ["def f(x):\n    return x + 2", "def f(x):\n    return x + 1.0", 'def f(x):\n    x = """x"""\n    return x + 1'],
)
def test_code_is_code(other):
    assert normalised("def f(x):\n    return x + 1") != normalised(other)


def test_only_changes_without_a_new_version_are_reported():
    def found(version, **modules):
        return {"modules": modules, "stages": {"train": {"version": version, "reaches": list(modules)}}}

    recorded = found(1, a="0", b="0")
    for modules, expected in [
        ({"a": "0", "b": "0"}, {}),
        ({"a": "1", "b": "0"}, {"train": ["a"]}),
        ({"a": "0"}, {"train": ["b"]}),
        ({"a": "0", "b": "0", "c": "0"}, {"train": ["c"]}),
    ]:
        assert unannounced(recorded, found(1, **modules)) == expected
        assert unannounced(recorded, found(2, **modules)) == {}


@pytest.mark.parametrize(
    ("stage", "reached"),
    {
        "score": ("data.split", "metrics.pixel_flipping", "explainers.cams"),
        "saliency": ("data.split", "metrics.pixel_flipping", "metrics.causal", "explainers.lime"),
        "stability": ("papers.whole_output.latent_tree.tree", "papers.whole_output.latent_tree.patterns"),
        "tune": ("data.split", "training.loop", "pretrained"),
        "rarity": ("data.scenes", "randomness", "training.loop"),
    }.items(),
)
def test_what_a_stage_reaches_through_others_is_a_source(stage, reached):
    assert {f"xai_lib.{source}" for source in reached} <= sources(STAGES[stage])


def test_any_function_that_a_stage_reaches_changes_its_hash():
    """Each function of each module, with one more statement in its body."""
    reached = sorted(set().union(*(sources(stage) for stage in STAGES.values())))
    n_functions = 0
    for module in reached:
        source = stage_sources["path_of"](module).read_text(encoding="utf-8")
        before = normalised(source)
        functions = [n for n in ast.walk(ast.parse(source)) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]
        lines = source.splitlines()
        for function in functions:
            last = function.body[-1]
            mutated = [*lines[: last.end_lineno], " " * last.col_offset + "mutated = 1", *lines[last.end_lineno :]]
            assert normalised("\n".join(mutated)) != before, f"{module}.{function.name}"
        n_functions += len(functions)
    assert len(reached) > 80 and n_functions > 500


@pytest.mark.parametrize("part", ["smoke_run", "smoke_bench", "smoke_study", "smoke_hierarchies"])
def test_nothing_runs_in_a_stage_that_is_not_hashed(part, request, tmp_path):
    """One cell of each stage is computed again, and the file of every function that is called is looked at."""
    value = request.getfixturevalue(part)
    run = getattr(value, "run", value)
    jobs = [job["command"] for job in workflow.plan(run) if job["done"]]
    cells = {}
    for stage, *words in jobs:
        options = dict(zip((word.removeprefix("--") for word in words[::2]), words[1::2]))
        typed = {name: int(text) if text.isdigit() else text for name, text in options.items()}
        typed |= {"methods": options["methods"].split(",")[-1:]} if "methods" in options else {}
        typed |= {"chunks": [int(options["chunks"][0])]} if "chunks" in options else {}
        for cell in lineage(workflow.COMMANDS[stage](run, **typed)):
            cells.setdefault(cell.stage, cell)
    assert cells
    for stage, cell in cells.items():
        for parent in cell.parents:
            computed(parent)
        folder = tmp_path / stage
        folder.mkdir()
        files = _files_called(lambda cell=cell, folder=folder: cell.work(folder))
        reached = sources(STAGES[stage])
        known = {str(stage_sources["path_of"](module)) for module in reached}
        assert files and files <= known, f"{stage}: {sorted(files - known)}"


def _files_called(work):
    library, found = str(stage_sources["LIBRARY"]), set()

    def look(frame, event, argument):
        if event == "call" and frame.f_code.co_filename.startswith(library):
            found.add(frame.f_code.co_filename)

    sys.setprofile(look)
    try:
        work()
    finally:
        sys.setprofile(None)
    return found


def test_the_code_of_every_stage_is_that_of_its_version():
    recorded, now = stage_sources["read"](), stage_sources["current"]()
    assert unannounced(recorded, now) == {}, f"Code of a stage has changed. {HELP}"
    assert recorded == now, f"tests/stage_sources.json is not up to date. {HELP}"
