"""Dominance of pairs against loops and numbers by hand; what it refuses."""

import math

import numpy as np
import pandas as pd
import pytest
import torch

from xai_lib.papers.dominance.method import energy_share, mosaics
from xai_lib.papers.dominance.method.dominance import draw, matrix, pairs, pairwise
from xai_lib.statistics import mean_interval

ASSIGNED = torch.tensor([2, 0, 5, 0, 2, 0, 5, 2, 5, 0])  # clusters need not be numbered without gaps
PAIRS = [(0, 2), (0, 5), (2, 5)]
N = 12


BRIGHTNESS = torch.linspace(0.1, 1, len(ASSIGNED))  # of one image each, so that a mosaic says which images it shows
X = BRIGHTNESS[:, None, None, None].expand(-1, 3, 4, 4).clone()


def test_every_pair_of_clusters_has_its_mosaics_as_in_a_loop_and_all_scalings_of_them():
    asked = []

    def explain(x, target, _index):
        asked.append((set(target.tolist()), tuple(x.shape[1:])))
        return x[:, 0]

    both = pairwise(X, 3, ASSIGNED, explain, n=N, seed=4, purpose="test", resized=False, scalings=("relu", "min-max"))
    assert both.columns.tolist() == ["first", "second", "mosaic", "scaling", "value"]
    assert both["scaling"].tolist() == ["relu"] * N * 3 + ["min-max"] * N * 3
    frame, scaled = (both[both["scaling"] == name].reset_index(drop=True) for name in ("relu", "min-max"))
    keys = [(*pair, number) for pair in PAIRS for number in range(N)]
    for one in (frame, scaled):
        assert list(zip(one["first"], one["second"], one["mosaic"])) == keys
    for first, second in PAIRS:
        members = [(cluster == ASSIGNED).nonzero()[:, 0] for cluster in (first, second)]
        drawn = mosaics.of_clusters(*members, N, seed=4, purpose=f"test/{first}-{second}")
        expected = []
        for images, places in zip(drawn.images, drawn.first, strict=True):
            brightness = BRIGHTNESS[images]
            expected.append(float(brightness[places].sum() / brightness.sum()))
        rows = frame[(frame["first"] == first) & (frame["second"] == second)]
        np.testing.assert_allclose(rows["value"], expected, rtol=1e-5)
    rows, drawn = draw(ASSIGNED, N, seed=4, purpose="test")
    assert rows.equals(frame[["first", "second", "mosaic"]])
    expected = energy_share.shares(drawn, X, torch.full((N * 3,), 3), explain, resized=False, scalings=("min-max",))[
        "min-max"
    ]
    np.testing.assert_array_equal(scaled["value"], expected)
    assert set(pairwise(X, 3, ASSIGNED, explain, purpose="test")["scaling"]) == {"relu"}
    assert asked[0] == ({3}, (3, 8, 8)) and asked[-1] == ({3}, (3, 4, 4))


@pytest.mark.parametrize(("assigned", "got"), [([1] * 4, r"\[1\]"), ([], r"\[\]")])
def test_one_cluster_has_nothing_to_dominate(assigned, got):
    with pytest.raises(ValueError, match=rf"at least two clusters\. Got the clusters {got}"):
        draw(torch.tensor(assigned, dtype=torch.int64), N, purpose="test")


@pytest.fixture
def tables():
    rng = np.random.default_rng(0)
    drawn = {(0, 1): rng.beta(5, 4, size=25), (0, 2): rng.beta(4, 8, size=25), (1, 2): rng.beta(4, 4, size=25)}
    drawn[0, 2][[3, 7]] = math.nan
    return drawn


def test_either_order_and_any_order_of_rows_says_the_same_if_mosaics_differ(values_of, tables):
    frame = values_of(tables)
    turned = frame.assign(first=frame["second"], second=frame["first"], value=1 - frame["value"])
    mixed = pd.concat([frame[::2], turned[1::2]]).sample(frac=1, random_state=1).assign(label="baby")
    pd.testing.assert_frame_equal(pairs(mixed), pairs(frame))
    frame = values_of({(0, 1): [0.75, 0.5], (1, 0): [0.0, 0.5]})
    with pytest.raises(ValueError, match=r"Got 2 more.*'mosaic': 0"):
        pairs(frame)
    result = pairs(frame.assign(mosaic=range(4))).iloc[0]
    assert (result["dominance"], result["n"]) == (0.6875, 4)  # 0.75, 0.5, 1.0, 0.5


@pytest.mark.parametrize(
    ("values", "p_t"), [([0.5] * 6, 1), ([0.75] * 6, 0), ([0.75, math.nan], math.nan), ([math.nan] * 3, math.nan)]
)
def test_constant_and_few_values(values_of, values, p_t):
    result = pairs(values_of({(0, 1): values})).iloc[0]
    assert result["p_t"] == pytest.approx(p_t, nan_ok=True)
    assert result["n"] == np.isfinite(values).sum()
    assert math.isnan(result["low"]) == (result["n"] < 2) and math.isnan(result["dominance"]) == (result["n"] == 0)


def test_each_pair_has_an_interval_and_counts_and_two_mirrored_entries(values_of, tables):
    frame = pairs(values_of(tables))
    assert list(zip(frame["first"], frame["second"])) == list(tables)
    square, p_values = matrix(frame), matrix(frame, "p_t_holm")
    assert np.diag(square).tolist() == [0.5] * 3 and np.isnan(np.diag(p_values)).all()
    for ((i, j), values), row in zip(tables.items(), frame.to_dict("records")):
        interval = mean_interval(values, range=(0.0, 1.0))
        assert (row["low"], row["high"]) == pytest.approx((interval.low, interval.high))
        assert (row["n"], row["n_undefined"]) == (25 - interval.n_undefined, interval.n_undefined)
        assert square[i, j] == pytest.approx(np.nanmean(values)) and square[j, i] == 1 - square[i, j]
    np.testing.assert_array_equal(p_values, p_values.T)
    assert p_values[[0, 0, 1], [1, 2, 2]].tolist() == frame["p_t_holm"].tolist()
    frame = pairs(values_of({(7, 2): [0.1, 0.3], (4, 7): [0.4, 0.6], (2, 4): [0.9, 0.7]}))  # by number
    assert matrix(frame) == pytest.approx(np.array([[0.5, 0.8, 0.8], [0.2, 0.5, 0.5], [0.2, 0.5, 0.5]]))


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ({"first": [0], "second": [1], "value": [0.5]}, "without \\['mosaic'\\]"),
        ({"first": [0, 1], "second": [1, 1], "mosaic": 0, "value": 0.5}, "a cluster with itself"),
        ({"first": [0], "second": [1], "mosaic": 0, "value": [1.2]}, "Got 1.2"),
        ({"first": [0], "second": [1], "mosaic": 0, "value": [-math.inf]}, "shares in \\[0, 1\\]"),
        ({"first": [0, 1], "second": [1, 2], "mosaic": 0, "value": 0.5}, "without \\[\\(0, 2\\)\\]"),
        ({"first": [], "second": [], "mosaic": [], "value": []}, "two or more clusters"),
    ],
)
def test_what_is_no_class_of_pairs_is_refused(rows, message):
    with pytest.raises(ValueError, match=message):
        pairs(pd.DataFrame(rows))
