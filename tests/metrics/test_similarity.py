import numpy as np
import pytest
import torch
from skimage.metrics import structural_similarity

from xai_lib.metrics import similarity
from xai_lib.metrics.maps import is_empty
from xai_lib.metrics.similarity import ssim

INDEX = torch.arange(100, 106)
C1, C2 = 0.01**2, 0.03**2
PAIRS = pytest.mark.parametrize("metric", [similarity.continuity, similarity.contrastivity])


def skimage(a, b):
    pairs = zip(a.double().numpy(), b.double().numpy(), strict=True)
    return torch.tensor([structural_similarity(p, q, data_range=1.0) for p, q in pairs]).float()


@pytest.fixture
def pairs_of_maps(blobs):
    def make(size=32):
        a = blobs(12, size)
        b = blobs(12, size, seed=1)
        b[:4] = (a[:4] + 0.02 * torch.randn(4, size, size)).clamp(0, 1)
        a[4], b[5] = 0, 0
        a[6:8], b[6:8] = torch.rand(2, size, size), torch.rand(2, size, size)
        b[8] = 1 - a[8]
        return a, b

    return make


def test_one_window_by_hand():
    a, b = torch.zeros(1, 7, 7), torch.zeros(1, 7, 7)
    a[0, 1, 1], b[0, 0, 0] = (
        0.98,
        0.98,
    )  # means 0.02; variances 49/48·(0.98²/49 - 0.02²), covariance -49/48·0.02²
    variance, covariance = 49 / 48 * (0.0196 - 0.0004), -49 / 48 * 0.0004
    expected = (2 * 0.0004 + C1) * (2 * covariance + C2) / ((2 * 0.0004 + C1) * (2 * variance + C2))
    assert ssim(a, b).item() == pytest.approx(expected, abs=1e-6)


def test_constant_maps_by_hand():
    a, b = torch.full((1, 9, 9), 0.4), torch.full((1, 9, 9), 0.8)
    assert ssim(a, b).item() == pytest.approx((2 * 0.32 + C1) / (0.16 + 0.64 + C1), abs=1e-6)
    assert ssim(a, torch.zeros_like(a)).item() == pytest.approx(C1 / (0.16 + C1), abs=1e-6)


@pytest.mark.parametrize("size", [7, 8, 32, 57])
def test_equal_to_scikit_image(size, pairs_of_maps):
    a, b = pairs_of_maps(size)
    torch.testing.assert_close(ssim(a, b), skimage(a, b), atol=1e-5, rtol=0)


def test_oblong_maps_equal_to_scikit_image():
    a, b = torch.rand(3, 9, 20), torch.rand(3, 9, 20)
    torch.testing.assert_close(ssim(a, b), skimage(a, b), atol=1e-5, rtol=0)


def test_a_map_is_like_itself_and_similarity_is_mutual(pairs_of_maps):
    a, b = pairs_of_maps()
    torch.testing.assert_close(ssim(a, a), torch.ones(12))
    torch.testing.assert_close(ssim(a, b), ssim(b, a))
    torch.testing.assert_close(ssim(a.flip(1), b.flip(1)), ssim(a, b))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_each_pair_stands_alone_and_nothing_is_changed(dtype, pairs_of_maps):
    a, b = (maps.to(dtype) for maps in pairs_of_maps())
    before = a.clone(), b.clone()
    scores = ssim(a, b)
    assert scores.dtype == torch.float32 and scores.shape == (12,)
    alone = torch.cat([ssim(a[i : i + 1], b[i : i + 1]) for i in range(12)])
    torch.testing.assert_close(alone, scores, atol=1e-7, rtol=0)
    assert torch.equal(a, before[0]) and torch.equal(b, before[1])


def test_the_number_of_pairs_at_once_does_not_matter(monkeypatch, pairs_of_maps):
    a, b = pairs_of_maps()
    scores = ssim(a, b)
    monkeypatch.setattr(similarity, "_PIXELS_AT_ONCE", 5 * 32 * 32)
    torch.testing.assert_close(ssim(a, b), scores, atol=1e-7, rtol=0)


def test_maps_that_are_not_finite_are_nan(pairs_of_maps):
    a, b = pairs_of_maps()
    a[0, 0, 0], b[1, 0, 0] = torch.nan, torch.inf
    assert ssim(a, b).isnan().tolist() == [True, True] + [False] * 10


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"b": torch.zeros(2, 8, 9)}, "one shape"),
        ({"a": torch.zeros(2, 8, 6), "b": torch.zeros(2, 8, 6)}, "at least as large as the window, 7"),
    ],
)
def test_refuses_what_has_no_meaning(arguments, message):
    with pytest.raises(ValueError, match=message):
        ssim(**{"a": torch.zeros(2, 8, 8), "b": torch.zeros(2, 8, 8), **arguments})


@PAIRS
def test_pairs_with_an_empty_map_are_undefined_unless_kept(metric, pairs_of_maps):
    a, b = pairs_of_maps()
    a[9], b[9] = 0, 0
    scores, kept = metric(a, b), metric(a, b, empty="keep")
    empty = is_empty(a) | is_empty(b)
    assert empty.sum() == 3
    assert torch.equal(scores.isnan(), empty)
    assert torch.equal(scores[~empty], ssim(a, b)[~empty])
    assert torch.equal(kept, ssim(a, b))
    assert kept[4] < 0.1 and kept[5] < 0.1 and kept[9] == 1
    with pytest.raises(ValueError, match=r"'nan' or 'keep'. Got 'drop'"):
        metric(a, b, empty="drop")


def test_noise_has_the_stated_deviation_and_does_not_depend_on_the_batch():
    x = torch.rand(6, 3, 32, 32)
    noisy = similarity.noisy(x, index=INDEX, seed=3)
    noise = noisy - x
    assert noise.mean().abs() < 1e-3
    assert noise.std().item() == pytest.approx(0.02, rel=0.03)
    assert ((noisy < 0) | (noisy > 1)).any()
    assert torch.equal(similarity.noisy(x[4:], index=INDEX[4:], seed=3), noisy[4:])
    assert not torch.equal(similarity.noisy(x, index=INDEX, seed=4), noisy)
    assert (similarity.noisy(x, index=INDEX, seed=3, sigma=0.2) - x).std().item() == pytest.approx(0.2, rel=0.03)


def test_released_noise_is_clamped_to_the_unit_interval():
    x = torch.randn(6, 3, 32, 32)
    clamped = similarity.noisy(x, index=INDEX, seed=3, clamp=True)
    assert torch.equal(clamped, similarity.noisy(x, index=INDEX, seed=3).clamp(0, 1))
    assert ((clamped - x).abs() > 0.1).float().mean() > 0.5


def test_noise_keeps_the_type_and_the_image():
    x = torch.rand(6, 3, 8, 8, dtype=torch.float64)
    before = x.clone()
    assert similarity.noisy(x, index=INDEX).dtype == torch.float64
    assert torch.equal(x, before)
    with pytest.raises(ValueError, match=r"one index per image, 6 in all. Got 2"):
        similarity.noisy(x, index=INDEX[:2])
    with pytest.raises(ValueError, match="sigma of at least 0"):
        similarity.noisy(x, index=INDEX, sigma=-1)


def test_other_class_is_uniform_over_the_rest():
    target = torch.full((9000,), 2)
    drawn = similarity.other_class(target, 4, index=torch.arange(9000), seed=0)
    counts = np.bincount(drawn.numpy(), minlength=4)
    assert counts[2] == 0
    assert np.abs(counts[[0, 1, 3]] - 3000).max() < 200


def test_other_class_does_not_depend_on_the_batch():
    target, index = torch.arange(40) % 10, torch.arange(40)
    drawn = similarity.other_class(target, 10, index=index, seed=1)
    assert torch.equal(similarity.other_class(target[7:9], 10, index=index[7:9], seed=1), drawn[7:9])
    assert not torch.equal(similarity.other_class(target, 10, index=index, seed=2), drawn)


def test_other_class_refuses_what_has_no_other():
    target = torch.zeros(2, dtype=torch.int64)
    with pytest.raises(ValueError, match="two classes"):
        similarity.other_class(target, 1, index=target)
    with pytest.raises(ValueError, match=r"targets in 0 to 2. Got 0 to 3"):
        similarity.other_class(torch.tensor([0, 3]), 3, index=target)
    with pytest.raises(ValueError, match="one index per image"):
        similarity.other_class(target, 3, index=target[:1])
