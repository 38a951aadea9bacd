import pytest
import quantus
import torch
from torch import nn

from xai_lib.metrics import pixel_flipping as faithfulness
from xai_lib.metrics.pixel_flipping import pixel_flipping, pixel_flipping_curve, pixel_flipping_normalised

SIZE = 12

WEIGHTS = [[0.05, 0.3], [0.4, 0.15]]  # P(class 0) of an image of ones is 0.9, and falls by a pixel's weight
CURVE = [0.9, 0.5, 0.2, 0.05, 0.0]
REVERSE = [0.9, 0.85, 0.7, 0.4, 0.0]
ONE = torch.zeros(1, dtype=torch.int64)
TARGET = torch.tensor([0, 1, 2, 3, 0, 1])
INDEX = torch.arange(20, 26)


class ShareModel(nn.Module):
    """P(class 0) is exactly the weighted sum of the pixels of an image of one colour."""

    def __init__(self, weights):
        super().__init__()
        self.register_buffer("weights", torch.tensor(weights, dtype=torch.float32))

    def forward(self, x):
        probability = (x[:, 0] * self.weights).sum((1, 2)).clamp(1e-30, 1)
        return torch.stack([probability, 1 - probability], dim=1).log()


def by_hand(metric, attribution, **options):
    return metric(
        ShareModel(WEIGHTS).eval(), torch.ones(1, 1, 2, 2), attribution, ONE, index=ONE, baseline="zero", **options
    )


def test_perfect_and_reverse_order_by_hand():
    perfect = torch.tensor([WEIGHTS])
    torch.testing.assert_close(by_hand(pixel_flipping_curve, perfect, step=1), torch.tensor([CURVE]))
    torch.testing.assert_close(by_hand(pixel_flipping_curve, -perfect, step=1), torch.tensor([REVERSE]))
    # trapezoids of width 1/4
    assert by_hand(pixel_flipping, perfect, step=1).item() == pytest.approx((0.45 + 0.5 + 0.2 + 0.05) / 4)
    assert by_hand(pixel_flipping, -perfect, step=1).item() == pytest.approx((0.45 + 0.85 + 0.7 + 0.4) / 4)


def test_fraction_axis_when_the_step_does_not_divide_the_pixels():
    perfect = torch.tensor([WEIGHTS])
    torch.testing.assert_close(by_hand(pixel_flipping_curve, perfect, step=3), torch.tensor([[0.9, 0.05, 0.0]]))
    assert faithfulness.fractions_removed(4, 3).tolist() == [0, 0.75, 1]
    area = 0.75 * (0.9 + 0.05) / 2 + 0.25 * 0.05 / 2
    assert by_hand(pixel_flipping, perfect, step=3).item() == pytest.approx(area)
    assert by_hand(pixel_flipping, perfect, step=9).item() == pytest.approx(0.45)


def test_thirty_two_steps_of_thirty_two_pixels():
    fractions = faithfulness.fractions_removed(32 * 32, 32)
    torch.testing.assert_close(fractions, torch.linspace(0, 1, 33))


def test_normalised_curves_start_at_one():
    perfect = torch.tensor([WEIGHTS])
    area = (0.45 + 0.5 + 0.2 + 0.05) / 4
    assert by_hand(pixel_flipping_normalised, perfect, step=1).item() == pytest.approx(area / 0.9)
    curves = torch.tensor([[0.5, 0.25, 0.0], [0.0, 0.1, 0.1]])
    normalised = faithfulness.normalised(curves)
    assert normalised[0].tolist() == [1, 0.5, 0]
    assert normalised[1].isnan().all()


def test_no_order_beats_the_perfect_one_on_a_linear_model():
    torch.manual_seed(0)
    weights = torch.rand(SIZE, SIZE) / SIZE**2
    model, x = ShareModel(weights.tolist()).eval(), torch.ones(20, 1, SIZE, SIZE)
    maps = torch.cat([weights[None], -weights[None], torch.rand(18, SIZE, SIZE)])
    target, index = torch.zeros(20, dtype=torch.int64), torch.arange(20)
    scores = pixel_flipping(model, x, maps, target, index=index, step=5, baseline="zero")
    assert scores.argmin() == 0 and scores.argmax() == 1
    curve = pixel_flipping_curve(model, x, maps, target, index=index, step=1, baseline="zero")
    torch.testing.assert_close(curve[1], curve[0, 0] - curve[0].flip(0), atol=1e-6, rtol=0)


def plain_curve(network, x, attribution, target, step, lowest):
    """One image and one step at a time; the map has no ties."""
    curve = []
    order = attribution.flatten().argsort(descending=True)
    for removed in [*range(0, len(order), step), len(order)]:
        image = x.clone().flatten(1)
        image[:, order[:removed]] = lowest
        curve.append(network(image.reshape(1, *x.shape)).softmax(1)[0, target])
    return torch.stack(curve)


@pytest.mark.parametrize("step", [32, 17, 200])
def test_equal_to_a_plain_loop(network, images, step):
    maps = torch.rand(6, SIZE, SIZE)
    with torch.no_grad():
        loop = [plain_curve(network, x, a, t, step, x.min()) for x, a, t in zip(images, maps, TARGET, strict=True)]
    curve = pixel_flipping_curve(network, images, maps, TARGET, index=INDEX, step=step)
    torch.testing.assert_close(curve, torch.stack(loop), atol=1e-6, rtol=0)


def test_baselines(network, images, blobs):
    maps = blobs(6)
    options = {"index": INDEX, "step": 48}
    final = {}
    for name, baseline in {"minimum": "minimum", "zero": "zero", "colour": torch.tensor([0.1, 0.2, 0.3])}.items():
        baseline = baseline[:, None, None] if name == "colour" else baseline
        final[name] = pixel_flipping_curve(network, images, maps, TARGET, baseline=baseline, **options)[:, -1]
    blank = {
        "minimum": images.amin((1, 2, 3), keepdim=True).expand_as(images),
        "zero": torch.zeros_like(images),
        "colour": torch.tensor([0.1, 0.2, 0.3])[:, None, None].expand_as(images),
    }
    with torch.no_grad():
        for name, image in blank.items():
            expected = network(image.contiguous()).softmax(1).gather(1, TARGET[:, None])[:, 0]
            torch.testing.assert_close(final[name], expected, atol=1e-6, rtol=0)
    with pytest.raises(ValueError, match="broadcasts to images"):
        pixel_flipping_curve(network, images, maps, TARGET, baseline=torch.zeros(5), **options)
    with pytest.raises(ValueError, match="Got 'black'"):
        pixel_flipping_curve(network, images, maps, TARGET, baseline="black", **options)


def test_only_the_order_of_a_map_matters(network, images):
    maps = torch.randn(6, SIZE, SIZE)
    scores = pixel_flipping(network, images, maps, TARGET, index=INDEX)
    assert torch.equal(pixel_flipping(network, images, (maps / 2).exp(), TARGET, index=INDEX), scores)


def test_ties_are_drawn_per_image_from_seed_and_index(network, images):
    maps = torch.ones(6, SIZE, SIZE)
    options = {"index": INDEX, "step": 12}
    curve = pixel_flipping_curve(network, images, maps, TARGET, seed=1, **options)
    assert curve.isfinite().all()
    assert torch.equal(pixel_flipping_curve(network, images, maps, TARGET, seed=1, **options), curve)
    assert not torch.equal(pixel_flipping_curve(network, images, maps, TARGET, seed=2, **options), curve)
    swapped = pixel_flipping_curve(network, images, maps, TARGET, seed=1, index=INDEX.flip(0), step=12)
    assert not torch.equal(swapped, curve)


def test_stable_ties_go_row_by_row():
    perfect = torch.tensor([[[1.0, 0.0], [0.0, 0.0]]])  # then (0,1), (1,0), (1,1)
    curve = by_hand(pixel_flipping_curve, perfect, step=1, ties="stable")
    torch.testing.assert_close(curve, torch.tensor([[0.9, 0.85, 0.55, 0.15, 0.0]]))


def test_random_ties_never_move_a_lower_pixel_ahead():
    maps = torch.tensor([[[2.0, 1.0], [1.0, 0.0]]])
    seen = {tuple(by_hand(pixel_flipping_curve, maps, step=1, seed=seed)[0].tolist()) for seed in range(20)}
    assert len(seen) == 2
    assert {round(curve[1], 5) for curve in seen} == {0.85}
    assert {round(curve[3], 5) for curve in seen} == {0.15}


def test_random_ties_are_uniform():
    firsts = [
        round(by_hand(pixel_flipping_curve, torch.ones(1, 2, 2), step=1, seed=seed)[0, 1].item(), 3)
        for seed in range(400)
    ]
    assert {value: firsts.count(value) for value in set(firsts)}.keys() == {0.85, 0.6, 0.5, 0.75}
    assert all(abs(firsts.count(value) - 100) < 40 for value in set(firsts))


@pytest.mark.parametrize("metric", [pixel_flipping, pixel_flipping_normalised])
def test_each_image_stands_alone_whatever_the_chunk(network, images, metric, blobs):
    maps = blobs(6).round(decimals=1)
    scores = metric(network, images, maps, TARGET, index=INDEX)
    assert scores.dtype == torch.float32 and scores.shape == (6,)
    for part in ([4], [5, 0, 3]):
        alone = metric(network, images[part], maps[part], TARGET[part], index=INDEX[part])
        torch.testing.assert_close(alone, scores[part], atol=1e-6, rtol=0)
    for chunk in (1, 7, 1000):
        torch.testing.assert_close(
            metric(network, images, maps, TARGET, index=INDEX, chunk=chunk), scores, atol=1e-6, rtol=0
        )


@pytest.mark.parametrize("curve", [pixel_flipping_curve, faithfulness.released_curve])
def test_undefined_maps_are_nan_and_leave_the_others_alone(network, images, curve, blobs):
    options = {"index": INDEX} if curve is pixel_flipping_curve else {}
    maps = blobs(6)
    before = curve(network, images, maps, TARGET, **options)
    maps[0], maps[1, 3, 3], maps[2, 3, 3] = 0, torch.nan, torch.inf
    after = curve(network, images, maps, TARGET, **options)
    assert after[:3].isnan().all()
    assert torch.equal(after[3:], before[3:])


def test_nothing_is_changed(network, images, blobs):
    maps = blobs(6)
    before = [tensor.clone() for tensor in (images, maps, TARGET, *network.state_dict().values())]
    images.requires_grad_()
    curve = pixel_flipping_curve(network, images, maps, TARGET, index=INDEX)
    after = (images, maps, TARGET, *network.state_dict().values())
    assert all(torch.equal(a, b) for a, b in zip(after, before, strict=True))
    assert not curve.requires_grad and not curve.is_inference()
    assert images.grad is None and all(parameter.grad is None for parameter in network.parameters())


def test_takes_maps_and_images_in_double_precision(network, images, blobs):
    maps = blobs(6)
    single = pixel_flipping(network, images, maps, TARGET, index=INDEX)
    double = pixel_flipping(network.double(), images.double(), maps.double(), TARGET, index=INDEX)
    assert double.dtype == torch.float32
    torch.testing.assert_close(double, single, atol=1e-6, rtol=0)


def test_scores_in_float32_under_autocast(network, images, blobs):
    maps = blobs(6)
    scores = pixel_flipping(network, images, maps, TARGET, index=INDEX)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(pixel_flipping(network, images, maps, TARGET, index=INDEX), scores)


def test_any_callable_is_a_model(network, images, blobs):
    maps = blobs(6)
    scores = pixel_flipping(network, images, maps, TARGET, index=INDEX)
    assert torch.equal(pixel_flipping(lambda x: network(x), images, maps, TARGET, index=INDEX), scores)


def test_takes_a_frozen_scripted_model(network, images):
    frozen = torch.jit.freeze(torch.jit.trace(network, images))
    scores = pixel_flipping(network, images, images.mean(1), TARGET, index=INDEX)
    torch.testing.assert_close(
        pixel_flipping(frozen, images, images.mean(1), TARGET, index=INDEX), scores, atol=1e-6, rtol=0
    )


def test_memory_is_bounded_by_the_chunk(images, blobs):
    sizes = []

    def model(x):
        sizes.append(len(x))
        return x.mean((2, 3))

    pixel_flipping(model, images, blobs(6), TARGET.clamp(max=2), index=INDEX, step=1, chunk=50)
    assert max(sizes) == 50 and sum(sizes) == 6 * (SIZE**2 + 1)


def test_equal_to_quantus_curve_for_curve(network, images, blobs, quantus_scores):
    maps = blobs(6)  # each value three times, once for each colour
    options = {"features_in_step": 24, "perturb_baseline": "black", "normalise": False, "abs": False}
    quiet = {"disable_warnings": True}
    curves = quantus_scores(quantus.PixelFlipping(**options, **quiet), maps, x=images, target=TARGET, model=network)
    ours = faithfulness.released_curve(network, images, maps, TARGET, step=24)
    assert ours.shape == (6, 18)  # 432 colour values
    torch.testing.assert_close(ours.double(), curves, atol=1e-6, rtol=0)
    areas = quantus_scores(
        quantus.PixelFlipping(**options, **quiet, return_auc_per_sample=True),
        maps,
        x=images,
        target=TARGET,
        model=network,
    )
    scores = faithfulness.pixel_flipping_released(network, images, maps, TARGET, step=24)
    torch.testing.assert_close(scores.double(), areas / 17, atol=1e-6, rtol=0)


def test_released_curve_has_ninety_six_steps_at_32_pixels(network, blobs):
    curve = faithfulness.released_curve(network, torch.randn(1, 3, 32, 32), blobs(1, 32), ONE)
    assert curve.shape == (1, 96)


@pytest.mark.parametrize(
    "wrong, error, message",
    [
        ({"attribution": torch.zeros(6, 4, 4)}, ValueError, r"maps \[6, 4, 4\]"),
        ({"attribution": torch.zeros(5, SIZE, SIZE)}, ValueError, "one map"),
        ({"target": TARGET[:5]}, ValueError, r"int64 \[6\]"),
        ({"target": TARGET.float()}, ValueError, "float32"),
        ({"target": TARGET + 1}, ValueError, "targets in 0 to 3. Got 1 to 4"),
        ({"target": TARGET - 1}, ValueError, "targets in 0 to 3. Got -1 to 2"),
        ({"x": torch.zeros(6, 3, SIZE, SIZE, dtype=torch.uint8)}, TypeError, "uint8"),
        ({"step": 0}, ValueError, "step as a whole number"),
        ({"step": 2.5}, ValueError, "Got 2.5"),
        ({"ties": "first"}, ValueError, "'random' or 'stable'"),
        ({"index": INDEX[:2]}, ValueError, "one index per image"),
        ({"chunk": 0}, ValueError, "chunk of at least 1"),
        ({"model": lambda x: torch.full((len(x), 4), torch.nan)}, ValueError, "finite logits"),
    ],
)
def test_refuses_what_has_no_meaning(network, images, wrong, error, message, blobs):
    arguments = {"model": network, "x": images, "attribution": blobs(6), "target": TARGET, "index": INDEX}
    with pytest.raises(error, match=message):
        pixel_flipping(**arguments | wrong)


def test_refuses_a_model_in_training_mode(network, images, blobs):
    network[1].train()
    with pytest.raises(ValueError, match="evaluation mode"):
        pixel_flipping(network, images, blobs(6), TARGET, index=INDEX)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_gpu_gives_the_same_scores(network, images, blobs):
    maps = blobs(6).round(decimals=1)
    scores = pixel_flipping(network, images, maps, TARGET, index=INDEX)
    allowed = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    try:
        moved = nn.Module.to(network, "cuda"), images.cuda(), maps.cuda(), TARGET.cuda()
        on_gpu = pixel_flipping(*moved, index=INDEX.cuda())
    finally:
        torch.backends.cudnn.allow_tf32 = allowed
    torch.testing.assert_close(on_gpu.cpu(), scores, atol=1e-5, rtol=0)
