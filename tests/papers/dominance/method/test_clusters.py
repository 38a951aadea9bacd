import numpy as np
import pytest
import torch

from xai_lib import models
from xai_lib.papers.dominance.method import clusters
from xai_lib.papers.dominance.method.clusters import assign, checked, kmeans, nearest_distance, pooled, representatives


@pytest.fixture
def network():
    return models.build("resnet8", n_classes=4, width=4, seed=0).eval()


IMAGES = torch.randn(7, 3, 16, 16, generator=torch.Generator().manual_seed(1))
CLOUD = torch.randn(80, 4, generator=torch.Generator().manual_seed(2))


def blobs():
    """Three far blobs of 9, 30 and 17 images, shuffled, and which blob an image is of."""
    generator = torch.Generator().manual_seed(0)
    blob = torch.arange(3).repeat_interleave(torch.tensor([9, 30, 17]))[torch.randperm(56, generator=generator)]
    return 10 * torch.eye(3, 6)[blob] + torch.randn(56, 6, generator=generator), blob


def test_pooled_features_are_what_the_head_reads_however_images_are_divided(network):
    network.train()
    running = network.state_dict()["backbone.stem.1.running_mean"].clone()
    found = pooled(network, IMAGES.split(3))
    assert network.training  # it stays as it was
    assert torch.equal(network.state_dict()["backbone.stem.1.running_mean"], running)
    with torch.no_grad():
        expected = network.eval().features(IMAGES)
    assert found.dtype == torch.float32
    for divided in (found, pooled(network, [IMAGES])):
        torch.testing.assert_close(divided, expected, rtol=1e-5, atol=1e-6)
    with pytest.raises(ValueError, match=r"Expected at least one batch of images. Got none"):
        pooled(network, [])
    with pytest.raises(ValueError, match=r"\[7,K,h,w\]"):
        pooled(network, [IMAGES], layer="head")


@pytest.mark.parametrize(
    ("features", "error", "message"),
    [
        ([[1.0]], TypeError, r"float tensor \[N,D\]. Got list"),
        (torch.ones(2, 3, dtype=torch.int64), TypeError, r"float tensor \[N,D\]. Got torch.int64"),
        (torch.ones(3), ValueError, r"Expected features \[N,D\].*Got shape \[3\]"),
        (torch.ones(0, 3), ValueError, r"at least one image. Got shape \[0, 3\]"),
        (torch.tensor([[1.0, float("nan")]]), ValueError, r"Expected finite features. Got 1 NaN"),
    ],
)
def test_what_is_no_table_of_features_is_refused(features, error, message):
    with pytest.raises(error, match=message):
        checked(features)


def test_blobs_come_back_largest_first_and_are_represented_by_the_nearest():
    features, blob = blobs()
    found = kmeans(features, 3)
    assert torch.equal(found.assigned, torch.tensor([2, 0, 1])[blob])
    dtypes = found.centres.dtype, found.assigned.dtype, found.distance.dtype
    assert dtypes == (torch.float32, torch.int64, torch.float32)
    turned = kmeans(features.flip(0), 3, seed=5)  # neither the order of the images nor the seed changes clear clusters
    torch.testing.assert_close(turned.centres, found.centres)
    assert torch.equal(turned.assigned.flip(0), found.assigned)
    shown = representatives(found, 12)
    assert [len(positions) for positions in shown] == [12, 12, 9]  # the smallest cluster has nine images
    for cluster, positions in enumerate(shown):
        members = (found.assigned == cluster).nonzero()[:, 0].tolist()
        assert positions.tolist() == sorted(members, key=lambda i: found.distance[i].item())[:12]
    with pytest.raises(ValueError, match=r"n of at least 1 image a cluster. Got 0"):
        representatives(found, 0)


@pytest.mark.parametrize("n_clusters", [1, 5])
def test_centres_are_means_and_each_image_is_in_the_nearest(n_clusters):
    found = kmeans(CLOUD, n_clusters)
    for cluster, centre in enumerate(found.centres):
        torch.testing.assert_close(centre, CLOUD[found.assigned == cluster].mean(0))
    distance, assigned = torch.cdist(CLOUD, found.centres).min(1)
    assert torch.equal(found.assigned, assigned)
    torch.testing.assert_close(found.distance, distance)
    sizes = found.assigned.bincount().tolist()
    assert len(sizes) == n_clusters and sizes == sorted(sizes, reverse=True)


def test_the_seed_is_that_of_the_starts_and_no_other_does_better_by_much(monkeypatch):
    squares = [kmeans(CLOUD, 5, seed=seed).distance.square().sum().item() for seed in range(5)]
    assert max(squares) < 1.02 * min(squares)
    monkeypatch.setattr(clusters, "N_STARTS", 1)
    assert len({kmeans(CLOUD, 5, seed=seed).distance.sum().item() for seed in range(5)}) > 1
    assert torch.equal(kmeans(CLOUD, 5, seed=3).assigned, kmeans(CLOUD, 5, seed=3).assigned)


def test_equals_stand_in_the_order_of_their_centres_and_go_to_the_first_and_misfits_are_refused():
    features = torch.tensor([[5.0, 9], [0.0, 9], [5.0, 1], [0.0, 1]])
    for seed in range(4):
        assert kmeans(features, 4, seed=seed).centres.tolist() == [[0, 1], [0, 9], [5, 1], [5, 9]]
    assert assign(torch.tensor([[1.0], [1.5]]), torch.tensor([[2.0], [0.0]]))[0].tolist() == [0, 0]
    features = torch.tensor([[0.0], [0.0], [1.0]])
    assert kmeans(features, 2).assigned.tolist() == [0, 0, 1]
    for n_clusters in (3, 0):
        with pytest.raises(ValueError, match=rf"from 1 to 2, the number of distinct images. Got {n_clusters}: ask"):
            kmeans(features, n_clusters)
    with pytest.raises(ValueError, match=r"the same layer.*Got D 3 and 2"):
        assign(torch.ones(4, 3), torch.ones(2, 2))


def test_shuffling_keeps_the_sizes_and_forgets_the_images():
    sizes = [400, 300, 200, 100]
    assigned = torch.arange(4).repeat_interleave(torch.tensor(sizes))
    dealt = clusters.shuffled(assigned, seed=0)
    assert torch.equal(dealt.bincount(), assigned.bincount())
    together, expected = np.histogram2d(assigned, dealt, bins=4)[0], np.outer(sizes, sizes) / 1000
    assert ((together - expected) ** 2 / expected).sum() < 27.9  # chi-squared of 9 degrees of freedom: p = 0.001
    assert torch.equal(dealt, clusters.shuffled(assigned, seed=0))
    assert not torch.equal(dealt, clusters.shuffled(assigned, seed=1))


def test_an_image_is_its_own_nearest_however_many_are_taken_at_a_time(monkeypatch):
    far = CLOUD + 100  # from the origin
    assert nearest_distance(far, far, k=1).max() < 1e-4
    whole = nearest_distance(CLOUD, far, k=4)
    monkeypatch.setattr(clusters, "_DISTANCES_AT_ONCE", 240)  # three images
    torch.testing.assert_close(nearest_distance(CLOUD, far, k=4), whole)
    for k in (0, 81):
        with pytest.raises(ValueError, match=rf"k from 1 to 80, the number of reference images. Got {k}"):
            nearest_distance(CLOUD, far, k=k)
