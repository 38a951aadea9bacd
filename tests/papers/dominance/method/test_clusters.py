import numpy as np
import pytest
import torch

from xai_lib.papers.dominance.method.clusters import assign, kmeans, nearest_distance, representatives, shuffled

SIZES = (9, 30, 17)  # of the blobs, in the order in which they stand


def blobs(seed=0, n_features=6):
    """Three far blobs of 9, 30 and 17 images, shuffled, and which blob an image is of."""
    generator = torch.Generator().manual_seed(seed)
    blob = torch.arange(3).repeat_interleave(torch.tensor(SIZES))[torch.randperm(56, generator=generator)]
    middle = 10 * torch.eye(3, n_features)
    return middle[blob] + torch.randn(56, n_features, generator=generator), blob


def by_loops(features, centres):
    """Nearest centre and distance, plainly."""
    nearest, distances = [], []
    for image in features.double().tolist():
        away = [sum((a - b) ** 2 for a, b in zip(image, centre)) ** 0.5 for centre in centres.double().tolist()]
        nearest.append(away.index(min(away)))
        distances.append(min(away))
    return torch.tensor(nearest), torch.tensor(distances)


def test_blobs_come_back_largest_first():
    features, blob = blobs()
    found = kmeans(features, 3)
    assert torch.equal(found.assigned, torch.tensor([2, 0, 1])[blob])
    assert (found.centres.dtype, found.assigned.dtype, found.distance.dtype) == (
        torch.float32,
        torch.int64,
        torch.float32,
    )


def test_centres_are_means_and_each_image_is_in_the_nearest():
    features = torch.randn(80, 4, generator=torch.Generator().manual_seed(2))
    found = kmeans(features, 5)
    for cluster, centre in enumerate(found.centres):
        torch.testing.assert_close(centre, features[found.assigned == cluster].mean(0))
    assigned, distance = by_loops(features, found.centres)
    assert torch.equal(found.assigned, assigned)
    torch.testing.assert_close(found.distance, distance)
    sizes = found.assigned.bincount().tolist()
    assert sizes == sorted(sizes, reverse=True)


def test_no_other_start_does_better_by_much():
    features = torch.randn(80, 4, generator=torch.Generator().manual_seed(2))
    squares = [kmeans(features, 5, seed=seed).distance.square().sum().item() for seed in range(5)]
    assert max(squares) < 1.02 * min(squares)


def test_the_seed_is_that_of_the_starts(monkeypatch):
    monkeypatch.setattr("xai_lib.papers.dominance.method.clusters.N_STARTS", 1)
    features = torch.randn(80, 4, generator=torch.Generator().manual_seed(2))
    assert len({kmeans(features, 5, seed=seed).distance.sum().item() for seed in range(5)}) > 1
    assert torch.equal(kmeans(features, 5, seed=3).assigned, kmeans(features, 5, seed=3).assigned)


def test_the_order_of_the_images_and_the_seed_do_not_change_clear_clusters():
    features, _ = blobs()
    found = kmeans(features, 3)
    turned = kmeans(features.flip(0), 3, seed=5)
    torch.testing.assert_close(turned.centres, found.centres)
    assert torch.equal(turned.assigned.flip(0), found.assigned)


def test_clusters_of_one_size_stand_in_the_order_of_their_centres():
    features = torch.tensor([[5.0, 9], [0.0, 9], [5.0, 1], [0.0, 1]])
    for seed in range(4):
        assert kmeans(features, 4, seed=seed).centres.tolist() == [[0, 1], [0, 9], [5, 1], [5, 9]]


def test_one_cluster_is_the_mean():
    features, _ = blobs()
    found = kmeans(features, 1)
    torch.testing.assert_close(found.centres[0], features.mean(0))
    assert found.assigned.tolist() == [0] * 56


def test_more_clusters_than_distinct_images_are_refused():
    features = torch.tensor([[0.0], [0.0], [1.0]])
    assert kmeans(features, 2).assigned.tolist() == [0, 0, 1]
    for n_clusters in (3, 0):
        with pytest.raises(ValueError, match=rf"from 1 to 2, the number of distinct images. Got {n_clusters}: ask"):
            kmeans(features, n_clusters)


def test_other_images_go_to_the_nearest_centre():
    features, _ = blobs()
    found = kmeans(features, 3)
    others, blob = blobs(seed=4)
    assigned, distance = assign(others, found.centres)
    assert torch.equal(assigned, torch.tensor([2, 0, 1])[blob])
    torch.testing.assert_close(distance, by_loops(others, found.centres)[1])


def test_an_image_between_two_centres_goes_to_the_first():
    assert assign(torch.tensor([[1.0], [1.5]]), torch.tensor([[2.0], [0.0]]))[0].tolist() == [0, 0]


def test_features_of_another_layer_are_refused():
    with pytest.raises(ValueError, match=r"the same layer.*Got D 3 and 2"):
        assign(torch.ones(4, 3), torch.ones(2, 2))


def test_representatives_are_the_nearest_of_each_cluster():
    features, _ = blobs()
    found = kmeans(features, 3)
    shown = representatives(found, 12)
    assert [len(positions) for positions in shown] == [12, 12, 9]  # the smallest cluster has nine images
    for cluster, positions in enumerate(shown):
        members = [i for i in range(56) if found.assigned[i] == cluster]
        assert positions.tolist() == sorted(members, key=lambda i: found.distance[i].item())[:12]
    with pytest.raises(ValueError, match=r"n of at least 1 image a cluster. Got 0"):
        representatives(found, 0)


def test_shuffling_keeps_the_sizes_and_forgets_the_images():
    assigned = torch.arange(4).repeat_interleave(torch.tensor([400, 300, 200, 100]))
    dealt = shuffled(assigned, seed=0)
    assert torch.equal(dealt.bincount(), assigned.bincount())
    together = np.histogram2d(assigned, dealt, bins=4)[0]
    expected = np.outer([400, 300, 200, 100], [400, 300, 200, 100]) / 1000
    assert ((together - expected) ** 2 / expected).sum() < 27.9  # chi-squared of 9 degrees of freedom: p = 0.001
    assert torch.equal(dealt, shuffled(assigned, seed=0))
    assert not torch.equal(dealt, shuffled(assigned, seed=1))


@pytest.mark.parametrize("at_once", [1, 100])  # 1 and 3 images at a time
def test_the_nearest_distance_by_loops(monkeypatch, at_once):
    monkeypatch.setattr("xai_lib.papers.dominance.method.clusters._DISTANCES_AT_ONCE", at_once)
    generator = torch.Generator().manual_seed(0)
    features, reference = torch.randn(10, 8, generator=generator), torch.randn(30, 8, generator=generator)
    found = nearest_distance(features, reference, k=4)
    expected = [
        sum(sorted(sum((a - b) ** 2 for a, b in zip(x, r)) ** 0.5 for r in reference.tolist())[:4]) / 4
        for x in features.tolist()
    ]
    torch.testing.assert_close(found, torch.tensor(expected))


def test_an_image_is_its_own_nearest():
    features = torch.randn(40, 8, generator=torch.Generator().manual_seed(0)) + 100  # far from the origin
    assert nearest_distance(features, features, k=1).max() < 1e-4


@pytest.mark.parametrize("k", [0, 4])
def test_more_neighbours_than_references_are_refused(k):
    with pytest.raises(ValueError, match=rf"k from 1 to 3, the number of reference images. Got {k}"):
        nearest_distance(torch.ones(5, 2), torch.ones(3, 2), k=k)
