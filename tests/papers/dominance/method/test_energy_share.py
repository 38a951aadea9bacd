import itertools

import pytest
import torch
from torch.nn import functional

from xai_lib import explainers, models
from xai_lib.papers.dominance.method import energy_share
from xai_lib.papers.dominance.method.energy_share import by_grad_cam, of_explainer, shares
from xai_lib.papers.dominance.method.mosaics import Mosaics, of_classes, of_clusters

N, SIZE, N_CLASSES = 12, 16, 5


@pytest.fixture(scope="module")
def network():
    """A small residual network whose head has large weights, so that maps have both signs."""
    model = models.build("resnet8", N_CLASSES, width=8, seed=0).eval()
    model.head.weight.data = torch.randn(model.head.weight.shape, generator=torch.Generator().manual_seed(0))
    return model


@pytest.fixture(scope="module")
def x():
    return torch.randn(N, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(1))


def mosaics_of(n=30, seed=0):
    return of_clusters(torch.arange(5), torch.arange(5, N), n, seed=seed, purpose="test")


def targets(n):
    return torch.arange(n) % N_CLASSES


def corner(x, _target, _index):
    """A method that attends to the corner at the top left, and a little to the right of it, whatever is there."""
    maps = torch.full((len(x), *x.shape[2:]), -1.0)
    maps[:, 0, 0] = 3
    maps[:, 0, -1] = 1
    return maps


@pytest.mark.parametrize("n", [6, 60])
def test_a_method_that_looks_at_a_corner_favours_no_cluster(x, n):
    alike = of_clusters(torch.arange(N), torch.arange(N), n, seed=0, purpose="test")
    found = shares(alike, x, targets(n), corner)["relu"]
    assert found.mean().item() == 0.5 and set(found.tolist()) == {0.0, 0.25, 0.75, 1.0}


def test_what_one_cluster_has_the_other_has_not_and_nothing_is_changed(network, x):
    """Equation 7."""
    mosaics, explain = mosaics_of(), by_grad_cam(network)
    kept = mosaics.images.clone(), mosaics.first.clone(), x.clone()
    found = shares(mosaics, x, targets(30), explain)["relu"]
    other = shares(Mosaics(mosaics.images, ~mosaics.first), x, targets(30), explain)["relu"]
    torch.testing.assert_close(found + other, torch.ones(30))
    assert found.std() > 0.05 and found.dtype == torch.float32
    assert all(torch.equal(a, b) for a, b in zip(kept, (mosaics.images, mosaics.first, x)))


def test_min_max_comes_after_the_relu_and_takes_away_what_all_pixels_share(x):
    def explain(x, _target, _index):
        return corner(x, None, None).relu() + 2

    mosaics = mosaics_of(6)
    found = shares(mosaics, x, targets(6), explain, scalings=("relu", "min-max"))
    pixels = 4 * SIZE * SIZE
    raw = torch.where(mosaics.first, torch.tensor([3.0, 1, 0, 0]) + pixels / 2, 0).sum(1) / (4 + 2 * pixels)
    torch.testing.assert_close(found["relu"], raw)
    torch.testing.assert_close(found["min-max"], shares(mosaics, x, targets(6), corner)["relu"])
    found = shares(mosaics, x, targets(6), lambda x, _target, _index: x.mean(1), scalings=("relu", "min-max"))
    torch.testing.assert_close(found["relu"], found["min-max"])


@pytest.mark.parametrize("name", ["grad-cam", "random"])
def test_mosaics_are_numbered_through_and_the_batch_size_changes_nothing(network, x, monkeypatch, name):
    explain, asked = of_explainer(network, name), []

    def remember(shown, target, index):
        asked.append(index.tolist())
        return explain(shown, target, index)

    whole = shares(mosaics_of(), x, targets(30), explain)["relu"]
    monkeypatch.setattr(energy_share, "_PIXELS_AT_ONCE", {"cpu": 1})  # eight mosaics then
    torch.testing.assert_close(shares(mosaics_of(), x, targets(30), remember)["relu"], whole)
    assert [len(index) for index in asked] == [8, 8, 8, 6] and [*itertools.chain(*asked)] == [*range(30)]


def test_a_method_is_asked_for_what_its_paper_explains_at_the_layer_named(network, x):
    target, index = targets(4), torch.arange(4)
    gradient = explainers.get("gradient")(network, x[:4], score=explainers.class_score(target))
    found = of_explainer(network, "gradient")(x[:4], target, index)
    torch.testing.assert_close(found, gradient.abs().amax(1))  # gradients of colours count by the largest
    found = of_explainer(network, "eigen-cam", "backbone.block1")(x[:4], target, index)
    coarse = explainers.cams.eigen_cam(network, x[:4], layer="backbone.block1", upsample=False)
    torch.testing.assert_close(found, explainers.cams.upsample(coarse.relu(), (SIZE, SIZE)))
    about = explainers.about("rise")
    assert about.explains != "logit"
    found = of_explainer(network, "rise")(x[:1], target[:1], index[:1])
    score = explainers.of_class(target[:1], about.explains)
    torch.testing.assert_close(found, about.function(network, x[:1], score=score, seed=0, index=index[:1]))


def test_focus_of_a_method_that_knows_the_class():
    labels = torch.arange(3).repeat(4)
    x = functional.one_hot(labels)[..., None, None].expand(-1, -1, 8, 8).float()
    mosaics, target = of_classes(labels, 24, seed=0)

    def explain(x, target, _index):
        return x[torch.arange(len(x)), target]

    assert (shares(mosaics, x, target, explain)["relu"] == 1).all()


def test_a_map_without_energy_has_no_share(x):
    def explain(x, _target, index):
        return x.abs().mean(1) * torch.where(index % 2 == 0, 1, -1)[:, None, None]

    found = shares(mosaics_of(), x, targets(30), explain, scalings=("relu", "min-max"))
    for share in found.values():
        assert share[1::2].isnan().all() and not share[::2].isnan().any()


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"x": torch.zeros(3, 3, 8, 8)}, "positions 0 to 2, those of x"),
        ({"x": torch.zeros(N, 3, 8, 8, dtype=torch.uint8)}, "normalised images"),
        ({"target": torch.zeros(29, dtype=torch.int64)}, r"target as int64 \[30\]"),
        ({"target": torch.zeros(30)}, r"target as int64 \[30\]"),
        ({"scalings": ("max",)}, "relu, min-max"),
        ({"scalings": ()}, "relu, min-max"),
        ({"explain": lambda x, _target, _index: x[:, 0, ::2, ::2]}, "one map a mosaic, of its size"),
        ({"mosaics": Mosaics(torch.empty(0, 4, dtype=torch.int64), torch.empty(0, 4, dtype=torch.bool))}, "at least 1"),
    ],
    ids=["positions", "bytes", "too few", "floats", "scaling", "no scaling", "small maps", "no mosaic"],
)
def test_refuses_what_it_cannot_share_out(x, changes, message):
    given = {"mosaics": mosaics_of(), "x": x, "target": targets(30), "explain": corner} | changes
    with pytest.raises(ValueError, match=message):
        shares(**given)
