import numpy as np
import pandas as pd
import pytest
from matplotlib.patches import Rectangle

from xai_lib.page.style import FAMILY_COLOURS
from xai_lib.papers.saliency.figures import rankings

METHODS = ["rise", "grad-cam", "uniform", "lrp", "gradient"]


def cells(axis):
    """Lower left corners of the marked cells, by column and row."""
    return {(patch.get_x() + 0.5, patch.get_y() + 0.5) for patch in axis.patches if isinstance(patch, Rectangle)}


def test_agreement_is_symmetric_and_marks_what_is_undecided():
    frame = pd.DataFrame(
        [("insertion", "deletion", -0.5, -0.75, -0.25), ("insertion", "sparseness", 1.0, 1.0, 1.0),
         ("deletion", "sparseness", 0.25, -0.125, 0.5)],
        columns=["metric_a", "metric_b", "tau", "low", "high"],
    )  # fmt: skip
    axis = rankings.agreement(frame).axes[0]
    table = np.ma.filled(axis.images[0].get_array(), np.nan)
    np.testing.assert_array_equal(table, [[np.nan, -0.5, 1], [-0.5, np.nan, 0.25], [1, 0.25, np.nan]])
    assert axis.images[0].get_clim() == (-1, 1)
    assert {text.get_position(): text.get_text() for text in axis.texts} == {
        (1, 0): "−.50", (0, 1): "−.50", (2, 0): "1.00", (0, 2): "1.00", (2, 1): ".25", (1, 2): ".25"
    }  # fmt: skip
    assert cells(axis) == {(1, 2), (2, 1)}
    assert {text.get_color() for text in axis.texts if text.get_text() == ".25"} == {"0.4"}
    for labels in (axis.get_xticklabels(), axis.get_yticklabels()):
        assert [label.get_text() for label in labels] == ["I ↑", "D ↓", "Sparseness ↑"]


def test_an_undefined_agreement_is_a_dash():
    frame = pd.DataFrame(
        {"metric_a": ["insertion"], "metric_b": ["deletion"], "tau": np.nan, "low": np.nan, "high": 1.0}
    )
    axis = rankings.agreement(frame).axes[0]
    assert [text.get_text() for text in axis.texts] == ["–", "–"]


def test_what_is_fooled_is_framed_and_bold():
    frame = pd.DataFrame(
        [("insertion", "uniform", 0.25, "not fooled"), ("insertion", "edge-map", 0.9, "fooled"),
         ("deletion", "uniform", 0.75, "undecided"), ("deletion", "edge-map", 0.0, "not fooled")],
        columns=["metric", "control", "superiority", "verdict"],
    ).assign(low=0.0, high=1.0)  # fmt: skip
    axis = rankings.fooled(frame).axes[0]
    np.testing.assert_array_equal(axis.images[0].get_array(), [[0.25, 0.9], [0.75, 0]])
    assert cells(axis) == {(1, 0)}
    written = {text.get_position(): text.get_text() for text in axis.texts}
    assert written == {(0, 0): ".25", (1, 0): ".90", (0, 1): ".75", (1, 1): ".00"}
    assert [text.get_text() for text in axis.texts if text.get_weight() == "bold"] == [".90"]
    assert [label.get_text() for label in axis.get_xticklabels()] == ["Uniform", "Edge\nmap"]
    assert [label.get_text() for label in axis.get_yticklabels()] == ["I ↑", "D ↓"]


def bars(figure):
    """Ends and height of the bars of a critical-difference diagram."""
    lines = [line for line in figure.axes[0].lines if line.get_linewidth() == 3]
    return [(*np.round(np.sort(line.get_xdata()) + np.array([0.04, -0.04]), 6), line.get_ydata()[0]) for line in lines]


def test_methods_within_the_critical_difference_are_joined():
    ranks = pd.DataFrame({"method": METHODS, "mean_rank": [4.5, 1.5, 3.0, 2.0, 4.0]})
    figure = rankings.critical_difference(ranks, 1.0, "AG ↑")
    axis = figure.axes[0]
    assert axis.get_title() == "AG ↑"
    found = bars(figure)
    assert [bar[:2] for bar in found] == [(1.5, 2), (2, 3), (3, 4), (4, 4.5)]
    assert [bar[2] == found[0][2] for bar in found] == [True, False, True, False]
    labels = {text.get_text().strip(): text for text in axis.texts}
    best, worst = labels["Grad-CAM  1.50"], labels["4.50  RISE"]
    assert best.get_color() == FAMILY_COLOURS["cam"] and worst.get_color() == FAMILY_COLOURS["occlusion"]
    assert (best.get_ha(), worst.get_ha()) == ("right", "left")
    assert "critical difference 1.00" in labels
    assert best.get_position()[1] < labels["LRP  2.00"].get_position()[1] < labels["Uniform  3.00"].get_position()[1]


@pytest.mark.parametrize(("cd", "n"), [(float("nan"), 0), (0.1, 0), (10.0, 1)])
def test_no_bar_joins_what_differs(cd, n):
    ranks = pd.DataFrame({"method": METHODS, "mean_rank": [1.5, 2.0, 3.0, 4.0, 4.5]})
    figure = rankings.critical_difference(ranks, cd, "")
    assert len(bars(figure)) == n
    written = any("critical" in text.get_text() for text in figure.axes[0].texts)
    assert written == np.isfinite(cd)


def test_readings_have_a_line_a_method_named_at_both_ends():
    ranks = {"paper": [1, 2, 3, 4, 5], "ranks": [5, 4, 3, 2, 1], "ties from the top": [1.5, 1.5, 3, 4, np.nan]}
    frame = pd.DataFrame(
        [
            {"method": method, "reading": reading, "rank": rank}
            for reading, values in ranks.items()
            for method, rank in zip(METHODS, values)
        ]
    )
    axis = rankings.readings(frame).axes[0]
    assert [line.get_ydata().tolist() for line in axis.lines[:2]] == [[1, 5, 1.5], [2, 4, 1.5]]
    assert [label.get_text() for label in axis.get_xticklabels()] == ["paper", "ranks", "ties from\nthe top"]
    left = {text.get_text(): text.get_position()[1] for text in axis.texts if text.get_ha() == "right"}
    right = {text.get_text(): text.get_position()[1] for text in axis.texts if text.get_ha() == "left"}
    assert left == {"RISE": 1, "Grad-CAM": 2, "Uniform": 3, "LRP": 4, "Gradient": 5}
    assert right == {"RISE": 1, "Grad-CAM": 2, "Uniform": 3, "LRP": 4}
    low, high = axis.get_ylim()
    assert low > high, "rank 1 belongs at the top"
