import math

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.colors import to_hex, to_rgb

from xai_lib.page import style
from xai_lib.page.style import PAGE_WIDTH
from xai_lib.papers.dominance import figures
from xai_lib.papers.dominance.analysis.pictures import Shown

NAN = math.nan
BABY = np.array([[0.5, 0.625, NAN], [0.375, 0.5, 0.25], [NAN, 0.75, 0.5]])
BABY_P = np.array([[NAN, 0.0004, NAN], [0.0004, NAN, 0.049], [NAN, 0.049, NAN]])
TRAIN = np.array([[0.5, 0.51, 0.49], [0.49, 0.5, 0.4], [0.51, 0.6, 0.5]])
TRAIN_P = np.array([[NAN, 1.0, 0.5], [1.0, NAN, 0.05], [0.5, 0.05, NAN]])
TWO = {"baby": (BABY, BABY_P), "train": (TRAIN, TRAIN_P)}
IMAGES = torch.rand(6, 3, 8, 8, generator=torch.Generator().manual_seed(0))
HEAT = torch.linspace(0, 1, 64).reshape(8, 8)


@pytest.fixture(autouse=True)
def use_style(pyplot):
    style.use_style()


def written(axis):
    return {text.get_position()[::-1]: text.get_text() for text in axis.texts}  # by row and column


def labels_of(axis):
    return tuple([label.get_text() for label in ticks] for ticks in (axis.get_xticklabels(), axis.get_yticklabels()))


def lines_of(axis):
    return [list(line.get_ydata()) for line in axis.lines]


def bars_of(container, side):
    """Ends of the error bars of a container, along x (0) or y (1)."""
    return [segment[:, side].tolist() for segment in container[2][0].get_segments()]


def shown(*first, title="", names=("A", "B")):
    return Shown(IMAGES[0], HEAT, torch.tensor(first, dtype=torch.bool), title, names)


def quadrants(axis):
    """Name and colour of each quadrant's cluster, top left, top right, bottom left, bottom right."""
    frames = {(patch.get_y() > 3, patch.get_x() > 3): to_hex(patch.get_edgecolor()) for patch in axis.patches}
    names = {}
    for text in axis.texts:
        x, y = text.get_position()
        names[y < 0.5, x > 0.5] = (text.get_text(), to_hex(text.get_bbox_patch().get_facecolor()))
    assert {place: colour for place, (_, colour) in names.items()} == frames
    return [names[place] for place in ((False, False), (False, True), (True, False), (True, True))]


def test_dominance_stands_beside_its_p_values_framed_and_bold_where_significant():
    figure = figures.dominance_matrices(TWO, ["A", "B", "C"])
    baby, baby_p, train, train_p, scale, p_scale = figure.axes
    titles = [f"{name}: {what}" for name in TWO for what in ("dominance", "p-values, Holm")]
    assert [axis.get_title() for axis in figure.axes[:4]] == titles
    np.testing.assert_array_equal(baby.images[0].get_array().filled(NAN), BABY)
    np.testing.assert_array_equal(train_p.images[0].get_array().filled(NAN), TRAIN_P)
    assert written(baby) == {(0, 1): ".62", (0, 2): "–", (1, 0): ".38", (1, 2): ".25", (2, 0): "–", (2, 1): ".75"}
    assert written(baby_p) == {k: {1: "<.001", 2: "–", 3: ".049"}[sum(k)] for k in written(baby)}
    assert written(train_p) == {k: {1: "1", 2: ".500", 3: ".050"}[sum(k)] for k in written(baby)}
    assert all(labels_of(axis) == (["A", "B", "C"],) * 2 for axis in figure.axes[:4])
    assert "row" in scale.get_xlabel() and p_scale.get_xlabel() == "p-value"
    assert figure.get_figwidth() <= PAGE_WIDTH
    decided = [(0, 1), (1, 0), (1, 2), (2, 1)]
    assert sorted((patch.get_y() + 0.5, patch.get_x() + 0.5) for patch in baby.patches) == decided
    for axis in (baby, baby_p):
        assert sorted(text.get_position()[::-1] for text in axis.texts if text.get_weight() == "bold") == decided
    assert not train.patches and {text.get_weight() for text in [*train.texts, *train_p.texts]} == {"normal"}
    for axis in figure.axes[:4]:  # text is told from its cell
        image = axis.images[0]
        for (y, x), text in zip(written(axis), axis.texts):
            value = image.get_array()[y, x]
            cell = image.cmap(image.norm(value)) if not np.ma.is_masked(value) else axis.get_facecolor()
            bright = [np.dot(to_rgb(colour), [0.3, 0.59, 0.11]) for colour in (cell[:3], text.get_color())]
            assert abs(bright[0] - bright[1]) > 0.35, (axis.get_title(), y, x)


@pytest.mark.parametrize("draw", [lambda both: figures.dominance_matrices(both, "ABC"), figures.all_matrices])
def test_one_scale_centred_on_a_half_serves_all_classes(draw):
    figure = draw({"train": TWO["train"], "baby": TWO["baby"]})
    images = [axis.images[0] for axis in figure.axes if axis.images and "p-values" not in axis.get_title()]
    assert [image.get_clim() for image in images] == [pytest.approx((0.2, 0.8))] * 2
    low, half, high = (images[0].cmap(place)[:3] for place in (0.1, 0.5, 0.9))
    assert half == pytest.approx((0.97,) * 3, abs=0.02) and low[2] > low[0] and high[0] > high[2]


@pytest.mark.parametrize("value", [0.501, 0.5, NAN])
def test_weak_dominance_is_not_blown_up(value):
    figure = figures.all_matrices({"cat": (np.array([[0.5, value], [1 - value, 0.5]]), np.full((2, 2), NAN))})
    assert figure.axes[0].images[0].get_clim() == pytest.approx((0.4, 0.6))


def test_matrices_of_many_classes_stand_in_even_rows_with_a_dot_where_significant():
    figure = figures.all_matrices({f"class {number}": TWO["baby" if number % 2 else "train"] for number in range(7)})
    drawn = [axis for axis in figure.axes if axis.images]
    assert [axis.get_title() for axis in drawn] == [f"class {number}" for number in range(7)]
    assert len(figure.axes) == 8 + 1 and not figure.axes[7].axison
    assert figure.axes[0].get_subplotspec().get_gridspec().ncols == 4
    dots = [sorted(map(tuple, axis.collections[0].get_offsets()[:, ::-1].tolist())) for axis in drawn]
    assert dots[1] == [(0, 1), (1, 0), (1, 2), (2, 1)] and dots[0] == []
    assert labels_of(drawn[0]) == (["1", "2", "3"],) * 2
    assert "p < 0.05" in figure.axes[-1].get_xlabel() and figure.get_figwidth() <= PAGE_WIDTH


def test_dominance_is_drawn_against_logits_and_probabilities():
    rows = [("baby", 0.25, 7.0, 0.9), ("bicycle", 0.75, 5.0, 0.6), ("baby", 0.5, 6.0, 0.8)]
    figure = figures.against_outputs(pd.DataFrame(rows, columns=["label", "dominance", "logit", "probability"]))
    dots = [axis.collections[0].get_offsets().tolist() for axis in figure.axes]
    assert dots == [[[7, 0.25], [6, 0.5]], [[0.9, 0.25], [0.8, 0.5]], [[5, 0.75]], [[0.6, 0.75]]]
    assert [axis.get_ylabel() for axis in figure.axes] == ["baby: dominance", "", "bicycle: dominance", ""]
    assert [axis.get_xlabel() for axis in figure.axes[2:]] == ["logit of the class", "probability of the class"]
    assert all(lines_of(axis) == [[0.5, 0.5]] for axis in figure.axes)


def test_focus_has_a_row_an_explainer_and_a_mark_a_network():
    rows = [("CE", "grad-cam", 0.75, 0.5, 0.875), ("CE", "random", 0.5, 0.25, 0.625)]
    rows += [("no", "random", 0.25, 0.125, 0.5)]
    figure = figures.focus(pd.DataFrame(rows, columns=["network", "explainer", "mean", "low", "high"]))
    (axis,) = figure.axes
    assert labels_of(axis)[1] == ["Grad-CAM", "Random"]
    trained, untrained = axis.containers
    assert (trained[0].get_xdata().tolist(), untrained[0].get_xdata().tolist()) == ([0.75, 0.5], [0.25])
    assert bars_of(trained, 0) == [[0.5, 0.875], [0.25, 0.625]] and bars_of(untrained, 0) == [[0.125, 0.5]]
    assert trained[0].get_ydata().tolist() == pytest.approx([-0.175, 0.825])
    assert untrained[0].get_ydata().tolist() == pytest.approx([1.175])
    assert trained[0].get_marker() != untrained[0].get_marker()
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["CE", "no"]
    assert axis.lines[0].get_xdata() == [0.5, 0.5] and axis.get_ylim()[0] > axis.get_ylim()[1]


@pytest.mark.parametrize("first", [(1, 1, 0, 0), (0, 1, 0, 1), (1, 0, 0, 1)])
def test_a_mosaic_stands_beside_its_overlay_with_its_clusters_in_their_quadrants(first):
    left, right = figures.mosaics([shown(*first, title="0.75", names=("C", "E"))]).axes
    np.testing.assert_allclose(left.images[0].get_array(), IMAGES[0].permute(1, 2, 0))
    np.testing.assert_allclose(right.images[0].get_array(), IMAGES[0].mean(dim=0)[..., None].expand(-1, -1, 3))
    np.testing.assert_array_equal(right.images[1].get_array(), HEAT)
    assert left.get_title(loc="left") == "0.75"
    for axis in (left, right):
        found = quadrants(axis)
        assert [name for name, _ in found] == ["C" if here else "E" for here in first]
        assert len(set(found)) == len({colour for _, colour in found}) == 2
        for patch in axis.patches:  # frames lie within their quadrants
            for start, length in ((patch.get_x() + 0.5, patch.get_width()), (patch.get_y() + 0.5, patch.get_height())):
                assert 4 * (start // 4) < start < start + length < 4 * (start // 4 + 1)


def test_two_mosaics_stand_in_a_row_and_places_left_over_are_empty():
    figure = figures.mosaics([shown(1, 0, 0, 1, title=f"mosaic {number}") for number in range(3)])
    titles = [axis.get_title(loc="left") for axis in figure.axes]
    assert titles == ["mosaic 0", "", "mosaic 1", "", "mosaic 2", "", "", ""]
    drawn = [True] * 6 + [False] * 2
    assert [bool(axis.images) for axis in figure.axes] == [axis.axison for axis in figure.axes] == drawn
    assert figure.get_figwidth() == pytest.approx(PAGE_WIDTH)


def test_representatives_have_a_row_a_cluster_and_many_fit_a_page():
    figure = figures.representatives({"A": IMAGES[:3], "a cluster of few": IMAGES[3:4], "C": IMAGES[4:6]})
    axes = np.array(figure.axes).reshape(3, 3)
    assert [line[0].get_ylabel().replace("\n", " ") for line in axes] == ["A", "a cluster of few", "C"]
    places = [axis for line, n in zip(axes, (3, 1, 2)) for axis in line[:n]]
    for axis, image in zip(places, IMAGES, strict=True):
        np.testing.assert_allclose(axis.images[0].get_array(), image.permute(1, 2, 0))
    assert [axis.axison for axis in axes.flat if not axis.images] == [False] * 3
    plt.close()
    figure = figures.representatives({name: IMAGES.repeat(2, 1, 1, 1) for name in ("side view", "a longer name")})
    assert figure.get_figwidth() == pytest.approx(PAGE_WIDTH)


def test_numbers_of_clusters_have_a_thin_line_a_class_and_a_thick_mean():
    columns = {"label": ["cat", "cat", "dog", "dog"], "n_clusters": [2, 3, 2, 3], "silhouette": [0.25, 0.5, 0.75, 0.0]}
    frame = pd.DataFrame(columns | {"gap": [1.0, 1.5, 2.0, 1.5], "gap_error": [0.125, 0.25, 0.125, 0.125]})
    silhouette, gap = figures.choices(frame).axes
    assert lines_of(silhouette) == [[0.25, 0.5], [0.75, 0.0], [0.5, 0.25]]
    assert lines_of(gap) == [[1.0, 1.5], [2.0, 1.5], [1.5, 1.5]]
    for axis in (silhouette, gap):
        assert all(line.get_xdata().tolist() == [2, 3] for line in axis.lines)
        assert axis.lines[2].get_linewidth() > 2 * axis.lines[0].get_linewidth()
        assert axis.get_xticks().tolist() == [2, 3]
    assert not silhouette.collections
    band = gap.collections[0].get_paths()[0].vertices
    assert {tuple(corner) for corner in band.tolist()} == {(2, 0.875), (2, 1.125), (3, 1.25), (3, 1.75)}


def test_training_images_are_drawn_by_rank_of_dominance():
    rows = [("cat", 2, 0.25, 0.5), ("cat", 1, 0.75, 1.5), ("dog", 1, 0.25, 1.0), ("dog", 2, 0.75, 1.0)]
    frame = pd.DataFrame(rows, columns=["label", "rank", "training_share", "representation"])
    share, representation = figures.training_share(frame).axes
    assert lines_of(share) == [[0.75, 0.25], [0.25, 0.75], [0.5, 0.5]]
    assert lines_of(representation) == [[1.5, 0.5], [1, 1], [1.25, 0.75], [1, 1]]
    assert all(line.get_xdata().tolist() == [1, 2] for line in share.lines)
    assert representation.lines[3].get_linestyle() == ":"
    assert share.get_ylim()[0] == representation.get_ylim()[0] == 0
    assert "most dominant" in share.figure.get_supxlabel()


@pytest.mark.parametrize("chance", [True, False])
def test_power_has_a_line_a_score_and_dotted_chance_if_there_is_a_random_one(chance):
    hits = {"dominance": (0.5, 0.75, 0.125), "random": (0.2, 0.2, 0), "logit": (0.25, 0.375, NAN)}
    columns = ["score", "rarity", "auc", "low", "high"]
    rows = [
        (score, rarity, hit, hit - width, hit + width)
        for score, (often, rare, width) in hits.items()
        for rarity, hit in ((0.1, often), (0.01, rare))
        if chance or score != "random"
    ]
    figure = figures.power(pd.DataFrame(rows, columns=columns).assign(trainings=5))
    (axis,) = figure.axes
    dominance, logit = axis.containers[:2]
    assert dominance[0].get_ydata().tolist() == [0.75, 0.5] and logit[0].get_ydata().tolist() == [0.375, 0.25]
    assert dominance[0].get_xdata().tolist() == pytest.approx([-0.04, 0.96])
    assert logit[0].get_xdata().tolist() == pytest.approx([0.04, 1.04])
    assert bars_of(dominance, 1) == [[0.625, 0.875], [0.375, 0.625]]
    assert [list(line.get_ydata()) for line in axis.lines if line.get_linestyle() == ":"] == [[0.2, 0.2]] * chance
    named = [text.get_text() for text in figure.legends[0].get_texts()]
    assert named == ["dominance", "logit", *["chance"] * chance]
    assert labels_of(axis)[0] == ["1 %", "10 %"] and "5 trainings" in axis.get_ylabel()
    assert dominance[0].get_marker() != logit[0].get_marker()
