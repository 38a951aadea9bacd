import math

import pandas as pd
import pytest

from xai_lib.page import style
from xai_lib.papers.dominance import figures


@pytest.fixture(autouse=True)
def use_style(pyplot):
    style.use_style()


def test_training_images_are_drawn_by_rank_of_dominance():
    rows = [("cat", 2, 0.25, 0.5), ("cat", 1, 0.75, 1.5), ("dog", 1, 0.25, 1.0), ("dog", 2, 0.75, 1.0)]
    frame = pd.DataFrame(rows, columns=["label", "rank", "training_share", "representation"])
    share, representation = figures.training_share(frame).axes
    assert [line.get_ydata().tolist() for line in share.lines] == [[0.75, 0.25], [0.25, 0.75], [0.5, 0.5]]
    assert [list(line.get_ydata()) for line in representation.lines] == [[1.5, 0.5], [1, 1], [1.25, 0.75], [1, 1]]
    assert all(line.get_xdata().tolist() == [1, 2] for line in share.lines)
    assert representation.lines[3].get_linestyle() == ":"
    assert share.get_ylim()[0] == representation.get_ylim()[0] == 0
    assert "most dominant" in share.figure.get_supxlabel()


def test_correlations_have_a_row_a_class_and_the_mean_below():
    rows = [
        ("cat", "representation", 0.5),
        ("cat", "training_share", -0.25),
        ("dog", "representation", 0.75),
        ("cat", "representation", -0.5),
    ]
    frame = pd.DataFrame(rows, columns=["label", "share", "correlation"])
    means = pd.DataFrame(
        [("representation", 0.25, -0.25, 0.5), ("training_share", -0.25, -0.5, 0.75)],
        columns=["share", "mean", "low", "high"],
    )
    figure = figures.class_correlations(frame, means)
    raw, relative = figure.axes
    assert [axis.get_title() for axis in figure.axes] == [
        "share of the training images",
        "share in training / in evaluation",
    ]
    assert raw.collections[0].get_offsets().tolist() == [[-0.25, 0]]
    assert relative.collections[0].get_offsets().tolist() == [[0.5, 0], [0.75, 1], [-0.5, 0]]
    assert [label.get_text() for label in raw.get_yticklabels()] == ["cat", "dog", "mean"]
    for axis, mean, ends in ((raw, -0.25, [-0.5, 0.75]), (relative, 0.25, [-0.25, 0.5])):
        point, _, (bars,) = axis.containers[0]
        assert (point.get_xdata().tolist(), list(point.get_ydata())) == ([mean], [2])
        assert bars.get_segments()[0][:, 0].tolist() == ends
        assert axis.get_xlim()[0] <= -1 and axis.get_xlim()[1] >= 1 and axis.get_ylim()[0] > 2 > 0 > axis.get_ylim()[1]


def power(scores=("dominance", "random", "logit")):
    hits = {"dominance": (0.5, 0.75), "logit": (0.25, 0.375), "random": (0.2, 0.2)}
    width = {"dominance": 0.125, "logit": math.nan, "random": 0.0}
    return pd.DataFrame(
        [
            {
                "score": score,
                "rarity": rarity,
                "hit": hit,
                "low": hit - width[score],
                "high": hit + width[score],
                "trainings": 5,
            }
            for score in scores
            for rarity, hit in zip((0.1, 0.01), hits[score])
        ]
    )


def test_power_has_a_line_a_score_and_dotted_chance():
    figure = figures.power(power())
    (axis,) = figure.axes
    dominance, logit = axis.containers
    assert dominance[0].get_ydata().tolist() == [0.75, 0.5] and logit[0].get_ydata().tolist() == [0.375, 0.25]
    assert dominance[0].get_xdata().tolist() == pytest.approx([-0.04, 0.96])
    assert logit[0].get_xdata().tolist() == pytest.approx([0.04, 1.04])
    assert [segment[:, 1].tolist() for segment in dominance[2][0].get_segments()] == [[0.625, 0.875], [0.375, 0.625]]
    (chance,) = [line for line in axis.lines if line.get_linestyle() == ":"]
    assert chance.get_ydata().tolist() == [0.2, 0.2]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["dominance", "logit", "chance"]
    assert [label.get_text() for label in axis.get_xticklabels()] == ["1 %", "10 %"]
    assert "5 trainings" in axis.get_ylabel()
    assert dominance[0].get_marker() != logit[0].get_marker()


def test_power_without_a_random_score_has_no_line_of_chance():
    figure = figures.power(power(["logit", "dominance"]))
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["logit", "dominance"]
    assert not [line for line in figure.axes[0].lines if line.get_linestyle() == ":"]
