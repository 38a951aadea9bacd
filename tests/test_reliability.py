"""The counts of the script, in small; and that it fails where something is silently wrong."""

import runpy
from pathlib import Path

import pytest

from xai_lib.run import store

SCRIPT = Path(__file__).parents[1] / "scripts" / "reliability.py"


@pytest.fixture
def script():
    return runpy.run_path(str(SCRIPT))


@pytest.mark.slow
def test_nothing_is_silently_wrong_executed_or_lost(script, capsys):
    assert script["run"](seed=1, share=0.1) == 0, capsys.readouterr().out


def test_the_script_finds_a_bit_that_nobody_looks_at(script, monkeypatch, capsys):
    monkeypatch.setattr(store, "_check", lambda folder: None)
    kinds = script["run"].__globals__["KINDS"]
    for kind in [kind for kind in kinds if kind.__name__ != "flips"]:
        kinds.pop(kind)
    assert script["run"](seed=0, share=0.01) == 1
    assert "silently wrong" in capsys.readouterr().out
