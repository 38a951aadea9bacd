import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn
from torch.nn import functional
from torchvision.transforms import functional as pictures

from xai_lib import explainers, models, your_images
from xai_lib.data.images import FolderError
from xai_lib.explainers.normalise import min_max, relu
from xai_lib.papers.dominance import one_class
from xai_lib.papers.dominance.method import clusters, dominance, energy_share, mosaics, training_share
from xai_lib.papers.dominance.method.relative_dominance import hierarchy
from xai_lib.papers.dominance.one_class import rank_clusters

N, SIZE, N_CLASSES, TARGET = 14, 16, 5, 2
MEAN, STD = (0.5, 0.4, 0.3), (0.2, 0.3, 0.4)
FEW = {"n_clusters": 3, "n_mosaics": 7, "mean": MEAN, "std": STD}


@pytest.fixture(scope="module")
def network():
    model = models.build("resnet8", N_CLASSES, width=8, seed=0).eval()
    model.head.weight.data = torch.randn(model.head.weight.shape, generator=torch.Generator().manual_seed(0))
    model.head.bias.data = torch.tensor([0, -2.7, -6, -0.6, 1.7])  # else every image is of class 2
    return model


IMAGES = torch.randint(0, 256, (N, 3, SIZE, SIZE), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
SEEN = torch.randint(0, 256, (9, 3, SIZE, SIZE), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module")
def ranking(network):
    return rank_clusters(network, IMAGES, TARGET, training=SEEN, **FEW)


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def normalised(images, mean=MEAN, std=STD):
    mean, std = (torch.tensor(colours).reshape(3, 1, 1) for colours in (mean, std))
    return (images / 255 - mean) / std


def expected(network, x, *, layer="backbone.block3", n=7, seed=0, n_clusters=3, resized=True, method="grad-cam"):
    """Clusters and values, and the map and the quadrants of each mosaic, by the parts of the method one by one."""
    found = clusters.kmeans(clusters.pooled(network, x[:, None], layer), n_clusters, seed=seed)
    rows, drawn = dominance.draw(found.assigned, n, seed=seed, purpose="rank_clusters")
    target, index = torch.full((len(rows),), TARGET), torch.arange(len(rows))
    explain = energy_share.of_explainer(network, method, layer if explainers.about(method).on_layer else None)
    values = energy_share.shares(drawn, x, target, explain, resized=resized)["relu"]
    maps = min_max(relu(explain(mosaics.assemble(x[drawn.images], resized), target, index)))
    return found, rows.assign(value=values), maps, drawn


def test_clusters_pairs_order_and_representatives_are_those_of_the_parts(network, ranking):
    x = normalised(IMAGES)
    found, values, _, _ = expected(network, x)
    assert torch.equal(ranking.assigned, found.assigned)
    of_pairs, order = dominance.pairs(values), hierarchy(values).sort_values("rank", ignore_index=True)
    pd.testing.assert_frame_equal(ranking.pairs, of_pairs, atol=1e-4)
    np.testing.assert_allclose(ranking.matrix, dominance.matrix(of_pairs), atol=1e-5)
    pd.testing.assert_frame_equal(ranking.hierarchy[order.columns], order, atol=1e-4)
    assert order["cluster"].tolist() != [0, 1, 2]  # else the letters prove nothing
    assert ranking.hierarchy["letter"].tolist() == ["ABC"[cluster] for cluster in order["cluster"]]
    sizes = found.assigned.bincount()
    assert ranking.hierarchy["images"].tolist() == [sizes[cluster] for cluster in order["cluster"]]
    assert ranking.pairs["dominance"].std() > 0.01
    features = clusters.pooled(network, [x])
    for cluster, nearest in enumerate(ranking.representatives):
        members = (ranking.assigned == cluster).nonzero()[:, 0].tolist()
        centre = features[members].mean(0)
        assert nearest == sorted(members, key=lambda image: float((features[image] - centre).norm()))[:8]
        name = f"{'ABC'[cluster]} ({len(members)})"
        assert list(ranking.pictures)[cluster] == name
        assert torch.equal(ranking.pictures[name], IMAGES[nearest] / 255)


def test_the_examples_are_the_first_mosaics_of_the_furthest_pair(network, ranking):
    _, values, maps, shown = expected(network, normalised(IMAGES))
    first, second = (values.groupby(["first", "second"])["value"].mean() - 0.5).abs().idxmax()
    rows = values.index[(values["first"] == first) & (values["second"] == second)][:4]
    for example, row in zip(ranking.examples, rows, strict=True):
        assert torch.equal(example.first, shown.first[row])
        torch.testing.assert_close(example.image, mosaics.assemble(IMAGES[shown.images[row]][None] / 255)[0])
        torch.testing.assert_close(example.heat, maps[row], atol=1e-4, rtol=0)
        assert example.names == ("ABC"[first], "ABC"[second])
        assert example.title == f"{'ABC'[first]} has {100 * values['value'][row]:.0f} %"


def test_training_images_are_fitted_in_and_recognised_images_are_counted(network, ranking):
    features, seen = (clusters.pooled(network, [normalised(part)]) for part in (IMAGES, SEEN))
    centres = torch.stack([features[ranking.assigned == cluster].mean(0) for cluster in range(3)])
    nearest = torch.cdist(seen, centres).argmin(1)
    expected_shares = training_share.shares(nearest.numpy(), ranking.assigned.numpy(), 3)
    pd.testing.assert_frame_equal(ranking.shares, expected_shares)
    assert ranking.shares["training"].sum() == 9 and ranking.shares["training"].nunique() > 1
    right = (network(normalised(IMAGES)).argmax(1) == TARGET).float().mean()
    assert ranking.recognised == pytest.approx(right.item()) and 0 < right < 1
    plain = rank_clusters(network, IMAGES, TARGET, n_clusters=3, n_mosaics=7)  # no training images
    _, values, _, _ = expected(network, normalised(IMAGES, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))  # ImageNet's
    np.testing.assert_allclose(plain.matrix, dominance.matrix(dominance.pairs(values)), atol=1e-5)
    assert plain.shares is None
    assert not network.training and all(parameter.grad is None for parameter in network.parameters())


def test_the_matrix_is_drawn_with_corrected_p_values(ranking):
    dominance, p_values = (axis.images[0].get_array() for axis in ranking.figures()["matrix"].axes[:2])
    assert np.array_equal(dominance, ranking.matrix)
    corrected = ranking.pairs["p_t_holm"].tolist()
    assert p_values[np.triu_indices(3, 1)].tolist() == corrected != ranking.pairs["p_t"].tolist()


@pytest.mark.parametrize(
    ("settings", "same"),
    [
        ({"seed": 3}, {"seed": 3}),
        ({"resized": False}, {"resized": False}),
        ({"layer": "backbone.block2"}, {"layer": "backbone.block2"}),
        ({"explainer": "gradient"}, None),
        *(({"explainer": name}, {"method": name}) for name in ("edge-map", "random", "eigen-cam")),
        ({"n_clusters": 2, "n_mosaics": 3}, {"n_clusters": 2, "n": 3}),
    ],
)
def test_settings_reach_the_parts(network, ranking, settings, same):
    found = rank_clusters(network, IMAGES, TARGET, **(FEW | settings))
    assert not np.array_equal(found.matrix, ranking.matrix)
    if same is not None:
        _, values, maps, _ = expected(network, normalised(IMAGES), **same)
        np.testing.assert_allclose(found.matrix, dominance.matrix(dominance.pairs(values)), atol=2e-4)
        first, second = map("ABC".index, found.examples[0].names)
        rows = values.index[(values["first"] == first) & (values["second"] == second)]
        for example, row in zip(found.examples, rows):  # show what was scored, by the mosaics' numbers
            torch.testing.assert_close(example.heat, maps[row], atol=1e-3, rtol=0)


def test_clusters_have_the_seed_and_batches_change_nothing(network, ranking, monkeypatch):
    """Of few images the best of ten starts is mostly the same, whatever the seed."""
    seeds, kmeans = [], clusters.kmeans
    monkeypatch.setattr(clusters, "kmeans", lambda *args, seed: seeds.append(seed) or kmeans(*args, seed=seed))
    rank_clusters(network, IMAGES, TARGET, seed=3, **FEW)
    monkeypatch.setattr(one_class, "images_at_once", lambda _x, _chunk: 4)
    found = rank_clusters(network, IMAGES, TARGET, training=SEEN, **FEW)
    pd.testing.assert_frame_equal(found.hierarchy, ranking.hierarchy, atol=1e-5)
    pd.testing.assert_frame_equal(found.shares, ranking.shares)
    assert found.recognised == ranking.recognised and seeds == [3, 0]


def red_network():
    """Sees red as the evidence of class 1, and nothing of blue."""
    conv, head = nn.Conv2d(3, 2, 1, bias=False), nn.Linear(2, 2)
    conv.weight.data = torch.eye(3)[[0, 2], :, None, None]
    head.weight.data, head.bias.data = torch.tensor([[-1.0, 0.0], [1.0, 0.0]]), torch.tensor([0.1, 0.0])
    return nn.Sequential(conv, nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), head).eval()


def red_and_blue(n_red=3, n_blue=5):
    """Red and blue images, of different brightness each."""
    x = torch.zeros(n_red + n_blue, 3, 8, 8)
    x[:n_red, 0] = torch.linspace(0.9, 1, n_red)[:, None, None]
    x[n_red:, 2] = torch.linspace(0.9, 1, n_blue)[:, None, None]
    return x


PLAIN = {"n_clusters": 2, "n_mosaics": 6, "mean": (0, 0, 0), "std": (1, 1, 1), "layer": "1", "resized": False}


def test_a_network_that_sees_red_ranks_red_images_first():
    found = rank_clusters(red_network(), red_and_blue(), 1, classes=["blue", "red"], **PLAIN)
    assert found.hierarchy[["letter", "images", "dominance"]].to_numpy().tolist() == [["B", 3, 1.0], ["A", 5, 0.0]]
    assert found.assigned.tolist() == [1] * 3 + [0] * 5
    assert (found.title, found.recognised) == ("red", 3 / 8)
    many = rank_clusters(red_network(), red_and_blue(3, 10), 1, **PLAIN)
    assert [len(nearest) for nearest in many.representatives] == [8, 3]
    drawn = found.figures()
    assert list(drawn) == ["matrix", "representatives", "mosaics"]
    assert [axis.get_title() for axis in drawn["matrix"].axes][:2] == ["red: dominance", "red: p-values, Holm"]
    assert {axis.get_ylabel() for axis in drawn["representatives"].axes} == {"", "A (5)", "B (3)"}
    assert [axis.get_title("left") for axis in drawn["mosaics"].axes][::2] == ["A has 0 %"] * 4
    for example in found.examples:  # the heat lies on the cluster that dominates
        quarters = functional.avg_pool2d(example.heat[None], 8).flatten()
        assert (quarters[~example.first] > 0.7).all() and (quarters[example.first] < 0.2).all()
        assert (example.image[2].reshape(2, 8, 2, 8).amax((1, 3)).flatten() > 0).tolist() == example.first.tolist()


def test_pairs_without_a_value_are_left_out_and_maps_without_one_are_named():
    """Of a network of red, blue and green images side by side have empty maps."""
    x = red_and_blue(4, 6)
    x[4:7] = x[4:7].roll(-1, 1)  # three of the blue ones become green
    found = rank_clusters(red_network(), x, 1, **(PLAIN | {"n_clusters": 3}))
    assert found.pairs["n_undefined"].tolist() == [0, 0, 6] and len(found.figures()) == 3
    assert found.hierarchy["dominance"].tolist() == [1, 0, 0] and found.hierarchy["images"].tolist() == [4, 3, 3]
    assert [example.names for example in found.examples] == [("A", "B")] * 4
    with pytest.raises(ValueError, match=r"Expected maps with a positive value. Got none of class 0"):
        rank_clusters(red_network(), red_and_blue(), 0, **PLAIN)


def test_a_folder_and_its_files_are_the_same_images(network, tmp_path):
    for number, image in enumerate(IMAGES):
        pictures.to_pil_image(image).resize((40, 24)).save(tmp_path / f"{number:02}.png")
    files, few = sorted(tmp_path.iterdir()), FEW | {"size": 16}
    cut = your_images.pictures(files, 16)[0]
    first, *others = (rank_clusters(network, source, TARGET, **few) for source in (cut, tmp_path, files))
    for other in others:
        assert np.array_equal(other.matrix, first.matrix)
        assert other.representatives == [[files[place] for place in row] for row in first.representatives]
    training = rank_clusters(network, cut, TARGET, training=tmp_path, **few)
    assert (training.shares["representation"] == 1).all()
    with pytest.raises(FolderError, match=r"nowhere\. Got no such folder"):
        rank_clusters(network, tmp_path / "nowhere", TARGET, **few)


def test_a_network_of_one_size_is_told_of_resized_mosaics():
    with torch.random.fork_rng():
        torch.manual_seed(1)
        head = nn.Linear(2 * SIZE * SIZE, N_CLASSES)
        network = nn.Sequential(nn.Conv2d(3, 2, 3, padding=1), nn.ReLU(), nn.Flatten(), head).eval()
    with pytest.raises(ValueError, match=r"take images \[1, 3, 32, 32\] .* resized=True scales them"):
        rank_clusters(network, IMAGES, TARGET, resized=False, **FEW)
    found = rank_clusters(network, IMAGES, TARGET, **FEW)
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
        ({"images": []}, "Expected at least one image. Got none"),
        ({"training": []}, "Expected at least one image. Got none"),
        ({"images": torch.zeros(9, 3, 16, 16)}, "the number of distinct images. Got 3"),
        ({"model": models.build("resnet8", 5, width=4, seed=0).train()}, r"call model.eval\(\) first"),
    ],
)
def test_what_does_not_fit_is_named(network, settings, message):
    with pytest.raises(ValueError, match=message):
        rank_clusters(**({"model": network, "images": IMAGES, "target": TARGET} | FEW | settings))
