"""How every notebook begins and ends: one call that says what runs, one that says what ran and how to run it again."""

import ast
import shlex
import warnings
from collections.abc import Sequence
from dataclasses import asdict
from html import escape
from pathlib import Path
from typing import Any

from IPython import get_ipython
from IPython.display import HTML, Markdown, display

from xai_lib.page import style
from xai_lib.page.provenance import provenance
from xai_lib.run import provenance as this_process
from xai_lib.run.budgets import BUDGETS
from xai_lib.run.cell import Cell
from xai_lib.run.notebook import declared
from xai_lib.run.settings import Settings, check_text, settings


def begin(**parameters: Any) -> Settings:
    """What a notebook runs, and the look of its figures: see :func:`xai_lib.run.settings.settings`, also for errors."""
    style.use_style()
    warnings.filterwarnings("ignore", "IProgress not found")  # of a library that draws its progress in notebooks
    shell = get_ipython()
    if shell:
        _check_parameters(shell)
    run = settings(**parameters)
    if shell and parameters.get("dataset") and (fewer := run.shortfalls()):
        text = f"**The data have less than the scale asks for.** Taken are {', '.join(fewer)}."

        def once(*_: object) -> None:  # above what the next cell shows, since this one is not for readers
            shell.events.unregister("pre_run_cell", once)
            display(Markdown(text))

        shell.events.register("pre_run_cell", once)
    return run


def _check_parameters(shell: Any) -> None:
    """Refuse parameters that a notebook does not declare, and numbers where it declares text: papermill sets both."""
    cells = [cell for cell in shell.user_ns["In"] if cell.startswith("# Parameters")]
    own, *injected = [{line.targets[0].id: line.value for line in ast.parse(cell).body} for cell in cells]
    for name in [name for cell in injected for name in cell]:
        if name not in own:
            raise ValueError(f"Expected parameters that the notebook declares: {', '.join(own)}. Got {name}.")
        if isinstance(own[name].value, str):
            check_text(name, shell.user_ns[name])


def leave_out(reason: str) -> None:
    """Show why this page has nothing to say of a run, and run none of its further cells."""
    display(Markdown(f"**This page is left out.** {reason}"))
    if shell := get_ipython():
        shell.input_transformers_cleanup.append(lambda lines: [])


def end(notebook: str, run: Settings, cells: Sequence[Cell], **parameters: Any) -> HTML:
    """What a page's numbers stand on, with which parameters it ran, and the command that runs it again.

    ``notebook`` is its path below ``notebooks/``, without the suffix; ``run`` is what :func:`begin` returned;
    ``parameters`` are the notebook's own beyond those; on ``cells`` of the store the page stands, if on any.
    """
    given = {name: value for name, value in (dict(run.parameters) | parameters).items() if value not in ("", False)}
    source = Path("notebooks") / f"{notebook}.ipynb"
    known = declared(source) if source.is_file() else given
    given = {name: value for name, value in given.items() if name in known}
    flags = {name: "r" if isinstance(value, str) else "p" for name, value in given.items()}
    options = [f"-{flags[name]} {name} {shlex.quote(str(value))}" for name, value in given.items()]
    command = f".venv/bin/papermill notebooks/{notebook}.ipynb out.ipynb {' '.join(options)}"
    said = ", ".join(f"{name} = {value}" for name, value in given.items())
    again = (
        f'<p class="companion-rerun">This page ran with {escape(said)}. To run it again:</p>'
        f'<div class="highlight"><pre>{escape(command)}</pre></div>'
    )
    budgets = {name: asdict(getattr(run, name)) for name in BUDGETS}
    head = {"label": run.label, "scale": {"name": run.scale, **budgets}, "tables": this_process.software()}
    table = provenance(cells, head).data if cells else ""
    return HTML(table + again)
