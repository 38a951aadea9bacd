import runpy
from pathlib import Path
from types import SimpleNamespace

import pytest


@pytest.fixture(scope="session")
def made_up():
    """The functions of made_up.py."""
    return SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("made_up.py"))))


@pytest.fixture
def hierarchies_of(made_up, monkeypatch):
    """Function (frames of made_up.py, networks) -> hierarchies that have these numbers."""

    def build(frames, networks=made_up.NETWORKS):
        made_up.put_into(monkeypatch, frames)
        return made_up.hierarchies(networks)

    return build
