import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch
import torchvision
from torch import nn
from torch.nn import functional
from torchvision.transforms import functional as pictures

from xai_lib import explainers, models, your_images
from xai_lib.data.images import FolderError
from xai_lib.explainers.normalise import min_max, relu
from xai_lib.papers.dominance import figures, one_class
from xai_lib.papers.dominance.method import clusters, dominance, energy_share, mosaics, training_share
from xai_lib.papers.dominance.method.relative_dominance import hierarchy
from xai_lib.papers.dominance.one_class import rank_clusters

N, SIZE, N_CLASSES, TARGET = 14, 16, 5, 2
MEAN, STD = (0.5, 0.4, 0.3), (0.2, 0.3, 0.4)
FEW = {"n_clusters": 3, "n_mosaics": 7}


@pytest.fixture(scope="module")
def network():
    model = models.build("resnet8", N_CLASSES, width=8, seed=0).eval()
    model.head.weight.data = torch.randn(model.head.weight.shape, generator=torch.Generator().manual_seed(0))
    model.head.bias.data = torch.tensor([0, -2.7, -6, -0.6, 1.7])  # else every image is of class 2
    return model


def some_images(n, seed):
    return torch.randint(0, 256, (n, 3, SIZE, SIZE), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def images():
    return some_images(N, 0)


@pytest.fixture(scope="module")
def ranking(network, images):
    return rank_clusters(network, images, TARGET, mean=MEAN, std=STD, training=some_images(9, 1), **FEW)


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def normalised(images, mean=MEAN, std=STD):
    mean, std = (torch.tensor(colours).reshape(3, 1, 1) for colours in (mean, std))
    return (images / 255 - mean) / std


def expected(network, x, *, layer="backbone.block3", n=7, seed=0, n_clusters=3, resized=False, method="grad-cam"):
    """Clusters and values, and the map and the quadrants of each mosaic, by the parts of the method one by one."""
    found = clusters.kmeans(clusters.pooled(network, x[:, None], layer), n_clusters, seed=seed)
    rows, drawn = dominance.draw(found.assigned, n, seed=seed, purpose="rank_clusters")
    target, index = torch.full((len(rows),), TARGET), torch.arange(len(rows))
    explain = energy_share.of_explainer(network, method, layer if explainers.about(method).on_layer else None)
    values = energy_share.shares(drawn, x, target, explain, resized=resized)["relu"]
    maps = min_max(relu(explain(mosaics.assemble(x[drawn.images], resized), target, index)))
    return found, rows.assign(value=values), maps, drawn


def test_clusters_pairs_order_and_representatives_are_those_of_the_parts(network, images, ranking):
    found, values, _, _ = expected(network, normalised(images))
    assert torch.equal(ranking.assigned, found.assigned)
    of_pairs = dominance.pairs(values)
    pd.testing.assert_frame_equal(ranking.pairs, of_pairs, atol=1e-4)
    np.testing.assert_allclose(ranking.matrix, dominance.matrix(of_pairs), atol=1e-5)
    order = hierarchy(values).sort_values("rank", ignore_index=True)
    pd.testing.assert_frame_equal(ranking.hierarchy[order.columns], order, atol=1e-4)
    assert ranking.hierarchy["rank"].tolist() == [1, 2, 3] and ranking.hierarchy["dominance"].is_monotonic_decreasing
    assert ranking.hierarchy["cluster"].tolist() != [0, 1, 2]  # else the letters prove nothing
    assert ranking.hierarchy["letter"].tolist() == ["ABC"[cluster] for cluster in order["cluster"]]
    sizes = found.assigned.bincount()
    assert ranking.hierarchy["images"].tolist() == [sizes[cluster] for cluster in order["cluster"]]
    assert ranking.pairs["dominance"].std() > 0.01
    features = clusters.pooled(network, [normalised(images)])
    for cluster, nearest in enumerate(ranking.representatives):
        members = (ranking.assigned == cluster).nonzero()[:, 0].tolist()
        centre = features[members].mean(0)
        assert nearest == sorted(members, key=lambda image: float((features[image] - centre).norm()))[:8]
        name = f"{'ABC'[cluster]} ({len(members)})"
        assert list(ranking.pictures)[cluster] == name
        assert torch.equal(ranking.pictures[name], images[nearest] / 255)


def test_the_examples_are_the_first_mosaics_of_the_furthest_pair(network, images, ranking):
    _, values, maps, shown = expected(network, normalised(images))
    means = values.groupby(["first", "second"])["value"].mean()
    first, second = (means - 0.5).abs().idxmax()
    assert (first, second) != (0, 1)
    rows = values.index[(values["first"] == first) & (values["second"] == second)][:4]
    for example, row in zip(ranking.examples, rows, strict=True):
        assert torch.equal(example.first, shown.first[row])
        quadrants = example.image.unfold(1, SIZE, SIZE).unfold(2, SIZE, SIZE).permute(1, 2, 0, 3, 4).flatten(0, 1)
        assert torch.equal(quadrants, images[shown.images[row]] / 255)
        torch.testing.assert_close(example.heat, maps[row], atol=1e-4, rtol=0)
        assert example.names == ("ABC"[first], "ABC"[second])
        assert example.title == f"{'ABC'[first]} has {100 * values['value'][row]:.0f} %"


def test_training_images_are_fitted_in_and_recognised_images_are_counted(network, images, ranking):
    features, seen = (clusters.pooled(network, [normalised(part)]) for part in (images, some_images(9, 1)))
    centres = torch.stack([features[ranking.assigned == cluster].mean(0) for cluster in range(3)])
    nearest = torch.cdist(seen, centres).argmin(1)
    expected_shares = training_share.shares(nearest.numpy(), ranking.assigned.numpy(), 3)
    pd.testing.assert_frame_equal(ranking.shares, expected_shares)
    assert ranking.shares["training"].sum() == 9 and ranking.shares["training"].nunique() > 1
    right = (network(normalised(images)).argmax(1) == TARGET).float().mean()
    assert ranking.recognised == pytest.approx(right.item()) and 0 < right < 1
    plain = rank_clusters(network, images, TARGET, **FEW)  # colour statistics of ImageNet, no training images
    _, values, _, _ = expected(network, normalised(images, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    np.testing.assert_allclose(plain.matrix, dominance.matrix(dominance.pairs(values)), atol=1e-5)
    assert plain.shares is None


def test_the_matrix_is_drawn_with_corrected_p_values(ranking, monkeypatch):
    drawn = []
    monkeypatch.setattr(figures, "dominance_matrices", lambda *parts: drawn.append(parts))
    ranking.figures()
    [(shown, names)] = drawn
    assert list(shown) == ["class 2"] and names == "ABC"
    assert np.array_equal(shown["class 2"][0], ranking.matrix)
    corrected = ranking.pairs["p_t_holm"].tolist()
    assert shown["class 2"][1][np.triu_indices(3, 1)].tolist() == corrected != ranking.pairs["p_t"].tolist()


@pytest.mark.parametrize(
    ("settings", "same"),
    [
        ({"seed": 3}, {"seed": 3}),
        ({"resized": True}, {"resized": True}),
        ({"layer": "backbone.block2"}, {"layer": "backbone.block2"}),
        ({"explainer": "gradient"}, None),
        ({"explainer": "edge-map"}, {"method": "edge-map"}),
        ({"explainer": "random"}, {"method": "random"}),
        ({"explainer": "eigen-cam"}, {"method": "eigen-cam"}),
        ({"n_clusters": 2, "n_mosaics": 3}, {"n_clusters": 2, "n": 3}),
    ],
    ids=lambda settings: "-".join(map(str, (settings or {}).values())),
)
def test_settings_reach_the_parts(network, images, ranking, settings, same):
    found = rank_clusters(network, images, TARGET, mean=MEAN, std=STD, **(FEW | settings))
    assert not np.array_equal(found.matrix, ranking.matrix)
    if same is not None:
        _, values, maps, _ = expected(network, normalised(images), **same)
        np.testing.assert_allclose(found.matrix, dominance.matrix(dominance.pairs(values)), atol=2e-4)
        names = values["first"].map("ABC".__getitem__), values["second"].map("ABC".__getitem__)
        rows = values.index[(names[0] == found.examples[0].names[0]) & (names[1] == found.examples[0].names[1])]
        for example, row in zip(found.examples, rows):  # show what was scored, by the mosaics' numbers
            torch.testing.assert_close(example.heat, maps[row], atol=1e-3, rtol=0)


def test_clusters_have_the_seed(network, images, monkeypatch):
    """Of few images the best of ten starts is mostly the same, whatever the seed."""
    seeds, kmeans = [], clusters.kmeans
    monkeypatch.setattr(clusters, "kmeans", lambda *args, seed: seeds.append(seed) or kmeans(*args, seed=seed))
    rank_clusters(network, images, TARGET, seed=3, **FEW)
    assert seeds == [3]


def test_batches_change_nothing(network, images, ranking, monkeypatch):
    monkeypatch.setattr(one_class, "images_at_once", lambda _x, _chunk: 4)
    found = rank_clusters(network, images, TARGET, mean=MEAN, std=STD, training=some_images(9, 1), **FEW)
    pd.testing.assert_frame_equal(found.hierarchy, ranking.hierarchy, atol=1e-5)
    pd.testing.assert_frame_equal(found.shares, ranking.shares)
    assert found.recognised == ranking.recognised


def red_network():
    """Sees red as the evidence of class 1, and nothing of blue."""
    conv = nn.Conv2d(3, 2, 1, bias=False)
    conv.weight.data = torch.eye(3)[[0, 2], :, None, None]
    head = nn.Linear(2, 2)
    head.weight.data, head.bias.data = torch.tensor([[-1.0, 0.0], [1.0, 0.0]]), torch.tensor([0.1, 0.0])
    return nn.Sequential(conv, nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), head).eval()


def red_and_blue(n_red=3, n_blue=5):
    """Red and blue images, of different brightness each."""
    x = torch.zeros(n_red + n_blue, 3, 8, 8)
    x[:n_red, 0] = torch.linspace(0.9, 1, n_red)[:, None, None]
    x[n_red:, 2] = torch.linspace(0.9, 1, n_blue)[:, None, None]
    return x


PLAIN = {"n_clusters": 2, "n_mosaics": 6, "mean": (0, 0, 0), "std": (1, 1, 1), "layer": "1"}


def test_a_network_that_sees_red_ranks_red_images_first():
    found = rank_clusters(red_network(), red_and_blue(), 1, classes=["blue", "red"], **PLAIN)
    assert found.hierarchy[["letter", "images", "dominance"]].to_numpy().tolist() == [["B", 3, 1.0], ["A", 5, 0.0]]
    assert found.assigned.tolist() == [1] * 3 + [0] * 5
    assert found.recognised == 3 / 8
    many = rank_clusters(red_network(), red_and_blue(3, 10), 1, **PLAIN)
    assert [len(nearest) for nearest in many.representatives] == [8, 3]
    assert found.title == "red"
    drawn = found.figures()
    assert list(drawn) == ["matrix", "representatives", "mosaics"]
    assert [axis.get_title() for axis in drawn["matrix"].axes][:2] == ["red: dominance", "red: p-values, Holm"]
    assert {axis.get_ylabel() for axis in drawn["representatives"].axes} == {"", "A (5)", "B (3)"}
    assert [axis.get_title("left") for axis in drawn["mosaics"].axes][::2] == ["A has 0 %"] * 4
    for example in found.examples:  # the heat lies on the cluster that dominates
        quarters = functional.avg_pool2d(example.heat[None], 8).flatten()
        assert example.names == ("A", "B") and (quarters[~example.first] > 0.7).all()
        assert (quarters[example.first] < 0.2).all()
        assert (example.image[2].reshape(2, 8, 2, 8).amax((1, 3)).flatten() > 0).tolist() == example.first.tolist()


def test_pairs_without_a_value_are_left_out_and_maps_without_one_are_named():
    """Of a network of red, blue and green images side by side have empty maps."""
    x = red_and_blue(4, 6)
    x[4:7] = x[4:7].roll(-1, 1)  # three of the blue ones become green
    found = rank_clusters(red_network(), x, 1, **(PLAIN | {"n_clusters": 3}))
    assert found.pairs["n_undefined"].tolist() == [0, 0, 6]
    assert found.hierarchy["dominance"].tolist() == [1, 0, 0] and found.hierarchy["images"].tolist() == [4, 3, 3]
    assert [example.names for example in found.examples] == [("A", "B")] * 4
    assert len(found.figures()) == 3
    with pytest.raises(ValueError, match=r"Expected maps with a positive value. Got none of class 0"):
        rank_clusters(red_network(), red_and_blue(), 0, **PLAIN)


def test_a_folder_and_its_files_are_the_same_images(network, images, tmp_path):
    for number, image in enumerate(images):
        pictures.to_pil_image(image).resize((40, 24)).save(tmp_path / f"{number:02}.png")
    files = sorted(tmp_path.iterdir())
    cut = your_images.pictures(files, 16)[0]
    found = [rank_clusters(network, source, TARGET, size=16, **FEW) for source in (cut, tmp_path, files)]
    assert all(np.array_equal(other.matrix, found[0].matrix) for other in found)
    for other in found[1:]:
        assert other.representatives == [[files[place] for place in row] for row in found[0].representatives]
    training = rank_clusters(network, cut, TARGET, training=tmp_path, size=16, **FEW)
    assert (training.shares["representation"] == 1).all()
    with pytest.raises(FolderError, match=r"nowhere\. Got no such folder"):
        rank_clusters(network, tmp_path / "nowhere", TARGET, size=16, **FEW)


def test_a_network_of_torchvision_needs_no_layer():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = torchvision.models.resnet18(weights=None, num_classes=4).eval()
    x = some_images(6, 5).repeat_interleave(2, 2).repeat_interleave(2, 3)
    found = rank_clusters(network, x, 3, n_clusters=2, n_mosaics=3)
    named = rank_clusters(network, x, 3, n_clusters=2, n_mosaics=3, layer="layer4")
    assert np.array_equal(found.matrix, named.matrix)
    assert not network.training and all(parameter.grad is None for parameter in network.parameters())


class OfOneSize(nn.Sequential):
    """Takes images of 16 pixels only."""

    def __init__(self):
        super().__init__(nn.Conv2d(3, 2, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(2 * SIZE * SIZE, N_CLASSES))


def test_a_network_of_one_size_is_told_of_resized_mosaics(images):
    with torch.random.fork_rng():
        torch.manual_seed(1)
        network = OfOneSize().eval()
    with pytest.raises(ValueError, match=r"take images \[1, 3, 32, 32\] .* resized=True scales them"):
        rank_clusters(network, images, TARGET, **FEW)
    found = rank_clusters(network, images, TARGET, resized=True, **FEW)
    assert found.examples[0].image.shape == (3, SIZE, SIZE) and found.examples[0].heat.shape == (SIZE, SIZE)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"target": 5}, "Expected target as the number of a class, 0 to 4. Got 5"),
        ({"target": -1}, "0 to 4. Got -1"),
        ({"target": "zebra"}, "0 to 4. Got 'zebra'"),
        ({"target": True}, "Got True"),
        ({"layer": "backbone.block9"}, "backbone.block3.* Got 'backbone.block9'"),
        ({"explainer": "grad_cam"}, "Expected .*grad-cam.*"),
        ({"explainer": "iba"}, "without further settings. Got 'iba': it needs .*statistics"),
        ({"n_clusters": 1}, "Expected n_clusters from 2 to 26, .* Got 1 for 14"),
        ({"n_clusters": 15}, "at most one an image. Got 15 for 14"),
        ({"n_mosaics": 0}, "Expected n of at least 1 mosaic"),
        ({"classes": ["a", "b"]}, r"Expected logits \[1,2\], one for each class name. Got shape \[1, 5\]"),
        ({"std": (0.2, 0.0, 0.2)}, "look at the checkpoint and the normalisation"),
        ({"images": []}, "Expected at least one image. Got none"),
        ({"training": []}, "Expected at least one image. Got none"),
        ({"images": torch.zeros(9, 3, 16, 16)}, "the number of distinct images. Got 3"),
    ],
)
def test_what_does_not_fit_is_named(network, images, settings, message):
    arguments = {"images": images, "target": TARGET} | FEW | settings
    with pytest.raises(ValueError, match=message):
        rank_clusters(network, arguments.pop("images"), arguments.pop("target"), **arguments)
    with pytest.raises(ValueError, match=r"call model.eval\(\) first"):
        rank_clusters(models.build("resnet8", 4, width=4, seed=0).train(), images, 0)
