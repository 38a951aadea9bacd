import itertools

import pytest
import torch
from torchvision.transforms.v2 import functional as tv

from xai_lib.papers.dominance.method.mosaics import LAYOUTS, assemble, of_classes, of_clusters, of_pairs

FIRST, SECOND = torch.tensor([3, 8, 9, 11]), torch.tensor([0, 5, 6])


def two_clusters(n, *, first=FIRST, second=SECOND, seed=0, purpose="test"):
    return of_clusters(first, second, n, seed=seed, purpose=purpose)


def shown(mosaics):
    """Images of the first and of the second group, sorted in each mosaic: two lists of pairs."""
    groups = (mosaics.images[where].reshape(-1, 2).sort(1).values for where in (mosaics.first, ~mosaics.first))
    return [list(map(tuple, group.tolist())) for group in groups]


def layout_counts(mosaics):
    return (mosaics.first[:, None] == LAYOUTS).all(2).sum(0)


def test_layouts_are_all_ways_to_place_two_of_four():
    expected = {tuple(place in chosen for place in range(4)) for chosen in itertools.combinations(range(4), 2)}
    assert LAYOUTS.shape == (6, 4) and set(map(tuple, LAYOUTS.tolist())) == expected


def test_two_different_images_of_each_cluster_and_each_pair_equally_often():
    n = 6000
    mosaics = two_clusters(n)
    assert len(mosaics) == n and mosaics.images.dtype == torch.int64
    for group, members in zip(shown(mosaics), (FIRST, SECOND), strict=True):
        counts = [group.count(pair) for pair in itertools.combinations(members.tolist(), 2)]
        p = 1 / len(counts)
        assert sum(counts) == n and all(abs(count - n * p) < 4 * (n * p * (1 - p)) ** 0.5 for count in counts)
    ones, _ = shown(two_clusters(9, first=torch.tensor([4])))
    assert ones == [(4, 4)] * 9  # a cluster of one image shows it twice


@pytest.mark.parametrize("n", [1, 6, 25, 60])
def test_layouts_are_balanced_to_within_one(n):
    counts = layout_counts(two_clusters(n))
    assert counts.sum() == n and counts.max() - counts.min() <= 1
    assert (counts.max() == counts.min()) == (n % 6 == 0)


def test_the_layout_that_occurs_once_more_and_the_order_are_random():
    drawn = [two_clusters(25, purpose=f"pair {pair}") for pair in range(600)]
    extra = torch.stack([layout_counts(mosaics) for mosaics in drawn]).argmax(1).bincount(minlength=6)
    assert (abs(extra - 100) < 4 * (600 * 5 / 36) ** 0.5).all()
    assert len({tuple(mosaics.first.flatten().tolist()) for mosaics in drawn}) == 600


def test_seed_and_purpose_alone_decide_what_is_drawn():
    one, same = two_clusters(30), two_clusters(30)
    assert torch.equal(one.images, same.images) and torch.equal(one.first, same.first)
    for other in (two_clusters(30, seed=1), two_clusters(30, purpose="other")):
        assert not torch.equal(one.images, other.images) and not torch.equal(one.first, other.first)
    assert shown(two_clusters(20))[0] == shown(two_clusters(40))[0][:20]  # more show the same images, then others
    first, second = shown(two_clusters(60, second=FIRST))  # the two are drawn independently
    assert sum(a == b for a, b in zip(first, second, strict=True)) < 25  # 10 expected


def test_a_pair_stands_in_all_layouts():
    mosaics = of_pairs(torch.tensor([2, 7]), torch.tensor([5, 1]))
    assert torch.equal(mosaics.first, LAYOUTS.repeat(2, 1))
    assert mosaics.images[:6].tolist() == [[2 if first else 5 for first in layout] for layout in LAYOUTS.tolist()]
    assert mosaics.images[6:].tolist() == [[7 if first else 1 for first in layout] for layout in LAYOUTS.tolist()]


@pytest.mark.parametrize("classes", [(4, 7, 9), (0, 1, 2, 3, 8)])
def test_focus_shows_two_of_a_class_and_two_of_others(classes):
    order = torch.randperm(6 * len(classes), generator=torch.Generator().manual_seed(0))
    labels = torch.tensor(classes).repeat(6)[order]
    mosaics, target = of_classes(labels, 31, seed=0)
    assert target.tolist() == list(itertools.islice(itertools.cycle(classes), 31))
    own, others = shown(mosaics)
    assert all(a != b for a, b in own)
    assert torch.equal(labels[torch.tensor(own)], target[:, None].expand(-1, 2))
    strangers = labels[torch.tensor(others)]
    assert (strangers != target[:, None]).all() and (strangers[:, 0] != strangers[:, 1]).all()
    counts = layout_counts(mosaics)
    assert counts.max() - counts.min() <= 1
    mosaics, target = of_classes(torch.tensor([1, 1, 1, 0]), 8, seed=0)  # two classes, and one image of one of them
    own, others = shown(mosaics)
    assert target.tolist() == [0, 1] * 4 and own[0] == others[1] == (3, 3)
    assert set(own[1]) < {0, 1, 2} and len(set(own[1])) == 2


def test_focus_draws_other_classes_and_the_images_of_each_equally_often():
    labels = torch.arange(5).repeat(4)
    mosaics, target = of_classes(labels, 5000, seed=0)
    others = labels[mosaics.images[~mosaics.first]]
    counts = (target.repeat_interleave(2) * 5 + others).bincount(minlength=25).reshape(5, 5)
    assert (counts.diagonal() == 0).all()
    assert (abs(counts[~torch.eye(5, dtype=torch.bool)] - 500) < 5 * 500**0.5).all()
    for shown_by in (mosaics.first, ~mosaics.first):
        assert (abs(mosaics.images[shown_by].bincount(minlength=20) - 500) < 5 * 500**0.5).all()


def test_images_lie_in_their_quadrants():
    images = torch.randn(3, 4, 3, 6, 8, generator=torch.Generator().manual_seed(0))
    a, b, c, d = images.unbind(1)
    expected = torch.cat([torch.cat([a, b], dim=3), torch.cat([c, d], dim=3)], dim=2)
    assert torch.equal(assemble(images, resized=False), expected)
    resized = assemble(images)
    assert resized.shape == (3, 3, 6, 8)
    torch.testing.assert_close(resized, tv.resize(expected, [6, 8], antialias=True))


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: two_clusters(0), "at least 1 mosaic"),
        (lambda: two_clusters(5, second=SECOND[:0]), "Expected second as positions of at least 1 image"),
        (lambda: two_clusters(5, first=FIRST.float()), "Expected first as an int64 tensor"),
        (lambda: of_pairs(FIRST, SECOND), "one length.*Got 4 and 3"),
        (lambda: of_classes(torch.zeros(5, dtype=torch.int64), 3, seed=0), "at least 2 classes. Got 1"),
        (lambda: of_classes(torch.zeros(5, 2), 3, seed=0), "Expected labels as an int64 tensor"),
        (lambda: assemble(torch.zeros(2, 3, 3, 8, 8)), "four a mosaic"),
    ],
)
def test_refuses_what_makes_no_mosaic(call, message):
    with pytest.raises(ValueError, match=message):
        call()
