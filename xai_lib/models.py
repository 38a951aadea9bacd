"""Networks: residual backbones, the heads put on them, and one face for all that classify."""

import copy
import difflib
import importlib
import itertools
from collections import OrderedDict
from collections.abc import Callable, Mapping
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval
from torchvision.models import resnet
from torchvision.models.resnet import BasicBlock, Bottleneck

from xai_lib.checks import check_counts

_INPUT = 224  # pixels that torchvision's ImageNet networks were trained on


class Classifier(nn.Module):
    """Backbone, global average pooling, linear head: what every explainer and metric sees, whatever the loss was.

    The backbone gives activations [B,D,h,w] of images [B,3,H,W]; its children are the stages, after a resize of the
    images if there is one. The head gives logits [B,C] of pooled features [B,D].
    """

    def __init__(self, backbone: nn.Sequential, head: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = head

    def features(self, x: Tensor) -> Tensor:
        """Pooled features, float [B,D], of images float [B,3,H,W]."""
        return self.backbone(x).mean(dim=(2, 3))

    def forward(self, x: Tensor) -> Tensor:
        """Logits, float [B,C], of images float [B,3,H,W]."""
        return self.head(self.features(x))

    def layers(self) -> dict[str, nn.Module]:
        """Layers worth explaining, by dotted name, as they run: the stem, then blocks; a stage ends with its last."""
        found: dict[str, nn.Module] = {}
        for name, stage in self.backbone.named_children():
            if isinstance(stage, nn.Upsample):
                continue  # the image in another size is no layer
            if name != "stem" and isinstance(stage, nn.Sequential):
                found |= {f"backbone.{name}.{position}": block for position, block in stage.named_children()}
            else:
                found[f"backbone.{name}"] = stage
        return found

    def default_layer(self) -> nn.Module:
        """The last convolutional block, ``layer4[-1]`` of a ResNet (contrastive paper §4.3)."""
        return list(self.layers().values())[-1]


class Embedder(nn.Module):
    """Backbone [B,3,H,W] -> [B,D,h,w], pooling, projection [B,D] -> [B,k], length 1: what a contrastive loss trains."""

    def __init__(self, backbone: nn.Sequential, projection: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone
        self.projection = projection

    def forward(self, x: Tensor) -> Tensor:
        """Embeddings of Euclidean length 1, float [B,k], of images float [B,3,H,W]."""
        return functional.normalize(self.projection(self.backbone(x).mean(dim=(2, 3))), dim=1)


class Adapted(nn.Module):
    """Another network, with what it returns turned into logits [B,C]."""

    def __init__(
        self, network: nn.Module, *, logits: str = "", two_classes: bool = False, multi_label: bool = False
    ) -> None:
        super().__init__()
        self.network = network
        self.part = logits  # which of several outputs: its key, attribute or position; empty for the only one
        self.two_classes = two_classes  # of one logit y [B] or [B,1]: the logits [0, y]
        self.multi_label = multi_label  # each class's probability is its own sigmoid, not a share of a softmax

    def forward(self, x: Tensor) -> Tensor:
        """The logits; ValueError if there is no such part."""
        output = self.network(x)
        if self.part:
            parts = _parts(output)
            if self.part not in parts:
                names = ", ".join(parts) or "of which there is only one"
                raise ValueError(f"Expected logits as one of the outputs, {names}. Got {self.part!r}.")
            output = parts[self.part]
        if self.two_classes:
            y = output.reshape(len(x))
            output = torch.stack([torch.zeros_like(y), y], dim=1)
        return output


def _parts(output: object) -> dict[str, object]:
    """Several outputs by key, attribute or position, whatever holds them."""
    if isinstance(output, Mapping):
        return {str(key): value for key, value in output.items()}
    if isinstance(output, tuple | list):
        named = output._asdict() if hasattr(output, "_asdict") else {}
        return {str(position): value for position, value in enumerate(output)} | named
    names = [] if isinstance(output, Tensor) else [name for name in dir(output) if not name.startswith("_")]
    return {name: value for name in names if not callable(value := getattr(output, name))}


def is_multi_label(model: object) -> bool:
    """Whether each class's probability is its own sigmoid."""
    return isinstance(model, Adapted) and model.multi_label


def names() -> list[str]:
    """The architectures there are."""
    return list(_ARCHITECTURES)


def build(architecture: str, n_classes: int, *, width: int | None = None, seed: int) -> Classifier:
    """A classifier with random weights; the same seed gives the same weights, and no global generator is disturbed.

    Args:
        architecture: ``resnet8`` (for processors: three blocks, map of a quarter of the image's side), ``resnet18``
            (stem of one 3×3 convolution, no pooling: for images of 32 pixels), ``resnet50`` (7×7 stem),
            ``resnet18-224`` and ``resnet50-224`` (torchvision's layers behind a resize of every image to 224 pixels),
            or ``efficientnet-lite0`` (timm's layers, of the extra "networks": images keep their size).
        width: channels of the first stage; ``None`` is the architecture's own (32 for ``resnet8`` and
            ``efficientnet-lite0``, 64 for the others).

    ValueError if the architecture does not exist, or a number is below 1; the message says what was expected.
    """
    if architecture not in _ARCHITECTURES:
        near = difflib.get_close_matches(str(architecture), names(), n=1)
        hint = f" Did you mean {near[0]}?" if near else ""
        raise ValueError(f"Expected an architecture out of {', '.join(names())}. Got {architecture!r}.{hint}")
    backbone, own_width, expansion = _ARCHITECTURES[architecture]
    width = own_width if width is None else width
    check_counts(n_classes=n_classes, width=width)
    with torch.random.fork_rng(devices=[]), torch.device("cpu"):
        torch.default_generator.manual_seed(seed)  # torch.manual_seed would seed every GPU's generator as well
        return Classifier(backbone(width), nn.Linear(width * expansion, n_classes))


def projection(dim: int, hidden: int, out: int = 128) -> nn.Sequential:
    """The projection head of the contrastive paper (§4.1): linear, ReLU, linear; [B,dim] -> [B,out]."""
    return nn.Sequential(nn.Linear(dim, hidden), nn.ReLU(), nn.Linear(hidden, out))


def fold_batchnorm(network: nn.Module) -> nn.Module:
    """A copy for scoring: evaluation mode, each batch normalisation folded into the convolution before it.

    That is the one before it in their module: a network must run the two one after the other, as ResNets, GoogLeNet and
    timm's EfficientNets do, of whose normalisation the activation is left. Logits and activations of layers stay the
    same up to float rounding (about 1e-5). The original is not changed. EfficientNet-Lite0 takes half the time.
    """
    folded = copy.deepcopy(network).eval()
    for module in folded.modules():
        for (name, convolution), (behind, norm) in itertools.pairwise(list(module.named_children())):
            if isinstance(convolution, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                setattr(module, name, fuse_conv_bn_eval(convolution, norm))
                rest = [getattr(norm, part) for part in ("drop", "act") if hasattr(norm, part)]
                setattr(module, behind, (nn.Sequential(*rest) if rest else nn.Identity()).eval())
    return folded


def _resnet8(width: int) -> nn.Sequential:
    stages = OrderedDict(stem=_stem(width), block1=_block(width, width, stride=2))
    stages |= {"block2": _block(width, 2 * width, stride=2), "block3": _block(2 * width, 4 * width, stride=1)}
    return _initialised(stages)


def _resnet18(width: int) -> nn.Sequential:
    stages = OrderedDict(stem=_stem(width))
    channels = width
    for number in range(1, 5):
        planes = width * 2 ** (number - 1)
        first = _block(channels, planes, stride=1 if number == 1 else 2)
        stages[f"layer{number}"] = nn.Sequential(first, _block(planes, planes, stride=1))
        channels = planes
    return _initialised(stages)


def _torchvision(width: int, *, block: type[nn.Module], blocks: list[int], resized: bool = False) -> nn.Sequential:
    """Torchvision's stages, behind a bilinear resize to the side that they were trained on if they are ``resized``."""
    if width != 64:
        expected = "Expected width 64, or None, for a network of torchvision's layers."
        raise ValueError(f"{expected} Got {width}: narrower networks are resnet8 and resnet18.")
    network = resnet.ResNet(block, blocks)
    stages = {"resize": nn.Upsample((_INPUT, _INPUT), mode="bilinear", align_corners=False)} if resized else {}
    stages["stem"] = nn.Sequential(network.conv1, network.bn1, network.relu, network.maxpool)
    stages |= {f"layer{number}": getattr(network, f"layer{number}") for number in range(1, 5)}
    return nn.Sequential(OrderedDict(stages))


def _efficientnet(width: int) -> nn.Sequential:
    """timm's EfficientNet-Lite0, its last convolution among the stages; ImportError without timm."""
    if width != 32:
        raise ValueError(f"Expected width 32, or None, for efficientnet-lite0. Got {width}: narrower is resnet8.")
    network = importlib.import_module("timm").create_model("tf_efficientnet_lite0")
    stages = {"stem": nn.Sequential(network.conv_stem, network.bn1), "blocks": network.blocks}
    return nn.Sequential(OrderedDict(stages | {"last": nn.Sequential(network.conv_head, network.bn2)}))


_18, _50 = {"block": BasicBlock, "blocks": [2, 2, 2, 2]}, {"block": Bottleneck, "blocks": [3, 4, 6, 3]}
_ARCHITECTURES: dict[str, tuple[Callable[[int], nn.Sequential], int, int]] = {  # -> backbone, own width, features/width
    "resnet8": (_resnet8, 32, 4),
    "resnet18": (_resnet18, 64, 8),
    "resnet50": (partial(_torchvision, **_50), 64, 32),
    "resnet18-224": (partial(_torchvision, **_18, resized=True), 64, 8),
    "resnet50-224": (partial(_torchvision, **_50, resized=True), 64, 32),
    "efficientnet-lite0": (_efficientnet, 32, 40),
}


def _stem(width: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(3, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU(inplace=True))


def _block(channels: int, planes: int, *, stride: int) -> BasicBlock:
    shortcut = None
    if stride != 1 or channels != planes:
        # From fewer than 8 channels oneDNN computes wrong gradients of a strided 1×1 convolution's weights, or ends the
        # process, on processors without AVX-512 (its issue 6035): there a pool of single pixels takes the stride.
        by_pool = stride if channels < 8 else 1
        convolution = nn.Conv2d(channels, planes, 1, stride=stride // by_pool, bias=False)
        stages = {"pool": nn.MaxPool2d(1, by_pool)} if by_pool > 1 else {}
        shortcut = nn.Sequential(OrderedDict(stages | {"0": convolution, "1": nn.BatchNorm2d(planes)}))
    return BasicBlock(channels, planes, stride, shortcut)


def _initialised(stages: "OrderedDict[str, nn.Module]") -> nn.Sequential:
    """The stages in a row, convolutions initialised as torchvision's ResNets are (He et al. 2015)."""
    backbone = nn.Sequential(stages)
    for module in backbone.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    return backbone
