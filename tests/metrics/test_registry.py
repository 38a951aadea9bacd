import dataclasses
import re

import pytest
import torch

from xai_lib import metrics
from xai_lib.metrics import registry

LOWER = {
    "average-drop",
    "average-sensitivity",
    "complexity",
    "completeness",
    "contrastivity",
    "deletion",
    "effective-complexity",
    "effective-complexity-minimum",
    "local-accuracy",
    "local-accuracy-logit",
    "max-sensitivity",
    "parameter-randomisation",
    "parameter-randomisation-independent",
    "pixel-flipping",
    "pixel-flipping-normalised",
    "pixel-flipping-released",
}
HIGHER = {
    "attribution-localisation",
    "attribution-localisation-paper",
    "average-gain",
    "average-increase",
    "completeness-quantus",
    "continuity",
    "focus",
    "insertion",
    "monotonicity",
    "monotonicity-arya",
    "monotonicity-quantus",
    "pointing-game",
    "sparseness",
}
NAMES = tuple(sorted(LOWER | HIGHER))


@pytest.fixture(autouse=True)
def own_registry(monkeypatch):
    monkeypatch.setattr(registry.METRICS, "entries", dict(registry.METRICS.entries))


def test_lists_every_metric():
    assert metrics.names() == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_every_metric_says_what_its_scores_mean(name):
    about = metrics.about(name)
    assert about.name == name
    assert about.function is metrics.get(name)
    assert about.better in ("higher", "lower")
    assert about.range[0] < about.range[1]
    assert about.paper and re.search("(contrastive|dominance|saliency) paper", about.equation)


def test_directions():
    assert {name for name in metrics.names() if metrics.about(name).better == "lower"} == LOWER


def test_says_what_a_caller_has_to_provide():
    assert metrics.about("complexity").needs == ("attribution",)
    assert metrics.about("pointing-game").needs == ("attribution", "mask")
    assert metrics.about("pixel-flipping").needs == ("model", "x", "attribution", "target", "index")
    assert metrics.about("contrastivity").needs == ("explain", "x", "target", "n_classes", "index")


def test_says_which_metrics_draw_random_numbers():
    fixed = {name for name in metrics.names() if not metrics.about(name).random}
    of_maps = {name for name in NAMES if metrics.about(name).needs[0] == "attribution"}
    masked = {name for name in NAMES if name.startswith(("average-", "local-", "completeness"))}
    assert fixed == (of_maps | masked | {"pixel-flipping-released"}) - {"average-sensitivity"}


def test_unknown_name_lists_those_that_exist_nearest_first():
    with pytest.raises(ValueError, match=r"a metric: sparseness, attribution-localisation.*Got 'sparsenes'"):
        metrics.get("sparsenes")


def test_registers_a_function_once_and_returns_it():
    def mean(attribution):
        return attribution.mean((1, 2))

    enter = metrics.register("mean", better="higher", range=(0, 1), paper="none", equation="none")
    assert enter(mean) is mean
    assert metrics.get("mean")(torch.ones(2, 3, 3)).tolist() == [1, 1]
    with pytest.raises(ValueError, match=r"new metric name. Got 'mean', which is taken: .*sparseness"):
        enter(mean)


@pytest.mark.parametrize(
    "wrong, message",
    [
        ({"better": "smaller"}, "'higher' or 'lower'"),
        ({"range": (1, 1)}, "low < high"),
        ({"range": (0,)}, "low < high"),
    ],
)
def test_refuses_metadata_without_meaning(wrong, message):
    with pytest.raises(ValueError, match=message):
        metrics.register("new", **{"better": "lower", "range": (0, 1), "paper": "p", "equation": "e", **wrong})


def test_a_random_metric_takes_seed_and_index():
    enter = metrics.register("half", better="lower", range=(0, 1), paper="p", equation="e")
    with pytest.raises(TypeError, match="both seed and index"):
        enter(lambda attribution, seed: attribution)
    assert "half" not in metrics.names()


def test_metadata_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        metrics.about("complexity").better = "higher"
