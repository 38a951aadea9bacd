import os
import tempfile

import nbformat
import pytest

from xai_lib.run.notebook import NotebookError, _held, _temporary_folder, execute

pytestmark = pytest.mark.slow


def test_what_a_killed_process_left_is_removed_and_what_a_living_one_holds_is_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    for name in ("xai-notebook-killed", "xai-notebook-living", "of-others"):
        (tmp_path / name).mkdir()
    with _held(tmp_path / "xai-notebook-living"), _temporary_folder() as own:
        there = {path.name for path in tmp_path.iterdir()}
        assert there == {"xai-notebook-living", "of-others", own.name} and os.environ["TMPDIR"] == str(own)
    assert not own.exists()


@pytest.fixture
def notebook(tmp_path):
    def write(*sources):
        cells = [nbformat.v4.new_code_cell("scale = 'demo'  # budget", metadata={"tags": ["parameters"]})]
        cells += [nbformat.v4.new_code_cell(source) for source in sources]
        kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
        nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=kernel), tmp_path / "a.ipynb")
        return tmp_path / "a.ipynb"

    return write


def printed(path):
    return "".join(
        output.get("text", "") for cell in nbformat.read(path, 4).cells for output in cell.get("outputs", ())
    )


def test_parameters_arrive_and_the_output_is_whole(notebook, tmp_path):
    output = tmp_path / "executed" / "a.ipynb"
    execute(notebook("print(scale)"), output, {"scale": "laptop"})
    assert printed(output) == "laptop\n"
    assert [path.name for path in output.parent.iterdir()] == ["a.ipynb"]


def test_a_failing_notebook_keeps_the_old_output_and_says_where(notebook, tmp_path):
    output = tmp_path / "executed" / "a.ipynb"
    execute(notebook("print('old')"), output, {})
    failing = notebook("print('new')", "raise ValueError('loss is NaN')", "print('never')")
    with pytest.raises(NotebookError, match=r"failed in cell \[3\]: ValueError: loss is NaN .*a\.failed\.ipynb"):
        execute(failing, output, {})
    assert printed(output) == "old\n"
    failed = output.with_name("a.failed.ipynb")
    assert "new" in printed(failed) and "never" not in printed(failed)
    execute(notebook("print('mended')"), output, {})
    assert printed(output) == "mended\n"
    assert not failed.exists()


def test_a_dead_kernel_is_reported(notebook, tmp_path):
    with pytest.raises(NotebookError, match="its kernel died"):
        execute(notebook("import os, signal; os.kill(os.getpid(), signal.SIGKILL)"), tmp_path / "out.ipynb", {})
    assert not (tmp_path / "out.ipynb").exists()


def test_a_parameter_that_is_not_declared_is_refused(notebook, tmp_path):
    with pytest.raises(ValueError, match=r"declares \(scale\)\. Got sclae"):
        execute(notebook(), tmp_path / "out.ipynb", {"sclae": "laptop"})
    assert not (tmp_path / "out.ipynb").exists()
