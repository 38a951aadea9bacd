"""Memory of the saliency benchmark and of the dominance part's features, over the number of images in files.

Run ``python benchmarks/memory.py``. Each measurement is a process of its own: images of 224 pixels in ImageNet's
layout, a small network, one method, scores of fidelity; then pooled features of all images. Printed is the most memory
that the process held, and what 1,000 more images add to it. As pixels they would take 150 MB.
"""

import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
from PIL import Image

NUMBERS = (150, 750)


def main() -> None:
    with tempfile.TemporaryDirectory() as place:
        found = [measured(make(Path(place), n), Path(place) / f"store-{n}") for n in NUMBERS]
    for n, megabytes in zip(NUMBERS, found, strict=True):
        print(f"{n:>6} images: {megabytes:,.0f} MB")
    slope = (found[-1] - found[0]) / (NUMBERS[-1] - NUMBERS[0])
    print(f"1,000 more images: {1000 * slope:,.0f} MB")


def make(place: Path, n: int) -> Path:
    """n pictures of smooth noise in ten classes."""
    folder, noise = place / f"images-{n}", torch.Generator().manual_seed(0)
    for number in range(n):
        name = f"n{number % 10:08}/{number:05}"
        pixels = torch.randint(0, 256, (32, 32, 3), dtype=torch.uint8, generator=noise).numpy()
        path = folder / "val" / f"{name}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).resize((256, 256)).save(path)
    return folder


def measured(folder: Path, store: Path) -> float:
    """Megabytes that a process held at most which scored the images of a folder."""
    environment = {**os.environ, "XAI_STORE": str(store), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, __file__, str(folder)]
    return float(subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout)


def score(folder: Path) -> None:
    """Print the megabytes."""
    from xai_lib import data, models
    from xai_lib.papers.dominance.method import clusters
    from xai_lib.papers.saliency import experiment
    from xai_lib.run.settings import settings

    images, network = data.load(f"imagenet:{folder}", "test", size=224), models.build("resnet8", 10, width=8, seed=0)
    run = settings(scale="smoke", device="cpu", overrides="n_saliency=null")
    study = experiment.study_of(run, network.eval(), images, name="memory", methods=("eigen-cam",))
    scores = experiment.scores(study, "fidelity")
    assert scores["index"].nunique() == len(images)
    clusters.pooled(network, (images.normalise(batch.images) for batch in images.batches(16)))
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000)


if __name__ == "__main__":
    score(Path(sys.argv[1])) if sys.argv[1:] else main()
