import pytest
import torch
from torch import nn

from xai_lib import models
from xai_lib.papers.dominance.method.features import checked, pooled


@pytest.fixture
def network():
    return models.build("resnet8", n_classes=4, width=4, seed=0).eval()


@pytest.fixture
def images():
    return torch.randn(7, 3, 16, 16, generator=torch.Generator().manual_seed(1))


def test_the_default_is_what_the_head_reads(network, images):
    features = pooled(network, images.split(3))
    with torch.no_grad():
        expected = network.features(images)
    assert features.dtype == torch.float32
    torch.testing.assert_close(features, expected)


def test_equation_1_by_hand_at_a_named_layer_of_any_network(images):
    plain = nn.Sequential(nn.Conv2d(3, 5, 3), nn.ReLU(), nn.Flatten(), nn.Linear(980, 2)).eval()
    with torch.no_grad():
        maps = plain[0](images)  # [7,5,14,14]
    expected = [[sum(channel.flatten().tolist()) / 14**2 for channel in image] for image in maps]
    torch.testing.assert_close(pooled(plain, [images], layer="0"), torch.tensor(expected))


def test_the_division_into_batches_changes_nothing(network, images):
    torch.testing.assert_close(pooled(network, images.split(2)), pooled(network, [images]), rtol=1e-5, atol=1e-6)


def test_the_network_stays_as_it_was(network, images):
    network.train()
    running = network.state_dict()["backbone.stem.1.running_mean"].clone()
    pooled(network, [images])
    assert network.training
    assert torch.equal(network.state_dict()["backbone.stem.1.running_mean"], running)


def test_no_batch_is_refused(network):
    with pytest.raises(ValueError, match=r"Expected at least one batch of images. Got none"):
        pooled(network, [])


def test_a_layer_without_a_grid_is_refused(network, images):
    with pytest.raises(ValueError, match=r"\[7,K,h,w\]"):
        pooled(network, [images], layer="head")


@pytest.mark.parametrize(
    ("features", "error", "message"),
    [
        ([[1.0]], TypeError, r"float tensor \[N,D\]. Got list"),
        (torch.ones(2, 3, dtype=torch.int64), TypeError, r"float tensor \[N,D\]. Got torch.int64"),
        (torch.ones(3), ValueError, r"Expected features \[N,D\].*Got shape \[3\]"),
        (torch.ones(0, 3), ValueError, r"at least one image. Got shape \[0, 3\]"),
        (torch.tensor([[1.0, float("nan")]]), ValueError, r"Expected finite features. Got 1 NaN"),
    ],
    ids=["list", "integers", "vector", "empty", "nan"],
)
def test_what_is_no_table_of_features_is_refused(features, error, message):
    with pytest.raises(error, match=message):
        checked(features)
