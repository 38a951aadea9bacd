"""Run a notebook with parameters; what appears under the output's name is whole and free of errors."""

import fcntl
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from unittest.mock import patch

from xai_lib.files import write_bytes

_PREFIX = "xai-notebook-"  # of temporary folders
_START_SECONDS = 300  # for a kernel to answer, on a machine with all its cores at work


class NotebookError(RuntimeError):
    """A notebook that did not run to its end."""


def execute(notebook: Path, output: Path, parameters: Mapping[str, object]) -> None:
    """Run ``notebook`` from the current folder and write it, with its outputs, to ``output``, whose folders are made.

    If a cell raises, ``output`` is left as it was, and the notebook up to that cell is kept beside it as
    ``<name>.failed.ipynb``; if it is for want of data (NotEnoughError), the page ends there and says so. The notebook's
    cell tagged ``parameters`` declares which plain values it takes.

    ValueError if the notebook does not declare a parameter; NotebookError if a cell raises, or the kernel dies.
    """
    import papermill  # takes a second, which listing cells should not
    from nbclient.exceptions import DeadKernelError

    known = declared(notebook)
    if unknown := sorted(set(parameters) - set(known)):
        expected = f"Expected parameters that {notebook} declares ({', '.join(known) or 'none'})."
        raise ValueError(f"{expected} Got {', '.join(unknown)}.")
    output.parent.mkdir(parents=True, exist_ok=True)
    failed = output.with_name(f"{output.stem}.failed.ipynb")
    # A folder of its own: the process of a killed workflow may still be writing the same notebook.
    with _temporary_folder() as folder:
        draft, how = folder / "draft.ipynb", {"progress_bar": False, "start_timeout": _START_SECONDS}
        try:
            papermill.execute_notebook(_escaped(notebook), _escaped(draft), dict(parameters), **how)
        except papermill.PapermillExecutionError as error:
            if error.ename != "NotEnoughError":
                _publish(draft, failed)
                said = f"{error.ename}: {error.evalue} (all of it: {failed})"
                raise NotebookError(f"{notebook} failed in cell [{error.exec_count}]: {said}") from error
            _publish(draft, output, left_out=error.evalue)
        except DeadKernelError as error:
            raise NotebookError(f"{notebook} failed: its kernel died, most likely for want of memory.") from error
        else:
            _publish(draft, output)
    failed.unlink(missing_ok=True)


def declared(notebook: Path) -> list[str]:
    """Names of the parameters that a notebook declares."""
    import papermill

    return list(papermill.inspect_notebook(_escaped(notebook)))


def _escaped(path: Path) -> str:
    """A path for papermill, which fills in what stands in braces."""
    return str(path).replace("{", "{{").replace("}", "}}")


@contextmanager
def _temporary_folder() -> Iterator[Path]:
    """A folder that also takes what the notebook's process leaves; those of processes that were killed are removed."""
    for old in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        with suppress(OSError), _held(old):  # else its process is alive, or another user's
            shutil.rmtree(old)
    with tempfile.TemporaryDirectory(prefix=_PREFIX) as made, _held(Path(made)), patch.dict(os.environ, TMPDIR=made):
        yield Path(made)


@contextmanager
def _held(folder: Path) -> Iterator[None]:
    """Hold the folder's lock, which the system frees when the process ends. BlockingIOError if another holds it."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)


def _publish(draft: Path, output: Path, left_out: str = "") -> None:
    """Write the draft without papermill's cell of parameters; where data were too few for a cell, it ends there."""
    made = json.loads(draft.read_text(encoding="utf-8"))
    if left_out:
        cells = [cell for cell in made["cells"] if "papermill-error-cell-tag" not in cell["metadata"].get("tags", [])]
        shown = [[output for output in cell.get("outputs", []) if output["output_type"] != "error"] for cell in cells]
        [last] = [number for number, cell in enumerate(cells) if shown[number] != cell.get("outputs", [])]
        cells[last]["outputs"] = shown[last]
        text = f"**The rest of this page is left out.** {left_out}"
        made["cells"] = cells[: last + 1]
        made["cells"].append({"cell_type": "markdown", "id": "left-out", "metadata": {}, "source": text})
    for cell in made["cells"]:
        if "injected-parameters" in cell["metadata"].get("tags", []):
            cell["metadata"]["tags"].append("remove-cell")
    write_bytes(output, json.dumps(made, indent=1, ensure_ascii=False).encode() + b"\n")
