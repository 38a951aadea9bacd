"""Explainers and metrics by name, and what their registries refuse."""

import dataclasses
import hashlib
from pathlib import Path

import pytest
import torch

from xai_lib import explainers, metrics
from xai_lib.explainers.registry import EXPLAINERS
from xai_lib.metrics import masking
from xai_lib.metrics.registry import METRICS
from xai_lib.registry import Entry, Registry

LOWER = """average-drop average-sensitivity complexity completeness contrastivity deletion effective-complexity
    effective-complexity-minimum local-accuracy local-accuracy-logit max-sensitivity parameter-randomisation
    parameter-randomisation-independent pixel-flipping pixel-flipping-matched pixel-flipping-released"""
HIGHER = """attribution-localisation attribution-localisation-paper average-gain average-increase completeness-quantus
    continuity focus insertion monotonicity monotonicity-arya monotonicity-quantus pointing-game sparseness"""
METRIC = {"better": "lower", "range": (0, 1), "paper": "p", "equation": "e"}


@pytest.fixture(autouse=True)
def own_registries(monkeypatch):
    for registry in (EXPLAINERS, METRICS):
        monkeypatch.setattr(registry, "entries", dict(registry.entries))


@pytest.mark.parametrize("kind", [explainers, metrics])
def test_every_name_leads_to_a_function_and_what_is_known_of_it(kind):
    assert list(kind.names()) == sorted(kind.names())
    for name in kind.names():
        assert kind.about(name).name == name and kind.get(name) is kind.about(name).function
    with pytest.raises(dataclasses.FrozenInstanceError):
        kind.about(name).title = "another"


@pytest.mark.parametrize(
    ("lookup", "wrong", "message"),
    [
        (explainers.get, "gradcam", r"the name of an explainer: grad-cam, .*uniform.*Got 'gradcam'"),
        (explainers.about, "gradcam", r"the name of an explainer: grad-cam, .*uniform.*Got 'gradcam'"),
        (metrics.get, "sparsenes", r"the name of a metric: sparseness, attribution-localisation.*Got 'sparsenes'"),
    ],
)
def test_an_unknown_name_lists_those_that_exist_nearest_first(lookup, wrong, message):
    with pytest.raises(ValueError, match=message):
        lookup(wrong)


def test_a_name_is_taken_once():
    registry, entry = Registry("tool"), Entry("saw", len, "-", "Saw")
    registry.enter(entry)
    with pytest.raises(ValueError, match=r"Expected a new tool name. Got 'saw', which is taken: saw"):
        registry.enter(entry)


def test_registering_returns_the_function_and_makes_it_available():
    def mine(model, x, *, score, layer=None):
        return x[:, 0]

    assert explainers.register("mine", paper="-", family="cam")(mine) is mine
    assert explainers.get("mine") is mine
    assert explainers.about("mine").title == "mine"

    def mean(attribution):
        return attribution.mean((1, 2))

    assert metrics.register("mean", title="Mean", **METRIC)(mean) is mean
    assert metrics.get("mean")(torch.ones(2, 3, 3)).tolist() == [1, 1]
    assert metrics.about("mean").title == "Mean"


# Explainers


@pytest.mark.parametrize(
    "function",
    [
        lambda images, score, layer: images,
        lambda model, x, *, score: x,
        lambda model, x, *, score, layer, seed: x,
        lambda model, x, *, score, layer, index: x,
    ],
)
def test_another_face_is_refused(function):
    with pytest.raises(TypeError, match=r"Expected an explainer"):
        explainers.register("faceless", paper="-", family="cam")(function)
    assert "faceless" not in explainers.names()


@pytest.mark.parametrize("settings", [{"family": "cams"}, {"family": "cam", "explains": "softmax"}])
def test_a_family_or_reading_that_does_not_exist_is_refused(settings):
    with pytest.raises(ValueError, match=r"Expected .* out of"):
        explainers.register("unheard", paper="-", **settings)


# Metrics


def test_directions():
    for better, expected in (("lower", LOWER), ("higher", HIGHER)):
        assert {name for name in metrics.names() if metrics.about(name).better == better} == set(expected.split())
    assert all(metrics.about(name).range[0] < metrics.about(name).range[1] for name in metrics.names())


def test_says_what_a_caller_has_to_provide():
    assert metrics.about("complexity").needs == ("attribution",)
    assert metrics.about("pointing-game").needs == ("attribution", "mask")
    assert metrics.about("pixel-flipping").needs == ("model", "x", "attribution", "target", "index")
    assert metrics.about("contrastivity").needs == ("maps", "others")


def test_says_which_metrics_draw_random_numbers():
    fixed = {name for name in metrics.names() if not metrics.about(name).random}
    of_maps = {name for name in metrics.names() if metrics.about(name).needs[0] in ("attribution", "maps")}
    masked = {name for name in metrics.names() if name.startswith(("average-", "local-", "completeness"))}
    assert fixed == (of_maps | masked | {"pixel-flipping-released"}) - {"average-sensitivity"}


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"better": "smaller"}, "'higher' or 'lower'"),
        ({"range": (1, 1)}, "low < high"),
        ({"range": (0,)}, "low < high"),
    ],
)
def test_metadata_without_meaning_is_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        metrics.register("new", **METRIC | wrong)


def test_a_random_metric_takes_seed_and_index():
    with pytest.raises(TypeError, match="both seed and index"):
        metrics.register("half", **METRIC)(lambda attribution, seed: attribution)
    assert "half" not in metrics.names()


def test_the_source_of_a_score_is_that_of_its_own_file_and_not_of_what_wraps_it():
    text = Path(masking.__file__).read_bytes()
    assert metrics.about("average-drop").source == hashlib.sha256(text).hexdigest()
    assert metrics.about("average-drop").source != metrics.about("insertion").source
