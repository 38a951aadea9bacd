"""Matching of accuracy and confidence."""

import math

import pytest

from xai_lib.statistics import matched


@pytest.mark.parametrize(
    ("accuracy", "confidence", "expected"),
    [
        ((0.83, 0.82), (0.90, 0.88), (True, True)),  # both at the tolerance
        ((0.82, 0.83), (0.88, 0.90), (True, True)),
        ((0.84, 0.82), (0.90, 0.89), (False, True)),
        ((0.82, 0.82), (0.90, 0.87), (True, False)),
        (([0.80, 0.84], [0.82, 0.82]), ([0.9, 0.7], [0.8, 0.8]), (True, True)),  # means over seeds
    ],
)
def test_matched(accuracy, confidence, expected):
    result = matched(*accuracy, *confidence)
    assert (result.accuracy, result.confidence) == expected


def test_differences_are_a_minus_b():
    result = matched(0.7, 0.8, 0.95, 0.9)
    assert (result.accuracy_difference, result.confidence_difference) == pytest.approx((-0.1, 0.05))


@pytest.mark.parametrize("wrong", [82.0, -0.1, math.nan, []])
def test_only_fractions_are_accepted(wrong):
    with pytest.raises(ValueError, match="fractions"):
        matched(wrong, 0.8, 0.9, 0.9)
