import warnings

import networkx
import numpy as np
import pytest
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import pdist, squareform

from xai_lib.papers.whole_output.method.clusters import (
    average_linkage,
    confusion_clusters,
    jaccard,
    louvain,
    numbers,
    occurring,
    random_partition,
    spectral,
)

PARTITION = [[0, 3, 5], [1], [2, 4, 6]]
PLANTED = [[0, 4, 8], [1, 5, 9, 10], [2, 6], [3, 7, 11]]
ABSENT = [[12], [13]]
N_LABELS = 14
NUMBERED = [average_linkage, spectral]
ALL = [*NUMBERED, lambda documents, n_labels, n_clusters, **seed: louvain(documents, n_labels, **seed)]


@pytest.mark.parametrize(
    "top, expected", [([4, 5, 2, 1, 3], [[4, 2], [5, 3], [1]]), ([], []), ((6, 0, 1), [[6], [0], [1]])]
)
def test_members_by_rank_and_clusters_by_their_first_whatever_the_order_of_the_partition(top, expected):
    assert confusion_clusters(PARTITION, top) == confusion_clusters([(6, 2, 4), (5, 0, 3), (1,)], top) == expected


def test_clusters_of_an_image_that_have_no_meaning_are_refused():
    for label in (7, -1):
        with pytest.raises(ValueError, match=rf"Got \[{label}\] in none"):
            confusion_clusters(PARTITION, [1, label])
    with pytest.raises(ValueError, match=r"different top classes. Got \[1, 2, 1\]"):
        confusion_clusters(PARTITION, [1, 2, 1])
    with pytest.raises(ValueError, match="disjoint clusters"):
        confusion_clusters([[0, 1], [1, 2]], [0])


def test_numbers_are_positions_in_any_order():
    assert numbers([[4, 1], [3], [0, 2]]).tolist() == [2, 0, 2, 1, 0] and numbers([]).tolist() == []
    for wrong in ([[0, 1], [1]], [[0, 2]], [[1, 2]], [[-1, 0]], [[0, 1], [3]]):
        with pytest.raises(ValueError, match="every label from 0 on in exactly one cluster"):
            numbers(wrong)


def test_jaccard_equals_scipys_and_labels_that_occur_are_listed():
    rng = np.random.default_rng(0)
    documents = [rng.permutation(8)[: rng.integers(1, 5)].tolist() for _ in range(50)]
    found = jaccard(documents, 10)
    presence = np.array([[label in document for document in documents] for label in range(8)])
    np.testing.assert_allclose(found[:8, :8], 1 - squareform(pdist(presence, "jaccard")))
    assert not found[8:].any() and not found[:, 8:].any()  # in no document
    assert jaccard([[0, 1, 0], [0]], 2).tolist() == [[1, 0.5], [0.5, 1]]  # a label named twice counts once
    assert occurring([[5, 2], (2,), []], 7).tolist() == [2, 5]
    assert occurring([], 3).tolist() == [] and jaccard([], 2).tolist() == [[0, 0], [0, 0]]


@pytest.mark.parametrize("function", [occurring, jaccard, *(lambda d, n, f=f: f(d, n, 2) for f in ALL)])
@pytest.mark.parametrize("label", [-1, 3])
def test_labels_out_of_range_are_refused(function, label):
    with pytest.raises(ValueError, match="labels in 0 to 2"):
        function([[0, 1], [label]], 3)


def planted_documents(noise=0.1):
    """Each document has two or more labels of one cluster and, by chance, one of all labels."""
    rng = np.random.default_rng(0)
    documents = []
    for _ in range(400):
        cluster = PLANTED[rng.integers(len(PLANTED))]
        document = rng.permutation(cluster)[: rng.integers(2, len(cluster) + 1)].tolist()
        documents.append(list({*document, *([int(rng.integers(12))] if rng.random() < noise else [])}))
    return documents


def sparse_documents(n=60, n_labels=40):
    """Few documents, hence many equal distances and several components."""
    rng = np.random.default_rng(0)
    pairs = [[label, label + 1] for label in range(0, n_labels - 2, 2)]  # every label but two
    return pairs + [rng.choice(n_labels - 2, rng.integers(2, 4), replace=False).tolist() for _ in range(n)]


@pytest.mark.parametrize("cluster", NUMBERED)
@pytest.mark.parametrize("n_clusters", [3, 4, 11, 25, 39, 40])
def test_as_many_clusters_as_asked_for_also_with_ties(cluster, n_clusters):
    partition = cluster(sparse_documents(), 40, n_clusters)
    assert len(partition) == n_clusters and [38] in partition and [39] in partition
    assert len(numbers(partition)) == 40 and partition == sorted(sorted(members) for members in partition)
    for wrong in (0, 2, 41):
        with pytest.raises(ValueError, match=f"n_clusters from 3 to 40: 2 of the 40 labels .* Got {wrong}"):
            cluster(sparse_documents(), 40, wrong)


@pytest.mark.parametrize("n_clusters", [2, 5, 9])
def test_average_linkage_merges_the_two_clusters_of_least_mean_distance(n_clusters):
    rng = np.random.default_rng(3)
    documents = [rng.permutation(12)[:4].tolist() for _ in range(999)]  # so many that no two distances are equal
    tree = linkage(squareform(1 - jaccard(documents, 12)), "average")
    of_label = fcluster(tree, n_clusters, "maxclust")
    expected = sorted(np.flatnonzero(of_label == cluster).tolist() for cluster in set(of_label))
    assert average_linkage(documents, 12, n_clusters) == average_linkage(documents, 12, n_clusters, seed=1) == expected


@pytest.mark.parametrize("cluster", ALL)
def test_the_seed_tells_ties_apart_and_the_order_of_documents_does_not(cluster):
    documents, ring = sparse_documents(), [[label, (label + 1) % 12] for label in range(12)]
    found = cluster(documents, 40, 15, seed=4)
    assert cluster(documents[::-1], 40, 15, seed=4) == cluster([d[::-1] for d in documents], 40, 15, seed=4) == found
    found = [cluster(ring, 12, 5, seed=seed) for seed in range(4)]
    assert any(partition != found[0] for partition in found)
    assert [cluster(ring, 12, 5, seed=seed) for seed in range(4)] == found


def test_spectral_warns_of_no_components_and_collects_no_junk():
    """Where no labels belong together, none of 90 clusters of 300 labels is much larger than the others."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(spectral([[0, 1], [2, 3], [4, 5]], 6, 3)) == 3
    rng = np.random.default_rng(0)
    documents = [rng.choice(300, 3, replace=False).tolist() for _ in range(900)]
    assert max(map(len, spectral(documents, 300, 90))) < 10


@pytest.mark.parametrize("seed", range(3))
def test_louvain_is_networkxs_on_jaccard_similarities(seed):
    documents = sparse_documents(200)
    weight = jaccard(documents, 40)
    graph = networkx.Graph()
    graph.add_nodes_from(range(40))
    graph.add_weighted_edges_from((a, b, weight[a, b]) for a in range(40) for b in range(a) if weight[a, b])
    expected = networkx.community.louvain_communities(graph, resolution=1.5, seed=seed)
    assert louvain(documents, 40, resolution=1.5, seed=seed) == sorted(sorted(members) for members in expected)
    found = louvain(documents, 40)
    null = random_partition([len(members) for members in found], seed=seed)
    modularity = networkx.community.modularity
    assert modularity(graph, null) < modularity(graph, found) - 0.1
    assert len(louvain(documents, 40, resolution=0.3)) < len(found) < len(louvain(documents, 40, resolution=5.0))
    for resolution in (0.0, -1.0, float("nan")):
        with pytest.raises(ValueError, match="resolution above 0"):
            louvain(documents, 40, resolution=resolution)


@pytest.mark.parametrize("cluster", ALL)
def test_planted_clusters_are_found_also_of_few_labels_and_labels_in_no_document_are_alone(cluster):
    assert cluster(planted_documents(), N_LABELS, 6) == PLANTED + ABSENT
    assert cluster(planted_documents(noise=0.0), N_LABELS, 6) == PLANTED + ABSENT
    assert cluster([], 3, 3) == cluster([[1]], 3, 3) == [[0], [1], [2]]
    assert cluster([[0, 2]], 3, 2) == [[0, 2], [1]]
    assert cluster([[1, 2], [3, 4]], 5, 3) == [[0], [1, 2], [3, 4]]


def test_random_partition_keeps_the_sizes_and_nothing_else():
    sizes = [5, 1, 3, 3, 8]
    found = [random_partition(sizes, seed=seed) for seed in range(400)]
    for partition in found:
        assert sorted(map(len, partition)) == sorted(sizes)
        assert partition == sorted(sorted(members) for members in partition)
    assert found[3] == random_partition(sizes, seed=3) != found[4]
    together = np.mean([(n := numbers(partition))[0] == n[19] for partition in found])  # a partition: of every label
    assert together == pytest.approx((10 + 3 + 3 + 28) / 190, abs=0.07)
    with pytest.raises(ValueError, match="sizes of at least 1"):
        random_partition([2, 0])
