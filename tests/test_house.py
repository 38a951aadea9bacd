"""The walls of the house: who may import whom, how long a file may be, and that each paper's method stands alone."""

import ast
import runpy
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LIBRARY = ROOT / "xai_lib"
PAPERS = ("contrastive", "saliency", "whole_output", "dominance")
PURE = ("data", "explainers", "metrics", "statistics", "published")  # rooms that anyone may use on a model of their own
closure = runpy.run_path(str(Path(__file__).with_name("stage_sources.py")))["closure"]


def modules(*rooms):
    """Dotted names of the modules in some rooms (folders, or single files)."""
    files = [file for room in rooms for file in [*(LIBRARY / room).rglob("*.py"), (LIBRARY / room).with_suffix(".py")]]
    names = [file.relative_to(ROOT).with_suffix("") for file in files if file.is_file()]
    return sorted(".".join(name.parts).removesuffix(".__init__") for name in names)


@cache
def imports(module):
    """Top names of the packages that a module imports."""
    path = ROOT / module.replace(".", "/")
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    nodes = list(ast.walk(ast.parse(file.read_text(encoding="utf-8"))))
    named = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    return {name.split(".")[0] for name in [*named, *(n.module for n in nodes if isinstance(n, ast.ImportFrom))]}


def within(reached, *rooms):
    return sorted(name for name in reached for room in rooms if f"{name}.".startswith(f"xai_lib.{room}."))


@pytest.mark.parametrize("paper", PAPERS)
def test_papers_never_import_each_other(paper):
    others = [f"papers.{other}" for other in PAPERS if other != paper]
    for module in modules(f"papers/{paper}"):
        assert within(closure(module), *others) == [], module


@pytest.mark.parametrize(
    "room", [*PURE, *(f"papers/{paper}/method" for paper in PAPERS), "papers/whole_output/latent_tree"]
)
def test_methods_explainers_and_metrics_never_import_what_runs_or_shows_them(room):
    assert modules(room)
    for module in modules(room):
        assert within(closure(module), "run", "page") == [], module


@pytest.mark.parametrize("paper", PAPERS)
def test_analysis_draws_nothing(paper):
    assert modules(f"papers/{paper}/analysis")
    for module in modules(f"papers/{paper}/analysis"):
        for reached in closure(module):
            assert not imports(reached) & {"matplotlib", "seaborn"}, f"{module} through {reached}"


@pytest.mark.parametrize("paper", PAPERS)
def test_every_paper_has_the_same_rooms(paper):
    for room in ("method", "experiment", "analysis", "claims", "figures", "tables"):
        assert modules(f"papers/{paper}/{room}"), room


def test_a_method_is_imported_alone():
    names = [f"xai_lib.papers.{paper}.method" for paper in PAPERS]
    names += ["xai_lib.papers.whole_output.latent_tree", "xai_lib.explainers", "xai_lib.metrics", "xai_lib.losses"]
    look = "print(*(name for name in sys.modules if name.startswith(('xai_lib.run', 'xai_lib.page'))))"
    code = f"import sys, {', '.join(names)}\n{look}"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=100, cwd=ROOT)
    assert result.returncode == 0, result.stderr
    assert result.stdout.split() == []


def python_files(*folders):
    return [file for folder in folders for file in sorted((ROOT / folder).rglob("*.py"))]


@pytest.mark.parametrize("file", python_files("xai_lib"), ids=lambda file: str(file.relative_to(LIBRARY)))
def test_a_file_can_be_read_in_one_sitting(file):
    text = file.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 300
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0]
            documented = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
            length = node.end_lineno - node.lineno + 1 - (first.end_lineno - first.lineno + 1 if documented else 0)
            assert length <= 40, f"{node.name}: {length} lines without its docstring"


def test_the_library_is_small_and_its_tests_are_not_much_longer():
    """Tests of recorded pages grow with the book's sentences, not with the library."""
    library, tests = (
        sum(len(file.read_text(encoding="utf-8").splitlines()) for file in files if "test_recorded_" not in file.name)
        for files in (python_files("xai_lib"), python_files("tests"))
    )
    assert library < 24_000
    assert tests <= 1.2 * 24_000  # of what the library may be: a line that it loses costs no test
