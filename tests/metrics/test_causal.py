import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from xai_lib.metrics.causal import blurred, deletion, deletion_curve, insertion, insertion_curve
from xai_lib.metrics.perturbation import ranks

SIZE = 12
TARGET = torch.tensor([0, 1, 2, 3, 0, 1])
INDEX = torch.arange(20, 26)
ONE = torch.zeros(1, dtype=torch.int64)
CURVES = [deletion_curve, insertion_curve]


def released_kernel(size=11, sigma=5.0):
    """One bright pixel, blurred within its square."""
    square = np.zeros((size, size))
    square[size // 2, size // 2] = 1
    return torch.from_numpy(gaussian_filter(square, sigma)).float()


def released_blur(x):
    """Each colour of an image [C,H,W] on its own, zeros beyond the border."""
    kernel = released_kernel()[None, None]
    return torch.cat([torch.nn.functional.conv2d(colour[None, None], kernel, padding=5)[0] for colour in x])


def plain_scores(network, x, attribution, target, step, mode):
    """One image and one step at a time: probabilities, and their area with every step alike."""
    start, finish = (x, torch.zeros_like(x)) if mode == "deletion" else (released_blur(x), x)
    start = start.clone().flatten(1)
    order = np.flip(np.argsort(attribution.numpy().ravel(), kind="stable")).copy()
    scores = []
    for first in range(0, len(order) + step, step):
        scores.append(network(start.reshape(1, *x.shape)).softmax(1)[0, target])
        coordinates = order[first : first + step]
        start[:, coordinates] = finish.flatten(1)[:, coordinates]
    scores = torch.stack(scores).double()
    return scores, (scores.sum() - scores[0] / 2 - scores[-1] / 2) / (len(scores) - 1)


@pytest.mark.parametrize(
    "mode, curve, score", [("deletion", deletion_curve, deletion), ("insertion", insertion_curve, insertion)]
)
@pytest.mark.parametrize("step", [None, 9])
def test_equal_to_the_plain_loop(network, images, blobs, mode, curve, score, step):
    maps = blobs(6).round(decimals=1)  # with ties
    options = {"index": INDEX, "ties": "reversed", "step": step}
    with torch.no_grad():
        loop = [
            plain_scores(network, x, a, t, step or SIZE, mode) for x, a, t in zip(images, maps, TARGET, strict=True)
        ]
    curves, areas = zip(*loop, strict=True)
    found = curve(network, images, maps, TARGET, **options)
    torch.testing.assert_close(found.double(), torch.stack(curves), atol=1e-6, rtol=0)
    found = score(network, images, maps, TARGET, **options)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.double(), torch.stack(areas), atol=1e-6, rtol=0)


def test_step_of_one_row_by_default(network, blobs):
    x = torch.randn(1, 3, 32, 32)
    assert deletion_curve(network, x, blobs(1, 32), ONE, index=ONE).shape == (1, 33)
    assert insertion_curve(network, x, blobs(1, 32), ONE, index=ONE, step=100).shape == (1, 12)


def test_a_smaller_last_step_counts_for_less():
    model = lambda x: torch.stack([x.mean((1, 2, 3)), 1 - x.mean((1, 2, 3))], 1).clamp(1e-30).log()  # noqa: E731
    maps = torch.tensor([[[4.0, 3.0], [2.0, 1.0]]])
    arguments = (model, torch.ones(1, 1, 2, 2), maps, ONE)
    curve = deletion_curve(*arguments, index=ONE, step=3)
    torch.testing.assert_close(curve, torch.tensor([[1.0, 0.25, 0.0]]))
    assert deletion(*arguments, index=ONE, step=3).item() == pytest.approx(0.75 * 0.625 + 0.25 * 0.125)
    assert insertion(*arguments, index=ONE, step=3, baseline="zero").item() == pytest.approx(
        0.75 * 0.375 + 0.25 * 0.875
    )


def test_a_better_map_inserts_and_deletes_faster():
    model = lambda x: torch.stack([x[:, 0, 3:6, 3:6].mean((1, 2)), torch.zeros(len(x))], 1) * 8  # noqa: E731
    x = torch.full((2, 1, SIZE, SIZE), 1.0)
    good = torch.zeros(SIZE, SIZE)
    good[3:6, 3:6] = 1
    maps, target = torch.stack([good, 1 - good]), torch.zeros(2, dtype=torch.int64)
    options = {"index": torch.arange(2), "step": 3, "baseline": "zero"}
    insertions, deletions = insertion(model, x, maps, target, **options), deletion(model, x, maps, target, **options)
    assert insertions[0] > 0.95 > 0.6 > insertions[1]
    assert deletions[0] < 0.6 < 0.95 < deletions[1]


def test_blur_is_the_released_one(images):
    expected = torch.stack([released_blur(x) for x in images])
    torch.testing.assert_close(blurred(images), expected, atol=1e-6, rtol=0)
    kernel = released_kernel(5, 1.5)
    dirac = torch.zeros(1, 2, 9, 9)
    dirac[:, 1, 4, 4] = 1
    other = blurred(dirac, 5, 1.5)
    torch.testing.assert_close(other[0, 1, 2:7, 2:7], kernel, atol=1e-7, rtol=0)
    assert not other[0, 0].any()


@pytest.mark.parametrize("curve", CURVES)
def test_both_ends_and_every_baseline(network, images, blobs, curve):
    colour = torch.tensor([0.1, 0.2, 0.3])[:, None, None]
    blank = {
        "zero": torch.zeros_like(images),
        "minimum": images.amin((1, 2, 3), keepdim=True).expand_as(images),
        "blur": blurred(images, 5, 2.0),
        "colour": colour.expand_as(images),
    }
    whole = probability(network, images)
    for name, image in blank.items():
        baseline = colour if name == "colour" else name
        found = curve(network, images, blobs(6), TARGET, index=INDEX, baseline=baseline, kernel=5, sigma=2.0)
        ends = (found[:, 0], found[:, -1]) if curve is deletion_curve else (found[:, -1], found[:, 0])
        torch.testing.assert_close(ends[0], whole, atol=1e-6, rtol=0)
        torch.testing.assert_close(ends[1], probability(network, image), atol=1e-6, rtol=0)


@pytest.mark.parametrize(
    "score, curve, released", [(deletion, deletion_curve, "zero"), (insertion, insertion_curve, "blur")]
)
def test_scores_pass_every_choice_on(network, images, blobs, score, curve, released):
    maps = blobs(6).round(decimals=1)
    default = curve(network, images, maps, TARGET, index=INDEX)
    assert torch.equal(curve(network, images, maps, TARGET, index=INDEX, baseline=released), default)
    for choice in (
        {"baseline": "minimum"},
        {"baseline": "blur", "kernel": 3},
        {"baseline": "blur", "sigma": 1.0},
        {"seed": 1},
        {"ties": "stable"},
        {"ties": "reversed"},
    ):
        found = curve(network, images, maps, TARGET, index=INDEX, **choice)
        assert not torch.equal(found, default), choice
        area = torch.trapezoid(found.double(), dim=1) / SIZE
        torch.testing.assert_close(
            score(network, images, maps, TARGET, index=INDEX, **choice).double(), area, atol=1e-6, rtol=0
        )


def probability(network, images):
    with torch.no_grad():
        return network(images.contiguous()).softmax(1).gather(1, TARGET[:, None])[:, 0]


def test_ties_of_a_constant_map_decide_where_it_begins():
    model = lambda x: torch.stack([x[:, 0, 0, 0], x[:, 0, 1, 1]], 1)  # noqa: E731
    arguments = (model, torch.ones(1, 1, 2, 2), torch.ones(1, 2, 2), ONE)
    top, bottom = torch.tensor([-1.0, 1.0]).sigmoid()
    first = {}
    for ties in ("stable", "reversed"):
        first[ties] = deletion_curve(*arguments, index=ONE, step=1, ties=ties)[0, 1]
    assert first["stable"] == pytest.approx(top.item()) and first["reversed"] == pytest.approx(bottom.item())
    drawn = {deletion_curve(*arguments, index=ONE, step=1, seed=seed)[0, 1].item() for seed in range(30)}
    assert len(drawn) == 3


def test_reversed_ties_mirror_stable_ones_and_leave_the_rest():
    maps = torch.tensor([[[2.0, 1.0, 1.0], [1.0, 0.0, 0.0]]])
    places = {ties: ranks(maps, ties=ties, seed=0, index=ONE).tolist() for ties in ("stable", "reversed")}
    assert places == {"stable": [[[0, 1, 2], [3, 4, 5]]], "reversed": [[[0, 3, 2], [1, 5, 4]]]}


@pytest.mark.parametrize("curve", CURVES)
def test_undefined_maps_are_nan_and_leave_the_others_alone(network, images, blobs, curve):
    maps = blobs(6)
    before = curve(network, images, maps, TARGET, index=INDEX)
    maps[0], maps[1, 3, 3], maps[2, 3, 3] = 0, torch.nan, torch.inf
    after = curve(network, images, maps, TARGET, index=INDEX)
    assert after[:3].isnan().all() and torch.equal(after[3:], before[3:])


@pytest.mark.parametrize("score", [deletion, insertion])
def test_each_image_stands_alone_whatever_the_chunk(network, images, blobs, score):
    maps = blobs(6).round(decimals=1)
    scores = score(network, images, maps, TARGET, index=INDEX)
    for part in ([4], [5, 0, 3]):
        alone = score(network, images[part], maps[part], TARGET[part], index=INDEX[part], chunk=7)
        torch.testing.assert_close(alone, scores[part], atol=1e-6, rtol=0)


@pytest.mark.parametrize("score", [deletion, insertion])
def test_nothing_is_changed_and_autocast_is_left_out(network, images, blobs, score):
    maps = blobs(6)
    before = [tensor.clone() for tensor in (images, maps)]
    scores = score(network, images, maps, TARGET, index=INDEX)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(score(network, images.requires_grad_(), maps, TARGET, index=INDEX), scores)
    assert torch.equal(images, before[0]) and torch.equal(maps, before[1]) and images.grad is None


@pytest.mark.parametrize("curve", CURVES)
@pytest.mark.parametrize(
    "wrong, error, message",
    [
        ({"attribution": torch.zeros(6, 4, 4)}, ValueError, r"maps \[6, 4, 4\]"),
        ({"x": torch.zeros(6, 3, SIZE, SIZE, dtype=torch.uint8)}, TypeError, "uint8"),
        ({"step": 0}, ValueError, "step as a whole number"),
        ({"baseline": "black"}, ValueError, "'blur' or a tensor. Got 'black'"),
        ({"baseline": "blur", "kernel": 4}, ValueError, "odd number of pixels. Got 4"),
        ({"baseline": "blur", "sigma": 0.0}, ValueError, "sigma above 0"),
        ({"ties": "first"}, ValueError, "'reversed', 'random' or 'stable'"),
        ({"chunk": 0}, ValueError, "chunk of at least 1"),
    ],
)
def test_refuses_what_has_no_meaning(network, images, blobs, curve, wrong, error, message):
    arguments = {"model": network, "x": images, "attribution": blobs(6), "target": TARGET, "index": INDEX}
    with pytest.raises(error, match=message):
        curve(**arguments | wrong)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("score", [deletion, insertion])
def test_gpu_gives_the_same_scores(network, images, blobs, score, monkeypatch):
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    scores = score(network, images, blobs(6), TARGET, index=INDEX)
    on_gpu = score(network.cuda(), images.cuda(), blobs(6).cuda(), TARGET.cuda(), index=INDEX.cuda())
    torch.testing.assert_close(on_gpu.cpu(), scores, atol=1e-5, rtol=0)
