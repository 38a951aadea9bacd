"""Networks trained elsewhere: torchvision's first ImageNet weights, which the papers used."""

import hashlib
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn
from torchvision.models import GoogLeNet, GoogLeNet_Weights, ResNet18_Weights, ResNet50_Weights, resnet18, resnet50

from xai_lib import models
from xai_lib.models import Classifier


@dataclass(frozen=True)
class _Published:
    """A network with published weights; the end of the file's name is the start of its sha256."""

    build: Callable[[], nn.Module]
    url: str

    @property
    def file_name(self) -> str:
        return self.url.rsplit("/", 1)[1]

    @property
    def sha256_start(self) -> str:
        return Path(self.file_name).stem.rsplit("-", 1)[1]


def names() -> list[str]:
    """What :func:`pretrained` takes as a name."""
    return list(_PUBLISHED)


def pretrained(name: str = "torchvision:resnet50", *, download: bool = False) -> nn.Module:
    """A network with torchvision's IMAGENET1K_V1 weights, in evaluation mode, on the processor.

    "torchvision:resnet18", "torchvision:resnet50" or "torchvision:googlenet", whose weights lie in torch's own folder,
    ``torch.hub.get_dir()`` and ``checkpoints`` below; ``download`` fetches them where they are missing. All take images
    [B,3,H,W] standardised by ImageNet's mean and deviation (GoogLeNet translates them to its own scale inside) and
    return logits [B,1000]. GoogLeNet comes without its two auxiliary heads, which only training uses. No random
    generator is disturbed.

    ValueError if there is no such network, or the file is not the published one; FileNotFoundError if it is not there,
    saying what to put where; RuntimeError if the download fails, or does not match its checksum: it is not kept.
    """
    if name not in _PUBLISHED:
        raise ValueError(f"Expected a network out of {', '.join(names())}. Got {name!r}.")
    published = _PUBLISHED[name]
    path = Path(torch.hub.get_dir()) / "checkpoints" / published.file_name
    if not path.is_file():
        if not download:
            raise FileNotFoundError(
                f"Expected the weights of {name} in {path}. Got no such file: put {published.file_name} from "
                f"{published.url} there, or set download."
            )
        _download(published, path)
    weights = _read(published, path)
    with torch.device("meta"):
        model = published.build()
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


def imagenet_start(architecture: str, n_classes: int, *, seed: int, download: bool) -> Classifier:
    """Where fine-tuning starts: torchvision's first weights in the backbone, random weights by the seed in the head.

    ``architecture`` is "resnet18-224" or "resnet50-224"; ValueError as :func:`start_file`. ``download`` and all other
    errors are as of :func:`pretrained`.
    """
    start_file(architecture)  # raises if there is none
    published = pretrained(_STARTS[architecture], download=download).state_dict()
    classifier = models.build(architecture, n_classes, seed=seed)
    weights = {_stage_name(name): tensor for name, tensor in published.items() if not name.startswith("fc.")}
    classifier.backbone.load_state_dict(weights)
    return classifier


def _stage_name(name: str) -> str:
    """A tensor's name in our backbone: torchvision's first layers are our stem."""
    for theirs, ours in (("conv1.", "stem.0."), ("bn1.", "stem.1.")):
        if name.startswith(theirs):
            return ours + name.removeprefix(theirs)
    return name


def state_digest(model: nn.Module) -> str:
    """The sha256 (hexadecimal) of a network's weights and buffers: the key of a network that was not trained here.

    It covers name, type, shape and bytes of each tensor of the state dict, sorted by name, whatever the device. It
    does not cover the code that runs them.
    """
    known = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        known.update(f"{name}|{tensor.dtype}|{list(tensor.shape)}\0".encode())
        known.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return known.hexdigest()


def _download(published: _Published, path: Path) -> None:
    """Fetch to a temporary file that takes the place of ``path`` only once its checksum is right."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        torch.hub.download_url_to_file(published.url, str(path), published.sha256_start, progress=False)
    except OSError as error:
        raise RuntimeError(
            f"Expected to download {published.url}. Got: {error}. Check the connection, or put the file in "
            f"{path.parent} by hand."
        ) from error
    except RuntimeError as error:
        raise RuntimeError(
            f"Expected {published.url} to match its checksum. Got: {error}. Nothing was kept: try again."
        ) from error


def _read(published: _Published, path: Path) -> dict[str, Tensor]:
    with path.open("rb") as content:
        found = hashlib.file_digest(content, "sha256").hexdigest()
    if not found.startswith(published.sha256_start):
        raise ValueError(
            f"Expected {path} to be {published.file_name}, whose sha256 starts with {published.sha256_start}. "
            f"Got {found[:8]}…: delete it and fetch {published.url} again."
        )
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError) as error:
        raise ValueError(f"Expected weights in {path}. Got: {error}.") from error


# With auxiliary heads, since the file has them.
_googlenet = partial(GoogLeNet, aux_logits=True, transform_input=True, init_weights=False)
_PUBLISHED = {
    "torchvision:resnet18": _Published(resnet18, ResNet18_Weights.IMAGENET1K_V1.url),
    "torchvision:resnet50": _Published(resnet50, ResNet50_Weights.IMAGENET1K_V1.url),
    "torchvision:googlenet": _Published(_googlenet, GoogLeNet_Weights.IMAGENET1K_V1.url),
}

_STARTS = {"resnet18-224": "torchvision:resnet18", "resnet50-224": "torchvision:resnet50"}
