import pytest
import torch
from derivations.metrics import ShareModel

from xai_lib.metrics import pixel_flipping as flipping
from xai_lib.metrics.pixel_flipping import pixel_flipping, pixel_flipping_curve
from xai_lib.training.evaluation import temperature

SIZE = 12

WEIGHTS = [[0.05, 0.3], [0.4, 0.15]]  # P(class 0) of an image of ones is 0.9, and falls by a pixel's weight
ONE = torch.zeros(1, dtype=torch.int64)
TARGET = torch.tensor([0, 1, 2, 3, 0, 1])
INDEX = torch.arange(20, 26)


def by_hand(metric, attribution, **options):
    arguments = (ShareModel(WEIGHTS).eval(), torch.ones(1, 1, 2, 2), attribution, ONE)
    return metric(*arguments, index=ONE, baseline="zero", **options)


def test_fraction_axis_when_the_step_does_not_divide_the_pixels():
    perfect = torch.tensor([WEIGHTS])
    assert flipping.fractions_removed(4, 3).tolist() == [0, 0.75, 1]
    area = 0.75 * (0.9 + 0.05) / 2 + 0.25 * 0.05 / 2
    assert by_hand(pixel_flipping, perfect, step=1).item() == pytest.approx((0.45 + 0.5 + 0.2 + 0.05) / 4)
    assert by_hand(pixel_flipping, perfect, step=3).item() == pytest.approx(area)
    assert by_hand(pixel_flipping, perfect, step=9).item() == pytest.approx(0.45)


@pytest.mark.parametrize("factor", [0.5, 1.0, 2.0, 4.0])
def test_at_one_confidence_the_score_does_not_change_when_logits_are_multiplied(network, images, factor):
    maps, logits = torch.randn(6, SIZE, SIZE, generator=torch.Generator().manual_seed(1)), network(images).detach()
    options = {"index": INDEX, "step": 16}
    plain, matched = (
        [score(lambda x, by=by: by * network(x), images, maps, TARGET, **options, **how(by)) for by in (1.0, factor)]
        for score, how in [
            (pixel_flipping, lambda by: {}),
            (flipping.pixel_flipping_matched, lambda by: {"temperature": temperature(by * logits, 0.6)}),
        ]
    )
    torch.testing.assert_close(*matched, atol=1e-5, rtol=1e-4)
    assert torch.equal(*plain) if factor == 1 else (plain[0] - plain[1]).abs().max() > 1e-3  # follows the calibration


def test_a_curve_of_logits_is_the_curve_of_probabilities(network, images):
    maps = torch.randn(6, SIZE, SIZE)
    maps[2] = 0
    logits = flipping.flipping_logits(network, images, maps, index=INDEX, step=16)
    curve = pixel_flipping_curve(network, images, maps, TARGET, index=INDEX, step=16)
    torch.testing.assert_close(flipping.at_temperature(logits, TARGET, 1.0), curve, equal_nan=True)
    assert logits[2].isnan().all() and logits.isnan().all(dim=2).any(dim=1).tolist() == [i == 2 for i in range(6)]


def test_only_the_order_of_a_map_matters(network, images):
    maps = torch.randn(6, SIZE, SIZE)
    scores = pixel_flipping(network, images, maps, TARGET, index=INDEX)
    assert torch.equal(pixel_flipping(network, images, (maps / 2).exp(), TARGET, index=INDEX), scores)


def test_random_ties_never_move_a_lower_pixel_ahead():
    maps = torch.tensor([[[2.0, 1.0], [1.0, 0.0]]])
    seen = {tuple(by_hand(pixel_flipping_curve, maps, step=1, seed=seed)[0].tolist()) for seed in range(20)}
    assert len(seen) == 2
    assert {round(curve[1], 5) for curve in seen} == {0.85}
    assert {round(curve[3], 5) for curve in seen} == {0.15}


def test_random_ties_are_uniform():
    curves = [by_hand(pixel_flipping_curve, torch.ones(1, 2, 2), step=1, seed=seed) for seed in range(400)]
    firsts = [round(curve[0, 1].item(), 3) for curve in curves]
    assert set(firsts) == {0.85, 0.6, 0.5, 0.75}
    assert all(abs(firsts.count(value) - 100) < 40 for value in set(firsts))


def test_released_curve_has_ninety_six_steps_at_32_pixels(network, blobs):
    curve = flipping.released_curve(network, torch.randn(1, 3, 32, 32), blobs(1, 32), ONE)
    assert curve.shape == (1, 96)
