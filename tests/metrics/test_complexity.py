import math

import pytest
import torch

from xai_lib.metrics import complexity
from xai_lib.metrics.complexity import sparseness

ENTROPY = complexity.complexity
BOTH = pytest.mark.parametrize("metric", [ENTROPY, sparseness])


@pytest.mark.parametrize("size, ceiling", [(32, 6.93), (224, 10.82)])
def test_entropy_of_a_constant_map_is_the_logarithm_of_its_size(size, ceiling):
    value = ENTROPY(torch.full((1, size, size), 0.3)).item()
    assert value == pytest.approx(math.log(size**2), abs=1e-5)
    assert value == pytest.approx(ceiling, abs=0.005)


@BOTH
def test_neither_scale_nor_sign_nor_place_matters(metric):
    maps = torch.randn(8, 12, 12)
    places = torch.randperm(144, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(metric(1e-4 * maps), metric(maps))
    torch.testing.assert_close(metric(-maps), metric(maps))
    torch.testing.assert_close(metric(maps.flatten(1)[:, places].reshape(8, 12, 12)), metric(maps))


@BOTH
@pytest.mark.parametrize("factor", [1e-30, 1e35])
def test_very_small_and_large_maps(metric, factor):
    maps = torch.rand(4, 12, 12)
    torch.testing.assert_close(metric(factor * maps), metric(maps), atol=1e-5, rtol=0)


@BOTH
def test_takes_half_precision_and_maps_with_a_graph(metric, blobs):
    maps = blobs(3)
    torch.testing.assert_close(metric(maps.bfloat16()), metric(maps), atol=0.02, rtol=0)
    assert not metric(maps.requires_grad_()).requires_grad


@BOTH
def test_refuses_a_channel_axis(metric):
    with pytest.raises(ValueError, match=r"maps \[B,H,W\]"):
        metric(torch.ones(2, 1, 4, 4))
