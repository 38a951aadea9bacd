"""What the project imports is there, and torchvision beside a CPU torch, whatever is imported first."""

import ast
import importlib
import inspect
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path
from types import BuiltinMethodType

import pytest
import torch

from xai_lib import _torchvision_ops

ROOT = Path(__file__).parents[1]


def run_python(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=100, cwd=ROOT)


def test_scripts_import_only_what_the_library_has_and_call_it_as_it_is():
    """No other test runs the benchmarks, so a name or an argument that moved would stay unnoticed there."""
    missing = []
    for file in (file for folder in ("benchmarks", "scripts", "book") for file in (ROOT / folder).glob("*.py")):
        nodes = [*ast.walk(ast.parse(file.read_text()))]
        imports = [node for node in nodes if isinstance(node, ast.ImportFrom)]
        imports = [node for node in imports if f"{node.module}.".startswith("xai_lib.")]
        ours = {one.asname or one.name: _imported(node.module, one.name) for node in imports for one in node.names}
        missing += [(file.name, name) for name, found in ours.items() if found is None]
        for call in (node for node in nodes if isinstance(node, ast.Call)):
            missing += [(file.name, ast.unparse(call.func), name) for name in _unknown_keywords(call, ours)]
    assert missing == []


def _imported(module, name):
    """What ``from module import name`` gives; None if there is no such thing."""
    if importlib.util.find_spec(module) and hasattr(importlib.import_module(module), name):
        return getattr(importlib.import_module(module), name)
    return importlib.import_module(f"{module}.{name}") if importlib.util.find_spec(f"{module}.{name}") else None


def _unknown_keywords(call, ours):
    """Arguments by name that a function or a class of the library does not have."""
    first, *rest = ast.unparse(call.func).split(".")
    called = ours.get(first)
    for name in rest:
        called = getattr(called, name, None)
    if not callable(called) or isinstance(called, BuiltinMethodType):
        return []
    parameters = inspect.signature(called).parameters.values()
    if any(one.kind is one.VAR_KEYWORD for one in parameters):
        return []
    return {keyword.arg for keyword in call.keywords if keyword.arg} - {one.name for one in parameters}


@pytest.mark.slow
@pytest.mark.parametrize("first", ["torchvision", "pytorch_grad_cam", "quantus", "xai_lib.models"])
def test_anything_may_be_imported_first(first):
    result = run_python(f"import {first}, torchvision\nprint(torchvision.ops.nms.__name__)")
    assert result.returncode == 0, result.stderr
    assert result.stdout == "nms\n"


@pytest.mark.slow
def test_a_notebook_may_begin_with_torchvision():
    import nbformat
    from nbclient import NotebookClient

    cell = nbformat.v4.new_code_cell("import torchvision\nprint(torchvision.__version__)")
    notebook = nbformat.v4.new_notebook(cells=[cell])
    NotebookClient(notebook, timeout=100, kernel_name="python3").execute()
    assert notebook.cells[0].outputs[0]["text"].startswith("0.")


def test_torch_is_told_to_call_the_fix():
    (entry,) = entry_points(group="torch.backends", name="xai_torchvision_ops")
    assert entry.load() is _torchvision_ops.declare_missing


def test_modules_loaded_inside_torch_import_next_to_nothing():
    """Whatever they import would run within ``import torch``, half-initialised."""

    def imported(file):
        tree = ast.parse((ROOT / "xai_lib" / file).read_text())
        nodes = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
        return {alias.name for node in nodes for alias in node.names}

    assert imported("__init__.py") == set()
    assert imported("_torchvision_ops.py") == {"importlib.util", "Path", "torch"}


class FakeLibrary:
    """Stands for torch.library.Library; remembers what was declared."""

    declared: list[str]

    def __init__(self, namespace, kind):
        assert (namespace, kind) == ("torchvision", "DEF")
        self.declared = []

    def define(self, schema):
        self.declared.append(schema.split("(")[0])


@pytest.fixture
def torch_with(monkeypatch):
    """A function that sets what torch is built for and whether torchvision's own library loads; returns the loads."""

    def arrange(*, cuda, loads):
        attempts = []

        def load_library(path):
            attempts.append(path)
            if not loads:
                raise OSError("undefined symbol")

        monkeypatch.setattr(torch.version, "cuda", cuda)
        monkeypatch.setattr(torch.ops, "load_library", load_library)
        monkeypatch.setattr(torch.library, "Library", FakeLibrary)
        monkeypatch.setattr(_torchvision_ops, "_library", None)
        return attempts

    return arrange


def test_cuda_build_is_left_alone(torch_with):
    attempts = torch_with(cuda="13.0", loads=False)
    _torchvision_ops.declare_missing()
    assert attempts == []
    assert _torchvision_ops._library is None


def test_fitting_cpu_build_is_left_alone(torch_with):
    attempts = torch_with(cuda=None, loads=True)
    _torchvision_ops.declare_missing()
    assert attempts and all(path.name.startswith("_C") for path in attempts)
    assert _torchvision_ops._library is None


def test_misfit_is_declared_once_and_kept_alive(torch_with):
    attempts = torch_with(cuda=None, loads=False)
    _torchvision_ops.declare_missing()
    kept = _torchvision_ops._library
    assert kept.declared == ["nms", "qnms"]
    _torchvision_ops.declare_missing()
    assert _torchvision_ops._library is kept
    assert len(attempts) == 1


def test_without_torchvision_nothing_happens(torch_with, monkeypatch):
    attempts = torch_with(cuda=None, loads=False)
    monkeypatch.setattr(_torchvision_ops.importlib.util, "find_spec", lambda name: None)
    _torchvision_ops.declare_missing()
    assert attempts == []
    assert _torchvision_ops._library is None
