import copy

import pytest
import torch
import torchvision
from torch import nn

from xai_lib import models

SMALL = {"resnet8": 4, "resnet18": 4, "resnet50": None}
RESIZING = ("resnet18-224", "resnet50-224")


@pytest.fixture(scope="module", params=SMALL)
def trained(request):
    """A network in evaluation mode whose batch normalisations are not the identity."""
    classifier = models.build(request.param, 7, width=SMALL[request.param], seed=0)
    generator = torch.Generator().manual_seed(1)
    for module in classifier.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.copy_(0.2 * torch.randn(module.num_features, generator=generator))
            module.running_var.copy_(0.5 + torch.rand(module.num_features, generator=generator))
            nn.init.uniform_(module.weight, 0.4, 0.8, generator=generator)
            nn.init.uniform_(module.bias, -0.2, 0.2, generator=generator)
    return classifier.eval()


def pictures(size=32, number=2):
    return torch.randn(number, 3, size, size, generator=torch.Generator().manual_seed(2))


def activations(classifier, x):
    """Layer -> its output for x, one forward pass."""
    found = {}
    handles = [
        layer.register_forward_hook(lambda _, __, output, name=name: found.__setitem__(name, output.detach().clone()))
        for name, layer in classifier.layers().items()
    ]
    with torch.no_grad():
        classifier(x)
    for handle in handles:
        handle.remove()
    return found


@pytest.mark.parametrize(
    ("architecture", "width", "size", "expected"),
    [
        ("resnet8", None, 32, (128, 8, 8)),
        ("resnet8", 4, 64, (16, 16, 16)),
        ("resnet18", None, 32, (512, 4, 4)),
        ("resnet18", 8, 32, (64, 4, 4)),
        ("resnet50", None, 64, (2048, 2, 2)),
        ("resnet18-224", None, 32, (512, 7, 7)),
        ("resnet18-224", None, 64, (512, 7, 7)),
        ("resnet50-224", None, 32, (2048, 7, 7)),
        ("efficientnet-lite0", None, 64, (1280, 2, 2)),
    ],
)
def test_shapes(architecture, width, size, expected):
    classifier = models.build(architecture, 10, width=width, seed=0).eval()
    x = pictures(size)
    with torch.no_grad():
        assert classifier.backbone(x).shape == (2, *expected)
        assert classifier.features(x).shape == (2, expected[0])
        assert classifier(x).shape == (2, 10)


def test_resnet8_has_the_widths_and_strides_of_its_name():
    maps = activations(models.build("resnet8", 10, seed=0).eval(), pictures())
    assert [tuple(a.shape[1:]) for a in maps.values()] == [(32, 32, 32), (32, 16, 16), (64, 8, 8), (128, 8, 8)]


def test_resnet18_is_torchvisions_behind_another_stem():
    """Same weights, same output: only the 3x3 stem and the missing pooling differ."""
    ours = models.build("resnet18", 10, seed=0).eval()
    reference = torchvision.models.resnet18(num_classes=10)
    reference.conv1 = nn.Conv2d(3, 64, 3, padding=1, bias=False)
    reference.maxpool = nn.Identity()
    state = {name.removeprefix("backbone."): value for name, value in ours.state_dict().items()}
    stems = {"stem.0.": "conv1.", "stem.1.": "bn1.", "head.": "fc."}
    for before, after in stems.items():
        state = {name.replace(before, after) if name.startswith(before) else name: v for name, v in state.items()}
    reference.load_state_dict(state)
    with torch.no_grad():
        torch.testing.assert_close(ours(pictures()), reference.eval()(pictures()), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("architecture", "sizes"), [("resnet50", [64]), *((name, (32, 64, 224)) for name in RESIZING)])
def test_networks_are_torchvisions_on_images_that_some_enlarge(architecture, sizes):
    ours = models.build(architecture, 5, seed=3).eval()
    reference = getattr(torchvision.models, architecture.removesuffix("-224"))(num_classes=5).eval()
    reference.load_state_dict(dict(zip(reference.state_dict(), ours.state_dict().values(), strict=True)))
    for size in sizes:
        side = 224 if architecture in RESIZING else size
        enlarged = nn.functional.interpolate(pictures(size), (side, side), mode="bilinear")
        assert size != side or torch.equal(enlarged, pictures(size))
        with torch.no_grad():
            torch.testing.assert_close(ours(pictures(size)), reference(enlarged), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("architecture", RESIZING)
def test_the_resize_is_not_a_layer_and_survives_folding(architecture):
    classifier = models.build(architecture, 5, seed=3).eval()
    blocks = {"resnet18-224": (2, 2, 2, 2), "resnet50-224": (3, 4, 6, 3)}[architecture]
    stages = [f"backbone.layer{number}.{i}" for number, count in enumerate(blocks, 1) for i in range(count)]
    assert list(classifier.layers()) == ["backbone.stem", *stages]
    assert classifier.default_layer() is classifier.backbone.layer4[-1]
    folded = models.fold_batchnorm(classifier)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in folded.modules())
    with torch.no_grad():
        torch.testing.assert_close(folded(pictures(32)), classifier(pictures(32)), rtol=1e-4, atol=1e-4)


def test_the_head_stands_on_the_mean_of_each_map(trained):
    with torch.no_grad():
        pooled = trained.backbone(pictures()).flatten(2).mean(2)
        torch.testing.assert_close(trained.features(pictures()), pooled)
        torch.testing.assert_close(trained(pictures()), pooled @ trained.head.weight.T + trained.head.bias)


def test_layers_are_in_the_order_of_the_forward_pass_and_end_with_the_default(trained):
    layers = trained.layers()
    assert list(activations(trained, pictures())) == list(layers)
    assert all(trained.get_submodule(name) is layer for name, layer in layers.items())
    assert list(layers.values())[-1] is trained.default_layer()
    found = activations(trained, pictures())[list(layers)[-1]]
    with torch.no_grad():
        assert torch.equal(found, trained.backbone(pictures()))


def test_the_seed_alone_decides_the_weights():
    first, again, other = (models.build("resnet8", 3, width=4, seed=seed).state_dict() for seed in (5, 5, 6))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["head.weight"], other["head.weight"])
    assert not torch.equal(first["backbone.stem.0.weight"], other["backbone.stem.0.weight"])


def test_building_disturbs_no_generator(monkeypatch):
    seeded = []
    monkeypatch.setattr(torch.cuda, "manual_seed_all", seeded.append)
    before = torch.get_rng_state()
    models.build("resnet8", 3, width=4, seed=5)
    assert torch.equal(torch.get_rng_state(), before)
    assert seeded == []


def test_convolutions_are_initialised_as_torchvisions():
    weight = models.build("resnet18", 10, seed=0).backbone.layer4[0].conv1.weight  # 256 channels to 512
    assert weight.std().item() == pytest.approx((2 / (512 * 9)) ** 0.5, rel=0.01)


def test_embeddings_have_length_one():
    backbone = models.build("resnet8", 3, width=4, seed=0).backbone.eval()
    projection = models.projection(16, 32)
    embedder = models.Embedder(backbone, projection)
    with torch.no_grad():
        z = embedder(pictures())
        direction = projection(backbone(pictures()).mean(dim=(2, 3)))
    assert z.shape == (2, 128)
    torch.testing.assert_close(z.norm(dim=1), torch.ones(2))
    torch.testing.assert_close(z, direction / direction.norm(dim=1, keepdim=True))


def test_projection_is_linear_relu_linear():
    kinds = [type(layer) for layer in models.projection(16, 32, 8)]
    assert kinds == [nn.Linear, nn.ReLU, nn.Linear]
    assert models.projection(16, 32, 8)(torch.zeros(3, 16)).shape == (3, 8)


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_folding_keeps_logits_and_the_activations_of_every_layer(trained, memory_format):
    folded = models.fold_batchnorm(trained).to(memory_format=memory_format)
    x = pictures()
    with torch.no_grad():
        logits = trained(x)
        assert logits.std() > 0.01, "a network that gives nothing would pass"
        torch.testing.assert_close(folded(x.to(memory_format=memory_format)), logits, rtol=1e-5, atol=1e-5)
    assert list(folded.layers()) == list(trained.layers())
    assert folded.default_layer() is list(folded.layers().values())[-1]
    ours, reference = activations(folded, x), activations(trained, x)
    for name, activation in reference.items():
        torch.testing.assert_close(ours[name], activation, rtol=1e-5, atol=1e-5, msg=lambda m, name=name: f"{name} {m}")


def test_folding_leaves_no_batch_normalisation_and_the_original_as_it_was(trained):
    before = copy.deepcopy(trained.state_dict())
    trained.train()
    try:
        folded = models.fold_batchnorm(trained)
        assert trained.training and trained.default_layer().training
    finally:
        trained.eval()
    assert not any(module.training for module in folded.modules())
    assert not any(isinstance(module, nn.BatchNorm2d) for module in folded.modules())
    assert trained.state_dict().keys() == before.keys()
    assert all(torch.equal(value, before[name]) for name, value in trained.state_dict().items())


@pytest.mark.parametrize("architecture", SMALL)
def test_channels_last_is_kept_to_the_last_map(architecture):
    classifier = models.build(architecture, 3, width=SMALL[architecture], seed=0).eval()
    classifier = classifier.to(memory_format=torch.channels_last)
    with torch.no_grad():
        activation = classifier.backbone(pictures(64).to(memory_format=torch.channels_last))
    assert activation.is_contiguous(memory_format=torch.channels_last)


def test_an_unknown_architecture_lists_those_there_are():
    with pytest.raises(
        ValueError,
        match=r"resnet50, resnet18-224, resnet50-224, efficientnet-lite0\. Got 'resnet81'\. Did you mean",
    ):
        models.build("resnet81", 10, seed=0)
    assert models.names() == ["resnet8", "resnet18", "resnet50", *RESIZING, "efficientnet-lite0"]


@pytest.mark.parametrize("bad", [0, -3, 2.5, True, "10"])
def test_numbers_that_make_no_network_are_refused(bad):
    with pytest.raises(ValueError, match=r"Expected n_classes as a whole number of at least 1\. Got"):
        models.build("resnet8", bad, seed=0)
    with pytest.raises(ValueError, match=r"Expected width as a whole number of at least 1\. Got"):
        models.build("resnet8", 10, width=bad, seed=0)


@pytest.mark.parametrize("architecture", ["resnet50", *RESIZING])
def test_torchvisions_layers_have_one_width(architecture):
    with pytest.raises(ValueError, match=r"Expected width 64, or None, for a network of torchvision's layers\. Got 32"):
        models.build(architecture, 10, width=32, seed=0)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_building_leaves_the_gpu_generator_alone():
    torch.cuda.init()
    before = torch.cuda.get_rng_state()
    models.build("resnet8", 3, width=4, seed=5)
    assert torch.equal(torch.cuda.get_rng_state(), before)


@pytest.mark.parametrize("width", [4, 7, 8])
def test_gradients_of_narrow_shortcuts_are_those_of_the_plain_layout(width):
    network, found = models.build("resnet8", 5, width=width, seed=0).train(), []
    x = torch.randn(32, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    for layout in (torch.channels_last, torch.contiguous_format):
        network.zero_grad()
        network(x.contiguous(memory_format=layout)).square().sum().backward()
        found.append({name: parameter.grad.clone() for name, parameter in network.named_parameters()})
    for name, grad in found[0].items():
        torch.testing.assert_close(grad, found[1][name], rtol=1e-3, atol=1e-4 * float(found[1][name].abs().max()))
    pools = [module for module in network.modules() if isinstance(module, nn.MaxPool2d)]
    assert len(pools) == (2 if width < 8 else 0)
