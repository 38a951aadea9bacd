import numpy as np
import torch
from matplotlib.figure import Figure

from xai_lib.page import images


def titles(figure):
    return [axis.get_title() for axis in figure.axes]


def test_a_grid_of_titled_pictures():
    pictures = torch.linspace(-0.5, 1.5, 7 * 3 * 16).reshape(7, 3, 4, 4)
    figure = images.image_grid(pictures, titles=list("abcdefg"))
    assert isinstance(figure, Figure)
    assert len(figure.axes) == 8 and titles(figure) == [*"abcdefg", ""]
    assert [len(axis.images) for axis in figure.axes] == [1] * 7 + [0]
    drawn = figure.axes[3].images[0].get_array()
    np.testing.assert_array_equal(drawn, pictures[3].clamp(0, 1).permute(1, 2, 0).numpy())


def test_a_grid_with_named_rows_and_columns():
    figure = images.image_grid(torch.zeros(6, 3, 4, 4), rows=["one", "two"], columns=["a", "b", "c"])
    assert titles(figure) == ["a", "b", "c", "", "", ""]
    assert [axis.get_ylabel() for axis in figure.axes] == ["one", "", "", "two", "", ""]
