"""Matching of accuracy and confidence, and the restriction to images both networks get right."""

import math

import pandas as pd
import pytest

from xai_lib.statistics import both_correct, matched


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


def test_both_correct_keeps_images_right_in_both_networks_of_one_seed():
    cells = [(loss, seed, index) for loss in ("ce", "scl", "tl") for seed in (0, 1) for index in (7, 8, 9)]
    scores = pd.DataFrame(cells, columns=["loss", "seed", "index"]).assign(value=1.0)
    wrong = {("ce", 0, 7), ("scl", 1, 8), ("tl", 0, 9)}
    predictions = scores.assign(correct=[cell not in wrong for cell in cells])
    predictions = predictions[
        ~((predictions["loss"] == "scl") & (predictions["seed"] == 1) & (predictions["index"] == 9))
    ]
    kept = both_correct(scores, predictions, a="scl", b="ce")
    assert set(kept["loss"]) == {"ce", "scl"}
    for loss in ("ce", "scl"):
        of_loss = kept[kept["loss"] == loss]
        assert list(zip(of_loss["seed"], of_loss["index"])) == [(0, 8), (0, 9), (1, 7)]
