"""Every notebook, as it is in the repository and as it comes out at smoke."""

import ast
import re
from html.parser import HTMLParser
from pathlib import Path

import nbformat
import pytest

from xai_lib.run.notebook import declared

ROOT = Path(__file__).parents[1]
NAMES = sorted(path.relative_to(ROOT / "notebooks").as_posix() for path in (ROOT / "notebooks").glob("*/*.ipynb"))
WRONG = {"scale": "huge", "dataset": "mnist", "device": "tpu", "overrides": "epoch=1", "download": "yes"}
CHOICES = {
    "scale": "out of smoke, demo, laptop, paper. Got 'huge'",
    "dataset": "out of planted, cifar10, cifar100, folder:<path>, imagenet:<path>. Got 'mnist'",
    "device": "out of auto, cpu, cuda. Got 'tpu'",
    "overrides": "Unknown setting epoch. A scale has: dataset, recipe, published, size, n_train",
    "download": "Expected true or false for download. Got 'yes'",
}
OF_ONES_OWN = {"model", "arguments", "checkpoint", "images", "classes", "mean", "std", "size", "layer", "methods"}
OF_ONES_OWN |= {"logits", "multi_label", "maps", "export", "documents", "class_index", "wordnet", "tree"}
PROGRESS = re.compile(r"\r?training (ce|scl|tl): .*images/s.*|\s*")

each_notebook = pytest.mark.parametrize("name", NAMES)


def source(name):
    return nbformat.read(ROOT / "notebooks" / name, 4)


def code(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def outputs(notebook, kind):
    """Pairs of a code cell and the data of type ``kind`` that it shows."""
    shown = [(cell, output.get("data", {})) for cell in code(notebook) for output in cell.outputs]
    return [(cell, data[kind]) for cell, data in shown if kind in data]


def test_there_is_a_notebook_a_section():
    for paper, sections in {
        "contrastive": "data-and-models training explanations evaluation fine-print",
        "planted": "planted",
        "saliency": "methods metrics fidelity robustness agreement your-model",
        "whole_output": "clusters stability explanations faithfulness interpretability",
        "dominance": "clusters mosaics hierarchies single-images training-share rare-modes",
    }.items():
        assert {f"{paper}/{section}.ipynb" for section in sections.split()} <= {*NAMES}


@each_notebook
def test_a_source_is_valid_and_holds_no_outputs(name):
    notebook = source(name)
    nbformat.validate(notebook)
    assert notebook.metadata.kernelspec.name == "python3"
    for cell in code(notebook):
        assert cell.outputs == [] and cell.execution_count is None
    assert notebook.cells[0].source.startswith("# ")


@each_notebook
def test_parameters_come_first_one_a_line_with_a_comment_each(name):
    first = code(source(name))[0]
    assert "parameters" in first.metadata.tags
    _, *lines = first.source.splitlines()
    for line in lines:
        assert re.fullmatch(r"""\w+ = ("[^"]*"|\d+|True|False)  # .+""", line), line
    assert {"scale", "device", "overrides"} <= set(declared(ROOT / "notebooks" / name))


@each_notebook
def test_the_second_cell_refuses_what_does_not_exist_and_lists_the_choices(name):
    parameters, second = (cell.source for cell in code(source(name))[:2])
    given = {node.targets[0].id for node in ast.parse(parameters).body}
    assert given <= {*WRONG, "label", *OF_ONES_OWN}
    for parameter in given & {*WRONG}:  # any text is a label; what is one's own is checked where it is used
        with pytest.raises(ValueError, match=re.escape(CHOICES[parameter])):
            exec(second, {**_assigned(parameters), parameter: WRONG[parameter]})


def _assigned(parameters):
    values = {}
    exec(parameters, values)
    return values


@each_notebook
def test_what_every_notebook_has_in_common_is_hidden_from_readers_alone(name):
    """Parameters and preamble are no part of the page; its end says how to run it again, and stands on its cells."""
    parameters, preamble, *_, last = code(source(name))
    assert "remove-cell" in parameters.metadata.tags and "remove-cell" in preamble.metadata.tags
    assert "run = begin(" in preamble.source
    assert last.source.startswith("end(") or "\nend(" in last.source
    assert f'"{name.removesuffix(".ipynb")}"' in last.source
    assert all("begin(" not in cell.source for cell in code(source(name))[2:])
    passed_on = {option.value.id for call in _calls(last.source, "end") for option in call.keywords if option.arg}
    for cell in code(source(name))[2:]:  # so that the end says what the page was given
        assert not passed_on & {found.id for found in ast.walk(ast.parse(cell.source)) if _is_assigned(found)}


def _calls(source, name):
    every = [found for found in ast.walk(ast.parse(source)) if isinstance(found, ast.Call)]
    return [call for call in every if isinstance(call.func, ast.Name) and call.func.id == name]


def _is_assigned(node):
    return isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)


# Pages that state equations -> how many of their cells are one, asserted equal to the library.
EQUATIONS = {
    "contrastive/data-and-models.ipynb": 2,  # both losses
    "contrastive/explanations.ipynb": 3,  # Grad-CAM, Eigen-CAM by the formula and by the tool
    "contrastive/evaluation.ipynb": 4,  # flipping; one confidence; entropy and Gini; SSIM
    "saliency/methods.ipynb": 3,
    "saliency/metrics.ipynb": 7,
    "whole_output/clusters.ipynb": 1,  # EM step of a latent class model
    "whole_output/explanations.ipynb": 2,  # equations 1 and 2
    "whole_output/faithfulness.ipynb": 2,  # equations 3 to 5
    "dominance/mosaics.ipynb": 1,
    "dominance/hierarchies.ipynb": 1,
    "dominance/single-images.ipynb": 1,
    "dominance/training-share.ipynb": 1,
}


@pytest.mark.parametrize("name", EQUATIONS)
def test_a_page_of_a_method_states_its_equations_as_code(name):
    """In at most five lines, in sight."""
    found = [
        cell for cell in code(source(name)) if re.search(r"^(assert|torch\.testing|np\.testing)", cell.source, re.M)
    ]
    short = [cell for cell in found if len(cell.source.splitlines()) <= 5]
    assert len(short) >= EQUATIONS[name]
    assert not any(tag in cell.metadata.get("tags", []) for cell in short for tag in ("hide-input", "remove-cell"))


@each_notebook
def test_figures_have_names_of_their_own(name):
    mine = set(_figure_names(name))
    assert len(mine) == len(_figure_names(name))
    for other in set(NAMES) - {name}:
        assert not mine & set(_figure_names(other)), other


def _figure_names(name):
    figures = [cell.metadata.get("mystnb", {}).get("figure") for cell in code(source(name))]
    return [figure["name"] for figure in figures if figure]


@pytest.mark.slow
@each_notebook
def test_a_notebook_stands_alone_and_runs_through(executed, name):
    notebook = nbformat.read(executed(name), 4)
    for cell in code(notebook):
        assert cell.execution_count is not None
        for output in cell.outputs:
            assert output.output_type != "error"
            if output.output_type == "stream" and output.name == "stderr":
                for line in output.text.splitlines():
                    assert PROGRESS.fullmatch(line), line


@pytest.mark.slow
@each_notebook
def test_every_figure_has_a_caption_and_a_text_for_those_who_cannot_see_it(executed, name):
    pictures = outputs(nbformat.read(executed(name), 4), "image/png")
    for cell, _ in pictures:
        about = cell.metadata["mystnb"]
        assert about["figure"]["caption"].endswith(".") and about["figure"]["name"].startswith("fig-")
        assert len(about["image"]["alt"].split()) >= 6
    cells = [cell.id for cell, _ in pictures]
    assert len(cells) == len(set(cells)), "two figures of one cell would share a caption"
    for cell in code(source(name)):  # "if": a figure that only some data can give
        if "figure" in cell.metadata.get("mystnb", {}) and not cell.source.startswith("if "):
            assert cell.id in cells, "a caption without a figure"


@pytest.mark.slow
@each_notebook
def test_every_table_has_a_caption_and_named_columns(executed, name):
    for cell, text in outputs(nbformat.read(executed(name), 4), "text/html"):
        if "companion-table" in text:
            table = Table(text)
            assert table.caption.endswith(".")
            assert table.scopes and set(table.scopes) == {"col"}
            assert table.rows >= 1, cell.source
        elif "<table" in text and "matching-game" not in text:  # the game has a table of its own
            assert cell.source.endswith(".head()"), f"a table that is not made by a paper's tables: {cell.source}"


class Table(HTMLParser):
    """Caption, scopes of the headings, and number of rows of a shown table."""

    def __init__(self, text):
        super().__init__()
        self.caption, self.scopes, self.rows, self.inside = "", [], -1, ""
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.inside = tag
        self.rows += tag == "tr"
        if tag == "th":
            self.scopes.append(dict(attributes).get("scope"))

    def handle_data(self, data):
        if self.inside == "caption":
            self.caption += data
