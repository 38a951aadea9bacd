"""Maps, images and small models that several metrics are tested on."""

import numpy as np
import pytest
import torch
from torch import nn

SIZE = 12


def smooth_maps(n, size=SIZE, seed=0, dtype=torch.float32):
    """Smooth maps in [0,1], as a CAM gives them."""
    generator = torch.Generator().manual_seed(seed)
    grids = torch.rand(n, 1, 4, 4, generator=generator, dtype=torch.float64)
    maps = nn.functional.interpolate(grids, size=(size, size), mode="bilinear")[:, 0]
    lowest, highest = maps.amin((1, 2), keepdim=True), maps.amax((1, 2), keepdim=True)
    return ((maps - lowest) / (highest - lowest)).to(dtype)


@pytest.fixture
def network():
    """A small convolutional classifier of four classes in evaluation mode."""
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(32, 4)]
    return nn.Sequential(*layers).eval()


@pytest.fixture
def images():
    return torch.randn(6, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def blobs():
    """Function (n, size, seed, dtype) -> smooth maps [n,size,size]."""
    return smooth_maps


@pytest.fixture
def quantus_scores(monkeypatch):
    """Function (metric, attribution, …) -> the scores of a quantus metric."""
    if not hasattr(np, "trapz"):  # gone from numpy 2.4, still called by quantus 0.6
        monkeypatch.setattr(np, "trapz", np.trapezoid, raising=False)
    return scores_by_quantus


def scores_by_quantus(metric, attribution, *, x=None, target=None, mask=None, model=None):
    """Scores of a quantus metric, each map passed with one channel; an explanation's own scale is kept."""
    n, height, width = attribution.shape
    x = torch.zeros(n, 3, height, width) if x is None else x
    target = torch.zeros(n, dtype=torch.int64) if target is None else target
    values = metric(
        model=nn.Identity() if model is None else model,
        x_batch=x.numpy().copy(),
        y_batch=target.numpy(),
        a_batch=attribution[:, None].numpy().copy(),
        s_batch=None if mask is None else mask[:, None].numpy(),
        channel_first=True,
        softmax=True,
        device="cpu",
    )
    return torch.tensor(np.asarray(values, dtype=float))
