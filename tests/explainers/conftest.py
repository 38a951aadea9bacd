import pytest
import torch
from derivations.networks import images, lively


@pytest.fixture
def model():
    return lively("small")


@pytest.fixture
def x():
    return images(4, 16)


@pytest.fixture
def target():
    return torch.tensor([0, 3, 1, 4])
