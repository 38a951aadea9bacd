import runpy
from pathlib import Path
from types import SimpleNamespace

import pytest

from xai_lib.papers.saliency import experiment
from xai_lib.run import settings


@pytest.fixture(scope="session")
def made_up():
    """The functions of made_up.py."""
    return SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("made_up.py"))))


@pytest.fixture
def bench_of(monkeypatch):
    """Function (frames of made_up.py) -> a benchmark that has these scores."""

    def build(frames):
        monkeypatch.setattr(experiment, "saliency_scores", lambda bench, part: frames[part])
        methods = tuple(frames["cost"]["method"].unique())
        return experiment.Bench(settings.settings(scale="smoke", device="cpu"), (), methods)

    return build
