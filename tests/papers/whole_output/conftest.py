import runpy
from pathlib import Path
from types import SimpleNamespace

import pytest


@pytest.fixture(scope="session")
def made_up():
    """The functions of made_up.py."""
    return SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("made_up.py"))))


@pytest.fixture
def study_of(made_up, monkeypatch):
    """Function (frames of made_up.py, networks) -> a study that has these scores."""

    def build(frames, networks=made_up.OURS):
        made_up.put_into(monkeypatch, frames)
        return made_up.study(networks)

    return build
