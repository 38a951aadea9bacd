import numpy as np
import pytest
import torch
import torchvision
from PIL import Image
from torch import nn
from torchvision.transforms import functional

from xai_lib import models, pretrained
from xai_lib.papers.whole_output import figures, one_image
from xai_lib.papers.whole_output.latent_tree.tree import Tree
from xai_lib.papers.whole_output.method import base_maps
from xai_lib.papers.whole_output.method.contrastive_maps import explain

SIZE = 32
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
PARTITION = [[0, 3, 5], [1, 2], [4, 6, 7]]
TREE = Tree(8, [PARTITION])
OWN = ("backbone.block3", "backbone.block1")  # the network's own layer, coarse and fine


@pytest.fixture(scope="module")
def network():
    model = models.build("resnet8", 8, width=4, seed=0).eval()
    with torch.no_grad():
        model.head.weight.mul_(6)  # else all eight classes are equally probable
    return model


@pytest.fixture(scope="module")
def picture():
    return torch.randint(0, 256, (3, SIZE, SIZE), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def few(monkeypatch):
    """RISE and LIME with few masks."""
    monkeypatch.setattr(one_image, "_MASKS", 12)
    monkeypatch.setattr(one_image, "_SAMPLES", 20)


@pytest.fixture
def drawn(monkeypatch):
    """What is handed over to be drawn: picture, output, names."""
    handed = []
    monkeypatch.setattr(figures, "whole_output", lambda *parts: handed.append(parts))
    return handed


@pytest.fixture
def check(drawn, top_of, grouped):
    """Function (network, picture, partition, base, layers, …) that compares what was drawn last with a plain loop."""

    def compare(network, picture, partition, name, layers, *, mean=MEAN, std=STD, at_most=5, seed=0):
        x = (picture - torch.tensor(mean)[:, None, None]) / torch.tensor(std)[:, None, None]
        with torch.no_grad():
            top = top_of(network(x[None])[0].softmax(0).tolist(), at_most=at_most)
        base = base_maps.base(name, layers, n_masks=12, n_samples=20)
        how = {"base": base, "methods": ("cwox-2s",), "seed": seed, "index": torch.zeros(1, dtype=torch.int64)}
        assert_same(drawn[-1][1], *explain(network, x[None], [grouped(partition, top)], **how))
        return drawn[-1]

    return compare


def assert_same(output, other):
    assert output.clusters == other.clusters and output.classes == other.classes
    assert torch.equal(output.probabilities, other.probabilities)
    assert torch.equal(output.cluster_maps, other.cluster_maps)
    assert output.class_maps.keys() == {"cwox-2s"}
    assert torch.equal(output.class_maps["cwox-2s"], other.class_maps["cwox-2s"])


@pytest.mark.parametrize("base", base_maps.BASES)
def test_the_maps_are_those_of_the_explanation(network, picture, check, few, base):
    layers = ("backbone.block3", "backbone.block2")
    one_image.explain_output(network, picture, tree=TREE, base=base, layers=layers, seed=3)
    shown, output, names = check(network, picture / 255, PARTITION, base, layers, seed=3)
    assert torch.equal(shown, picture / 255) and names == list("01234567")
    assert len(output.classes) == 5 and 1 < len(output.clusters) < 5
    assert (output.class_maps["cwox-2s"] > 0).any()


def test_a_tree_layers_names_fewer_classes_and_other_colour_statistics_may_be_given(network, picture, check):
    one_image.explain_output(network, picture)
    assert network.default_layer() is network.get_submodule(OWN[0]) and OWN[1] == "backbone.block1"  # of a finer grid
    assert len(check(network, picture / 255, [list(range(8))], "grad-cam", OWN)[1].clusters) == 1
    options = {"at_most": 2, "mean": (0.5, 0.4, 0.3), "std": (0.2, 0.3, 0.4)}
    one_image.explain_output(network, picture, tree=TREE, classes="abcdefgh", **options)
    _, output, names = check(network, picture / 255, PARTITION, "grad-cam", OWN, **options)
    assert len(output.classes) == 2 and names == list("abcdefgh")


def test_a_file_a_pil_image_and_a_tensor_are_one_picture(network, tmp_path, drawn):
    """A file is resized to 8/7 of the side and cut to its middle, as torchvision prepares images."""
    wide = torch.zeros(3, 28, 70, dtype=torch.uint8)
    wide[0, :, 21:49], wide[1, 7:21] = 200, 100
    image = functional.to_pil_image(wide)
    image.convert("RGBA").save(tmp_path / "wide.png")
    cut = functional.pil_to_tensor(functional.center_crop(image.resize((80, 32), Image.Resampling.BILINEAR), [28]))
    for source in (image, tmp_path / "wide.png", (cut / 255).double()):
        one_image.explain_output(network, source, size=28)
    assert len(drawn) == 3
    for shown, output, _ in drawn:
        assert shown.dtype == torch.float32 and torch.equal(shown, cut / 255)
        assert_same(output, drawn[0][1])


def test_a_network_of_torchvision(picture, check):
    """Which names no layer of its own: the last one with more than one place is found."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = torchvision.models.resnet50(weights=None, num_classes=4).eval()
    with torch.no_grad():
        network.fc.weight.mul_(0.05)  # else one class has all the probability
    large = functional.resize(picture, [64])
    one_image.explain_output(network, large, tree=Tree(4, [[[0, 2], [1, 3]]]), at_most=3)
    assert not network.training and all(parameter.grad is None for parameter in network.parameters())
    _, output, _ = check(network, large / 255, [[0, 2], [1, 3]], "grad-cam", ("layer4", "layer3"), at_most=3)
    assert len(output.classes) == 3 and len(output.clusters) == 2


def test_lime_and_rise_need_no_layer(picture, drawn, few):
    """A network without any spatial layer, as Grad-CAM says."""
    network = nn.Sequential(nn.Flatten(), nn.Linear(3 * SIZE * SIZE, 4)).eval()
    for base in ("rise", "lime"):
        one_image.explain_output(network, picture, base=base)
    assert len(drawn) == 2
    with pytest.raises(ValueError, match="Expected a layer that returns a grid of more than one place"):
        one_image.explain_output(network, picture)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"image": np.zeros((32, 32, 3))}, "Expected a file, a PIL image or a tensor.* Got ndarray"),
        ({"image": torch.zeros(1, 3, 8, 8)}, r"Expected an image \[3,H,W\]. Got shape \[1, 3, 8, 8\]"),
        ({"image": torch.full((3, 8, 8), 255)}, "Got torch.int64 from 255 to 255"),
        ({"image": torch.full((3, 8, 8), float("nan"))}, "not normalised yet"),
        ({"layers": ("backbone.block3", "backbone.block9")}, "backbone.block3.* Got 'backbone.block9'"),
        ({"layers": ("nowhere", "backbone.block3")}, "Got 'nowhere'"),
        ({"base": "saliency"}, "Expected a base explainer out of grad-cam, .* Got 'saliency'"),
        ({"classes": ["a", "b"]}, "names and a tree of the network's 8 classes. Got 2 names[.]$"),
        ({"classes": []}, "8 classes. Got 0 names"),
        ({"tree": Tree(4, [[[0, 1], [2, 3]]])}, "8 classes. Got 8 names and a tree of 4[.]"),
        ({"at_most": 0}, "Expected at_most .* Got 0"),
        ({"std": (0.2, 0.0, 0.2)}, r"Expected deviations above 0. Got \(0.2, 0.0, 0.2\)"),
        ({"mean": (124, 117, 104)}, r"Expected three numbers in \[0, 1\].* Got \(124, 117, 104\)"),
        ({"image": "photo.jpg", "size": 16.0}, "Expected size as a whole number of at least 1. Got 16.0"),
    ],
)
def test_images_and_settings_that_do_not_fit_are_named(network, picture, given, message):
    with pytest.raises((TypeError, ValueError), match=message):
        one_image.explain_output(**{"model": network, "image": picture} | given)


def test_a_network_that_cannot_be_explained_here_is_refused_before_it_runs(network, picture):
    network = models.build("resnet8", 4, width=4, seed=0).train()
    before = pretrained.state_digest(network)
    with pytest.raises(ValueError, match=r"call model.eval\(\) first"):
        one_image.explain_output(network, picture)
    assert pretrained.state_digest(network) == before  # statistics of batch normalisation as well
