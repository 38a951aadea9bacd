import pytest
import torch
from pytest import approx

from xai_lib import explainers
from xai_lib.explainers import normalise
from xai_lib.papers.saliency.method import lineup

SMALL = {"rise": {"n_masks": 4}, "lime": {"n_samples": 8}, "iba": {"steps": 2, "copies": 2}}


def test_every_method_is_an_explainer_and_takes_part_once():
    assert len(set(lineup.ALL)) == len(lineup.ALL) == 22
    assert set(lineup.ALL) <= set(explainers.names())
    assert {name for name in lineup.ALL if explainers.about(name).family == "uninformed"} == {
        "fake-cam",
        *lineup.CONTROLS,
    }


@pytest.mark.parametrize("method", lineup.ALL)
def test_every_method_gives_maps_in_the_unit_interval_under_every_normalisation(subject, images, x, method):
    target = torch.stack([images.labels[:2], torch.tensor([9, 8]), torch.tensor([3, 4])], dim=1)
    raw = subject.raw_maps(method, SMALL.get(method, {}), x[:2], target, images.index[:2])
    assert raw.shape[:2] == (2, 3)
    assert raw.ndim == (5 if normalise.has_colours(method) else 4)
    one = raw[:, 1].clone()
    for how in normalise.NORMALISATIONS:
        maps = normalise.unit_maps(raw, method, (32, 32), how)
        assert maps.shape == (2, 3, 32, 32) and maps.dtype == torch.float32
        assert maps.min() >= 0 and maps.max() <= 1
        torch.testing.assert_close(normalise.unit_maps(one, method, (32, 32), how), maps[:, 1], rtol=0, atol=0)
    assert torch.equal(raw[:, 1], one)


def test_the_papers_gradient_keeps_the_highest_colour_and_the_absolute_one_the_larger():
    """The first is scaled with all colours together, the second once the larger colour has been taken."""
    raw = torch.tensor([[-3.0, 0.0], [1.0, -1.0], [5.0, -2.0]]).reshape(1, 3, 1, 2)
    assert normalise.unit_maps(raw, "gradient", (1, 2)).tolist() == [[[1.0, 3 / 8]]]
    assert normalise.unit_maps(-raw, "gradient", (1, 2)).tolist() == [[[1.0, 7 / 8]]]
    raw = torch.tensor([[-3.0, 0.0, 1.0], [1.0, -1.0, 0.0], [5.0, -2.0, 1.0]]).reshape(1, 3, 1, 3)
    assert normalise.unit_maps(raw, "gradient", (1, 3), "absolute").tolist() == [[[1.0, 1 / 4, 0.0]]]


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
