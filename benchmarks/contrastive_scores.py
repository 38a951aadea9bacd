"""CAUC and CDROP of many maps at once against a loop over maps and numbers of deleted pixels, one forward pass each.

Run from the repository root: ``python benchmarks/contrastive_scores.py``. Both sides delete the same numbers of pixels
with the same number of threads. The networks have random weights; ours gets the folded copy with its channels last, as
scoring does, and the loop the plain one.
"""

from itertools import pairwise

import torch
import torchvision
from _pairs import median_ratio

from xai_lib import models
from xai_lib.papers.whole_output.method.faithfulness import scores

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
CLASSES = 10
MAPS = 5


def main() -> None:
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    print(f"{DEVICE}, {torch.get_num_threads()} threads")
    compare("resnet8", models.build("resnet8", CLASSES, seed=0), pairs=8, size=32, steps=33, repeats=5, target=3)
    with torch.random.fork_rng(devices=[]):
        resnet18 = torchvision.models.resnet18(num_classes=CLASSES)
    pairs, steps = (8, 33) if DEVICE == "cuda" else (1, 9)
    compare("torchvision's resnet18", resnet18, pairs=pairs, size=224, steps=steps, repeats=3)


def compare(architecture, plain, *, pairs, size, steps, repeats, target=None):
    generator = torch.Generator().manual_seed(0)
    plain = plain.eval().to(DEVICE)
    folded = models.fold_batchnorm(plain).to(memory_format=torch.channels_last)
    x = torch.randn(pairs, 3, size, size, generator=generator).to(DEVICE)
    grids = torch.rand(pairs, MAPS, 7, 7, generator=generator) ** 3
    maps = torch.nn.functional.interpolate(grids, size=(size, size), mode="bilinear").to(DEVICE)
    classes = torch.arange(pairs, device=DEVICE) % CLASSES
    rivals = torch.nn.functional.one_hot((classes + 1) % CLASSES, CLASSES).bool()
    index = torch.arange(pairs, device=DEVICE)

    def ours():
        return scores(folded, x, index, maps, classes, rivals, index=index, compared=range(MAPS), steps=steps)

    def reference():
        return one_by_one(plain, x, maps, classes, rivals, steps)

    found, expected = ours(), reference()
    differences = [(mine - other).abs().max().item() for mine, other in zip((found.cauc, found.cdrop), expected)]
    print("  largest difference to the loop: CAUC {:.1e}, CDROP {:.1e}".format(*differences))
    name = f"{pairs} pairs, {MAPS} maps each, {size} pixels, {architecture}"
    median_ratio(ours, reference, repeats, name=name, target=target)


@torch.no_grad()
def one_by_one(model, x, maps, classes, rivals, steps):
    """CAUC and CDROP [P,M], an image after the other through the network."""
    n = maps[0, 0].numel()
    cauc, cdrop = torch.empty(2, *maps.shape[:2], device=x.device)
    for p in range(len(maps)):
        n_delta = [int((m >= m.max() / 2).sum()) for m in maps[p]]
        common = min(n_delta)
        counts = [int((common - 1) * k / (steps - 1) + 0.5) for k in range(steps)]
        for m in range(MAPS):
            order = maps[p, m].flatten().argsort(descending=True)

            def score(count, p=p, order=order):
                image = x[p].clone()
                image.flatten(1)[:, order[:count]] = 0
                probabilities = model(image[None]).softmax(1)[0]
                return probabilities[classes[p]] * (1 - probabilities[rivals[p]].sum())

            curve = [score(count) for count in counts]
            widths = [b - a for a, b in pairwise(counts)]
            line = sum(width * (a + b) / 2 for width, (a, b) in zip(widths, pairwise(curve)))
            cauc[p, m] = (line + (curve[0] + curve[-1]) / 2) / n
            price = torch.tensor(1 + max(n_delta[m] / n, 0.05) / 0.05).log2()
            cdrop[p, m] = (curve[0] - score(n_delta[m])) / price
    return cauc, cdrop


if __name__ == "__main__":
    main()
