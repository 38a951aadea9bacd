import pytest
import torch
from scipy import stats

from xai_lib import randomness

INDEX = torch.arange(2000)
GOLDEN = [0.19924622774124146, 0.7921687364578247]


def test_draws_follow_the_distributions_they_are_named_for():
    uniform = randomness.uniform(0, INDEX, "test", (50,))
    assert uniform.dtype == torch.float32
    assert uniform.min() >= 0 and uniform.max() < 1
    assert stats.kstest(uniform.flatten().numpy(), "uniform").pvalue > 0.001
    assert stats.kstest(randomness.normal(0, INDEX, "test", (50,)).flatten().numpy(), "norm").pvalue > 0.001
    counts = torch.bincount(randomness.integers(0, INDEX, "test", 7, (50,)).flatten(), minlength=7)
    assert stats.chisquare(counts.numpy()).pvalue > 0.001


@pytest.mark.parametrize("draw", [randomness.uniform, randomness.normal])
def test_a_draw_depends_on_its_image_alone(draw):
    whole = draw(3, INDEX, "test", (4, 5))
    order = torch.randperm(len(INDEX), generator=torch.Generator().manual_seed(0))
    assert torch.equal(draw(3, INDEX[order], "test", (4, 5)), whole[order])
    assert torch.equal(draw(3, INDEX[17:18], "test", (4, 5)), whole[17:18])


def test_seeds_purposes_images_and_draws_are_independent():
    base = randomness.uniform(0, INDEX, "a", (20,))
    others = [
        randomness.uniform(1, INDEX, "a", (20,)),
        randomness.uniform(0, INDEX, "b", (20,)),
        base.roll(1, dims=0),
        base.roll(1, dims=1),
    ]
    for other in others:
        correlation = stats.pearsonr(base.flatten().numpy(), other.flatten().numpy())
        assert correlation.pvalue > 0.001


def test_the_numbers_never_change():
    """Recorded runs rest on these draws: a change here changes every run."""
    drawn = randomness.uniform(0, torch.tensor([0, 1]), "golden")
    assert drawn.tolist() == GOLDEN


def test_wrong_arguments_are_named():
    with pytest.raises(ValueError, match="int64"):
        randomness.uniform(0, torch.zeros(3), "test")
    with pytest.raises(ValueError, match="Got 0"):
        randomness.integers(0, INDEX, "test", 0)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_draws_the_same_numbers():
    assert torch.equal(
        randomness.uniform(0, INDEX.cuda(), "test", (9,)).cpu(), randomness.uniform(0, INDEX, "test", (9,))
    )
