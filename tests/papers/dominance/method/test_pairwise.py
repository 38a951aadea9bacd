import itertools

import numpy as np
import pytest
import torch

from xai_lib.papers.dominance.method import energy, mosaics
from xai_lib.papers.dominance.method.pairwise import draw, pairwise

ASSIGNED = torch.tensor([2, 0, 5, 0, 2, 0, 5, 2, 5, 0])  # clusters need not be numbered without gaps
PAIRS = [(0, 2), (0, 5), (2, 5)]
N = 12


@pytest.fixture
def x():
    """Images of one brightness each, so that a mosaic says which images it shows."""
    brightness = torch.linspace(0.1, 1, len(ASSIGNED))
    return brightness[:, None, None, None].expand(-1, 3, 4, 4).clone()


def bright(x, _target, _index):
    return x[:, 0]


def found(x, explain=bright, assigned=ASSIGNED, **options):
    return pairwise(x, 3, assigned, explain, **{"n": N, "purpose": "test"} | options)


def test_every_pair_of_clusters_has_its_mosaics_in_order(x):
    frame = found(x)
    assert frame.columns.tolist() == ["first", "second", "mosaic", "scaling", "value"]
    expected = [(*pair, number) for pair in PAIRS for number in range(N)]
    assert list(zip(frame["first"], frame["second"], frame["mosaic"])) == expected
    assert set(frame["scaling"]) == {"relu"}


def test_equals_a_loop_over_pairs(x):
    frame = found(x, seed=4)
    for first, second in PAIRS:
        members = [(cluster == ASSIGNED).nonzero()[:, 0] for cluster in (first, second)]
        drawn = mosaics.of_clusters(*members, N, seed=4, purpose=f"test/{first}-{second}")
        expected = []
        for images, places in zip(drawn.images, drawn.first, strict=True):
            brightness = x[images, 0, 0, 0]
            expected.append(float(brightness[places].sum() / brightness.sum()))
        rows = frame[(frame["first"] == first) & (frame["second"] == second)]
        np.testing.assert_allclose(rows["value"], expected, rtol=1e-5)


def test_quadrants_show_the_clusters_that_the_rows_name():
    rows, drawn = draw(ASSIGNED, N, purpose="test")
    assert len(rows) == len(drawn) == N * len(PAIRS)
    for row, images, first in zip(rows.itertuples(), drawn.images, drawn.first, strict=True):
        assert ASSIGNED[images[first]].tolist() == [row.first] * 2
        assert ASSIGNED[images[~first]].tolist() == [row.second] * 2


def test_the_class_is_what_is_explained_and_mosaics_are_numbered_through(x):
    asked = []

    def explain(x, target, index):
        asked.append((target.tolist(), index.tolist(), tuple(x.shape[1:])))
        return x[:, 0]

    found(x, explain, resized=True)
    assert set(itertools.chain(*(target for target, _, _ in asked))) == {3}
    assert list(itertools.chain(*(index for _, index, _ in asked))) == list(range(N * len(PAIRS)))
    assert {shape for _, _, shape in asked} == {(3, 4, 4)}


def test_scalings_are_of_the_same_mosaics(x):
    both = found(x, scalings=("relu", "min-max"))
    assert both["scaling"].tolist() == ["relu"] * N * 3 + ["min-max"] * N * 3
    relu, scaled = (both[both["scaling"] == name].reset_index(drop=True) for name in ("relu", "min-max"))
    np.testing.assert_array_equal(relu["value"], found(x)["value"])
    assert relu[["first", "second", "mosaic"]].equals(scaled[["first", "second", "mosaic"]])
    _, drawn = draw(ASSIGNED, N, purpose="test")
    expected = energy.shares(drawn, x, torch.full((N * 3,), 3), bright, scalings=("min-max",))["min-max"]
    np.testing.assert_array_equal(scaled["value"], expected)


def test_the_same_purpose_and_seed_give_the_same_mosaics_and_others_do_not():
    images = draw(ASSIGNED, N, purpose="test")[1].images
    assert torch.equal(draw(ASSIGNED, N, purpose="test")[1].images, images)
    assert not torch.equal(draw(ASSIGNED, N, seed=1, purpose="test")[1].images, images)
    assert not torch.equal(draw(ASSIGNED, N, purpose="another")[1].images, images)


def test_pairs_are_drawn_independently():
    """Three clusters of equal size: the same draws for all pairs would show the same places within each."""
    _, drawn = draw(torch.arange(12) % 3, N, purpose="test")
    first = drawn.first.unflatten(0, (3, N))
    assert not torch.equal(first[0], first[1]) and not torch.equal(first[1], first[2])
    of_first = drawn.images[drawn.first].unflatten(0, (3, 2 * N)) // 3
    assert not torch.equal(of_first[0], of_first[1])


@pytest.mark.parametrize("assigned", [torch.ones(4, dtype=torch.int64), torch.empty(0, dtype=torch.int64)])
def test_one_cluster_has_nothing_to_dominate(x, assigned):
    present = assigned.unique().tolist()
    with pytest.raises(
        ValueError, match=rf"at least two clusters\. Got the clusters \[{present[0] if present else ''}\]"
    ):
        found(x, assigned=assigned)
