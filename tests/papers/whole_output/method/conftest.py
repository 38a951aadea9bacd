"""A small network and images that whole outputs are explained of."""

import pytest
import torch
from torch import Tensor, nn

N_CLASSES = 7


class TwoLayers(nn.Module):
    """Two convolutions, a grid of half the side and one of a quarter, and a linear head of seven classes."""

    def __init__(self) -> None:
        super().__init__()
        self.fine = nn.Sequential(nn.Conv2d(3, 6, 3, stride=2, padding=1), nn.ReLU())
        self.coarse = nn.Sequential(nn.Conv2d(6, 8, 3, stride=2, padding=1), nn.ReLU())
        self.head = nn.Linear(8, N_CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.coarse(self.fine(x)).mean((2, 3)))


@pytest.fixture
def network() -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(3)
        model = TwoLayers()
        for parameter in model.parameters():
            nn.init.normal_(parameter, std=0.4)
        nn.init.normal_(model.head.weight)
    return model.eval()


@pytest.fixture
def images() -> Tensor:
    return torch.randn(3, 3, 16, 16, generator=torch.Generator().manual_seed(1))
