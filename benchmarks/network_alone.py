"""Methods and metrics made of forward passes beside the network alone: the share of time that is not the network's.

Run ``python benchmarks/network_alone.py``. The network alone runs as many images, made beforehand, in channels-last, in
the faster of passes of 8 and of 32. A ratio of 0.87 is 1.15 times the network's time. At 224 pixels the networks are
EfficientNet-Lite0 and ResNet-18, at 32 pixels ResNet-8; batch normalisation is folded, and freed memory is kept, as in
every job. LIME has its default samples: finding superpixels takes as long as some 20 passes, once an image.
"""

from functools import partial

import timm
import torch
import torchvision
from _pairs import _seconds, median_ratio

import xai_lib.run  # noqa: F401 - keeps freed memory
from xai_lib import explainers, metrics, models

LARGE, SMALL = 1 / 1.15, 1 / 1.4  # targets at 224 and at 32 pixels
STEPS = 64
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")


def main() -> None:
    print(f"methods and metrics on {DEVICE}, {torch.get_num_threads()} threads, float32, beside the network alone")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        lite, resnet18 = timm.create_model("tf_efficientnet_lite0"), torchvision.models.resnet18()
    compare("efficientnet-lite0, 224 px", lite, side=224, n_images=1, target=LARGE)
    compare("resnet18, 224 px", resnet18, side=224, n_images=1, target=LARGE)
    compare("resnet8, 32 px", models.build("resnet8", 10, seed=0), side=32, n_images=32, target=SMALL)


def compare(what, model, *, side, n_images, target):
    network = models.fold_batchnorm(model.eval()).to(DEVICE, memory_format=torch.channels_last)
    x = torch.randn(n_images, 3, side, side, generator=torch.Generator().manual_seed(0)).to(DEVICE)
    label, index = torch.zeros(n_images, dtype=torch.int64, device=DEVICE), torch.arange(n_images)
    maps = torch.rand(n_images, side, side, generator=torch.Generator().manual_seed(1)).to(DEVICE)
    step, score = side * side // STEPS, explainers.of_class(label, "probability")
    works = {
        name: partial(metrics.get(name), network, x, maps, label, index=index, step=step)
        for name in ("insertion", "deletion", "pixel-flipping")
    }
    for name, settings in (
        ("rise", {"n_masks": STEPS}),
        ("lime", {}),
        ("score-cam", {"n_channels": STEPS}),
    ):
        random = {"seed": 0, "index": index} if name != "score-cam" else {}
        works[name] = partial(explainers.get(name), network, x, score=score, **random, **settings)
    for name, ours in works.items():
        alone = _alone(network, x, _forwards(network, ours))
        median_ratio(ours, alone, 5, name=f"{name}, {what}", target=target)


def _forwards(network, ours):
    """How many images go through the network."""
    passed = []
    with network.register_forward_pre_hook(lambda _module, inputs: passed.append(len(inputs[0]))):
        ours()
    return sum(passed)


def _alone(network, x, n):
    """The network on so many images, made beforehand, in the faster of two sizes of a pass."""

    @torch.inference_mode()
    def run(size):
        images = x[:1].expand(size, -1, -1, -1).contiguous(memory_format=torch.channels_last)
        for first in range(0, n, size):
            network(images[: min(size, n - first)])

    sizes = (8, 32) if x.shape[-1] > 64 else (64, 256)
    for size in sizes:
        run(size)
    return partial(run, min(sizes, key=lambda size: _seconds(partial(run, size))))


if __name__ == "__main__":
    main()
