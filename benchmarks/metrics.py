"""Scoring: our metrics against the libraries that they are held against, on the same maps, images and network.

Run from the repository root: ``python benchmarks/metrics.py``. Both sides use the same number of threads. The network
is a ResNet-8 with random weights; ours gets its folded copy, as scoring does, and quantus the plain one.
"""

import numpy as np
import quantus
import torch
from _pairs import median_ratio
from skimage.metrics import structural_similarity

from xai_lib import models
from xai_lib.explainers import normalise
from xai_lib.metrics import complexity, similarity
from xai_lib.metrics import pixel_flipping as flipping

IMAGES, SIZE, CLASSES = 256, 32, 10
QUIET = {"disable_warnings": True, "display_progressbar": False, "normalise": False}
STEPS = 24
VALUES_A_STEP = 3 * SIZE * SIZE // STEPS


def main() -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(IMAGES, 3, SIZE, SIZE, generator=generator)
    target = torch.randint(CLASSES, (IMAGES,), generator=generator)
    maps, others = (smooth_maps(generator) for _ in range(2))
    if not hasattr(np, "trapz"):  # gone from numpy 2.4, still called by quantus 0.6
        np.trapz = np.trapezoid
    print(f"{IMAGES} images of {SIZE} pixels, {torch.get_num_threads()} threads")
    pixel_flipping(x, maps, target)
    ssim(maps, others)
    spread("complexity", complexity.complexity, quantus.Complexity(**QUIET, abs=True), maps, target=40)
    spread("sparseness", complexity.sparseness, quantus.Sparseness(**QUIET, abs=True), maps, target=20)


def smooth_maps(generator):
    """Maps in [0,1] as a CAM gives them: an 8×8 grid, enlarged."""
    grids = torch.rand(IMAGES, 1, 8, 8, generator=generator)
    return normalise.min_max(torch.nn.functional.interpolate(grids, size=(SIZE, SIZE), mode="bilinear")[:, 0])


def pixel_flipping(x, maps, target):
    device = "cuda" if torch.cuda.is_available() else "cpu"
    plain = models.build("resnet8", CLASSES, seed=0).eval().to(device)
    folded = models.fold_batchnorm(plain).to(memory_format=torch.channels_last)
    on_device = [tensor.to(device) for tensor in (x, maps, target)]
    metric = quantus.PixelFlipping(
        features_in_step=VALUES_A_STEP, perturb_baseline="black", abs=False, return_auc_per_sample=True, **QUIET
    )

    def ours():
        return flipping.pixel_flipping_released(folded, *on_device, step=VALUES_A_STEP)

    def reference():
        areas = by_quantus(metric, maps, x=x, y=target, model=plain, device=device)
        return areas / (STEPS - 1)

    print(f"  largest difference to quantus: {(ours().cpu() - reference()).abs().max():.1e}")
    name = f"pixel flipping, {STEPS} steps, quantus in batches of 64"
    median_ratio(ours, reference, name=name, target=10 if device == "cuda" else 1.7)


def ssim(maps, others):
    pairs = list(zip(maps.numpy(), others.numpy(), strict=True))
    median_ratio(
        lambda: similarity.ssim(maps, others),
        lambda: [structural_similarity(a, b, data_range=1.0) for a, b in pairs],
        name="SSIM, uniform window, scikit-image one by one",
        target=3,
    )


def spread(name, ours, metric, maps, target):
    difference = (ours(maps).double() - by_quantus(metric, maps)).abs().max()
    print(f"  largest difference to quantus: {difference:.1e}")
    median_ratio(
        lambda: ours(maps),
        lambda: by_quantus(metric, maps),
        15,
        name=f"{name}, quantus in batches of 64",
        target=target,
    )


def by_quantus(metric, maps, x=None, y=None, model=None, device="cpu"):
    values = metric(
        model=torch.nn.Identity() if model is None else model,
        x_batch=np.zeros((IMAGES, 3, SIZE, SIZE), np.float32) if x is None else x.numpy(),
        y_batch=np.zeros(IMAGES, np.int64) if y is None else y.numpy(),
        a_batch=maps[:, None].numpy().copy(),
        channel_first=True,
        softmax=True,
        device=device,
        batch_size=64,
    )
    return torch.tensor(np.asarray(values, dtype=float))


if __name__ == "__main__":
    main()
