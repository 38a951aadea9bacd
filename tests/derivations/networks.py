"""Networks with lively weights, images for them and what else explainers take: for derivations and tests."""

from collections.abc import Callable
from functools import partial

import torch
import torchvision
from torch import Tensor, nn

from xai_lib import models
from xai_lib.explainers import of_class

INDEX = torch.tensor([5, 0, 17, 3])


class SmallNet(nn.Module):
    """A plain network of three convolutions with batch-norm, in-place ReLUs behind each, and a linear head."""

    def __init__(self, n_classes: int = 5) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 6, 3, padding=1), nn.BatchNorm2d(6))
        self.middle = nn.Sequential(nn.ReLU(inplace=True), nn.Conv2d(6, 8, 3, stride=2, padding=1), nn.BatchNorm2d(8))
        self.last = nn.Sequential(nn.ReLU(inplace=True), nn.Conv2d(8, 12, 3, stride=2, padding=1))
        self.relu = nn.ReLU(inplace=True)
        self.dropout = nn.Dropout(0.5)
        self.head = nn.Linear(12, n_classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.dropout(self.relu(self.last(self.middle(self.stem(x)))).mean((2, 3))))


BUILDS = {
    "small": SmallNet,
    "resnet8": partial(models.build, "resnet8", 10, width=8, seed=0),
    "resnet18": partial(models.build, "resnet18", 10, width=8, seed=0),
    "torchvision resnet18": partial(torchvision.models.resnet18, num_classes=10),
    "resnet50": partial(torchvision.models.resnet50, num_classes=10),
    "googlenet": partial(torchvision.models.googlenet, num_classes=10, aux_logits=False, init_weights=False),
}


def fresh(build: str | Callable[[], nn.Module]) -> nn.Module:
    """A network, one of ``BUILDS`` or another, as it is before any training, in evaluation mode."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return BUILDS.get(build, build)().eval()


def lively(build: str | Callable[[], nn.Module]) -> nn.Module:
    """As :func:`fresh`, with weights and running statistics large enough for lively logits."""
    model = fresh(build)
    generator = torch.Generator().manual_seed(0)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.copy_(0.3 * torch.randn(module.num_features, generator=generator))
            module.running_var.copy_(0.5 + torch.rand(module.num_features, generator=generator))
        if isinstance(module, nn.Linear):
            module.weight.data = torch.randn(module.weight.shape, generator=generator)
        if isinstance(module, nn.Conv2d):
            scale = (2 / module.weight[0].numel()) ** 0.5
            module.weight.data = scale * torch.randn(module.weight.shape, generator=generator)
    return model


def images(n: int, side: int, seed: int = 1) -> Tensor:
    """Normalised images, float [n,3,side,side]."""
    return torch.randn(n, 3, side, side, generator=torch.Generator().manual_seed(seed))


def small(layer="last", reading="logit", **settings):
    """The small network, four images and a layer without upsampling."""
    target = torch.tensor([0, 3, 1, 4])
    found = {"model": lively("small"), "x": images(4, 16), "target": target, "index": INDEX, "layer": layer, "seed": 3}
    return found | {"score": of_class(target, reading), "upsample": False} | settings


def large(network, layer=None, side=32, n=4, factor=1.0, predicted=False, make=lively, **settings):
    """A network of a usual architecture, its images, and a layer (of ours by its name in ``layers()``)."""
    model, x, target = make(network), images(n, side), torch.tensor([0, 3, 9, 1])[:n]
    target = model(x).argmax(1) if predicted else target
    score = lambda logits: factor * of_class(target, "logit")(logits)  # noqa: E731
    found = {"model": model, "x": x, "target": target, "score": score, "factor": factor}
    return found | {"layer": layer, "upsample": False} | settings
