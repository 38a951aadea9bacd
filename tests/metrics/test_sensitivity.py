import pytest
import torch

from xai_lib import explainers, randomness
from xai_lib.explainers import normalise
from xai_lib.metrics.sensitivity import average_sensitivity, max_sensitivity, sensitivities

SIZE = 12
INDEX = torch.arange(50, 56)
TARGET = torch.tensor([0, 1, 2, 0, 1, 2])
VARIANTS = pytest.mark.parametrize("variant", ["paper", "released"])


def brightness(x, target, index):
    return normalise.min_max(x.mean(1))


def fake_cam(x, target, index):
    return explainers.controls.fake_cam(None, x)


def constant(x, target, index):
    return torch.full((len(x), SIZE, SIZE), 0.7)


@VARIANTS
@pytest.mark.parametrize("explain", [constant, fake_cam])
def test_maps_that_ignore_the_image_have_a_sensitivity_of_zero(variant, explain, images):
    assert (sensitivities(explain, images, TARGET, index=INDEX, variant=variant) == 0).all()


def test_values_near_one_for_fake_cam_need_another_function_to_compare_with(images):
    """How 0.96 may have come about: a stored map in [0,1] against raw values of another explainer."""

    def raw_gradient(x, target, index):
        return 0.02 * x.abs().amax(1)

    stored = fake_cam(images, None, None)
    settings = {"index": INDEX, "variant": "released", "reference": stored}
    largest = max_sensitivity(raw_gradient, images, TARGET, **settings)
    mean = average_sensitivity(raw_gradient, images, TARGET, **settings)
    assert ((largest > 0.95) & (largest < 1)).all()
    assert (largest - mean < 0.002).all()  # noise hardly matters, as in print
    ratio_of_norm = max_sensitivity(raw_gradient, images, TARGET, index=INDEX, reference=stored)
    assert (ratio_of_norm > 10).all()  # the printed formula would be about the norm of the map: 12 here, 224 there


def test_stored_maps_stand_for_those_of_the_untouched_images(images):
    calls = []

    def explain(x, target, index):
        calls.append(len(x))
        return brightness(x, target, index)

    stored = brightness(images, None, None)
    given = sensitivities(explain, images, TARGET, index=INDEX, reference=stored, chunk=1000)
    assert calls == [60]
    assert torch.equal(given, sensitivities(brightness, images, TARGET, index=INDEX))


@pytest.mark.parametrize("chunk", [1, 4, 6, 7, 1000])
def test_chunks_decide_only_how_many_images_share_a_call(chunk, images):
    calls = []

    def explain(x, target, index):
        calls.append(len(x))
        assert torch.equal(target, TARGET[index - 50])
        return brightness(x, target, index) * (1 + target)[:, None, None]

    found = sensitivities(explain, images, TARGET, index=INDEX, draws=3, chunk=chunk)
    assert max(calls[1:]) == min(chunk, 18) and sum(calls[1:]) == 18
    torch.testing.assert_close(found, sensitivities(explain, images, TARGET, index=INDEX, draws=3))


def test_a_random_explainer_gets_its_own_index_each_time(images):
    def random(x, target, index):
        return randomness.uniform(0, index, "map", (SIZE, SIZE))

    assert (sensitivities(random, images, TARGET, index=INDEX, chunk=4) == 0).all()


def test_more_draws_keep_the_first_ones(images):
    few = sensitivities(brightness, images, TARGET, index=INDEX, draws=2)
    many = sensitivities(brightness, images, TARGET, index=INDEX, draws=5)
    torch.testing.assert_close(many[:, :2], few)


@VARIANTS
def test_undefined_maps_are_nan_and_leave_the_others_alone(variant, images):
    def explain(x, target, index):
        maps = brightness(x, target, index)
        maps[index == 50] = 0
        maps[index == 51, 2, 2] = torch.nan
        untouched = (x == images[index - 50]).flatten(1).all(1)
        maps[(index == 52) & untouched, 2, 2] = torch.inf
        maps[(index == 53) & ~untouched, 2, 2] = torch.inf
        return maps

    scores = max_sensitivity(explain, images, TARGET, index=INDEX, variant=variant)
    expected = max_sensitivity(brightness, images[4:], TARGET[4:], index=INDEX[4:], variant=variant)
    assert scores[:4].isnan().all()
    torch.testing.assert_close(scores[4:], expected)


def test_maps_with_a_graph_of_low_precision_or_very_small(images):
    def leaf(x, target, index):
        return brightness(x, target, index).requires_grad_()

    assert not sensitivities(leaf, images, TARGET, index=INDEX).requires_grad

    def tiny(x, target, index):
        return 1e-30 * brightness(x, target, index)

    settings = {"index": INDEX, "variant": "released"}
    expected = sensitivities(brightness, images, TARGET, **settings)
    torch.testing.assert_close(sensitivities(tiny, images, TARGET, **settings), expected)
