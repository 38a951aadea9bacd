import numpy as np
import pytest
import torch

from xai_lib.explainers import controls

X = torch.randn(3, 3, 12, 10, generator=torch.Generator().manual_seed(0))


def test_random_is_spread_evenly():
    maps = controls.random(None, torch.zeros(50, 3, 32, 32), seed=0, index=torch.arange(50))
    histogram = torch.histc(maps, bins=10, min=0, max=1) / maps.numel()
    assert (histogram - 0.1).abs().max() < 0.005
    neighbours = torch.stack([maps[:, :, :-1].flatten(), maps[:, :, 1:].flatten()])
    assert torch.corrcoef(neighbours)[0, 1].abs() < 0.02


def test_centred_gaussian_by_hand():
    maps = controls.centred_gaussian(None, torch.zeros(1, 3, 9, 5))
    assert maps[0, 4, 2] == 1
    assert maps[0, 0, 2] == pytest.approx(np.exp(-0.5 * (4 / (9 / 4)) ** 2))
    assert maps[0, 4, 0] == pytest.approx(np.exp(-0.5 * (2 / (5 / 4)) ** 2))
    assert maps[0, 0, 0] == pytest.approx(float(maps[0, 0, 2] * maps[0, 4, 0]))
    assert torch.equal(maps, maps.flip(1)) and torch.equal(maps, maps.flip(2))


def test_edge_map_of_a_ramp_is_its_slope():
    ramp = (3 * torch.arange(6.0)).expand(1, 3, 5, 6)
    assert controls.edge_map(None, ramp)[0, :, 1:-1].allclose(torch.tensor(3.0))


@pytest.mark.parametrize("control", [controls.uniform, controls.centred_gaussian, controls.edge_map, controls.fake_cam])
def test_images_of_another_shape_are_refused(control):
    with pytest.raises(ValueError, match=r"Expected x as images \[B,3,H,W\]. Got shape \[3, 12, 10\]"):
        control(None, X[0])
