import pytest
import torch
from torch import Tensor, nn


class SmallNet(nn.Module):
    """A plain network of three convolutions with batch-norm, in-place ReLUs behind each, and a linear head."""

    def __init__(self, n_classes: int = 5) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 6, 3, padding=1), nn.BatchNorm2d(6))
        self.middle = nn.Sequential(nn.ReLU(inplace=True), nn.Conv2d(6, 8, 3, stride=2, padding=1), nn.BatchNorm2d(8))
        self.last = nn.Sequential(nn.ReLU(inplace=True), nn.Conv2d(8, 12, 3, stride=2, padding=1))
        self.relu = nn.ReLU(inplace=True)
        self.dropout = nn.Dropout(0.5)
        self.head = nn.Linear(12, n_classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.dropout(self.relu(self.last(self.middle(self.stem(x)))).mean((2, 3))))


def randomised(model: nn.Module, seed: int) -> nn.Module:
    """Fill parameters and running statistics with numbers large enough for lively logits."""
    generator = torch.Generator().manual_seed(seed)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.copy_(0.3 * torch.randn(module.num_features, generator=generator))
            module.running_var.copy_(0.5 + torch.rand(module.num_features, generator=generator))
        if isinstance(module, nn.Linear):
            module.weight.data = torch.randn(module.weight.shape, generator=generator)
        if isinstance(module, nn.Conv2d):
            scale = (2 / module.weight[0].numel()) ** 0.5
            module.weight.data = scale * torch.randn(module.weight.shape, generator=generator)
    return model


@pytest.fixture
def model() -> nn.Module:
    return randomised(SmallNet(), seed=0).eval()


@pytest.fixture
def x() -> Tensor:
    return torch.randn(4, 3, 16, 16, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def target() -> Tensor:
    return torch.tensor([0, 3, 1, 4])
