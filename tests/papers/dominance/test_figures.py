import math

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from xai_lib.page import style
from xai_lib.page.style import PAGE_WIDTH
from xai_lib.papers.dominance import figures

NAN = math.nan
BABY = np.array([[0.5, 0.625, NAN], [0.375, 0.5, 0.25], [NAN, 0.75, 0.5]])
BABY_P = np.array([[NAN, 0.0004, NAN], [0.0004, NAN, 0.049], [NAN, 0.049, NAN]])
TRAIN = np.array([[0.5, 0.51, 0.49], [0.49, 0.5, 0.4], [0.51, 0.6, 0.5]])
TRAIN_P = np.array([[NAN, 1.0, 0.5], [1.0, NAN, 0.05], [0.5, 0.05, NAN]])
TWO = {"baby": (BABY, BABY_P), "train": (TRAIN, TRAIN_P)}


@pytest.fixture(autouse=True)
def use_style(pyplot):
    style.use_style()


def written(axis):
    """Text of each cell, by row and column."""
    return {text.get_position()[::-1]: text.get_text() for text in axis.texts}


def labels_of(axis):
    return [label.get_text() for label in axis.get_xticklabels()], [
        label.get_text() for label in axis.get_yticklabels()
    ]


def test_dominance_stands_beside_its_p_values():
    figure = figures.dominance_matrices(TWO, ["A", "B", "C"])
    baby, baby_p, _, train_p, scale, p_scale = figure.axes
    assert [axis.get_title() for axis in figure.axes[:4]] == [
        "baby: dominance",
        "baby: p-values, Holm",
        "train: dominance",
        "train: p-values, Holm",
    ]
    np.testing.assert_array_equal(baby.images[0].get_array().filled(NAN), BABY)
    np.testing.assert_array_equal(train_p.images[0].get_array().filled(NAN), TRAIN_P)
    assert written(baby) == {(0, 1): ".62", (0, 2): "–", (1, 0): ".38", (1, 2): ".25", (2, 0): "–", (2, 1): ".75"}
    assert written(baby_p) == {k: {1: "<.001", 2: "–", 3: ".049"}[sum(k)] for k in written(baby)}
    assert written(train_p) == {k: {1: "1", 2: ".500", 3: ".050"}[sum(k)] for k in written(baby)}
    assert all(labels_of(axis) == (["A", "B", "C"],) * 2 for axis in figure.axes[:4])
    assert "row" in scale.get_xlabel() and p_scale.get_xlabel() == "p-value"
    assert figure.get_figwidth() <= PAGE_WIDTH


def test_significant_cells_are_framed_and_bold():
    baby, baby_p, train, train_p, *_ = figures.dominance_matrices(TWO, ["A", "B", "C"]).axes
    decided = [(0, 1), (1, 0), (1, 2), (2, 1)]
    assert sorted((patch.get_y() + 0.5, patch.get_x() + 0.5) for patch in baby.patches) == decided
    for axis in (baby, baby_p):
        assert sorted(text.get_position()[::-1] for text in axis.texts if text.get_weight() == "bold") == decided
    assert not train.patches and {text.get_weight() for text in [*train.texts, *train_p.texts]} == {"normal"}


def brightness(colour):
    return np.dot(plt.matplotlib.colors.to_rgb(colour), [0.3, 0.59, 0.11])


def test_text_is_told_from_its_cell():
    for axis in figures.dominance_matrices(TWO, ["A", "B", "C"]).axes[:4]:
        image = axis.images[0]
        for (y, x), text in zip(written(axis), axis.texts):
            value = image.get_array()[y, x]
            cell = image.cmap(image.norm(value)) if not np.ma.is_masked(value) else axis.get_facecolor()
            assert abs(brightness(cell[:3]) - brightness(text.get_color())) > 0.35, (axis.get_title(), y, x)


@pytest.mark.parametrize("name", ["dominance_matrices", "all_matrices"])
def test_one_scale_centred_on_a_half_serves_all_classes(name):
    figure = getattr(figures, name)(
        {"train": TWO["train"], "baby": TWO["baby"]}, *[["A", "B", "C"]] * (name == "dominance_matrices")
    )
    axes = [axis for axis in figure.axes if axis.images and "p-values" not in axis.get_title()]
    images = [axis.images[0] for axis in axes]
    assert [image.get_clim() for image in images] == [pytest.approx((0.2, 0.8))] * 2
    low, half, high = (images[0].cmap(place)[:3] for place in (0.1, 0.5, 0.9))
    assert half == pytest.approx((0.97,) * 3, abs=0.02) and low[2] > low[0] and high[0] > high[2]


@pytest.mark.parametrize("value", [0.501, 0.5, NAN])
def test_weak_dominance_is_not_blown_up(value):
    figure = figures.all_matrices({"cat": (np.array([[0.5, value], [1 - value, 0.5]]), np.full((2, 2), NAN))})
    assert figure.axes[0].images[0].get_clim() == pytest.approx((0.4, 0.6))


def test_matrices_of_many_classes_stand_in_even_rows_with_a_dot_where_significant():
    figure = figures.all_matrices({f"class {number}": TWO["baby" if number % 2 else "train"] for number in range(7)})
    shown = [axis for axis in figure.axes if axis.images]
    assert [axis.get_title() for axis in shown] == [f"class {number}" for number in range(7)]
    assert len(figure.axes) == 8 + 1 and not figure.axes[7].axison
    assert figure.axes[0].get_subplotspec().get_gridspec().ncols == 4
    dots = [sorted(map(tuple, axis.collections[0].get_offsets()[:, ::-1].tolist())) for axis in shown]
    assert dots[1] == [(0, 1), (1, 0), (1, 2), (2, 1)] and dots[0] == []
    assert labels_of(shown[0]) == (["1", "2", "3"],) * 2
    assert "p < 0.05" in figure.axes[-1].get_xlabel() and figure.get_figwidth() <= PAGE_WIDTH


def test_dominance_is_drawn_against_logits_and_probabilities():
    rows = [("baby", 0.25, 7.0, 0.9), ("bicycle", 0.75, 5.0, 0.6), ("baby", 0.5, 6.0, 0.8)]
    figure = figures.against_outputs(pd.DataFrame(rows, columns=["label", "dominance", "logit", "probability"]))
    dots = [axis.collections[0].get_offsets().tolist() for axis in figure.axes]
    assert dots == [[[7, 0.25], [6, 0.5]], [[0.9, 0.25], [0.8, 0.5]], [[5, 0.75]], [[0.6, 0.75]]]
    assert [axis.get_ylabel() for axis in figure.axes] == ["baby: dominance", "", "bicycle: dominance", ""]
    assert [axis.get_xlabel() for axis in figure.axes[2:]] == ["logit of the class", "probability of the class"]
    assert all(axis.lines[0].get_ydata() == [0.5, 0.5] for axis in figure.axes)


def test_focus_has_a_row_an_explainer_and_a_mark_a_network():
    rows = [
        ("CE", "grad-cam", 0.75, 0.5, 0.875),
        ("CE", "random", 0.5, 0.25, 0.625),
        ("random weights", "random", 0.25, 0.125, 0.5),
    ]
    figure = figures.focus(pd.DataFrame(rows, columns=["network", "explainer", "mean", "low", "high"]))
    (axis,) = figure.axes
    assert labels_of(axis)[1] == ["Grad-CAM", "Random"]
    trained, untrained = axis.containers
    assert (trained[0].get_xdata().tolist(), untrained[0].get_xdata().tolist()) == ([0.75, 0.5], [0.25])
    assert [end for segment in trained[2][0].get_segments() for end in segment[:, 0]] == [0.5, 0.875, 0.25, 0.625]
    assert untrained[2][0].get_segments()[0][:, 0].tolist() == [0.125, 0.5]
    assert trained[0].get_ydata().tolist() == pytest.approx([-0.175, 0.825])
    assert untrained[0].get_ydata().tolist() == pytest.approx([1.175])
    assert trained[0].get_marker() != untrained[0].get_marker()
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["CE", "random weights"]
    assert axis.lines[0].get_xdata() == [0.5, 0.5] and axis.get_ylim()[0] > axis.get_ylim()[1]
