import pytest
import quantus
import torch

from xai_lib.metrics.localisation import attribution_localisation, attribution_localisation_paper, pointing_game

SIZE = 12

QUIET = {"disable_warnings": True, "normalise": False, "abs": False}
ALL = pytest.mark.parametrize("metric", [pointing_game, attribution_localisation, attribution_localisation_paper])
LEFT = torch.tensor([[[True, False], [True, False]]])


def one_map(*values):
    return torch.tensor(values).reshape(1, 2, 2)


def masks(n):
    return torch.rand(n, SIZE, SIZE, generator=torch.Generator().manual_seed(3)) < 0.4


def test_pointing_game_by_hand():
    assert pointing_game(one_map(0.2, 0.1, 0.9, 0.8), LEFT).item() == 1
    assert pointing_game(one_map(0.2, 0.1, 0.8, 0.9), LEFT).item() == 0
    assert pointing_game(one_map(-2.0, -1.0, -3.0, -4.0), LEFT).item() == 0


def test_pointing_game_among_equal_highest_pixels_is_the_share_inside():
    assert pointing_game(one_map(1.0, 1.0, 1.0, 0.0), LEFT).item() == pytest.approx(2 / 3)
    assert pointing_game(one_map(1.0, 1.0, 1.0, 1.0), LEFT).item() == 0.5


def test_attribution_localisation_by_hand():
    assert attribution_localisation(one_map(3.0, 1.0, 0.0, 4.0), LEFT).item() == pytest.approx(3 / 8)
    assert attribution_localisation(one_map(3.0, 1.0, -5.0, 4.0), LEFT).item() == pytest.approx(3 / 8)


def test_attribution_localisation_as_printed_counts_pixels():
    assert attribution_localisation_paper(one_map(3.0, 0.001, -5.0, 4.0), LEFT).item() == pytest.approx(1 / 3)


def test_as_printed_it_is_the_area_of_the_object_for_a_map_without_zeros(blobs):
    mask = masks(5)
    area = mask.float().mean((1, 2))
    torch.testing.assert_close(attribution_localisation_paper(blobs(5) + 0.1, mask), area)


def test_equal_to_quantus_where_that_is_sound(quantus_scores):
    maps, mask = torch.rand(20, SIZE, SIZE), masks(20)
    hits = quantus_scores(quantus.PointingGame(**QUIET), maps, mask=mask)
    assert 0 < hits.mean() < 1
    torch.testing.assert_close(pointing_game(maps, mask).double(), hits)
    ratios = quantus_scores(quantus.AttributionLocalisation(**QUIET), maps, mask=mask)
    torch.testing.assert_close(attribution_localisation(maps, mask).double(), ratios, atol=1e-5, rtol=0)


@ALL
def test_mask_and_its_complement_sum_to_one(metric):
    maps, mask = torch.rand(9, SIZE, SIZE), masks(9)
    torch.testing.assert_close(metric(maps, mask) + metric(maps, ~mask), torch.ones(9))


@ALL
def test_only_agreement_counts_not_the_place(metric):
    maps, mask = torch.randn(9, SIZE, SIZE), masks(9)
    torch.testing.assert_close(metric(maps.flip(1).transpose(1, 2), mask.flip(1).transpose(1, 2)), metric(maps, mask))


@ALL
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_each_image_stands_alone_and_nothing_is_changed(metric, dtype):
    maps, mask = torch.randn(7, SIZE, SIZE).to(dtype), masks(7)
    before = maps.clone(), mask.clone()
    scores = metric(maps, mask)
    assert scores.dtype == torch.float32 and scores.shape == (7,)
    parts = [metric(a, m) for a, m in zip(maps.split(3), mask.split(3), strict=True)]
    assert torch.equal(torch.cat(parts), scores)
    assert torch.equal(maps, before[0]) and torch.equal(mask, before[1])


@ALL
def test_undefined_is_nan_and_leaves_the_others_alone(metric, blobs):
    maps, mask = blobs(4), masks(4)
    alone = metric(maps[3:], mask[3:])
    mask[0] = False
    maps[1] = 0
    maps[2, 0, 0] = torch.nan
    scores = metric(maps, mask)
    assert scores[:3].isnan().all()
    assert torch.equal(scores[3:], alone)


@pytest.mark.parametrize("metric", [attribution_localisation, attribution_localisation_paper])
def test_without_a_positive_value_there_is_no_attribution_to_share(metric):
    assert metric(one_map(-1.0, 0.0, -2.0, 0.0), LEFT).isnan().all()


@ALL
def test_refuses_masks_of_another_type_or_shape(metric):
    with pytest.raises(TypeError, match="bool"):
        metric(torch.ones(1, 2, 2), LEFT.float())
    with pytest.raises(ValueError, match=r"\[1, 2, 2\]. Got \[1, 1, 2, 2\]"):
        metric(torch.ones(1, 2, 2), LEFT[:, None])
