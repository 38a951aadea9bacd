"""What several files of tests stand on, made once in a session: the smallest run, and every notebook at smoke."""

import shutil
import threading
from dataclasses import fields, replace
from functools import cache, partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt
import pandas as pd
import pytest
from bs4 import BeautifulSoup

from xai_lib.__main__ import main
from xai_lib.papers.dominance import experiment as dominance
from xai_lib.papers.dominance.method import clusters
from xai_lib.papers.saliency import experiment as saliency
from xai_lib.papers.whole_output import experiment as whole_output
from xai_lib.run import settings, workflow
from xai_lib.run.budgets import BUDGETS
from xai_lib.run.notebook import declared, execute

ROOT = Path(__file__).parents[1]

SMALLEST = (
    "recipe=small, seeds=1, n_train=100, n_test=40, n_scored=10, n_quantus=2, width=4, flipping_step=256,"
    "epochs_ce=1, epochs_scl=1, epochs_tl=1,"
    "saliency_seeds=1, n_saliency=4, n_transformed=2, n_sensitivity=2, sensitivity_draws=1, n_tools=2,"
    "causal_steps=2, monotonicity_samples=1,"
    "rise_masks=4, lime_samples=8, n_outputs=6, contrast_steps=2, stability_repeats=2"
)
RANKED = (  # of all planted modes, test images in every class
    "recipe=small, seeds=1, n_train=100, n_test=100, size=16, width=4, epochs_ce=1, epochs_scl=1, epochs_tl=1,"
    "epochs_tuned=1, dominance_seeds=1, n_clusters=3, n_mosaics=2, n_paired=3, paired_classes=2, n_focus=10,"
    "rarity_trainings=2"
)


@pytest.fixture(autouse=True)
def pyplot(request):
    """In tests of figures every function draws exactly one figure and the test closes it."""
    place = f"{request.path.parent.name}/{request.path.name}"
    if not place.startswith("figures/") and not place.endswith(
        ("test_figures.py", "page/test_images.py", "test_style.py")
    ):
        yield
        return
    matplotlib.use("Agg")
    plt.close("all")
    with plt.rc_context():
        yield
        assert len(plt.get_fignums()) == 1
        plt.gcf().canvas.draw()
        plt.close("all")


@pytest.fixture(scope="session")
def smoke_store(tmp_path_factory):
    """A store that holds every contrastive cell of ``smoke_run``, filled by the commands that the plan lists."""
    root = tmp_path_factory.mktemp("smoke") / "store"
    _do(root, ("train", "score", "match"))
    return root


@pytest.fixture(scope="session")
def benched_store(smoke_store, tmp_path_factory):
    """A copy of ``smoke_store`` that holds the saliency benchmark as well."""
    return _copied(smoke_store, tmp_path_factory.mktemp("benched"), "saliency")


@pytest.fixture(scope="session")
def studied_store(smoke_store, tmp_path_factory):
    """A copy of ``smoke_store`` that holds the whole-output part as well."""
    return _copied(smoke_store, tmp_path_factory.mktemp("studied"), "whole-output")


@pytest.fixture(scope="session")
def ranked_store(tmp_path_factory):
    """A store that holds the dominance part of its smallest run, filled by the commands that the plan lists."""
    root = tmp_path_factory.mktemp("ranked") / "store"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(clusters, "N_STARTS", 1)  # ten are most of the time of "choice"
        _do(root, ("tune", "dominance", "rarity"), RANKED)
    return root


@pytest.fixture
def smoke_run(smoke_store, monkeypatch):
    """Settings of the smallest run; its cells are in the store that they will be looked for in."""
    monkeypatch.setenv("XAI_STORE", str(smoke_store))
    return _run()


@pytest.fixture
def smoke_bench(benched_store, monkeypatch):
    """The saliency benchmark of the smallest run; its cells are in the store that they will be looked for in."""
    monkeypatch.setenv("XAI_STORE", str(benched_store))
    return saliency.study(_run())


@pytest.fixture
def smoke_study(studied_store, monkeypatch):
    """The whole-output part of the smallest run; its cells are in the store that they will be looked for in."""
    monkeypatch.setenv("XAI_STORE", str(studied_store))
    return whole_output.study(_run())


@pytest.fixture
def smoke_hierarchies(ranked_store, monkeypatch):
    """The dominance part of the smallest run; its cells are in the store that they will be looked for in."""
    monkeypatch.setenv("XAI_STORE", str(ranked_store))
    return dominance.study(_run(RANKED))


@pytest.fixture(scope="session")
def read():
    """Function (shown table, or the last of several) -> its texts as a frame, the caption in its ``attrs``."""

    def parsed(table, which=-1):
        page = BeautifulSoup(table.data, "html.parser").select("table")[which]
        head, *rows = [[cell.get_text() for cell in row.select("th, td")] for row in page.select("tr")]
        frame = pd.DataFrame(rows, columns=head)
        frame.attrs["caption"] = page.caption.get_text()
        return frame

    return parsed


@pytest.fixture
def changed():
    """Function (settings, budgets by name) -> the settings with these budgets."""

    def replaced(run, **values):
        for room, kind in BUDGETS.items():
            own = {field.name: values[field.name] for field in fields(kind) if field.name in values}
            run = replace(run, **{room: replace(getattr(run, room), **own)})
        return run

    return replaced


@pytest.fixture
def empty_store(tmp_path, monkeypatch):
    """The root of a store that holds nothing, which is where cells will be looked for."""
    monkeypatch.setenv("XAI_STORE", str(tmp_path / "store"))
    return tmp_path / "store"


@pytest.fixture
def served(tmp_path):
    """A folder, and the address of this machine below which its files are served."""
    folder = tmp_path / "served"
    folder.mkdir()

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield folder, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(scope="session")
def executed(tmp_path_factory):
    """Function (path of a notebook below notebooks/) -> its copy, executed at smoke from the root of the repository.

    Each has a store of its own that was empty, so that it cannot lean on another.
    """
    folder = tmp_path_factory.mktemp("notebooks")

    @cache
    def run(name):
        notebook = Path("notebooks") / name
        parameters = {"scale": "smoke", "device": "cpu"}
        assert set(parameters) <= set(declared(ROOT / notebook))
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("XAI_STORE", str(folder / "stores" / Path(name).stem))
            patch.chdir(ROOT)
            execute(notebook, folder / "executed" / name, parameters)
        return folder / "executed" / name

    return run


def _copied(store, folder, command):
    """A copy of a store that holds what a command of the plan computes as well."""
    shutil.copytree(store, folder / "store")
    _do(folder / "store", (command,))
    return folder / "store"


def _do(root, commands, overrides=SMALLEST):
    """Run the plan's jobs of these commands on the store at ``root``."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XAI_STORE", str(root))
        for job in [job for job in workflow.plan(_run(overrides)) if job["command"][0] in commands]:
            options = ["--scale", "smoke", "--device", "cpu", "--overrides", overrides]
            assert main([*job["command"], *options]) == 0, job["id"]


def _run(overrides=SMALLEST):
    return settings.settings(scale="smoke", device="cpu", overrides=overrides)
