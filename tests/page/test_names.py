"""Names that readers see fit what the registries know."""

from xai_lib import explainers, metrics
from xai_lib.data import transforms
from xai_lib.page import names as labels
from xai_lib.papers.whole_output.method import evaluation


def test_every_method_has_a_name_of_its_own():
    assert set(labels.METHOD_NAMES) == set(explainers.names())
    assert len(set(labels.METHOD_NAMES.values())) == len(labels.METHOD_NAMES)


def test_arrows_point_to_better_scores():
    arrows = {"higher": "↑", "lower": "↓"}
    for name, shown in labels.METRIC_NAMES.items():
        assert shown.endswith(" " + arrows[metrics.about(name).better]), name
    assert len(set(labels.METRIC_NAMES.values())) == len(labels.METRIC_NAMES)


def test_every_family_has_a_name_and_a_colour_of_its_own():
    families = {explainers.about(name).family for name in explainers.names()}
    assert families == set(labels.FAMILY_NAMES) == set(labels.FAMILY_COLOURS)
    assert len(set(labels.FAMILY_COLOURS.values())) == len(families)


def test_every_transform_has_a_name():
    assert set(labels.TRANSFORM_NAMES) == set(transforms.TRANSFORMS)


def test_every_way_to_explain_a_whole_output_has_a_name():
    assert set(labels.WHOLE_OUTPUT_NAMES) == set(evaluation.SCORED)
    assert len(set(labels.WHOLE_OUTPUT_NAMES.values())) == len(labels.WHOLE_OUTPUT_NAMES)
