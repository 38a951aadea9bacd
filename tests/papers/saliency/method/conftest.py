import pytest
import torch
from torch import nn

from xai_lib import data as datasets
from xai_lib.explainers.subject import Subject
from xai_lib.papers.saliency.method import Explained


def network():
    """Two convolutions whose channels all live, and logits far enough apart to have an order."""
    generator = torch.Generator().manual_seed(0)
    first, second = (nn.Conv2d(*channels, 3, stride=2, padding=1) for channels in ((3, 6), (6, 8)))
    layers = nn.Sequential(first, nn.ReLU(), second, nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 10))
    for parameter in layers.parameters():
        parameter.data = 0.5 * torch.randn(parameter.shape, generator=generator)
    return layers.eval()


@pytest.fixture
def images():
    """Five planted images of five classes, 32 pixels."""
    return datasets.load("planted", "test", n=10).subset(list(range(5)))


@pytest.fixture
def subject(images):
    return Subject(network, "key", (), "3", images, lambda: images, torch.device("cpu"))


@pytest.fixture
def x(images):
    return images.normalise(images.images)


@pytest.fixture
def by(subject):
    """Function (method, settings) -> the network explained by it."""
    return lambda method, settings=None: Explained(subject, method, settings or {})
