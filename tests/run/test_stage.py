"""A stage's key is made of the very arguments that its function gets."""

import types
from dataclasses import dataclass

import pytest
import torch

from xai_lib import training
from xai_lib.files import read_json, write_json
from xai_lib.run import stage as stages
from xai_lib.run.stage import Stage, computed, lineage, stage


@dataclass(frozen=True)
class Images:
    identity: str
    pixels: object = None


@dataclass(frozen=True)
class Holder:
    held: object


def write(folder, *, n, images=None, **more):
    write_json(folder / "found.json", {"n": n})


def placed(folder, *, device):
    write_json(folder / "found.json", str(device))


def doubled(folder, *, of, times=2):
    write_json(folder / "found.json", {"n": times * read_json(computed(of) / "found.json")["n"]})


@pytest.fixture
def one(empty_store):
    return Stage("one", 1, write)


@pytest.fixture
def two(empty_store):
    return Stage("two", 1, doubled)


def test_every_argument_is_in_the_key_by_its_value_or_identity(one):
    calls = [
        {"n": 1},
        {"n": 2},
        {"n": 1.0},
        {"n": 1, "images": Images("a")},
        {"n": 1, "images": Images("b")},
        {"n": 1, "a_budget_added_to_the_call": 3},
        {"n": 1, "a_budget_added_to_the_call": {"in": ["there", 4]}},
    ]
    keys = [one.cell(**call).key for call in calls]
    assert len(set(keys)) == len(calls)
    assert [one.cell(**call).key for call in calls] == keys
    assert one.cell(n=1, images=Images("a", pixels=[1])).key == one.cell(n=1, images=Images("a", pixels=[2])).key


def test_defaults_are_in_the_key_too(two, one):
    of = one.cell(n=1)
    assert two.cell(of=of).key == two.cell(of=of, times=2).key != two.cell(of=of, times=3).key


def test_version_and_name_are_in_the_key(one):
    assert len({one.cell(n=1).key, Stage("one", 2, write).cell(n=1).key, Stage("eins", 1, write).cell(n=1).key}) == 3


def test_an_argument_that_the_function_does_not_take_is_refused(two, one):
    with pytest.raises(TypeError, match="unexpected keyword argument 'n'"):
        two.cell(of=one.cell(n=1), n=3)
    with pytest.raises(TypeError, match="missing a required argument: 'of'"):
        two.cell()


def test_what_has_no_identity_is_refused(one):
    with pytest.raises(TypeError, match=r"config\.n of type Tensor"):
        one.cell(n=torch.zeros(2))


def test_a_device_stands_in_the_key_by_its_arithmetic(monkeypatch):
    one = Stage("one", 1, placed)
    cell = one.cell(device=torch.device("cpu"))
    assert cell.config["numerics"] == {"precision": training.numerics(torch.device("cpu")).precision, "tf32": False,
                                       "compiled": "no"}  # fmt: skip
    monkeypatch.setattr(stages, "numerics", lambda device: training.Numerics("float64", False, "no"))
    assert one.cell(device=torch.device("cpu")).key != cell.key


def test_a_cell_is_computed_once_with_what_it_stands_on_first(one, two, empty_store):
    first = one.cell(n=4)
    cell = two.cell(of=two.cell(of=first), times=3)
    assert not empty_store.exists()
    assert read_json(computed(cell) / "found.json") == {"n": 24}
    assert [other.key for other in lineage([cell, first])] == [first.key, cell.parents[0].key, cell.key]
    record = read_json(computed(cell) / "provenance.json")
    assert record["parents"] == {cell.parents[0].key: "two"} and record["config"]["of"] == cell.parents[0].key
    assert len(read_json(computed(first) / "provenance.json")["attempts"]) == 1


def test_parents_inside_of_other_arguments_are_found(one, two):
    @dataclass(frozen=True)
    class Network:
        identity: str
        parents: tuple

    first = one.cell(n=1)
    cells = one.cell(n=1, a=[first], b={"c": Network("x", (first, one.cell(n=2)))})
    assert [parent.key for parent in cells.parents] == [first.key, one.cell(n=2).key]


def test_a_stage_is_known_by_its_name_which_no_other_may_have(monkeypatch):
    monkeypatch.setattr(stages, "STAGES", {})
    made = stage("a-stage", version=3)(write)
    assert {"a-stage": made} == stages.STAGES and (made.version, made.function) == (3, write)
    with pytest.raises(ValueError, match="Got 'a-stage', which is taken"):
        stage("a-stage", version=1)(doubled)


def test_a_cell_within_a_dataclass_is_in_the_key_and_a_parent(one, two):
    held = two.cell(of=Holder(one.cell(n=1)))
    assert held.parents == (one.cell(n=1),) and one.cell(n=1).key in str(held.config)


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        (lambda folder, version: None, {"version": 3}),
        (lambda folder, a, b: None, {"a": torch.device("cpu"), "b": torch.device("cpu")}),
    ],
)
def test_arguments_that_the_key_has_no_place_for_are_refused(function, arguments):
    with pytest.raises(ValueError, match="other than version, and one device at most"):
        Stage("refused", 1, function).cell(**arguments)


def test_a_function_of_another_module_does_not_take_a_stage_s_name(monkeypatch):
    monkeypatch.setattr(stages, "STAGES", {})
    stage("held", version=1)(write)
    stage("held", version=2)(write)
    namesake = types.FunctionType(write.__code__, {"__name__": "elsewhere"}, "write")
    with pytest.raises(ValueError, match=r"Expected a new name for a stage\. Got 'held'"):
        stage("held", version=1)(namesake)
