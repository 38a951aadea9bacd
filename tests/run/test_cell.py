from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from xai_lib.run.cell import Cell, canonical_json, plain


@dataclass(frozen=True)
class Inner:
    rate: float
    steps: tuple[int, ...]


@dataclass(frozen=True)
class Outer:
    inner: Inner
    name: str


def test_key_is_pinned():
    """Recorded artefacts are found under this key: it must never change by itself."""
    cell = Cell("train", {"version": 1, "loss": "ce", "rate": 0.1, "widths": (32, 64), "mixed": None, "fast": True})
    text = '{"config":{"fast":true,"loss":"ce","mixed":null,"rate":0.1,"version":1,"widths":[32,64]},"stage":"train"}'
    assert canonical_json({"stage": cell.stage, "config": cell.config}) == text
    assert cell.key == "ba26d851ac69950abff2a21e43560cd0eb4dc44153a359b396894962d36a686e"


def test_order_and_container_do_not_matter():
    one = Cell("train", {"version": 1, "a": {"x": 1, "y": [1, 2]}})
    other = Cell("train", {"a": {"y": (1, 2), "x": 1}, "version": 1})
    assert one == other and hash(one) == hash(other) and one.key == other.key


@pytest.mark.parametrize(
    ("one", "other"),
    [(1, 1.0), (True, 1), (None, "null"), (0.1, 0.1 + 2**-56), ("1", 1), ([1], 1), (-0.0, 0.0), ("é", "e\u0301")],
)
def test_different_values_have_different_keys(one, other):
    assert Cell("train", {"version": 1, "x": one}) != Cell("train", {"version": 1, "x": other})


def test_stage_and_version_are_in_the_key():
    keys = {Cell(stage, {"version": version}).key for stage in ("train", "score") for version in (1, 2)}
    assert len(keys) == 4


def test_floats_keep_every_digit():
    assert canonical_json([0.1 + 0.2, 1e22, 5e-324]) == "[0.30000000000000004,1e+22,5e-324]"
    assert canonical_json(np.float64(0.1)) == "0.1"


def test_dataclasses_become_dicts():
    assert plain(Outer(Inner(0.5, (1, 2)), "a")) == {"inner": {"rate": 0.5, "steps": [1, 2]}, "name": "a"}


def test_a_cell_keeps_its_own_copy():
    config = {"version": 1, "list": [1]}
    cell = Cell("train", config)
    config["list"].append(2)
    assert cell.config == {"version": 1, "list": [1]}


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"device": "cuda"}, r"config\.x\.device: leave it out"),
        ({"deep": [{"path": "a"}]}, r"config\.x\.deep\[0\]\.path"),
        ("/home/someone/data", "Expected no paths in a key.*digest"),
        (float("nan"), "Expected finite numbers"),
        (float("inf"), r"config\.x = inf"),
    ],
)
def test_what_would_tie_a_key_to_a_machine_is_refused(value, message):
    with pytest.raises(ValueError, match=message):
        Cell("train", {"version": 1, "x": value})


@pytest.mark.parametrize("value", [Path("a"), {1, 2}, np.int64(3), np.zeros(2), b"a", {1: "a"}, Inner])
def test_other_types_are_refused_by_name(value):
    with pytest.raises(TypeError, match=r"Expected .* Got .*config\.x"):
        Cell("train", {"version": 1, "x": value})


@pytest.mark.parametrize("version", [None, 0, "1", True, 1.0])
def test_a_version_is_required(version):
    with pytest.raises(ValueError, match=r"Expected config\['version'\], the code version of 'train'"):
        Cell("train", {"version": version})
    with pytest.raises(ValueError, match="Got None"):
        Cell("train", {})


@pytest.mark.parametrize("stage", ["", "Train", "../x", "a/b", "1a", "a b"])
def test_a_stage_names_a_folder(stage):
    with pytest.raises(ValueError, match="Expected a stage name"):
        Cell(stage, {"version": 1})
