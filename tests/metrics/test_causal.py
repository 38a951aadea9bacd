import pytest
import torch

from xai_lib.metrics.causal import blurred, deletion, deletion_curve, insertion, insertion_curve
from xai_lib.metrics.perturbation import ranks

SIZE = 12
TARGET = torch.tensor([0, 1, 2, 3, 0, 1])
INDEX = torch.arange(20, 26)
ONE = torch.zeros(1, dtype=torch.int64)
CURVES = [deletion_curve, insertion_curve]


def test_step_of_one_row_by_default(network, blobs):
    x = torch.randn(1, 3, 32, 32)
    assert deletion_curve(network, x, blobs(1, 32), ONE, index=ONE).shape == (1, 33)
    assert insertion_curve(network, x, blobs(1, 32), ONE, index=ONE, step=100).shape == (1, 12)


def test_a_better_map_inserts_and_deletes_faster():
    model = lambda x: torch.stack([x[:, 0, 3:6, 3:6].mean((1, 2)), torch.zeros(len(x))], 1) * 8  # noqa: E731
    x = torch.full((2, 1, SIZE, SIZE), 1.0)
    good = torch.zeros(SIZE, SIZE)
    good[3:6, 3:6] = 1
    maps, target = torch.stack([good, 1 - good]), torch.zeros(2, dtype=torch.int64)
    options = {"index": torch.arange(2), "step": 3, "baseline": "zero"}
    insertions, deletions = insertion(model, x, maps, target, **options), deletion(model, x, maps, target, **options)
    assert insertions[0] > 0.95 > 0.6 > insertions[1]
    assert deletions[0] < 0.6 < 0.95 < deletions[1]


@pytest.mark.parametrize("curve", CURVES)
def test_both_ends_and_every_baseline(network, images, blobs, curve):
    colour = torch.tensor([0.1, 0.2, 0.3])[:, None, None]
    blank = {
        "zero": torch.zeros_like(images),
        "minimum": images.amin((1, 2, 3), keepdim=True).expand_as(images),
        "blur": blurred(images),
        "colour": colour.expand_as(images),
    }
    whole = probability(network, images)
    for name, image in blank.items():
        baseline = colour if name == "colour" else name
        found = curve(network, images, blobs(6), TARGET, index=INDEX, baseline=baseline)
        ends = (found[:, 0], found[:, -1]) if curve is deletion_curve else (found[:, -1], found[:, 0])
        torch.testing.assert_close(ends[0], whole, atol=1e-6, rtol=0)
        torch.testing.assert_close(ends[1], probability(network, image), atol=1e-6, rtol=0)


@pytest.mark.parametrize(
    "score, curve, released", [(deletion, deletion_curve, "zero"), (insertion, insertion_curve, "blur")]
)
def test_scores_pass_every_choice_on(network, images, blobs, score, curve, released):
    arguments = {"model": network, "x": images, "attribution": blobs(6).round(decimals=1), "target": TARGET}
    default = curve(**arguments, index=INDEX)
    assert torch.equal(curve(**arguments, index=INDEX, baseline=released), default)
    for choice in ({"baseline": "minimum"}, {"seed": 1}, {"ties": "stable"}, {"ties": "reversed"}):
        found = curve(**arguments, index=INDEX, **choice)
        assert not torch.equal(found, default), choice
        area, scores = torch.trapezoid(found.double(), dim=1) / SIZE, score(**arguments, index=INDEX, **choice)
        torch.testing.assert_close(scores.double(), area, atol=1e-6, rtol=0)


def probability(network, images):
    with torch.no_grad():
        return network(images.contiguous()).softmax(1).gather(1, TARGET[:, None])[:, 0]


def test_ties_of_a_constant_map_decide_where_it_begins():
    model = lambda x: torch.stack([x[:, 0, 0, 0], x[:, 0, 1, 1]], 1)  # noqa: E731
    arguments = (model, torch.ones(1, 1, 2, 2), torch.ones(1, 2, 2), ONE)
    top, bottom = torch.tensor([-1.0, 1.0]).sigmoid()
    first = {}
    for ties in ("stable", "reversed"):
        first[ties] = deletion_curve(*arguments, index=ONE, step=1, ties=ties)[0, 1]
    assert first["stable"] == pytest.approx(top.item()) and first["reversed"] == pytest.approx(bottom.item())
    drawn = {deletion_curve(*arguments, index=ONE, step=1, seed=seed)[0, 1].item() for seed in range(30)}
    assert len(drawn) == 3


def test_reversed_ties_mirror_stable_ones_and_leave_the_rest():
    maps = torch.tensor([[[2.0, 1.0, 1.0], [1.0, 0.0, 0.0]]])
    places = {ties: ranks(maps, ties=ties, seed=0, index=ONE).tolist() for ties in ("stable", "reversed")}
    assert places == {"stable": [[[0, 1, 2], [3, 4, 5]]], "reversed": [[[0, 3, 2], [1, 5, 4]]]}


def test_blur_folds_what_leaves_the_kernels_square_back_into_it():
    dirac = torch.zeros(1, 2, 15, 15)
    dirac[:, 1, 7, 7] = 1
    away = torch.arange(-20, 21)  # cut at four sigma
    weights = torch.exp(-((away / 5) ** 2) / 2)
    place = (away + 5) % 22  # the square of 11 and its mirror image take turns
    line = torch.zeros(11).index_add(0, torch.where(place < 11, place, 21 - place), weights / weights.sum())
    found = blurred(dirac)
    torch.testing.assert_close(found[0, 1, 2:13, 2:13], torch.outer(line, line), atol=1e-7, rtol=0)
    assert not found[0, 0].any()
