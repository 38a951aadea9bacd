import matplotlib.pyplot as plt
import pytest
from matplotlib.colors import to_hex

from xai_lib.data import planted
from xai_lib.papers.contrastive.planted import figures
from xai_lib.papers.contrastive.planted.figures import MASK_COLOURS


@pytest.fixture(scope="module")
def split():
    return planted.generate(120, "test", size=32)


def titles(figure):
    return [axis.get_title() for axis in figure.axes]


def pictures(figure):
    return [axis for axis in figure.axes if axis.images]


def test_masks_are_outlined(split):
    positions = [*range(3), *figures.with_masks(split, ["second", "shortcut"])]
    figure = figures.masks(split, positions)
    assert len(pictures(figure)) == 5
    for axis, position in zip(figure.axes, positions):
        outlined = [to_hex(lines.get_edgecolor()[0]) for lines in axis.collections[1::2]]
        present = [name for name in MASK_COLOURS if split.masks[name][position].any()]
        assert outlined == [to_hex(MASK_COLOURS[name]) for name in present]
        assert axis.get_title() == split.classes[int(split.labels[position])]


def test_scenes_in_every_variant():
    figure = figures.variants([8, 9], size=32)
    assert len(pictures(figure)) == 2 * (1 + len(planted.VARIANTS))
    assert titles(figure)[0] == "as in training"
    assert [axis.get_ylabel() for axis in figure.axes if axis.get_ylabel()] == list(planted.CLASSES[8:10])


def test_positions_of_one_image_of_each_mode(split):
    positions = figures.one_of_each(split, by="mode")
    found = list(zip(split.labels[positions].tolist(), split.factors["mode"].iloc[positions]))
    assert found == sorted(set(zip(split.labels.tolist(), split.factors["mode"])))
    for position, pair in zip(positions, found):
        earlier = list(zip(split.labels.tolist(), split.factors["mode"]))[:position]
        assert pair not in earlier
    plt.figure()
