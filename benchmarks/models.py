"""Forward pass for scoring: batch normalisation folded and channels last, against the network as it was trained.

Run from the repository root: ``python benchmarks/models.py``. Float32, 256 images of 32 pixels (32 for ResNet-18).
"""

import torch
from _pairs import median_ratio

from xai_lib import models


@torch.no_grad()
def compare(architecture: str, images: int) -> None:
    plain = models.build(architecture, 10, seed=0).eval()
    fast = models.fold_batchnorm(plain).to(memory_format=torch.channels_last)
    x = torch.randn(images, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    x_last = x.contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(fast(x_last), plain(x), rtol=1e-5, atol=1e-5)
    median_ratio(lambda: fast(x_last), lambda: plain(x), name=f"folded, channels-last forward, {architecture}")


if __name__ == "__main__":
    compare("resnet8", 256)
    compare("resnet18", 32)
