import numpy as np
import pytest
import torch
from derivations.metrics import pairs

from xai_lib.explainers import normalise
from xai_lib.metrics import similarity
from xai_lib.metrics.maps import is_empty
from xai_lib.metrics.similarity import ssim

INDEX = torch.arange(100, 106)
PAIRS = pytest.mark.parametrize("metric", [similarity.continuity, similarity.contrastivity])


def test_the_number_of_pairs_at_once_does_not_matter(monkeypatch):
    a, b = pairs().values()
    scores = ssim(a, b)
    monkeypatch.setattr(similarity, "_PIXELS_AT_ONCE", 5 * 32 * 32)
    torch.testing.assert_close(ssim(a, b), scores, atol=1e-7, rtol=0)


def test_maps_that_are_not_finite_are_nan():
    a, b = pairs().values()
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
def test_pairs_with_an_empty_map_are_undefined_unless_kept(metric):
    a, b = pairs().values()
    a[9], b[9] = 0, 0
    scores, kept = metric(a, b), metric(a, b, empty="keep")
    empty = is_empty(a) | is_empty(b)
    assert empty.sum() == 3
    assert torch.equal(scores.isnan(), empty)
    assert torch.equal(scores[~empty], ssim(a, b)[~empty])
    assert torch.equal(kept, ssim(a, b))
    assert kept[4] < 0.1 and kept[5] < 0.1 and kept[9] == 1


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


def test_noise_keeps_the_type_and_has_a_deviation():
    assert similarity.noisy(torch.rand(6, 3, 8, 8, dtype=torch.float64), index=INDEX).dtype == torch.float64
    with pytest.raises(ValueError, match=r"one index per image, 6 in all. Got 2"):
        similarity.noisy(torch.rand(6, 3, 8, 8), index=INDEX[:2])
    with pytest.raises(ValueError, match="sigma of at least 0"):
        similarity.noisy(torch.rand(6, 3, 8, 8), index=INDEX, sigma=-1)


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


def test_released_continuity_measures_clamping(images):
    def brightness(x):
        return normalise.min_max(x.mean(1))

    how = {"paper": {}, "released": {"clamp": True}, "without noise": {"clamp": True, "sigma": 0.0}}
    noisy = {name: similarity.noisy(images, index=INDEX, seed=5, **options) for name, options in how.items()}
    found = {name: similarity.continuity(brightness(images), brightness(x)) for name, x in noisy.items()}
    assert (found["paper"] < 1).all() and (found["paper"] > 0.9).all()
    assert (found["released"] < found["paper"] - 0.05).all()
    torch.testing.assert_close(found["released"], found["without noise"], atol=0.02, rtol=0)
