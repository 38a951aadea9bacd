"""Insertion and deletion against a loop over images and steps, one forward pass for each, as RISE's evaluation runs.

Run from the repository root: ``python benchmarks/insertion_deletion.py``. Both sides use the same number of threads.
The networks have random weights; ours gets the folded copy with its channels last, as scoring does, and the loop the
plain one.
"""

import torch
from _pairs import median_ratio

from xai_lib import models
from xai_lib.metrics import causal

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


def main() -> None:
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    print(f"{DEVICE}, {torch.get_num_threads()} threads")
    compare("resnet8", width=32, images=16, size=32, pairs=5, target=15)
    compare("resnet18", width=None, images=64 if DEVICE == "cuda" else 1, size=224, pairs=1, step=224 * 8)


def compare(architecture, *, width, images, size, pairs, step=None, target=None):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(images, 3, size, size, generator=generator).to(DEVICE)
    maps = torch.rand(images, size, size, generator=generator).to(DEVICE)
    classes = torch.randint(10, (images,), generator=generator).to(DEVICE)
    index = torch.arange(images, device=DEVICE)
    plain = models.build(architecture, 10, width=width, seed=0).eval().to(DEVICE)
    folded = models.fold_batchnorm(plain).to(memory_format=torch.channels_last)
    arguments = (folded, x, maps, classes)
    for name, curve in {"deletion": causal.deletion_curve, "insertion": causal.insertion_curve}.items():

        def ours(curve=curve):
            return curve(*arguments, index=index, step=step)

        def reference(name=name):
            blurred = causal.blurred(x) if name == "insertion" else None
            return one_by_one(plain, x, blurred, maps, classes, step or size)

        print(f"  largest difference to the loop: {(ours() - reference()).abs().max():.1e}")
        row = f"{name}, {images} images of {size} pixels, {architecture}"
        median_ratio(ours, reference, pairs, name=row, target=target)


@torch.no_grad()
def one_by_one(network, x, blurred, maps, classes, step):
    """Probabilities [B,S+1], a forward pass for every image and step; into `blurred` if there is one, else to zero."""
    curves = []
    for i, (image, map_, target) in enumerate(zip(x, maps, classes, strict=True)):
        start, finish = (image.clone(), torch.zeros_like(image)) if blurred is None else (blurred[i].clone(), image)
        order = map_.flatten().argsort(descending=True)
        curve = []
        for first in range(0, len(order) + step, step):
            curve.append(network(start[None]).softmax(1)[0, target])
            removed = order[first : first + step]
            start.flatten(1)[:, removed] = finish.flatten(1)[:, removed]
        curves.append(torch.stack(curve))
    return torch.stack(curves)


if __name__ == "__main__":
    main()
