import numpy as np
import pytest
import torch
from pytest import approx
from pytorch_grad_cam.utils.image import scale_cam_image

from xai_lib.explainers import cams, normalise, registry
from xai_lib.metrics import complexity, effective_complexity
from xai_lib.papers.contrastive import method as contrastive

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


def as_the_cited_code_shows_a_gradient(gradient):
    """What footnote 4 of the saliency paper cites: the largest absolute value of the colours, scaled (one image)."""
    highest = np.max(np.abs(gradient.numpy()), axis=0)
    return (highest - highest.min()) / (highest.max() - highest.min())


def test_gradients_are_scaled_as_the_cited_code_does_and_as_the_text_says():
    raw = torch.tensor([[-3.0, 0.0], [1.0, -1.0], [5.0, -2.0]]).reshape(1, 3, 1, 2)
    assert normalise.unit_maps(raw, "gradient", (1, 2), "signed").tolist() == [[[1.0, 3 / 8]]]
    assert normalise.unit_maps(-raw, "gradient", (1, 2), "signed").tolist() == [[[1.0, 7 / 8]]]
    many = torch.randn(5, 3, 9, 9, generator=torch.Generator().manual_seed(0))
    for method in ("gradient", "integrated-gradients", "guided-backprop"):
        for image, found in zip(many, normalise.unit_maps(many, method, (9, 9))):
            np.testing.assert_allclose(found, as_the_cited_code_shows_a_gradient(image), atol=1e-6)


def test_the_default_reading_comes_near_what_is_printed_of_a_gradient_and_the_literal_text_does_not():
    """At 224 pixels Table 3 prints a Sparseness of .424 and EC of 50174.9: signed gradients have .02 to .10 of it."""
    raw = torch.randn(4, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    absolute, signed = (normalise.unit_maps(raw, "gradient", (224, 224), how) for how in ("absolute", "signed"))
    assert 0.2 < complexity.sparseness(absolute).mean() < 0.5 and complexity.sparseness(signed).mean() < 0.1
    assert (effective_complexity.effective_complexity(signed) == 224**2).all()
    assert (effective_complexity.effective_complexity(absolute) < 224**2).all()


@pytest.mark.parametrize("family", ["cam", "gradient", "occlusion"])
def test_colours_are_reduced_where_an_explainer_says_that_it_has_them(monkeypatch, family):
    """The text's scale is of all colours together, the absolute one of the larger colour."""
    monkeypatch.setattr(registry.EXPLAINERS, "entries", dict(registry.EXPLAINERS.entries))
    registry.register("mine", paper="-", family=family, colours=True)(lambda model, x, *, score, layer=None: x)
    raw = torch.tensor([[-3.0, 0.0, 1.0], [1.0, -1.0, 0.0], [5.0, -2.0, 1.0]]).reshape(1, 3, 1, 3)
    expected = {"signed": [1, 3 / 8, 4 / 8], "absolute": [1, 1 / 4, 0], "rank": [1, 1 / 2, 0]}
    assert {how: normalise.unit_maps(raw, "mine", (1, 3), how).flatten().tolist() for how in expected} == expected


def test_the_sign_of_a_logit_does_not_turn_a_map_of_relevance_round():
    """Relevance of a class whose logit is negative adds up to that number: the same places, with a minus."""
    raw = torch.tensor([[0.0, 1.0, 3.0]]).expand(3, 3)[None, :, None, :]
    for sign in (1, -1):
        assert normalise.unit_maps(sign * raw, "lrp", (1, 3)).flatten().tolist() == approx([0, 1 / 3, 1])


@pytest.mark.parametrize("how", ["absolute", "signed"])
def test_class_activation_maps_lose_their_negative_part_before_they_are_enlarged(how):
    raw = torch.tensor([[[-4.0, 2.0], [1.0, 1.0]]])
    assert normalise.unit_maps(raw, "grad-cam", (2, 2), how).tolist() == [[[0.0, 1.0], [0.5, 0.5]]]
    wide = normalise.unit_maps(raw, "grad-cam", (2, 4), how)[0, 0]
    assert wide.tolist() == [0.0, 0.25, 0.75, 1.0]  # an enlarged -4 would have reached further


def test_grids_are_scaled_and_enlarged_in_the_order_of_pytorch_grad_cam():
    raw = torch.randn(6, 7, 5, generator=torch.Generator().manual_seed(0))
    once = np.stack([scale_cam_image(grid[None], (33, 40))[0] for grid in np.maximum(raw.numpy(), 0)])
    expected = torch.from_numpy(scale_cam_image(np.maximum(once, 0)))
    for made in (normalise.unit_maps(raw, "hires-cam", (40, 33)), contrastive.scaled(raw, (40, 33))):
        torch.testing.assert_close(made, expected, rtol=0, atol=1e-5)
    late = normalise.min_max(normalise.relu(cams.upsample(raw, (40, 33))))
    assert (late - expected).abs().max() > 0.1


def test_negative_weights_of_lime_are_cut_off_by_the_code_and_kept_by_the_text():
    raw = torch.tensor([[[-4.0, 2.0], [1.0, 0.0]]])
    assert normalise.unit_maps(raw, "lime", (2, 2)).tolist() == [[[0.0, 1.0], [0.5, 0.0]]]
    assert normalise.unit_maps(raw, "lime", (2, 2), "signed").flatten().tolist() == approx([0, 1, 5 / 6, 4 / 6])
    for method in ("rise", "iba"):  # whose maps are not negative
        both = [normalise.unit_maps(raw.abs(), method, (2, 2), how) for how in ("absolute", "signed")]
        assert torch.equal(*both) and not registry.about(method).has_readings


def test_ranks_are_those_of_the_map_in_the_first_reading():
    raw = torch.tensor([[[-4.0, 2.0], [1.0, -7.0]]])
    for method in ("rise", "grad-cam"):  # both negative values are 0 in the map
        ranks = normalise.unit_maps(raw, method, (2, 2), "rank")
        assert ranks.flatten().tolist() == approx([1 / 6, 1, 2 / 3, 1 / 6])


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
    with pytest.raises(ValueError, match=r"out of absolute, signed, rank\. Got 'softmax'"):
        normalise.unit_maps(torch.ones(1, 2, 2), "rise", (2, 2), "softmax")
    with pytest.raises(ValueError, match=r"grad-cam.*Got 'grad-cem'"):
        normalise.unit_maps(torch.ones(1, 2, 2), "grad-cem", (2, 2))
