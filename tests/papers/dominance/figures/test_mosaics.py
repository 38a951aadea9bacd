import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.colors import to_hex

from xai_lib.page.style import PAGE_WIDTH
from xai_lib.papers.dominance import figures

IMAGES = torch.rand(6, 3, 8, 8, generator=torch.Generator().manual_seed(0))
HEAT = torch.linspace(0, 1, 64).reshape(8, 8)


def shown(*first, title="", names=("A", "B")):
    return figures.Shown(IMAGES[0], HEAT, torch.tensor(first, dtype=torch.bool), title, names)


def quadrants(axis):
    """Name and colour of each quadrant's cluster, top left, top right, bottom left, bottom right."""
    frames = {(patch.get_y() > 3, patch.get_x() > 3): to_hex(patch.get_edgecolor()) for patch in axis.patches}
    names = {}
    for text in axis.texts:
        x, y = text.get_position()
        names[y < 0.5, x > 0.5] = (text.get_text(), to_hex(text.get_bbox_patch().get_facecolor()))
    assert frames.keys() == names.keys()
    assert all(names[place][1] == colour for place, colour in frames.items())
    return [names[place] for place in ((False, False), (False, True), (True, False), (True, True))]


def test_a_mosaic_stands_beside_its_overlay():
    left, right = figures.mosaics([shown(1, 0, 0, 1, title="0.75")]).axes
    np.testing.assert_allclose(left.images[0].get_array(), IMAGES[0].permute(1, 2, 0))
    np.testing.assert_allclose(right.images[0].get_array(), IMAGES[0].mean(dim=0)[..., None].expand(-1, -1, 3))
    np.testing.assert_array_equal(right.images[1].get_array(), HEAT)
    assert left.get_title(loc="left") == "0.75"


@pytest.mark.parametrize("first", [(1, 1, 0, 0), (0, 0, 1, 1), (1, 0, 1, 0), (0, 1, 0, 1), (1, 0, 0, 1), (0, 1, 1, 0)])
def test_quadrants_have_the_name_and_the_colour_of_their_cluster(first):
    for axis in figures.mosaics([shown(*first, names=("C", "E"))]).axes:
        found = quadrants(axis)
        assert [name for name, _ in found] == ["C" if here else "E" for here in first]
        assert len(set(found)) == len({colour for _, colour in found}) == 2


def test_frames_lie_within_their_quadrants():
    for axis in figures.mosaics([shown(1, 0, 0, 1)]).axes:
        for patch in axis.patches:
            left, top = patch.get_x() + 0.5, patch.get_y() + 0.5
            column, row = left // 4, top // 4
            assert 4 * column < left < left + patch.get_width() < 4 * (column + 1)
            assert 4 * row < top < top + patch.get_height() < 4 * (row + 1)


def test_two_mosaics_stand_in_a_row_and_places_left_over_are_empty():
    figure = figures.mosaics([shown(1, 0, 0, 1, title=f"mosaic {number}") for number in range(3)])
    assert [axis.get_title(loc="left") for axis in figure.axes] == ["mosaic 0", "", "mosaic 1", "", "mosaic 2"] + [
        ""
    ] * 3
    assert [bool(axis.images) for axis in figure.axes] == [True] * 6 + [False] * 2
    assert [axis.axison for axis in figure.axes[6:]] == [False, False]
    assert figure.get_figwidth() == pytest.approx(PAGE_WIDTH)


def test_representatives_have_a_row_a_cluster():
    figure = figures.representatives({"A": IMAGES[:3], "a cluster of few": IMAGES[3:4], "C": IMAGES[4:6]})
    axes = np.array(figure.axes).reshape(3, 3)
    assert [line[0].get_ylabel().replace("\n", " ") for line in axes] == ["A", "a cluster of few", "C"]
    places = [axis for line, n in zip(axes, (3, 1, 2)) for axis in line[:n]]
    for axis, image in zip(places, IMAGES, strict=True):
        np.testing.assert_allclose(axis.images[0].get_array(), image.permute(1, 2, 0))
    assert [axis.axison for axis in axes.flat if not axis.images] == [False] * 3


def test_many_representatives_fit_a_page():
    figure = figures.representatives({name: IMAGES.repeat(2, 1, 1, 1) for name in ("side view", "a longer name")})
    assert figure.get_figwidth() == pytest.approx(PAGE_WIDTH)


def test_numbers_of_clusters_have_a_thin_line_a_class_and_a_thick_mean():
    rows = [
        ("cat", 2, 0.25, 1.0, 0.125),
        ("cat", 3, 0.5, 1.5, 0.25),
        ("dog", 2, 0.75, 2.0, 0.125),
        ("dog", 3, 0.0, 1.5, 0.125),
    ]
    frame = pd.DataFrame(rows, columns=["label", "n_clusters", "silhouette", "gap", "gap_error"])
    silhouette, gap = figures.choices(frame).axes
    assert [line.get_ydata().tolist() for line in silhouette.lines] == [[0.25, 0.5], [0.75, 0.0], [0.5, 0.25]]
    assert [line.get_ydata().tolist() for line in gap.lines] == [[1.0, 1.5], [2.0, 1.5], [1.5, 1.5]]
    for axis in (silhouette, gap):
        assert all(line.get_xdata().tolist() == [2, 3] for line in axis.lines)
        assert axis.lines[2].get_linewidth() > 2 * axis.lines[0].get_linewidth()
        assert axis.get_xticks().tolist() == [2, 3]
    assert not silhouette.collections
    band = gap.collections[0].get_paths()[0].vertices
    assert {tuple(corner) for corner in band.tolist()} == {(2, 0.875), (2, 1.125), (3, 1.25), (3, 1.75)}
