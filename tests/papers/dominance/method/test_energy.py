import numpy as np
import pytest
import torch
from pytorch_grad_cam import GradCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torch import nn
from torch.nn import functional

from xai_lib import explainers, models
from xai_lib.papers.dominance.method.energy import by_grad_cam, of_explainer, shares
from xai_lib.papers.dominance.method.mosaics import Mosaics, assemble, of_classes, of_clusters

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


def mean_colour(x, _target, _index):
    """A method that attends to bright pixels."""
    return x.mean(1)


@pytest.mark.parametrize("n", [6, 60])
def test_a_method_that_looks_at_a_corner_favours_no_cluster(x, n):
    alike = of_clusters(torch.arange(N), torch.arange(N), n, seed=0, purpose="test")
    found = shares(alike, x, targets(n), corner)["relu"]
    assert found.mean().item() == 0.5 and set(found.tolist()) == {0.0, 0.25, 0.75, 1.0}


def test_a_cluster_has_no_dominance_over_itself(network, x):
    n = 300
    alike = of_clusters(torch.arange(N), torch.arange(N), n, seed=0, purpose="test")
    found = shares(alike, x, torch.zeros(n, dtype=torch.int64), by_grad_cam(network))["relu"]
    assert found.std() > 0.05
    assert abs(found.mean() - 0.5) < 3 * found.std() / n**0.5


def test_a_cluster_that_the_network_sees_alone_has_all_energy():
    """A network of red: of red and blue images side by side it sees the red ones."""
    layer = nn.Conv2d(3, 1, 1, bias=False)
    layer.weight.data = torch.tensor([1.0, 0.0, 0.0]).reshape(1, 3, 1, 1)
    head = nn.Linear(1, 2)
    head.weight.data = torch.tensor([[1.0], [-1.0]])
    network = nn.Sequential(layer, nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), head).eval()
    x = torch.zeros(4, 3, 8, 8)
    x[:2, 0], x[2:, 2] = 1, 1
    red_and_blue = of_clusters(torch.arange(2), torch.arange(2, 4), 12, seed=0, purpose="test")
    explain = by_grad_cam(network, "1")
    assert (shares(red_and_blue, x, torch.zeros(12, dtype=torch.int64), explain)["relu"] == 1).all()
    assert shares(red_and_blue, x, torch.ones(12, dtype=torch.int64), explain)["relu"].isnan().all()


def test_what_one_cluster_has_the_other_has_not(network, x):
    one = mosaics_of()
    other = Mosaics(one.images, ~one.first)
    explain = by_grad_cam(network)
    total = shares(one, x, targets(30), explain)["relu"] + shares(other, x, targets(30), explain)["relu"]
    torch.testing.assert_close(total, torch.ones(30))


@pytest.mark.parametrize("resized", [False, True], ids=["as they are", "resized"])
def test_raw_energy_is_that_of_the_formulas(network, x, resized):
    """Equations 3 to 6 with autograd, mosaic by mosaic."""
    mosaics = mosaics_of()
    expected = []
    for images, first, label in zip(mosaics.images, mosaics.first, targets(30), strict=True):
        mosaic = assemble(x[images][None], resized)
        activations = network.backbone(mosaic)
        logit = network.head(activations.mean((2, 3)))[0, label]
        (gradient,) = torch.autograd.grad(logit, activations)
        alpha = gradient.mean((2, 3), keepdim=True)
        coarse = (alpha * activations).sum(1, keepdim=True).relu()
        heat = functional.interpolate(coarse, mosaic.shape[2:], mode="bilinear")[0, 0]
        quadrants = [half for row in heat.tensor_split(2) for half in row.tensor_split(2, dim=1)]
        energy = torch.stack([quadrant.sum() for quadrant in quadrants])
        expected.append(energy[first].sum() / energy.sum())
    found = shares(mosaics, x, targets(30), by_grad_cam(network), resized=resized)["relu"]
    assert found.std() > 0.05
    torch.testing.assert_close(found, torch.stack(expected).detach(), rtol=0, atol=1e-5)


@pytest.mark.parametrize("resized", [False, True], ids=["as they are", "resized"])
def test_equal_to_a_loop_with_pytorch_grad_cam(network, x, resized):
    mosaics = mosaics_of()
    images = assemble(x[mosaics.images], resized)
    with GradCAM(network, [network.default_layer()]) as library:
        heats = np.concatenate(
            [library(images[m : m + 1], [ClassifierOutputTarget(int(targets(30)[m]))]) for m in range(30)]
        )
    half = images.shape[-1] // 2
    quadrants = [heats[:, a : a + half, b : b + half].sum((1, 2)) for a in (0, half) for b in (0, half)]
    energy = np.stack(quadrants, 1)
    expected = (energy * mosaics.first.numpy()).sum(1) / energy.sum(1)
    found = shares(mosaics, x, targets(30), by_grad_cam(network), resized=resized, scalings=("min-max",))
    np.testing.assert_allclose(found["min-max"], expected, rtol=0, atol=1e-5)


def test_min_max_takes_away_what_all_pixels_share(x):
    def explain(x, _target, _index):
        return corner(x, None, None).relu() + 2

    mosaics = mosaics_of(6)
    found = shares(mosaics, x, targets(6), explain, scalings=("relu", "min-max"))
    pixels = 4 * SIZE * SIZE
    raw = torch.where(mosaics.first, torch.tensor([3.0, 1, 0, 0]) + pixels / 2, 0).sum(1) / (4 + 2 * pixels)
    torch.testing.assert_close(found["relu"], raw)
    torch.testing.assert_close(found["min-max"], shares(mosaics, x, targets(6), corner)["relu"])


def test_min_max_comes_after_the_relu(x):
    found = shares(mosaics_of(), x, targets(30), mean_colour, scalings=("relu", "min-max"))
    torch.testing.assert_close(found["relu"], found["min-max"])


@pytest.mark.parametrize("batch_size", [1, 7])
@pytest.mark.parametrize("name", ["grad-cam", "random"])
def test_the_batch_size_changes_nothing(network, x, name, batch_size):
    explain = of_explainer(network, name)
    whole = shares(mosaics_of(), x, targets(30), explain)["relu"]
    parts = shares(mosaics_of(), x, targets(30), explain, batch_size=batch_size)["relu"]
    assert whole.dtype == torch.float32 and whole.std() > 0
    torch.testing.assert_close(parts, whole)


def test_the_index_decides_what_a_random_method_draws(network, x):
    explain = of_explainer(network, "random")
    index = torch.arange(30) + 100
    found = shares(mosaics_of(), x, targets(30), explain, index=index)["relu"]
    back = torch.arange(29, -1, -1)
    mosaics = mosaics_of()
    turned = Mosaics(mosaics.images[back], mosaics.first[back])
    assert torch.equal(shares(turned, x, targets(30), explain, index=index[back])["relu"][back], found)
    assert not torch.equal(shares(mosaics, x, targets(30), explain)["relu"], found)


def test_gradients_of_colours_count_by_the_largest(network, x):
    target = targets(4)
    gradient = explainers.get("gradient")(network, x[:4], score=explainers.class_score(target))
    found = of_explainer(network, "gradient")(x[:4], target, torch.arange(4))
    torch.testing.assert_close(found, gradient.abs().amax(1))


def test_settings_and_layer_reach_the_explainer(network, x):
    target = targets(4)
    found = of_explainer(network, "eigen-cam", "backbone.block1", centred=True)(x[:4], target, torch.arange(4))
    coarse = explainers.cams.eigen_cam(network, x[:4], layer="backbone.block1", centred=True, upsample=False)
    torch.testing.assert_close(found, explainers.cams.upsample(coarse.relu(), (SIZE, SIZE)))


def test_a_method_is_asked_for_what_its_paper_explains(network, x):
    about = explainers.about("rise")
    assert about.explains != "logit"
    target, index = targets(4), torch.arange(4)
    found = of_explainer(network, "rise", n_masks=8)(x[:4], target, index)
    score = explainers.of_class(target, about.explains)
    expected = about.function(network, x[:4], score=score, seed=0, index=index, n_masks=8)
    torch.testing.assert_close(found, expected)


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


def test_nothing_is_changed(network, x):
    mosaics = mosaics_of()
    before = mosaics.images.clone(), mosaics.first.clone(), x.clone()
    shares(mosaics, x, targets(30), by_grad_cam(network), resized=True)
    assert all(torch.equal(a, b) for a, b in zip(before, (mosaics.images, mosaics.first, x), strict=True))


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"x": torch.zeros(3, 3, 8, 8)}, "positions 0 to 2, those of x"),
        ({"x": torch.zeros(N, 3, 8, 8, dtype=torch.uint8)}, "normalised images"),
        ({"target": torch.zeros(29, dtype=torch.int64)}, r"target as int64 \[30\]"),
        ({"target": torch.zeros(30)}, r"target as int64 \[30\]"),
        ({"index": torch.zeros(29, dtype=torch.int64)}, r"index as int64 \[30\]"),
        ({"scalings": ("max",)}, "relu, min-max"),
        ({"scalings": ()}, "relu, min-max"),
        ({"explain": lambda x, _target, _index: x[:, 0, ::2, ::2]}, "one map a mosaic, of its size"),
        ({"mosaics": Mosaics(torch.empty(0, 4, dtype=torch.int64), torch.empty(0, 4, dtype=torch.bool))}, "at least 1"),
    ],
    ids=["positions", "bytes", "too few", "floats", "index", "scaling", "no scaling", "small maps", "no mosaic"],
)
def test_refuses_what_it_cannot_share_out(x, changes, message):
    given = {"mosaics": mosaics_of(), "x": x, "target": targets(30), "explain": corner} | changes
    with pytest.raises(ValueError, match=message):
        shares(**given)
