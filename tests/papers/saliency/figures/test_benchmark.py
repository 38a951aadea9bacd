import itertools
from math import ceil

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.colors import to_hex

from xai_lib.page.names import METHOD_NAMES
from xai_lib.page.style import FAMILY_COLOURS
from xai_lib.papers.saliency.figures import benchmark
from xai_lib.papers.saliency.method import lineup

METHODS = ["rise", "fake-cam", "grad-cam", "score-cam"]
COLOURS = [FAMILY_COLOURS[family] for family in ("occlusion", "uninformed", "cam", "cam")]


def titles(axes):
    return [axis.get_title() for axis in axes]


@pytest.mark.parametrize("methods", [lineup.ALL, lineup.PAPER, ("rise",)])
def test_maps_stand_in_blocks_with_the_image_in_front(methods):
    images = torch.rand(2, 3, 4, 4)
    heats = {
        name: torch.full((2, 4, 4), 0.04 * place) + torch.eye(2)[:, :1, None] / 100
        for place, name in enumerate(methods)
    }
    figure = benchmark.maps(images, heats, ["cat", "mug"])
    blocks = ceil(len(methods) / 8)
    axes = np.array(figure.axes).reshape(blocks, 2, -1)
    assert axes.shape[2] <= 9
    shown = []
    for block in axes:
        assert [row[0].get_ylabel() for row in block] == ["cat", "mug"]
        for row, image in zip(block, images):
            np.testing.assert_allclose(row[0].images[0].get_array(), image.permute(1, 2, 0))
        shown += [[axis.images[1].get_array() for axis in column] for column in block.T[1:] if column[0].images]
    names = [axis.get_title().replace("\n", " ") for block in axes for axis in block[0] if axis.get_title()]
    assert [name for name in names if name != "image"] == [METHOD_NAMES[name] for name in methods]
    np.testing.assert_allclose(np.array(shown), torch.stack(list(heats.values())), rtol=1e-6)


def test_extremes_set_best_beside_worst_and_frame_the_map_that_was_scored():
    def extreme(metric, method, which, score):
        maps = {"rise": torch.zeros(4, 4), "iba": torch.ones(4, 4)}
        image = torch.full((3, 4, 4), score)
        return {"metric": metric, "method": method, "which": which, "score": score, "image": image, "maps": maps}

    rows = [extreme("deletion", "gradient", "worst", 0.75), extreme("deletion", "iba", "best", 0.125)]
    figure = benchmark.extremes([*rows, extreme("insertion", "rise", "best", 0.5)])
    axes = np.array(figure.axes).reshape(2, 7)
    assert [line[0].get_ylabel() for line in axes] == ["D ↓", "I ↑"]
    assert (axes[0, 0].get_title("left"), axes[0, 4].get_title("left")) == ("best: IBA 0.12", "worst: Gradient 0.75")
    assert [float(axes[0, place].images[0].get_array()[0, 0, 0]) for place in (0, 4)] == [0.125, 0.75]
    assert [axis.get_xlabel() for axis in axes[0]] == ["", "RISE", "IBA", "", "", "RISE", "IBA"]
    framed = [axis.spines["left"].get_linewidth() == 2 for axis in axes.flat]
    assert np.flatnonzero(framed).tolist() == [2, 8]


def test_scores_stand_against_probability_with_their_correlation():
    rows = [
        {"method": method, "metric": metric, "probability": p, "value": p / 2, "rho": -0.25 * place}
        for (place, method), metric, p in itertools.product(
            enumerate(lineup.PAPER[:7]), ("deletion", "insertion"), (0.2, 0.8)
        )
    ]
    figure = benchmark.against_probability(pd.DataFrame(rows))
    axes = np.array(figure.axes).reshape(4, 4)  # seven methods in two blocks
    assert [axis.get_ylabel() for axis in axes[:, 0]] == ["D ↓", "I ↑"] * 2
    assert titles([*axes[0], *axes[2]]) == [*(METHOD_NAMES[name] for name in lineup.PAPER[:7]), ""]
    assert [len(axis.collections) for axis in axes[1]] == [1] * 4
    assert [len(axis.collections) for axis in axes[3]] == [1] * 3 + [0]
    np.testing.assert_allclose(axes[3, 0].collections[0].get_offsets(), [[0.2, 0.1], [0.8, 0.4]])
    assert axes[0, 1].texts[0].get_text() == "ρ = −0.25"


def test_transforms_have_a_row_a_metric_a_panel_a_transform_and_a_line_a_method():
    levels = {"resize": (0.75, 0.5), "rotation": (15.0, 180.0)}
    rows = [
        {"method": method, "transform": name, "setting": setting, "metric": metric, "mean": setting / 1000}
        for metric, method, name in itertools.product(("insertion", "average-gain"), METHODS, levels)
        for setting in levels[name]
    ]
    figure = benchmark.transforms(pd.DataFrame(rows))
    axes = np.array(figure.axes).reshape(2, 2)
    assert titles(axes[0]) == ["Resize", "Rotation"] and axes[1, 0].get_ylabel() == "AG ↑"
    figure.canvas.draw()
    assert [label.get_text() for label in axes[1, 1].get_xticklabels()] == ["15", "180"]
    assert [line.get_color() for line in axes[1, 1].lines] == COLOURS
    assert axes[1, 1].lines[0].get_ydata().tolist() == [0.015, 0.18]
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend == ["Fake-CAM", "Grad-CAM", "Score-CAM", "RISE"]


def test_methods_of_a_family_have_markers_of_their_own():
    frame = pd.DataFrame({"method": lineup.ALL, "kind": "insertion", "fraction": 0.0, "probability": 1.0})
    figure = benchmark.curves(frame)
    looks = {(line.get_color(), line.get_marker()) for line in figure.axes[0].lines}
    assert len(looks) == len(lineup.ALL)


def test_curves_have_a_panel_a_kind():
    rows = [
        {"method": method, "kind": kind, "fraction": fraction, "probability": fraction * place}
        for (place, method), kind, fraction in itertools.product(enumerate(METHODS), ("insertion", "deletion"), (0, 1))
    ]
    figure = benchmark.curves(pd.DataFrame(rows))
    assert titles(figure.axes) == ["I ↑", "D ↓"]
    assert [line.get_ydata().tolist() for line in figure.axes[1].lines] == [[0, place] for place in range(4)]


def test_cost_has_the_fastest_on_top_and_writes_zeros():
    frame = pd.DataFrame(
        {"method": METHODS, "seconds": [2, 0.001, 0.1, 1], "forwards": [4000, 0, 1, 512], "megabytes": [9, 1, 2, 3]}
    )
    figure = benchmark.cost(frame)
    figure.canvas.draw()
    seconds, forwards, megabytes = figure.axes
    assert [label.get_text() for label in seconds.get_yticklabels()] == ["RISE", "Score-CAM", "Grad-CAM", "Fake-CAM"]
    assert [line.get_xdata()[0] for line in seconds.lines] == [2, 1, 0.1, 0.001]
    assert [to_hex(line.get_color()) for line in seconds.lines] == [to_hex(COLOURS[place]) for place in (0, 3, 2, 1)]
    assert len(forwards.lines) == 3 and [text.get_text() for text in forwards.texts] == ["0"]
    assert {axis.get_xscale() for axis in plt.gcf().axes} == {"log"}
    assert len(megabytes.lines) == 4 and not megabytes.texts
