import pytest
import quantus
import torch
from torch import nn

from xai_lib.metrics.completeness import completeness, completeness_quantus

SIZE = 12
TARGET = torch.tensor([0, 1, 2, 3, 0, 1])


@pytest.fixture
def linear():
    """Logits are weighted sums, so weight × (image − baseline) is complete."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(3 * SIZE**2, 4)).eval()


def complete_maps(linear, x, target, baseline):
    return linear[1].weight.detach()[target].reshape(x.shape) * (x - baseline)


@pytest.mark.parametrize("baseline", ["zero", "minimum"])
def test_a_complete_map_has_no_gap(linear, images, baseline):
    end = 0 if baseline == "zero" else images.amin((1, 2, 3), keepdim=True)
    maps = complete_maps(linear, images, TARGET, end)
    for attribution in (maps, maps.sum(1)):  # a value for each colour, and one for each pixel
        for factor, expected, atol in ((1, 0.0, 1e-4), (3, 2.0, 1e-3), (-1, 2.0, 1e-3)):
            gap = completeness(linear, images, factor * attribution, TARGET, baseline=baseline)
            torch.testing.assert_close(gap, torch.full((6,), expected), atol=atol, rtol=0)


def test_a_baseline_of_ones_own(linear, images):
    colour = torch.tensor([0.1, 0.2, 0.3])[:, None, None]
    maps = complete_maps(linear, images, TARGET, colour)
    assert (completeness(linear, images, maps, TARGET, baseline=colour) < 1e-4).all()
    assert (completeness(linear, images, maps, TARGET) > 1e-3).all()


def test_a_sum_is_taken_on_the_maps_own_grid_and_against_its_own_nothing(linear, images):
    """The same sum on a grid of 2 by 2 cells is as complete; what the layer attributes starts at another logit."""
    sums = complete_maps(linear, images, TARGET, 0).sum((1, 2, 3))
    coarse = (sums / 4)[:, None, None].expand(6, 2, 2)
    assert completeness(linear, images, coarse, TARGET).max() < 1e-4
    enlarged = nn.functional.interpolate(coarse[:, None], (SIZE, SIZE))[:, 0]
    torch.testing.assert_close(
        completeness(linear, images, enlarged, TARGET), torch.full((6,), 35.0), rtol=1e-3, atol=0
    )
    logits = linear(images).gather(1, TARGET[:, None])[:, 0].detach()
    assert completeness(linear, images, logits[:, None, None], TARGET, nothing=torch.zeros(6)).max() < 1e-4
    assert completeness(linear, images, logits[:, None, None], TARGET).max() > 1e-3
    with pytest.raises(ValueError, match=r"Expected one map per image, 6 in all\. Got 2"):
        completeness(linear, images, coarse[:2], TARGET)


def test_an_empty_map_misses_everything_and_undefined_ones_are_nan(network, images, blobs):
    images[4] = 0  # the baseline itself
    maps = blobs(6)
    maps[0], maps[1, 2, 2], maps[2, 2, 2] = 0, torch.nan, torch.inf
    scores = completeness(network, images, maps, TARGET)
    assert scores[0] == 1
    assert scores.isnan().tolist() == [False, True, True, False, True, False]
    equal = completeness_quantus(network, images, maps, TARGET, baseline="zero")
    assert equal.isnan().tolist() == [False, True, True, False, False, False]


def exact(x):
    """A network whose sums have no rounding: pixels are small whole numbers."""
    return torch.stack([x.sum((1, 2, 3)), 2 * x[:, 0].sum((1, 2))], dim=1)


@pytest.mark.parametrize("colours", [True, False])
def test_equality_as_quantus_decides_it(colours):
    x = torch.randint(-3, 4, (6, 3, 4, 4), generator=torch.Generator().manual_seed(0)).float()
    target, lowest = torch.tensor([0, 1, 0, 1, 0, 1]), x.amin((1, 2, 3), keepdim=True)
    end = lowest.expand_as(x).clone()
    if not colours:  # one value a pixel: the tool then replaces the first colour only
        end[:, 1:] = x[:, 1:]
    difference = (exact(x) - exact(end)).gather(1, target[:, None])[:, 0]
    maps = torch.zeros(6, 3 if colours else 1, 4, 4)
    maps[:, 0, 1, 2], maps[:, 0, 2, 1] = difference - 5, 5
    maps[3:, 0, 0, 0] = torch.tensor([1e-3, 1.0, -1.0])

    class Exact(nn.Module):
        def forward(self, x):
            return exact(x)

    values = quantus.Completeness(normalise=False, disable_warnings=True)(
        model=Exact().eval(),
        x_batch=x.numpy(),
        y_batch=target.numpy(),
        a_batch=maps.numpy().copy(),
        channel_first=True,
        softmax=False,
        device="cpu",
    )
    maps = maps if colours else maps[:, 0]
    scores = completeness_quantus(exact, x, maps, target)
    assert scores.dtype == torch.float32
    assert scores.tolist() == [1, 1, 1, 0, 0, 0] == [float(value) for value in values]
    assert (completeness_quantus(exact, x, maps, target, baseline="zero") == 0).all()


def test_rounding_fails_a_complete_map(linear, images):
    maps = complete_maps(linear, images, TARGET, 0)
    assert completeness(linear, images, maps, TARGET).max() < 1e-4
    assert completeness_quantus(linear, images, maps, TARGET, baseline="zero").mean() < 0.5
