"""A folder of few images: every page that a folder reaches takes what there is, or says why it cannot."""

from pathlib import Path

import nbformat
import pytest
from PIL import Image

from xai_lib import data as datasets
from xai_lib.run import workflow
from xai_lib.run.notebook import declared, execute
from xai_lib.run.settings import settings

ROOT = Path(__file__).parents[1]
NAMES = [path for path in sorted((ROOT / "notebooks").glob("*/*.ipynb")) if "dataset" in declared(path)]
PICTURES = datasets.load("planted", "test", n=400, size=32)
COLOURS = ((230, 20, 20), (20, 20, 230))
EVERY = {"train", "score", "saliency", "whole-output", "dominance"}
FOLDERS = {  # training images, test images of each class
    "three": ([30, 30, 30], [12, 12, 12]),
    "two": ([30, 30], [18, 18]),
    "missing": ([30, 30, 30], [18, 18, 0]),
    "single": ([1, 1, 1], [1, 1, 1]),
    "easy": ([30, 30], [18, 18]),
}


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """Function (name) -> a folder of images, made once."""
    root = tmp_path_factory.mktemp("small")

    def made(name):
        for part, counts in zip(("train", "test"), FOLDERS[name]):
            for label, count in enumerate(counts):
                positions = (PICTURES.labels == label).nonzero()[:, 0].tolist()[:: 1 if part == "train" else -1]
                for number in range(0 if (root / name / "made").exists() else count):
                    file = root / name / part / f"class {label}" / f"{number}.png"
                    file.parent.mkdir(parents=True, exist_ok=True)
                    colour = tuple(value + number % 15 for value in COLOURS[label % 2])
                    drawn = PICTURES.images[positions[number % len(positions)]].permute(1, 2, 0).numpy()
                    (Image.new("RGB", (32, 32), colour) if name == "easy" else Image.fromarray(drawn)).save(file)
        (root / name / "made").touch()
        return root / name

    return made


@pytest.mark.parametrize(
    ("name", "said", "left_out"),
    [
        ("three", ["36 of 100 images (`n_test`)", "72 of 300 images (`n_train`)"], set()),
        ("two", ["36 of 100 images (`n_test`)", "48 of 300 images (`n_train`)"], {"whole-output"}),
        ("missing", ["36 of 100 images (`n_test`)", "no test image of 1 classes (class 2)"], set()),
        ("single", None, EVERY),
    ],
)
def test_a_run_takes_what_there_is_and_says_so(folder, empty_store, name, said, left_out):
    run = settings(scale="smoke", device="cpu", dataset=f"folder:{folder(name)}")
    if said is None:
        with pytest.raises(datasets.NotEnoughError, match="at least 5 training images"):
            run.shortfalls()
    else:
        assert set(said) <= set(run.shortfalls())
    commands = {job["command"][0] for job in workflow.plan(run)}
    assert EVERY - left_out <= commands and not commands & left_out


def test_a_scale_whose_images_are_there_says_nothing(empty_store):
    assert settings(scale="smoke").shortfalls() == []


@pytest.fixture(scope="session")
def stores(tmp_path_factory):
    return tmp_path_factory.mktemp("stores")


def some_of(*names):
    return [path for path in NAMES if path.stem in names]


PAGES = {  # what is a matter of images, not of classes, the folder with a missing class shows as well
    "missing": NAMES,
    "two": some_of("training", "evaluation", "fidelity", "agreement", "clusters", "explanations", "hierarchies"),
    "single": some_of("training", "fidelity", "explanations", "clusters"),
    "easy": some_of("evaluation", "agreement", "explanations", "faithfulness", "hierarchies"),
}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "notebook"),
    [
        pytest.param(name, path, id=f"{name}-{path.parent.name}-{path.stem}")
        for name, pages in PAGES.items()
        for path in pages
    ],
)
def test_every_page_is_made(folder, stores, monkeypatch, tmp_path, name, notebook):
    monkeypatch.setenv("XAI_STORE", str(stores / name))
    monkeypatch.chdir(ROOT)
    parameters = {"scale": "smoke", "device": "cpu", "dataset": f"folder:{folder(name)}"}
    execute(notebook, tmp_path / "page.ipynb", parameters)
    page = nbformat.read(tmp_path / "page.ipynb", 4)
    nbformat.validate(page)
    assert not [tag for cell in page.cells for tag in cell.metadata.get("tags", []) if "error" in tag]
    shown = "\n".join(str(output.get("data")) for cell in page.cells for output in cell.get("outputs", []))
    texts = [cell.source for cell in page.cells if cell.cell_type == "markdown"]
    if name == "single":
        assert "The rest of this page is left out" in texts[-1] and "at least 5 training images" in texts[-1]
    else:
        assert "The data have less than the scale asks for" in shown
