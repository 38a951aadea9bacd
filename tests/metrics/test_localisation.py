import pytest
import torch

from xai_lib.metrics.localisation import attribution_localisation, attribution_localisation_paper, pointing_game

SIZE = 12

ALL = pytest.mark.parametrize("metric", [pointing_game, attribution_localisation, attribution_localisation_paper])
LEFT = torch.tensor([[[True, False], [True, False]]])


def one_map(*values):
    return torch.tensor(values).reshape(1, 2, 2)


def masks(n):
    return torch.rand(n, SIZE, SIZE, generator=torch.Generator().manual_seed(3)) < 0.4


@pytest.mark.parametrize(
    ("metric", "values", "expected"),
    [
        (pointing_game, (0.2, 0.1, 0.9, 0.8), 1),
        (pointing_game, (0.2, 0.1, 0.8, 0.9), 0),
        (pointing_game, (-2.0, -1.0, -3.0, -4.0), 0),
        (pointing_game, (1.0, 1.0, 1.0, 0.0), 2 / 3),  # of equal highest pixels, the share inside
        (pointing_game, (1.0, 1.0, 1.0, 1.0), 1 / 2),
        (attribution_localisation, (3.0, 1.0, 0.0, 4.0), 3 / 8),
        (attribution_localisation, (3.0, 1.0, -5.0, 4.0), 3 / 8),
        (attribution_localisation_paper, (3.0, 0.001, -5.0, 4.0), 1 / 3),  # counts pixels
    ],
)
def test_by_hand(metric, values, expected):
    assert metric(one_map(*values), LEFT).item() == pytest.approx(expected)


def test_as_printed_it_is_the_area_of_the_object_for_a_map_without_zeros(blobs):
    mask = masks(5)
    area = mask.float().mean((1, 2))
    torch.testing.assert_close(attribution_localisation_paper(blobs(5) + 0.1, mask), area)


@ALL
def test_mask_and_its_complement_sum_to_one(metric):
    maps, mask = torch.rand(9, SIZE, SIZE), masks(9)
    torch.testing.assert_close(metric(maps, mask) + metric(maps, ~mask), torch.ones(9))


@ALL
def test_without_an_object_there_is_no_score(metric, blobs):
    mask = masks(4)
    mask[0] = False
    assert metric(blobs(4), mask).isnan().tolist() == [True, False, False, False]


@pytest.mark.parametrize("metric", [attribution_localisation, attribution_localisation_paper])
def test_without_a_positive_value_there_is_no_attribution_to_share(metric):
    assert metric(one_map(-1.0, 0.0, -2.0, 0.0), LEFT).isnan().all()


@ALL
def test_refuses_masks_of_another_type_or_shape(metric):
    with pytest.raises(TypeError, match="bool"):
        metric(torch.ones(1, 2, 2), LEFT.float())
    with pytest.raises(ValueError, match=r"\[1, 2, 2\]. Got \[1, 1, 2, 2\]"):
        metric(torch.ones(1, 2, 2), LEFT[:, None])
