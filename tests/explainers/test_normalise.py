import pytest
import torch
from pytest import approx

from xai_lib.explainers import normalise, registry

MAPS = torch.tensor([[[-1.0, 0.0], [1.0, 3.0]], [[2.0, 2.0], [2.0, 2.0]], [[0.0, 0.0], [0.0, 0.0]]])


def test_relu_drops_what_is_negative():
    assert normalise.relu(MAPS)[0].tolist() == [[0, 0], [1, 3]]


def test_min_max_scales_each_map_and_empties_constant_ones():
    scaled = normalise.min_max(MAPS)
    assert scaled[0].tolist() == [[0, 0.25], [0.5, 1]]
    assert scaled[1:].count_nonzero() == 0


def test_min_max_of_a_nearly_constant_map_still_spans_the_range():
    scaled = normalise.min_max(torch.tensor([[[1e-30, 2e-30]]]))
    assert scaled.tolist() == [[[0, 1]]]


def test_positive_share_by_hand():
    shares = normalise.positive_share(torch.cat([MAPS, -MAPS[1:2]]))
    expected = [[[0, 0], [1 / 3, 1]], [[1, 1], [1, 1]], [[0, 0], [0, 0]], [[0, 0], [0, 0]]]
    torch.testing.assert_close(shares, torch.tensor(expected))


def test_reduce_colours_by_hand():
    gradients = torch.tensor([1.0, -4.0, 2.0]).reshape(1, 3, 1, 1)
    assert normalise.reduce_colours(gradients).tolist() == [[[4.0]]]


def test_by_rank_of_a_single_pixel_of_equal_ones_and_of_nan():
    assert normalise.by_rank(torch.tensor([[[5.0]]])).tolist() == [[[0]]]
    ranks = normalise.by_rank(torch.tensor([[[2.0, 2.0]], [[1.0, 2.0]], [[1.0, torch.nan]]]))
    assert ranks[:2].tolist() == [[[0, 0]], [[0, 1]]] and ranks[2].isnan().all()


def test_min_max_colours_by_hand():
    # From -4 to 6 over all colours and pixels; then the highest colour of each pixel.
    gradients = torch.tensor([[[1.0, -4.0]], [[-4.0, 1.0]], [[6.0, -4.0]]])[None]
    assert normalise.min_max_colours(gradients).tolist() == [[[1.0, 0.5]]]
    assert normalise.min_max_colours(torch.full((2, 3, 4, 4), -3.0)).count_nonzero() == 0


@pytest.mark.parametrize("reduce", [normalise.reduce_colours, normalise.min_max_colours])
def test_colours_are_reduced_score_by_score(reduce):
    gradients = torch.randn(2, 5, 3, 4, 4) * torch.arange(1.0, 6)[:, None, None, None]
    maps = reduce(gradients)
    assert maps.shape == (2, 5, 4, 4)
    assert all(torch.equal(maps[:, s], reduce(gradients[:, s])) for s in range(5))
    with pytest.raises(ValueError, match=r"Expected gradients \[B,3,H,W\] or \[B,S,3,H,W\]. Got shape \[3, 2, 2\]"):
        reduce(MAPS)


@pytest.mark.parametrize(
    "step",
    [normalise.relu, normalise.min_max, normalise.by_rank, normalise.positive_share],
)
def test_each_map_stands_alone_and_stays_unchanged(step):
    maps = torch.randn(3, 2, 4, 5)
    before = maps.clone()
    together = step(maps)
    for b in range(3):
        for s in range(2):
            assert torch.equal(together[b, s], step(maps[b : b + 1, s])[0])
    assert torch.equal(maps, before)


def test_the_papers_gradient_is_scaled_with_all_colours_and_keeps_the_highest():
    raw = torch.tensor([[-3.0, 0.0], [1.0, -1.0], [5.0, -2.0]]).reshape(1, 3, 1, 2)
    assert normalise.unit_maps(raw, "gradient", (1, 2)).tolist() == [[[1.0, 3 / 8]]]
    assert normalise.unit_maps(-raw, "gradient", (1, 2)).tolist() == [[[1.0, 7 / 8]]]


@pytest.mark.parametrize("family", ["cam", "gradient", "occlusion"])
def test_colours_are_reduced_where_an_explainer_says_that_it_has_them(monkeypatch, family):
    """The paper's scale is of all colours together, the absolute one of the larger colour."""
    monkeypatch.setattr(registry.EXPLAINERS, "entries", dict(registry.EXPLAINERS.entries))
    registry.register("mine", paper="-", family=family, colours=True)(lambda model, x, *, score, layer=None: x)
    raw = torch.tensor([[-3.0, 0.0, 1.0], [1.0, -1.0, 0.0], [5.0, -2.0, 1.0]]).reshape(1, 3, 1, 3)
    expected = {"paper": [1, 3 / 8, 4 / 8], "absolute": [1, 1 / 4, 0], "rank": [1, 0, 1 / 2]}
    assert {how: normalise.unit_maps(raw, "mine", (1, 3), how).flatten().tolist() for how in expected} == expected


def test_class_activation_maps_lose_their_negative_part_before_they_are_enlarged():
    raw = torch.tensor([[[-4.0, 2.0], [1.0, 1.0]]])
    assert normalise.unit_maps(raw, "grad-cam", (2, 2)).tolist() == [[[0.0, 1.0], [0.5, 0.5]]]
    absolute = normalise.unit_maps(raw, "grad-cam", (2, 2), "absolute").flatten().tolist()
    assert absolute == approx([1, 1 / 3, 0, 0])
    wide = normalise.unit_maps(raw, "grad-cam", (2, 4))[0, 0]
    assert wide.tolist() == [0.0, 0.25, 0.75, 1.0]  # an enlarged -4 would have reached further
    assert normalise.unit_maps(raw, "grad-cam", (2, 4), "absolute")[0, 0, 0] == 1


def test_other_methods_keep_the_order_of_signs():
    raw = torch.tensor([[[-4.0, 2.0], [1.0, 0.0]]])
    for method in ("rise", "lime", "iba"):
        assert normalise.unit_maps(raw, method, (2, 2)).flatten().tolist() == approx([0, 1, 5 / 6, 4 / 6])
        assert normalise.unit_maps(raw, method, (2, 2), "absolute").tolist() == [[[1.0, 0.5], [0.25, 0.0]]]


def test_ranks_are_those_of_the_papers_map():
    raw = torch.tensor([[[-4.0, 2.0], [1.0, -7.0]]])
    assert normalise.unit_maps(raw, "rise", (2, 2), "rank").flatten().tolist() == approx([1 / 3, 1, 2 / 3, 0])
    cam = normalise.unit_maps(raw, "grad-cam", (2, 2), "rank")  # both negative values are 0 in the paper's map
    assert cam.flatten().tolist() == approx([1 / 6, 1, 2 / 3, 1 / 6])


@pytest.mark.parametrize("how", normalise.NORMALISATIONS)
def test_a_flat_map_is_kept_where_it_is_all_a_method_says_and_empty_elsewhere(how):
    flat = torch.full((2, 4, 4), 0.7)
    flat[1, 0, 0] = 0.2
    kept = normalise.unit_maps(flat, "uniform", (4, 4), how)
    assert (kept[0] == 0.7).all()
    assert kept[1, 0, 0] == 0 and (kept[1].flatten()[1:] > 0.5).all()
    assert (normalise.unit_maps(flat, "rise", (4, 4), how)[0] == 0).all()
    assert (normalise.unit_maps(flat, "grad-cam", (4, 4), how)[0] == 0).all()


def test_another_normalisation_or_method_is_refused_with_the_choices():
    with pytest.raises(ValueError, match=r"out of paper, absolute, rank\. Got 'softmax'"):
        normalise.unit_maps(torch.ones(1, 2, 2), "rise", (2, 2), "softmax")
    with pytest.raises(ValueError, match=r"grad-cam.*Got 'grad-cem'"):
        normalise.unit_maps(torch.ones(1, 2, 2), "grad-cem", (2, 2))
