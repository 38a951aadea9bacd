import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.colors import to_hex

from xai_lib.page.names import WHOLE_OUTPUT_NAMES
from xai_lib.papers.whole_output import figures
from xai_lib.papers.whole_output.method.contrastive_maps import METHODS, WholeOutput

NAMES = ["cello", "violin", "acoustic guitar", "banjo", "electric guitar", "black-and-tan coonhound", "cat"]
IMAGE = torch.rand(3, 8, 8, generator=torch.Generator().manual_seed(0))


def output(clusters, probabilities):
    """An output whose maps are all different: pixel k of a row that tells the method apart."""
    probabilities = dict(sorted(probabilities.items(), key=lambda pair: -pair[1]))
    k = len(probabilities)
    maps = {name: torch.zeros(k, 8, 8) for name in METHODS}
    for row, name in enumerate(METHODS):
        maps[name][range(k), row, range(k)] = 1.0 + torch.arange(k)
    cluster_maps = torch.zeros(len(clusters), 8, 8)
    cluster_maps[range(len(clusters)), 7, range(len(clusters))] = 0.25
    return WholeOutput(clusters, list(probabilities), torch.tensor(list(probabilities.values())), cluster_maps, maps)


TWO = output([[1, 0], [4, 2, 3]], {1: 0.75, 0: 0.0625, 3: 0.1, 2: 0.05, 4: 0.0125})


def titles(axes):
    return [axis.get_title().replace("\n", " | ") for axis in axes]


def grid(figure, width):
    return np.array(figure.axes).reshape(-1, width)


def peaks(axes):
    """Row and column of the highest pixel of each map, which is drawn with 1."""
    found = [axis.images[1].get_array() for axis in axes if axis.images]
    assert all(heat.max() == 1 for heat in found)
    return [tuple(map(int, np.unravel_index(heat.argmax(), heat.shape))) for heat in found]


def frames(axes):
    return [to_hex(axis.spines["left"].get_edgecolor()) for axis in axes if axis.images]


def test_each_cluster_has_a_row_with_its_map_before_those_of_its_classes():
    axes = grid(figures.whole_output(IMAGE, TWO, NAMES), 5)
    assert axes.shape == (2, 5)
    np.testing.assert_allclose(axes[0, 0].images[0].get_array(), IMAGE.permute(1, 2, 0))
    assert titles(axes[0]) == ["image", "cluster 1 | 0.812", "violin | 0.750", "cello | 0.062", ""]
    of_guitars = ["cluster 2 | 0.163", "banjo | 0.100", "acoustic guitar | 0.050", "electric guitar | 0.013"]
    assert titles(axes[1, 1:]) == of_guitars
    last = METHODS.index("cwox-2s")
    assert peaks(axes[0, 1:]) == [(7, 0), (last, 0), (last, 2)]  # third by rank
    assert peaks(axes[1, 1:]) == [(7, 1), (last, 1), (last, 3), (last, 4)]
    assert len(set(frames(axes[0, 1:]))) == len(set(frames(axes[1, 1:]))) == 1
    assert frames(axes[0, 1:])[0] != frames(axes[1, 1:])[0]
    assert [axis.axison for axis in (axes[0, 4], axes[1, 0])] == [False, False]


def test_a_cluster_of_many_classes_goes_on_in_the_next_row():
    one = output([[0, 1, 2, 3, 5], [6]], {0: 0.4, 1: 0.3, 2: 0.1, 3: 0.08, 5: 0.06, 6: 0.04})
    axes = grid(figures.whole_output(IMAGE, one, NAMES), 5)
    assert titles(axes[0])[1] == "cluster 1 | 0.940"
    shown = titles(axes[1])
    assert shown[:3] == ["", "", "banjo | 0.080"] and shown[4] == ""
    assert shown[3].split(" | ")[-1] == "0.060" and shown[3].count(" | ") == 2  # a long name is broken
    assert titles(axes[2]) == ["", "cluster 2 | 0.040", "cat | 0.040", "", ""]
    assert frames(axes[1]) == [frames(axes[0, 1:])[0]] * 2


def test_a_single_class_is_a_row_of_three():
    alone = figures.whole_output(IMAGE, output([[6]], {6: 0.97}), NAMES)
    assert titles(alone.axes) == ["image", "cluster 1 | 0.970", "cat | 0.970"]


def test_methods_are_compared_class_by_class():
    shown = ["swox", "cwox-2s", "cwox-1sa"]
    axes = grid(figures.compared_methods(IMAGE, TWO, NAMES, shown), 6)
    assert axes.shape == (3, 6)
    assert [line[1].get_ylabel() for line in axes] == [WHOLE_OUTPUT_NAMES[name] for name in shown]
    words = [title.replace(" | ", " ") for title in titles(axes[0])]
    ranked = ["violin 0.750", "cello 0.062", "banjo 0.100", "acoustic guitar 0.050", "electric guitar 0.013"]
    assert words == ["image", *ranked]
    assert set(titles(axes[1:].flat)) == {""}
    for line, name in zip(axes, shown):
        assert peaks(line[1:]) == [(METHODS.index(name), place) for place in (0, 2, 1, 3, 4)]
        assert len(set(frames(line[1:3]))) == len(set(frames(line[3:]))) == 1 and len(set(frames(line[1:]))) == 2


def test_an_empty_map_says_so():
    TWO.class_maps["swox"][0] = 0
    figure = figures.compared_methods(IMAGE, TWO, NAMES, ["swox", "cwox-2s"])
    said = [[text.get_text() for text in axis.texts] for axis in figure.axes]
    assert said == [[], ["empty"]] + [[]] * 10


@pytest.mark.parametrize(
    ("clusters", "draw", "width"),
    [
        ([[0, 1], [2, 3, 4]], figures.whole_output, 7.2),
        ([[0, 1]], lambda *given: figures.compared_methods(*given, ["swox"]), 5.4),
    ],
)
def test_titles_do_not_meet(clusters, draw, width):
    names = ["German short-haired pointer", "Greater Swiss Mountain dog", "black-and-tan coonhound"] * 2
    figure = draw(IMAGE, output(clusters, dict.fromkeys(range(sum(map(len, clusters))), 0.2)), names)
    assert figure.get_figwidth() == pytest.approx(width)
    figure.canvas.draw()
    boxes = [axis.title.get_window_extent() for axis in figure.axes if axis.get_title()]
    for number, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in boxes[number + 1 :])
        assert box.x0 >= 0 and box.x1 <= figure.bbox.x1 and box.y1 <= figure.bbox.y1 + 1


def test_contrastive_curves_have_a_panel_a_method_and_end_where_their_pixels_do():
    ends = {"cwox-2s": 0.125, "swox": 0.5, "cwox-1sa": 0.25, "cwox-1sb": 0.375}
    rows = [
        {"method": name, "removed": share, "target": 1 - share, "rivals": share, "score": (1 - share) ** 2}
        for name, end in ends.items()
        for share in (0.0, end / 2, end)
    ]
    figure = figures.contrastive_curves(pd.DataFrame(rows).assign(target_name="cello", rival_names="violin, banjo"))
    assert [axis.get_title() for axis in figure.axes[:4]] == [WHOLE_OUTPUT_NAMES[name] for name in ends]
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend == ["P(cello)", "P(violin, banjo)", "contrastive score"]
    for axis, end in zip(figure.axes, ends.values()):
        target, target_end, rivals, _, score, _ = axis.lines
        assert target.get_xdata().tolist() == [0, end / 2, end]
        assert target.get_ydata()[-1] == 1 - end == target_end.get_ydata()[0]
        assert rivals.get_ydata()[-1] == end and score.get_ydata()[-1] == (1 - end) ** 2
        assert axis.patches[0].get_x() == 0.125
    assert len({line.get_linestyle() for line in figure.axes[0].lines[::2]}) == 3
    assert len(figure.axes) == 6 and not figure.axes[5].axison
