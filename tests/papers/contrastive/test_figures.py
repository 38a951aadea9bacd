import itertools

import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.colors import to_hex
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from xai_lib.page.names import LOSS_NAMES
from xai_lib.page.style import LOSS_COLOURS
from xai_lib.papers.contrastive import figures

LOSSES = list(LOSS_NAMES)
METHODS = ["grad-cam", "eigen-cam"]


def titles(figure):
    return [axis.get_title() for axis in figure.axes]


def test_overlays_have_a_column_a_loss_and_method():
    maps = {key: torch.full((2, 4, 4), 0.1 * n) for n, key in enumerate(itertools.product(LOSSES, METHODS))}
    images = torch.rand(2, 3, 4, 4)
    figure = figures.overlays(images, maps, ["cat", "mug"])
    axes = np.array(figure.axes).reshape(2, 7)
    assert titles(figure)[:4] == ["image", "CE\nGrad-CAM", "CE\nEigen-CAM", "SCL\nGrad-CAM"]
    assert [axis.get_ylabel() for axis in axes[:, 0]] == ["cat", "mug"]
    for row, column in itertools.product(range(2), range(1, 7)):
        grey, heat = axes[row, column].images
        np.testing.assert_allclose(grey.get_array()[..., 0], images[row].mean(dim=0).numpy())
        assert heat.get_clim() == (0, 1) and float(heat.get_array().mean()) == pytest.approx(0.1 * (column - 1))


def test_loss_curves_have_a_panel_a_loss():
    figure = figures.loss_curves(torch.arange(3.0), {"scl": [3, 2, 1], "tl": [1, 0, 0]}, xlabel="angle")
    assert titles(figure) == ["SCL", "TL"]
    [line] = figure.axes[1].lines
    assert list(line.get_ydata()) == [1, 0, 0] and line.get_color() == LOSS_COLOURS["tl"]
    assert [axis.get_xlabel() for axis in figure.axes] == ["angle"] * 2


def test_training_curves_have_a_line_a_seed_and_show_what_a_triplet_training_learns():
    rows = [
        (loss, seed, epoch, LOSSES.index(loss) + seed / epoch, 0.1 / epoch, seed / 10)
        for loss, seed, epoch in itertools.product(reversed(LOSSES), range(3), (1, 2))
    ]
    columns = ["loss_name", "seed", "epoch", "loss", "semi_hard", "accuracy"]
    figure = figures.training_curves(pd.DataFrame(rows, columns=columns))
    assert titles(figure) == ["CE", "SCL", "TL", "", "", ""]
    assert [len(axis.lines) for axis in figure.axes] == [3] * 6
    assert figure.axes[1].lines[1].get_ydata().tolist() == [2, 1.5]
    assert figure.axes[2].lines[1].get_ydata().tolist() == [0.1, 0.05]
    assert figure.axes[5].lines[2].get_ydata().tolist() == [0.2, 0.2]
    labels = [axis.get_ylabel() for axis in figure.axes]
    assert labels[:4] == ["training loss", "training loss", "semi-hard triplets (share)", "accuracy"]


def test_the_fine_print_frames_what_turns():
    rows = [("a", "scl", 0.05, False), ("a", "tl", -1, True), ("b", "tl", -0.01, False)]
    rows = pd.DataFrame(rows, columns=["variant", "loss", "after", "turned"])
    figure = figures.fine_print(rows.assign(claimed="continuity", relevant=0.02))
    (axis,) = figure.axes
    values = axis.collections[0].get_array().filled(np.nan).reshape(2, 2)
    np.testing.assert_allclose(values, [[0.5, -1], [np.nan, -0.1]])
    assert [patch.get_xy() for patch in axis.patches] == [(1, 0)]
    names = [label.get_text() for label in axis.get_xticklabels()]
    assert names == ["Continuity: SSIM ↑, SCL", "Continuity: SSIM ↑, TL"]


def test_flipping_curves_are_means_over_seeds_with_a_band():
    values = {0: 0.4, 1: 0.6}
    rows = [
        {"loss": loss, "method": method, "seed": seed, "fraction": fraction, "probability": values[seed] - fraction / 4}
        for loss, method, seed, fraction in itertools.product(LOSSES, METHODS, values, (0.0, 1.0))
    ]
    figure = figures.flipping_curves(pd.DataFrame(rows))
    assert titles(figure) == ["Grad-CAM", "Eigen-CAM"]
    for axis in figure.axes:
        assert [line.get_label() for line in axis.lines] == ["CE", "SCL", "TL"]
        np.testing.assert_allclose(axis.lines[0].get_ydata(), [0.5, 0.25])
        band = axis.collections[0].get_paths()[0].vertices[:, 1]
        assert band.max() == pytest.approx(0.5 + np.std([0.4, 0.6], ddof=1))
    assert [axis.get_legend() is not None for axis in figure.axes] == [False, True]


def test_one_seed_has_a_line_without_a_band():
    rows = pd.DataFrame({"loss": "ce", "method": "grad-cam", "seed": 0, "fraction": [0, 1], "probability": [0.5, 0.1]})
    figure = figures.flipping_curves(rows)
    np.testing.assert_allclose(figure.axes[0].collections[0].get_paths()[0].vertices[:, 1].max(), 0.5)


def test_distributions_have_a_panel_a_metric_and_a_box_a_loss_and_method():
    rng = np.random.default_rng(0)
    rows = [
        {"loss": loss, "method": method, "seed": 0, "index": index, "metric": metric, "value": rng.random()}
        for loss, method, index, metric in itertools.product(LOSSES, METHODS, range(20), ["a", "b", "c", "unshown"])
    ]
    scores = pd.DataFrame(rows)
    scores.loc[scores["index"] == 3, "value"] = float("nan")
    figure = figures.distributions(scores, {"a": "A", "b": "B", "c": "C"})
    assert titles(figure) == ["A", "B", "C", ""]
    for axis in figure.axes[:3]:
        assert [len(box.boxes) for box in axis.containers] == [2, 2, 2]
        assert [label.get_text() for label in axis.get_xticklabels()] == ["Grad-CAM", "Eigen-CAM"]
    assert [axis.get_legend() is not None for axis in figure.axes] == [True, False, False, False]


def test_a_metric_of_one_method_only_is_drawn():
    rows = [
        {"loss": loss, "method": "grad-cam", "seed": 0, "index": index, "metric": "contrastivity", "value": index}
        for loss, index in itertools.product(LOSSES, range(5))
    ]
    figure = figures.distributions(pd.DataFrame(rows), {"contrastivity": "contrastivity"})
    assert [len(box.boxes) for box in figure.axes[0].containers] == [1, 1, 1]


@pytest.mark.parametrize(("n_classes", "legends"), [(10, 1), (30, 0)])
def test_an_embedding_has_a_cloud_a_class(n_classes, legends):
    points = [{"loss": loss, "x": i, "y": i % 3, "label": i % n_classes} for loss in LOSSES for i in range(60)]
    figure = figures.embedding(pd.DataFrame(points), [f"class {n}" for n in range(n_classes)])
    assert titles(figure) == ["CE", "SCL", "TL"]
    assert [len(axis.collections) for axis in figure.axes] == [n_classes] * 3
    assert len(figure.legends) == legends
    colours = {to_hex(cloud.get_facecolor()[0]) for cloud in figure.axes[0].collections}
    assert len(colours) == n_classes


def test_confusion_shows_shares_of_each_true_class():
    counts = torch.tensor([[3, 1], [0, 0]])
    figure = figures.confusion(counts, ["cat", "mug"])
    [axis] = figure.axes
    assert [text.get_text() for text in axis.texts] == ["0.75", "0.25", "0.00", "0.00"]
    assert (axis.get_xlabel(), axis.get_ylabel()) == ("predicted", "true")
    assert [label.get_text() for label in axis.get_yticklabels()] == ["cat", "mug"]


def test_the_diagram_has_both_networks():
    figure = figures.classifier_diagram(features=128, embedding_size=64, n_classes=10)
    boxes = [sum(isinstance(patch, FancyBboxPatch) for patch in axis.patches) for axis in figure.axes]
    arrows = [sum(isinstance(patch, FancyArrowPatch) for patch in axis.patches) for axis in figure.axes]
    assert (boxes, arrows) == ([5, 5], [4, 4])
    words = " ".join(text.get_text() for axis in figure.axes for text in axis.texts)
    assert "128" in words and "64" in words and "10 logits" in words
