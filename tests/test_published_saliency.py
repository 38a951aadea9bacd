"""What the discrepancies of the saliency paper say about its printed numbers is so."""

import numpy as np
import pandas as pd
import pytest
import torch

from xai_lib import metrics, published
from xai_lib.published.tables import cells_with_ids

GRADIENT = ["gradient", "integrated-gradients", "guided-backprop"]
CAM = ["grad-cam", "grad-cam++", "score-cam"]
FIDELITY = ["average-increase", "average-drop", "average-gain", "insertion", "deletion"]
NOTES = published.errata("saliency").set_index("id")


def printed(number, *columns):
    """A table as printed, higher better in Tables 1, 2 and 4: a row a method."""
    rows = published.table("saliency", number)
    return rows.pivot(index="method", columns=[*columns, "metric"], values="value")


def cells(number, note):
    """Method and metric of the cells that a note stands beside."""
    rows = cells_with_ids("saliency", number)
    rows = rows[rows["erratum"].str.split().map(lambda ids: note in ids)]
    return set(zip(rows["method"], rows["metric"]))


def change():
    """|Table 4 - Table 1|: a row a method, a column a transformation and metric."""
    first, fourth = printed(1), printed(4, "transform")
    return (fourth - first.reindex(columns=fourth.columns.get_level_values("metric")).to_numpy()).abs()


def test_fake_cam_is_last_in_deletion_and_above_all_gradients_in_what_it_does_not_fool():
    rank = printed(1).rank(ascending=False).loc["fake-cam"]
    assert rank[["deletion", "insertion", "average-gain"]].tolist() == [10, 7, 7]
    assert rank[["average-increase", "average-drop", "monotonicity"]].max() == 2  # "in the top two": so printed
    for metric in ("insertion", "average-gain"):
        assert (printed(1).loc[GRADIENT, metric] < printed(1).loc["fake-cam", metric]).all()
    expected = {("fake-cam", metric) for metric in ("average-gain", "insertion", "deletion")}
    assert cells(1, "fake-cam-not-fooled") == expected


def test_two_gradient_methods_lead_deletion():
    order = printed(1)["deletion"].sort_values(ascending=False).index[:2]
    assert set(order) == {method for method, _ in cells(1, "gradients-deletion")}


def test_the_ground_truth_is_not_optimal_in_gain():
    both = printed(2, "target")
    better = both["predicted"] > both["ground-truth"]
    found = {(method, metric) for method, row in better.iterrows() for metric in row.index[row]}
    assert found - {(method, "insertion") for method in better.index} == cells(2, "predicted-gain")
    assert better["average-gain"].sum() == 5
    increase = both.xs("average-increase", axis=1, level="metric").loc[["rise", "lime"]]
    assert increase[["ground-truth", "predicted"]].to_numpy().tolist() == [[39.0, 27.1], [9.7, 4.8]]
    lost = both["ground-truth"] - both["predicted"]
    assert lost.max().max() == pytest.approx(11.9) and cells(2, "predicted-slightly") == {
        ("rise", "average-increase"), ("lime", "average-increase")
    }  # fmt: skip


def test_gain_is_most_stable_of_the_nine_but_not_of_class_activation_maps():
    of_cams = change().loc[CAM].T.groupby("metric").mean().mean(axis=1)
    assert of_cams.round(1)[["deletion", "average-increase", "average-gain"]].tolist() == [8.0, 8.9, 9.5]
    of_nine = change().drop("fake-cam").T.groupby("metric").mean().mean(axis=1).sort_values().round(1)
    assert of_nine.index[:2].tolist() == ["average-gain", "deletion"] and of_nine.iloc[:2].tolist() == [5.0, 8.8]
    assert printed(1).loc[GRADIENT, "average-gain"].max() == 0.1
    relative = change().loc[CAM].T.groupby("metric").mean().T / printed(1).loc[CAM, sorted(FIDELITY)]
    assert relative.mean().idxmax() == "average-gain" and relative["average-gain"].mean().round(1) == 0.5


def test_gradients_change_more_under_two_of_four_transformations():
    by_transform = change().T.groupby("transform").mean().T
    found = {name: (by_transform.loc[who, name].mean().round(1)) for who in (GRADIENT, CAM) for name in by_transform}
    text = NOTES.loc["gradients-sensitive", "text"]
    assert all(f"{value:.1f}" in text for value in found.values())
    ahead = by_transform.loc[GRADIENT].mean() > by_transform.loc[CAM].mean()
    assert set(ahead.index[ahead]) == {"mixup", "resize"}


@pytest.mark.parametrize("freedom", [3, 30])
def test_only_absolute_gradients_are_as_sparse_as_printed(freedom):
    """Gradients of 224 pixels a side, from heavy-tailed to nearly normal; their scale changes from image to image."""
    raw = torch.from_numpy(np.random.default_rng(0).standard_t(freedom, (4, 3, 224, 224))).float()

    def unit(maps):
        low, high = maps.amin((1, 2), keepdim=True), maps.amax((1, 2), keepdim=True)
        return (maps - low) / (high - low)

    signed = torch.stack([unit(colour) for colour in raw.unbind(1)], 1).amax(1)
    absolute = unit(raw.abs().amax(1))
    gini = metrics.get("sparseness")
    assert gini(signed).max() < 0.2 < 0.25 < gini(absolute).min()
    values = printed(3)["sparseness"][GRADIENT] / 100
    assert values.min() > 0.35 and cells(3, "gradients-absolute") == {(name, "sparseness") for name in GRADIENT}


def test_lime_has_half_its_pixels_at_zero():
    assert (printed(3).loc["lime", "effective-complexity"] / 224**2).round(3) == 0.528
    assert cells(3, "lime-positive") == {("lime", "effective-complexity")}


def test_the_sparseness_of_fake_cam_is_a_gini_index():
    """The number of nonzero values, or the L1 norm, of a map that is 1 everywhere but in one pixel is not 0."""
    fake = torch.ones(1, 224, 224)
    fake[0, 0, 0] = 0
    assert printed(3).loc["fake-cam", "sparseness"] == pytest.approx(100 * metrics.get("sparseness")(fake), abs=0.05)
    assert len(cells(3, "sparseness-gini")) == 10


def test_every_number_in_a_note_beside_cells_is_printed_or_counted():
    """Values with one decimal that a note about single cells quotes are printed in the table that it is about."""
    for note in NOTES[NOTES["scope"] == "cells"].itertuples():
        quoted = set(pd.Series(note.text).str.extractall(r"(?<![\d.])(\d+\.\d)(?![\d.])")[0])
        tables = [published.table("saliency", int(number)) for number in (1, 2, 3, 4)]
        known = set(pd.concat(tables)["printed"]) | {"52.8", "26506.4", "0.2", "0.5"}  # tested above, thresholds
        assert quoted <= known, note.Index
