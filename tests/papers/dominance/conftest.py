"""Fixtures of the dominance part's tests: made-up numbers in the place of a run's, and a reader of shown tables."""

import itertools
import runpy
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest

from xai_lib.papers.dominance import experiment

_RUNS = itertools.count()


@pytest.fixture(scope="session")
def made_up():
    """The functions of made_up.py."""
    return SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("made_up.py"))))


@pytest.fixture
def study_of(made_up, monkeypatch):
    """Function (frames of made_up.py, networks) -> a study that has these numbers."""

    def build(frames, networks=made_up.NETWORKS):
        made_up.put_into(monkeypatch, frames)
        return made_up.study(networks)

    return build


@pytest.fixture(scope="module")
def study(made_up):
    """A study with the made-up numbers, which no test of a file changes."""
    with pytest.MonkeyPatch.context() as patch:
        made_up.put_into(patch, made_up.frames())
        yield made_up.study()


@pytest.fixture
def rare_run(made_up, monkeypatch):
    """Function (rows of made_up.rare) -> settings of a run that has them."""

    def build(rows):
        monkeypatch.setattr(experiment, "rare_clusters", lambda run: rows)
        return replace(made_up.run(n_clusters=5), label=f"run {next(_RUNS)}")  # results of equal runs are kept

    return build


@pytest.fixture(scope="session")
def select(made_up):
    """Function (frame, column=value …) -> the rows that have these values; there must be some."""
    return lambda frame, **where: frame[made_up.rows(frame, **where)]


@pytest.fixture(scope="session")
def values_of():
    """Function ({(first, second): shares}) -> values of mosaics, as :func:`dominance.pairs` takes them."""

    def frame(tables):
        rows = [(*pair, number, value) for pair, shares in tables.items() for number, value in enumerate(shares)]
        return pd.DataFrame(rows, columns=["first", "second", "mosaic", "value"])

    return frame


@pytest.fixture(scope="session")
def read():
    """Function (shown table or the last of several, columns whose blanks are filled in) -> a frame of texts.

    Its ``attrs`` have the caption.
    """

    def table(shown, *grouped, which=-1):
        page = list(ElementTree.fromstring(f"<div>{shown.data}</div>"))[which]
        head, *rows = ([cell.text or "" for cell in row] for row in page.iter("tr"))
        frame = pd.DataFrame(rows, columns=head)
        frame[list(grouped)] = frame[list(grouped)].replace("", np.nan).ffill()
        frame.attrs["caption"] = page.find(".//caption").text
        return frame

    return table
