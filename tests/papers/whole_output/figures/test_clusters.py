import numpy as np
import pandas as pd
import pytest

from xai_lib.papers.whole_output import figures

NAMES = ["cat", "rabbit", "house", "tree", "car"]


def shares():
    table = np.full((5, 5), 0.125)
    table[:2, :2] = table[2:4, 2:4] = 0.75
    np.fill_diagonal(table, np.nan)
    return pd.DataFrame(table, index=NAMES, columns=NAMES)


def test_clusters_are_framed_where_labels_occur_together():
    axis, bar = figures.co_occurrence(shares(), [[7, 3], [1, 2], [5]]).axes
    np.testing.assert_array_equal(axis.images[0].get_array().filled(np.nan), shares())
    framed = [(patch.get_x(), patch.get_y(), patch.get_width(), patch.get_height()) for patch in axis.patches]
    assert framed == [(-0.5, -0.5, 2, 2), (1.5, 1.5, 2, 2), (3.5, 3.5, 1, 1)]
    assert [label.get_text() for label in axis.get_xticklabels()] == NAMES
    written = {text.get_position(): text.get_text() for text in axis.texts}
    assert len(written) == 20 and written[1, 0] == ".75" and written[4, 0] == ".12"
    inks = {text.get_text(): text.get_color() for text in axis.texts}
    assert inks == {".75": "white", ".12": "black"}
    assert "both" in bar.get_xlabel()


def test_many_labels_are_not_numbered():
    figure = figures.co_occurrence(pd.DataFrame(np.zeros((30, 30))), [[label] for label in range(30)])
    assert not figure.axes[0].texts and figure.get_figwidth() <= 7.3


def test_sizes_of_clusters_are_counted_for_each_partition():
    partitions = {"tree": [[0], [1], [2, 3]], "other": [[0, 1, 2, 3]], "one": [list(range(20)), list(range(13)), [0]]}
    (axis,) = figures.island_sizes(partitions).axes
    assert [label.get_text() for label in axis.get_xticklabels()] == ["1", "2", "4", "> 12"]
    heights = [[bar.get_height() for bar in bars] for bars in axis.containers]
    assert heights == [[2, 1, 0, 0], [0, 0, 1, 0], [1, 0, 0, 2]]
    legend = [text.get_text() for text in axis.get_legend().get_texts()]
    assert legend == ["tree (3)", "other (1)", "one (3)"]
    middles = [bars[0].get_x() + bars[0].get_width() / 2 for bars in axis.containers]
    assert middles == pytest.approx([-0.8 / 3, 0, 0.8 / 3])


def test_stability_has_a_row_a_clustering_and_a_mark_a_comparison():
    rows = [
        ("latent tree", "halves", 0.25, 0.125, 0.5),
        ("latent tree", "seeds", 0.75, 0.5, 1.0),
        ("Louvain", "halves", -0.25, -0.5, 0.0),
    ]
    figure = figures.stability(pd.DataFrame(rows, columns=["clustering", "what", "ari", "low", "high"]))
    (axis,) = figure.axes
    assert [label.get_text() for label in axis.get_yticklabels()] == ["latent tree", "Louvain"]
    seeds, halves = axis.containers
    assert (seeds[0].get_xdata().tolist(), halves[0].get_xdata().tolist()) == ([0.75], [0.25, -0.25])
    assert [end for segment in halves[2][0].get_segments() for end in segment[:, 0]] == [0.125, 0.5, -0.5, 0.0]
    assert seeds[0].get_ydata().tolist() == pytest.approx([-0.11])
    assert halves[0].get_ydata().tolist() == pytest.approx([0.11, 1.11])
    assert seeds[0].get_marker() != halves[0].get_marker()
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend == ["another seed", "two halves of the documents"]
    assert axis.get_xlim()[0] <= -0.5
