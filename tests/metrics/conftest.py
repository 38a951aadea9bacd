"""Maps, images and small models that several metrics are tested on."""

import pytest
from derivations.metrics import small_network, smooth_maps, walked


@pytest.fixture
def network():
    """A small convolutional classifier of four classes in evaluation mode."""
    return small_network()


@pytest.fixture
def images():
    return walked()["x"]


@pytest.fixture
def blobs():
    """Function (n, size, seed, dtype) -> smooth maps [n,size,size]."""
    return smooth_maps
