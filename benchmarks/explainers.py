"""Grad-CAM and Eigen-CAM beside pytorch-grad-cam, on the same networks and batch: ratios of their times.

Run ``python benchmarks/explainers.py``. Both produce maps at the size of the images; ours are raw, theirs are scaled.
"""

import torch
from _pairs import median_ratio
from pytorch_grad_cam import EigenCAM, GradCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

from xai_lib import explainers, models

BATCH = 64
PAIRS = 9
GRAD_CAM_TARGET = 3.5
EIGEN_CAM_TARGET = 2.0


def main() -> None:
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    print(f"{BATCH} images of 32 px on {device}, {torch.get_num_threads()} threads, float32")
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(BATCH, 3, 32, 32, generator=generator).to(device)
    target = torch.randint(10, (BATCH,), generator=generator).to(device)
    for architecture, width in (("resnet8", None), ("resnet18", 64)):
        model = models.build(architecture, 10, width=width, seed=0).eval().to(device)
        compare(architecture, model, x, target)


def compare(architecture: str, model: models.Classifier, x: torch.Tensor, target: torch.Tensor) -> None:
    score = explainers.class_score(target)
    targets = [ClassifierOutputTarget(int(c)) for c in target]
    with GradCAM(model, [model.default_layer()]) as reference:
        median_ratio(
            lambda: explainers.cams.grad_cam(model, x, score=score),
            lambda: reference(x, targets),
            PAIRS,
            name=f"{architecture} grad-cam / pytorch-grad-cam",
            target=GRAD_CAM_TARGET,
        )
    with EigenCAM(model, [model.default_layer()]) as reference:
        median_ratio(
            lambda: explainers.cams.eigen_cam(model, x),
            lambda: reference(x, None),
            PAIRS,
            name=f"{architecture} eigen-cam / pytorch-grad-cam",
            target=EIGEN_CAM_TARGET,
        )
        median_ratio(
            lambda: explainers.cams.eigen_cam_tool(model, x),
            lambda: reference(x, None),
            PAIRS,
            name=f"{architecture} eigen-cam-tool / pytorch-grad-cam",
        )


if __name__ == "__main__":
    main()
