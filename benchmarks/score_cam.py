"""Score-CAM beside pytorch-grad-cam: ratios of their times, and peak memory against the number of channels.

Run ``python benchmarks/score_cam.py``; ``--quick`` leaves out the photographs' size. Memory is the peak resident set
of a process of its own, less that of the same process before it explains. ResNet-50 is explained at its first
convolution, of 64 channels, so that it does not take an hour: both sides' time is that of a forward pass per channel.
"""

import resource
import subprocess
import sys

import torch
from _pairs import median_ratio
from pytorch_grad_cam import ScoreCAM
from pytorch_grad_cam import score_cam as library
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torch import nn
from torchvision.models import resnet50

from xai_lib import explainers, models

TARGET = 1.0
CHANNELS = (64, 256, 1024)


class Wide(nn.Module):
    """A cheap network for images of 224 pixels whose layer has any number of channels on a grid of 7 by 7."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layer = nn.Sequential(nn.AvgPool2d(32), nn.Conv2d(3, channels, 1))  # next to no weights
        self.head = nn.Linear(channels, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.layer(x).relu().mean((2, 3)))


def main() -> None:
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    print(f"Score-CAM on {device}, {torch.get_num_threads()} threads, float32")
    library.tqdm.tqdm = lambda steps: steps  # no progress bars
    resnet8 = models.build("resnet8", 10, width=32, seed=0).eval().to(device)
    compare("resnet8, 4 images of 32 px", resnet8, "backbone.block3", batch=4, side=32, pairs=5, device=device)
    if "--quick" not in sys.argv:
        photographs = resnet50().eval().to(device)
        compare("resnet50, 2 images of 224 px", photographs, "conv1", batch=2, side=224, pairs=1, device=device)
    for method in ("ours", "library"):
        peaks = {channels: peak_of(method, channels) for channels in CHANNELS}
        row = ", ".join(f"{channels} channels {peak:.0f} MiB" for channels, peak in peaks.items())
        print(f"{method}, 2 images of 224 px: {row}", flush=True)


def compare(
    name: str, model: nn.Module, layer: str, *, batch: int, side: int, pairs: int, device: torch.device
) -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(batch, 3, side, side, generator=generator).to(device)
    target = torch.randint(10, (batch,), generator=generator).to(device)
    median_ratio(
        lambda: ours(model, x, target, layer),
        lambda: reference(model, x, target, layer),
        pairs,
        name=f"{name} / pytorch-grad-cam",
        target=TARGET,
    )


def ours(model: nn.Module, x: torch.Tensor, target: torch.Tensor, layer: str) -> torch.Tensor:
    return explainers.get("score-cam")(model, x, score=explainers.class_score(target), layer=layer)


def reference(model: nn.Module, x: torch.Tensor, target: torch.Tensor, layer: str) -> object:
    with ScoreCAM(model, [model.get_submodule(layer)]) as cam:
        return cam(x, [ClassifierOutputTarget(int(c)) for c in target])


def peak_of(method: str, channels: int) -> float:
    """MiB that explaining adds to the peak of a process of its own."""
    command = [sys.executable, __file__, "--memory", method, str(channels)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def measure_memory(method: str, channels: int) -> None:
    library.tqdm.tqdm = lambda steps: steps
    torch.set_num_threads(1)
    explain = {"ours": ours, "library": reference}[method]
    x, target = torch.zeros(2, 3, 224, 224), torch.zeros(2, dtype=torch.int64)
    model = Wide(channels).eval()
    explain(Wide(2).eval(), x, target, "layer")  # what a first run loads
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    explain(model, x, target, "layer")
    print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)


if __name__ == "__main__":
    if "--memory" in sys.argv:
        measure_memory(sys.argv[2], int(sys.argv[3]))
    else:
        main()
