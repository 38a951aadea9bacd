import itertools

import pytest
import torch

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


X = torch.randn(N, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(1))
MOSAICS = of_clusters(torch.arange(5), torch.arange(5, N), 30, seed=0, purpose="test")
TARGET = torch.arange(30) % N_CLASSES
BOTH = ("relu", "min-max")


def corner(x, _target, _index):
    """A method that attends to the corner at the top left, and a little to the right of it, whatever is there."""
    maps = torch.full((len(x), *x.shape[2:]), -1.0)
    maps[:, 0, 0], maps[:, 0, -1] = 3, 1
    return maps


@pytest.mark.parametrize("n", [6, 30])
def test_a_method_that_looks_at_a_corner_favours_no_cluster(n):
    alike = of_clusters(torch.arange(N), torch.arange(N), n, seed=0, purpose="test")
    found = shares(alike, X, TARGET[:n], corner)["relu"]
    assert found.mean().item() == 0.5 and set(found.tolist()) == {0.0, 0.25, 0.75, 1.0}


def test_what_one_cluster_has_the_other_has_not_and_nothing_is_changed(network):
    given = MOSAICS.images, MOSAICS.first, X
    explain, kept = by_grad_cam(network), [part.clone() for part in given]
    found = shares(MOSAICS, X, TARGET, explain)["relu"]
    other = shares(Mosaics(MOSAICS.images, ~MOSAICS.first), X, TARGET, explain)["relu"]
    torch.testing.assert_close(found + other, torch.ones(30))  # Equation 7
    assert found.std() > 0.05 and found.dtype == torch.float32
    assert all(torch.equal(a, b) for a, b in zip(kept, given))


def test_min_max_comes_after_the_relu_and_takes_away_what_all_pixels_share():
    found = shares(MOSAICS, X, TARGET, lambda *given: corner(*given).relu() + 2, scalings=BOTH, resized=False)
    pixels = 4 * SIZE * SIZE
    raw = torch.where(MOSAICS.first, torch.tensor([3.0, 1, 0, 0]) + pixels / 2, 0).sum(1) / (4 + 2 * pixels)
    torch.testing.assert_close(found["relu"], raw)
    torch.testing.assert_close(found["min-max"], shares(MOSAICS, X, TARGET, corner, resized=False)["relu"])
    found = shares(MOSAICS, X, TARGET, lambda x, _target, _index: x.mean(1), scalings=BOTH, resized=False)
    torch.testing.assert_close(found["relu"], found["min-max"])


@pytest.mark.parametrize("name", ["grad-cam", "random"])
def test_mosaics_are_numbered_through_and_the_batch_size_changes_nothing(network, monkeypatch, name):
    explain, asked = of_explainer(network, name), []

    def remember(shown, target, index):
        asked.append(index.tolist())
        return explain(shown, target, index)

    whole = shares(MOSAICS, X, TARGET, explain)["relu"]
    monkeypatch.setattr(energy_share, "_PIXELS_AT_ONCE", {"cpu": 1})  # sixteen mosaics then
    torch.testing.assert_close(shares(MOSAICS, X, TARGET, remember)["relu"], whole)
    assert [len(index) for index in asked] == [16, 14] and [*itertools.chain(*asked)] == [*range(30)]


def test_a_method_is_asked_for_what_its_paper_explains_at_the_layer_named(network):
    x, target, index = X[:4], TARGET[:4], torch.arange(4)
    gradient = explainers.get("gradient")(network, x, score=explainers.class_score(target))
    found = of_explainer(network, "gradient")(x, target, index)
    torch.testing.assert_close(found, gradient.abs().amax(1))  # gradients of colours count by the largest
    found = of_explainer(network, "eigen-cam", "backbone.block1")(x, target, index)
    coarse = explainers.cams.eigen_cam(network, x, layer="backbone.block1", upsample=False)
    torch.testing.assert_close(found, explainers.cams.upsample(coarse.relu(), (SIZE, SIZE)))
    about = explainers.about("rise")
    assert about.explains != "logit"
    found = of_explainer(network, "rise")(x[:1], target[:1], index[:1])
    score = explainers.of_class(target[:1], about.explains)
    torch.testing.assert_close(found, about.function(network, x[:1], score=score, seed=0, index=index[:1]))


def test_focus_of_a_method_that_knows_the_class():
    labels = torch.arange(3).repeat(4)
    x = torch.nn.functional.one_hot(labels)[..., None, None].expand(-1, -1, 8, 8).float()
    mosaics, target = of_classes(labels, 24, seed=0)
    found = shares(mosaics, x, target, lambda x, target, _index: x[torch.arange(len(x)), target], resized=False)
    assert (found["relu"] == 1).all()


def test_a_map_without_energy_has_no_share():
    def explain(x, _target, index):
        return x.abs().mean(1) * torch.where(index % 2 == 0, 1, -1)[:, None, None]

    for share in shares(MOSAICS, X, TARGET, explain, scalings=BOTH).values():
        assert share[1::2].isnan().all() and not share[::2].isnan().any()


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"x": torch.zeros(3, 3, 8, 8)}, "positions 0 to 2, those of x"),
        ({"x": torch.zeros(N, 3, 8, 8, dtype=torch.uint8)}, "normalised images"),
        ({"target": TARGET[:29]}, r"target as int64 \[30\]"),
        ({"target": TARGET.float()}, r"target as int64 \[30\]"),
        ({"scalings": ("max",)}, "relu, min-max"),
        ({"scalings": ()}, "relu, min-max"),
        ({"explain": lambda x, _target, _index: x[:, 0, ::2, ::2]}, "one map a mosaic, of its size"),
        ({"mosaics": Mosaics(MOSAICS.images[:0], MOSAICS.first[:0])}, "at least 1"),
    ],
)
def test_refuses_what_it_cannot_share_out(changes, message):
    with pytest.raises(ValueError, match=message):
        shares(**{"mosaics": MOSAICS, "x": X, "target": TARGET, "explain": corner} | changes)
