import numpy as np
import pytest
import quantus
import torch
from torch import nn

from xai_lib import explainers, models, randomness
from xai_lib.explainers import normalise
from xai_lib.metrics import get
from xai_lib.metrics.sensitivity import average_sensitivity, max_sensitivity, sensitivities

SIZE = 12
INDEX = torch.arange(50, 56)
TARGET = torch.tensor([0, 1, 2, 0, 1, 2])
VARIANTS = pytest.mark.parametrize("variant", ["paper", "released"])


def brightness(x, target, index):
    return normalise.min_max(x.mean(1))


def first_colour(x, target, index):
    """Moves exactly as the image does, so that the sensitivity is the noise's own size."""
    return x[:, 0]


def noise_of_draw(number, seed, index=INDEX):
    return 0.2 * (2 * randomness.uniform(seed, index, f"sensitivity/draw {number}", (3, SIZE, SIZE)) - 1)


def fake_cam(x, target, index):
    maps = torch.ones(len(x), *x.shape[2:])
    maps[:, 0, 0] = 0
    return maps


def constant(x, target, index):
    return torch.full((len(x), SIZE, SIZE), 0.7)


def test_is_the_norm_of_the_difference_for_every_draw(images):
    found = sensitivities(brightness, images, TARGET, index=INDEX, seed=3, draws=4)
    assert found.shape == (6, 4) and found.dtype == torch.float32
    for draw in range(4):
        moved = brightness(images, None, None) - brightness(images + noise_of_draw(draw, 3), None, None)
        torch.testing.assert_close(found[:, draw], moved.flatten(1).norm(dim=1))


def test_released_divides_by_the_norm_of_the_map(images):
    paper = sensitivities(brightness, images, TARGET, index=INDEX)
    released = sensitivities(brightness, images, TARGET, index=INDEX, variant="released")
    torch.testing.assert_close(released, paper / brightness(images, None, None).flatten(1).norm(dim=1)[:, None])


def test_noise_fills_the_cube_and_no_more(images):
    seen = []

    def explain(x, target, index):
        seen.append(x)
        return brightness(x, target, index)

    sensitivities(explain, images, TARGET, index=INDEX, draws=20, radius=0.5, chunk=1000)
    noise = seen[1].reshape(20, *images.shape) - images
    assert 0.499 < noise.max() < 0.50001 and -0.50001 < noise.min() < -0.499
    assert abs(noise.mean()) < 0.01
    assert noise.std() == pytest.approx(0.5 / 3**0.5, rel=0.02)


@VARIANTS
def test_equal_to_quantus_given_the_same_noise(variant, images, network, quantus_scores):
    calls = []

    def perturb(arr, indices, **bounds):
        calls.append(bounds)
        draw = (len(calls) - 1) % 7
        return arr + noise_of_draw(draw, 11).reshape(arr.shape).numpy()

    def explain_as_quantus_asks(model, inputs, targets, **_):
        inputs, targets = torch.as_tensor(inputs, dtype=torch.float32), torch.as_tensor(targets)
        return grad_cam(inputs, targets, None)[:, None].numpy()

    def grad_cam(x, target, index):
        score = explainers.class_score(target)
        return explainers.cams.grad_cam(network, x, score=score, layer="2") + 0.05

    norms = {} if variant == "released" else {"norm_denominator": lambda a: np.ones(len(a))}
    moved = sensitivities(grad_cam, images, TARGET, index=INDEX, seed=11, draws=7, variant=variant)
    ours = moved.amax(1), moved.mean(1)
    for metric, scores in zip((quantus.MaxSensitivity, quantus.AvgSensitivity), ours, strict=True):
        theirs = metric(nr_samples=7, perturb_func=perturb, disable_warnings=True, **norms)(
            model=network,
            x_batch=images.numpy().copy(),
            y_batch=TARGET.numpy(),
            a_batch=grad_cam(images, TARGET, None)[:, None].numpy(),
            explain_func=explain_as_quantus_asks,
            channel_first=True,
        )
        torch.testing.assert_close(scores.double(), torch.tensor(np.asarray(theirs, dtype=float)), atol=1e-6, rtol=1e-6)
    assert calls[0]["lower_bound"] == 0.2  # quantus' default is ours
    assert len(calls) == 14


def test_maximum_and_mean_of_one_set_of_draws(images):
    settings = {"index": INDEX, "seed": 4, "draws": 5, "radius": 0.3, "variant": "released", "chunk": 7}
    moved = sensitivities(brightness, images, TARGET, **settings)
    assert torch.equal(max_sensitivity(brightness, images, TARGET, **settings), moved.amax(1))
    assert torch.equal(average_sensitivity(brightness, images, TARGET, **settings), moved.mean(1))
    assert get("max-sensitivity") is max_sensitivity and get("average-sensitivity") is average_sensitivity


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


def test_each_image_stands_alone_and_nothing_is_changed(images):
    before = images.clone()
    whole = sensitivities(brightness, images, TARGET, index=INDEX, seed=2)
    part = sensitivities(brightness, images[2:5], TARGET[2:5], index=INDEX[2:5], seed=2)
    torch.testing.assert_close(part, whole[2:5])
    assert torch.equal(images, before)
    assert len(whole.unique()) == whole.numel()  # draws and images differ
    assert not torch.equal(sensitivities(brightness, images, TARGET, index=INDEX, seed=3), whole)


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
    assert scores[:4].isnan().all()
    torch.testing.assert_close(
        scores[4:], max_sensitivity(brightness, images[4:], TARGET[4:], index=INDEX[4:], variant=variant)
    )


def test_maps_with_a_graph_of_low_precision_or_very_small(images):
    def leaf(x, target, index):
        return brightness(x, target, index).requires_grad_()

    found = sensitivities(leaf, images, TARGET, index=INDEX)
    assert not found.requires_grad

    def tiny(x, target, index):
        return 1e-30 * brightness(x, target, index)

    settings = {"index": INDEX, "variant": "released"}
    torch.testing.assert_close(
        sensitivities(tiny, images, TARGET, **settings), sensitivities(brightness, images, TARGET, **settings)
    )


def test_grad_cam_of_a_network(images):
    model = models.build("resnet8", 4, width=8, seed=0).eval()

    def explain(x, target, index):
        return normalise.min_max(explainers.cams.grad_cam(model, x, score=explainers.class_score(target)))

    small = max_sensitivity(explain, images, TARGET, index=INDEX, radius=0.02)
    large = max_sensitivity(explain, images, TARGET, index=INDEX, radius=0.5)
    assert (small < large).all() and (small > 0).all()
    assert isinstance(model, nn.Module) and all(parameter.grad is None for parameter in model.parameters())


@pytest.mark.parametrize(
    "change, message",
    [
        ({"variant": "new"}, "'paper' or 'released'. Got 'new'"),
        ({"draws": 0}, "draws as a whole number of at least 1. Got 0"),
        ({"radius": -0.1}, "radius of at least 0. Got -0.1"),
        ({"chunk": 0}, "chunk of at least 1 image. Got 0"),
        ({"index": INDEX[:3]}, r"one index per image, int64 \[6\]"),
        ({"target": TARGET[:3]}, r"one class per image, int64 \[6\]"),
        ({"reference": torch.ones(3, SIZE, SIZE)}, "one map per image, 6 in all. Got 3"),
        ({"reference": torch.ones(6, 4, 4)}, "maps of noisy images in the shape of the others"),
        ({"x": torch.ones(6, 3, SIZE)}, r"images \[B,c,H,W\]"),
    ],
)
def test_refuses_wrong_settings(change, message, images):
    with pytest.raises(ValueError, match=message):
        sensitivities(brightness, **({"x": images, "target": TARGET, "index": INDEX} | change))


def test_refuses_whole_numbers_as_images():
    with pytest.raises(TypeError, match="float tensor"):
        sensitivities(brightness, torch.ones(6, 3, 4, 4, dtype=torch.uint8), TARGET, index=INDEX)
