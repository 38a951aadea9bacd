"""Maximum sensitivity of Grad-CAM: ours beside quantus with pytorch-grad-cam, on the same network and images.

Run ``python benchmarks/sensitivity.py``. Both compare given maps with those of ten noisy versions of each image, drawn
from the same cube; quantus takes batches of all images, ours as many noisy images as suit the device. Maps are
scaled to [0,1] by each side's own means.
"""

import warnings

import numpy as np
import quantus
import torch
from _pairs import median_ratio
from pytorch_grad_cam import GradCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

from xai_lib import explainers, models
from xai_lib.explainers import normalise
from xai_lib.metrics.sensitivity import max_sensitivity

IMAGES, SIZE, CLASSES, DRAWS = 64, 32, 10, 10
PAIRS = 7
TARGET = 3.0


def main() -> None:
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(IMAGES, 3, SIZE, SIZE, generator=generator)
    target = torch.randint(CLASSES, (IMAGES,), generator=generator)
    print(f"{IMAGES} images of {SIZE} px, {DRAWS} draws, on {device}, {torch.get_num_threads()} threads, float32")
    plain = models.build("resnet8", CLASSES, width=32, seed=0).eval().to(device)
    folded = models.fold_batchnorm(plain).to(memory_format=torch.channels_last)
    with GradCAM(plain, [plain.default_layer()]) as grad_cam:
        for network, name in ((folded, "folded, as scored"), (plain, "with batch normalisation")):
            median_ratio(
                ours(network, x.to(device), target.to(device)),
                reference(grad_cam, plain, x, target, device),
                PAIRS,
                name=f"max-sensitivity, {name}",
                target=TARGET,
            )


def ours(network, x, target):
    def explain(x, target, index):
        return normalise.min_max(
            normalise.relu(explainers.cams.grad_cam(network, x, score=explainers.class_score(target)))
        )

    index = torch.arange(IMAGES, device=x.device)
    maps = explain(x, target, index)
    return lambda: max_sensitivity(explain, x, target, index=index, draws=DRAWS, variant="released", reference=maps)


def reference(grad_cam, network, x, target, device):
    def explain(model, inputs, targets, **_):
        outputs = [ClassifierOutputTarget(int(c)) for c in targets]
        return grad_cam(torch.as_tensor(inputs, dtype=torch.float32), outputs)[:, None]

    metric = quantus.MaxSensitivity(nr_samples=DRAWS, disable_warnings=True, display_progressbar=False)
    maps = explain(network, x, target)

    def score():
        with np.errstate(invalid="ignore", divide="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of empty maps
            return metric(
                model=network,
                x_batch=x.numpy(),
                y_batch=target.numpy(),
                a_batch=maps.copy(),
                explain_func=explain,
                channel_first=True,
                device=str(device),
                batch_size=IMAGES,
            )

    return score


if __name__ == "__main__":
    main()
