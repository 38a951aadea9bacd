"""Names that readers see fit what the registries know."""

import pytest

from xai_lib import explainers, metrics, your_maps
from xai_lib.data import transforms
from xai_lib.explainers.registry import EXPLAINERS
from xai_lib.page import names as labels
from xai_lib.page import style
from xai_lib.papers.whole_output.method import evaluation


@pytest.mark.parametrize("names", [labels.METHOD_NAMES, labels.METRIC_NAMES])
def test_everything_registered_has_a_name_of_its_own(names):
    assert set(names) == set((explainers if names is labels.METHOD_NAMES else metrics).names())
    assert len(set(names.values())) == len(names)


def test_arrows_point_to_better_scores():
    assert labels.METRIC_NAMES["deletion"] == "D ↓" and labels.METRIC_NAMES["insertion"] == "I ↑"


def test_what_is_registered_later_has_its_name_at_once(monkeypatch):
    monkeypatch.setattr(EXPLAINERS, "entries", dict(EXPLAINERS.entries))
    assert "mine" not in labels.METHOD_NAMES
    explainers.register("mine", title="Mine", paper="-", family="cam")(lambda model, x, *, score, layer: x)
    assert labels.METHOD_NAMES["mine"] == "Mine"


def test_every_family_has_a_name_and_a_colour_of_its_own():
    families = {explainers.about(name).family for name in explainers.names()} | {your_maps.FAMILY}
    assert families == set(labels.FAMILY_NAMES) == set(style.FAMILY_COLOURS)
    assert len(set(style.FAMILY_COLOURS.values())) == len(families)


def test_every_transform_has_a_name():
    assert set(labels.TRANSFORM_NAMES) == set(transforms.TRANSFORMS)


def test_every_way_to_explain_a_whole_output_has_a_name():
    assert set(labels.WHOLE_OUTPUT_NAMES) == set(evaluation.SCORED)
    assert len(set(labels.WHOLE_OUTPUT_NAMES.values())) == len(labels.WHOLE_OUTPUT_NAMES)
