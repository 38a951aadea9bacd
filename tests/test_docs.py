"""What the README and the book tell readers to type, import, cite and open exists."""

import ast
import doctest
import re
import subprocess
from pathlib import Path

import nbformat
import pytest

from xai_lib.__main__ import _parser
from xai_lib.explainers.registry import EXPLAINERS
from xai_lib.metrics.registry import METRICS
from xai_lib.run import budgets
from xai_lib.run.notebook import declared
from xai_lib.statistics import power, units_needed
from xai_lib.statistics.estimate import Estimate

ROOT = Path(__file__).parents[1]


def tracked(*patterns):
    """Files that belong to the repository, the third parties' left out."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", *patterns]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    return [ROOT / name for name in names if "/vendor/" not in name and (ROOT / name).is_file()]


def prose(path):
    """The text of a page, or of a notebook's text cells."""
    if path.suffix != ".ipynb":
        return path.read_text(encoding="utf-8")
    cells = nbformat.read(path, 4).cells
    return "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")


NOTEBOOKS = tracked("notebooks/*.ipynb")
PAGES = [*tracked("README.md", "book/*.md"), *NOTEBOOKS]
TEXT = "\n\n".join(prose(path) for path in PAGES)
COMMANDS = re.findall(r"`([^`\n]+)`", TEXT) + re.findall(r"^(?:\$ )?(\S.*)$", "\n".join(
    re.findall(r"```(?:sh|console)\n(.*?)```", TEXT, re.DOTALL)), re.MULTILINE)  # fmt: skip


def test_make_knows_every_target_and_variable_that_is_named():
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z]+):.*## ", makefile, re.MULTILINE))
    variables = set(re.findall(r"^([A-Z]+) \?=", makefile, re.MULTILINE)) | {"PIP_EXTRA_INDEX_URL"}
    calls = [command for command in COMMANDS if re.match(r"([A-Z_]+=\S+ )*make\b", command)]
    assert len(calls) >= 6
    for call in calls:
        assert re.search(r"\bmake (\w+)", call)[1] in targets, call
        assert set(re.findall(r"\b([A-Z_]{3,})=", call)) <= variables, call


def test_overrides_that_are_named_are_settings_of_a_scale():
    found = re.findall(r'OVERRIDES="([^"]*)"', TEXT)
    assert found
    for overrides in found:
        assert budgets.load("demo", overrides) != budgets.load("demo")


def test_every_scale_is_described():
    rows = re.findall(r"^\| `(\w+)` \|", (ROOT / "book/rerun.md").read_text(), re.MULTILINE)
    assert rows == list(budgets.SCALES)
    assert set(re.findall(r"SCALE=(\w+)", TEXT)) <= set(rows)


def test_the_command_line_knows_every_command_that_is_named():
    files = tracked("*.md", "Makefile", "Snakefile", "profiles", "xai_lib/*.py")
    text = "\n".join(path.read_text(encoding="utf-8") for path in files)
    named = set(re.findall(r"-m xai_lib ([a-z][\w-]*)", text))
    assert {"cells", "train", "score", "execute"} <= named
    [commands] = [action for action in _parser()._actions if action.dest == "command"]
    assert named <= set(commands.choices)


def test_papermill_is_given_parameters_that_notebooks_declare():
    calls = [command for command in COMMANDS if "papermill" in command and ".ipynb" in command]
    assert calls
    for call in calls:
        [name] = re.findall(r"(notebooks/\S+\.ipynb)", call)
        example = ROOT / name.replace("<notebook>", "evaluation")
        assert set(re.findall(r"-p (\w+)", call)) <= set(declared(example)), call


def test_examples_import_what_there_is():
    blocks = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    assert blocks
    for block in blocks:
        imports = [node for node in ast.parse(block).body if isinstance(node, ast.Import | ast.ImportFrom)]
        assert imports, block
        exec(compile(ast.Module(imports, []), "example", "exec"), {})


def test_what_the_page_on_development_registers_runs(monkeypatch):
    for registry in (EXPLAINERS, METRICS):
        monkeypatch.setattr(registry, "entries", dict(registry.entries))
    names = {}
    for code in re.findall(r"```python\n(.*?)```", (ROOT / "book/develop.md").read_text(), flags=re.DOTALL):
        exec(code, names)
    for name in ("ones", "largest"):
        (test,) = doctest.DocTestFinder().find(names[name], name, globs=names)
        assert doctest.DocTestRunner().run(test).failed == 0 and test.examples
    assert "ones" in EXPLAINERS.names() and "largest" in METRICS.names()


def test_the_example_of_a_verdict_is_computed_right():
    text = " ".join((ROOT / "book/evidence.md").read_text().split())
    errors = {"image_error": 0.0031, "skewness": 0.8, "n_images": 500, "seed_error": 0.0044, "seed_degrees": 6.8}
    found, level = Estimate(-0.021, n_seeds=5, **errors), 1 - 0.05 / 6
    (low, high), (holm_low, holm_high) = found.interval(), found.interval(level)
    said = [
        f"interval is [{low:.3f}, {high:.3f}], and it touches zero at p = {found.p_value():.4f}",
        f"multiplies it by six: {6 * found.p_value():.3f}.",
        f"{100 * level:.1f} % and is [{holm_low:.3f}, {holm_high:.3f}]",
        f"a chance of {100 * power(found, 'seed', 0.021, level):.0f} % to decide",
    ]
    assert all(words.replace("-", "\N{MINUS SIGN}") in text for words in said)
    assert units_needed(found, "seed", 0.021, level) == 6 and "six trainings would have had more than 80 %" in text


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_to_files_lead_somewhere(path):
    for link in re.findall(r"\]\(([^)\s]+)\)", prose(path)):
        if re.match(r"[a-z]+:|#", link):
            continue
        target = (path.parent / link.partition("#")[0]).resolve().relative_to(ROOT)
        if path.suffix == ".ipynb":  # links are those of the executed copy
            target = (ROOT / "book/executed" / path.relative_to(ROOT / "notebooks")).parent / link.partition("#")[0]
            target = target.resolve().relative_to(ROOT)
        if target.parts[:2] == ("book", "executed"):
            target = Path("notebooks", *target.parts[2:])
        assert (ROOT / target).exists(), link


def test_everything_cited_is_in_the_bibliography_and_nothing_stands_there_twice():
    keys = re.findall(r"^@\w+\{([^,]+),", (ROOT / "book/references.bib").read_text(), re.MULTILINE)
    assert len(keys) == len(set(keys))
    cited = {key.strip() for group in re.findall(r"\{cite(?::\w+)?\}`([^`]+)`", TEXT) for key in group.split(",")}
    assert len(cited) > 5
    assert cited <= set(keys)


def test_no_file_names_a_folder_of_somebodys_machine():
    folders = "|".join(["work/", "tmp/", "root/", "home/(?!someone)", "Users/(?!someone)"])  # someone is nobody
    personal = re.compile(rf"(?<![\w.:}}>/-])/({folders})\w".encode())
    assert personal.search(b"in /" + b"tmp/x") and not personal.search(b"https://a.org/" + b"tmp/x")
    for path in tracked():
        assert not personal.search(path.read_bytes()), path
