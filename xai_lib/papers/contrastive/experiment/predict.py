"""Stage "predict": what a trained network says about every test image."""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from xai_lib import files as artefacts
from xai_lib import training
from xai_lib.run.cell import Cell
from xai_lib.run.settings import Settings
from xai_lib.run.stages import STAGES
from xai_lib.run.store import Store
from xai_lib.run.train import train_cell, trained


@dataclass(frozen=True)
class Predicted:
    """Outputs for the N test images.

    Attributes:
        index: image indices, int64 [N].
        labels: true classes, int64 [N].
        logits: float32 [N,C].
        features: pooled features, float32 [N,D].
        cell: its place in the store.
    """

    index: Tensor
    labels: Tensor
    logits: Tensor
    features: Tensor
    cell: Cell

    @property
    def correct(self) -> Tensor:
        """Whether each image is classified correctly, float32 [N] of 0 and 1."""
        return (self.logits.argmax(dim=1) == self.labels).float()

    @property
    def confidence(self) -> Tensor:
        """Largest softmax probability of each image, float32 [N]."""
        return self.logits.softmax(dim=1).amax(dim=1)

    @property
    def confusion(self) -> Tensor:
        """Number of images of each true class (row) given each class (column), int64 [C,C]."""
        n_classes = self.logits.shape[1]
        pairs = self.labels * n_classes + self.logits.argmax(dim=1)
        return torch.bincount(pairs, minlength=n_classes**2).reshape(n_classes, n_classes)


def predict_cell(run: Settings, loss: str, seed: int) -> Cell:
    """What predictions depend on: the network and the images."""
    split = run.test_split()
    return Cell(
        "predict",
        {
            "version": STAGES["predict"].version,
            "train": train_cell(run, loss, seed).key,
            "images": {"digest": split.digest, "number": len(split)},
        },
    )


def predicted(run: Settings, loss: str, seed: int) -> Predicted:
    """The network's outputs for the test images, computed now if the store lacks them."""
    cell = predict_cell(run, loss, seed)

    def work(folder: Path) -> None:
        split = run.test_split().to(run.device)
        classifier = trained(run, loss, seed).classifier
        features = training.predict(classifier.features, split)
        with torch.inference_mode():
            logits = classifier.head(features)
        artefacts.write_tensors(
            folder / "outputs.pt",
            {"index": split.index, "labels": split.labels, "logits": logits, "features": features},
        )

    store = Store()
    if not store.is_done(cell):
        trained(run, loss, seed)
    folder = store.compute(cell, work, parents=[train_cell(run, loss, seed)])
    return Predicted(**artefacts.read_tensors(folder / "outputs.pt"), cell=cell)
