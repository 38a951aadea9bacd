import math

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.cluster import KMeans

from xai_lib.papers.dominance.method import clusters
from xai_lib.papers.dominance.method.clusters import by_gap, by_silhouette, choose


def blobs(n_blobs, n=25, n_features=8, apart=6.0):
    generator = torch.Generator().manual_seed(n_blobs)
    middle = apart * torch.randn(n_blobs, n_features, generator=generator)
    return (middle[:, None] + torch.randn(n_blobs, n, n_features, generator=generator)).flatten(0, 1)


def test_both_find_the_number_of_clear_blobs_and_the_gap_that_there_are_none():
    for n_blobs in (3, 4):
        frame = choose(blobs(n_blobs), range(1, 7))
        assert by_silhouette(frame) == by_gap(frame) == n_blobs
    frame = choose(torch.rand(100, 4, generator=torch.Generator().manual_seed(0)), range(1, 5))
    assert by_gap(frame) == 1 and math.isnan(frame["silhouette"][0]) and by_silhouette(frame) >= 2


def test_the_gap_is_that_of_a_plain_computation_with_other_draws(monkeypatch):
    """Tibshirani et al. 2001, section 4: the box in the space of the components, turned back; many draws of each."""
    features = blobs(3, n=20, n_features=4, apart=2.0) * torch.tensor([3.0, 1.0, 1.0, 0.3])
    monkeypatch.setattr(clusters, "_REFERENCES", 40)
    frame = choose(features, (1, 2, 3))
    x = features.double().numpy()
    vt = np.linalg.svd(x - x.mean(0))[2]
    turned = (x - x.mean(0)) @ vt.T
    rng = np.random.default_rng(0)
    boxes = [rng.uniform(turned.min(0), turned.max(0), x.shape) @ vt + x.mean(0) for _ in range(40)]
    for row in frame.itertuples():
        log_w = [math.log(KMeans(row.n_clusters, n_init=10, random_state=0).fit(z).inertia_) for z in (x, *boxes)]
        error = np.std(log_w[1:])
        assert row.gap == pytest.approx(np.mean(log_w[1:]) - log_w[0], abs=4 * error * math.sqrt(2 / 40))
        assert row.gap_error == pytest.approx(error * math.sqrt(1 + 1 / 40), rel=0.35)


def test_turned_features_have_the_same_gap_and_more_features_than_images_have_one(monkeypatch):
    features = blobs(3, n=15, n_features=4)
    turn = torch.linalg.qr(torch.randn(4, 4, generator=torch.Generator().manual_seed(7))).Q
    monkeypatch.setattr(clusters, "_REFERENCES", 20)
    straight, turned = (choose(x, (2, 3)) for x in (features, features @ turn + 5))
    np.testing.assert_allclose(turned["silhouette"], straight["silhouette"], atol=1e-4)
    np.testing.assert_allclose(turned["gap"], straight["gap"], atol=0.1)
    frame = choose(blobs(3, n=8, n_features=100), range(2, 5))
    assert np.isfinite(frame.to_numpy()).all() and by_silhouette(frame) == 3


def test_the_same_seed_gives_the_same_and_another_one_other_references():
    features = blobs(2, n=15)
    first, again, other = (choose(features, (1, 3), seed=seed) for seed in (0, 0, 1))
    pd.testing.assert_frame_equal(first, again)
    assert abs(first["gap"][0] - other["gap"][0]) > 1e-3  # one cluster has no start: only the references differ


def rows(gaps, errors, silhouettes=0.0, start=2):
    numbers = range(start, start + len(gaps))
    return pd.DataFrame({"n_clusters": numbers, "silhouette": silhouettes, "gap": gaps, "gap_error": errors})


@pytest.mark.parametrize(
    ("gaps", "errors", "expected"),
    [
        ([0.5, 0.9, 0.8, 0.95], [0.1] * 4, 3),
        ([0.5, 0.55, 0.8], [0.0, 0.1, 0.0], 2),  # within the error of the next one
        ([0.5, 0.55, 0.8], [0.1, 0.0, 0.0], None),  # its own error does not count, and the last has no next one
        ([0.5, 0.75, 1.0], [0.0, 0.25, 0.0], 2),  # at the error of the next one
        ([0.9, 0.8, 0.7], [0.0] * 3, 2),
        ([0.5], [0.1], None),
    ],
)
def test_the_rule_of_the_gap(gaps, errors, expected):
    assert by_gap(rows(gaps, errors)) == expected
    assert by_gap(rows(gaps, errors)[::-1]) == expected


def test_a_number_without_the_next_one_cannot_be_chosen_and_equal_silhouettes_give_the_smaller_one():
    frame = rows([0.9, 0.1, 0.5, 0.4], [0.0] * 4)
    assert (by_gap(frame), by_gap(frame.drop(index=1))) == (2, 4)
    frame = rows([0.0] * 4, [0.0] * 4, [math.nan, 0.2, 0.3, 0.3], start=1)
    assert by_silhouette(frame) == by_silhouette(frame[::-1]) == 3
    with pytest.raises(ValueError, match=r"at least 2 clusters. Got none with a silhouette"):
        by_silhouette(frame[:1])


@pytest.mark.parametrize("candidates", [(), (0, 2), (2, 3)])
def test_candidates_out_of_range_are_refused(candidates):
    features = torch.tensor([[0.0], [1.0], [1.0], [4.0]])
    with pytest.raises(ValueError, match=r"Expected candidates from 1 to 2, below the number of distinct images"):
        choose(features, candidates)
    assert len(choose(features, (1, 2))) == 2
