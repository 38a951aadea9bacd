import runpy
from pathlib import Path
from types import SimpleNamespace

import pytest

from xai_lib.papers.saliency import experiment
from xai_lib.run.settings import Study, settings


@pytest.fixture(scope="session")
def made_up():
    """The functions of made_up.py."""
    return SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("made_up.py"))))


@pytest.fixture
def study_of(monkeypatch):
    """Function (frames of made_up.py, networks) -> a benchmark that has these scores."""

    def build(frames, networks=()):
        monkeypatch.setattr(experiment, "scores", lambda study, part: frames[part])
        monkeypatch.setattr(experiment, "class_similarity", lambda study: frames["classes"])
        methods = tuple(frames["cost"]["method"].unique())
        return Study(settings(scale="smoke", device="cpu"), networks, methods)

    return build
