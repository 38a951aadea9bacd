"""What the contrastive part computes of every network and keeps: predictions, raw maps, scores."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from xai_lib import files, models, training
from xai_lib.data.split import Split
from xai_lib.metrics import quantus_column
from xai_lib.metrics.rows import rows
from xai_lib.papers.contrastive import method
from xai_lib.papers.contrastive.method import METHODS
from xai_lib.run.cell import Cell
from xai_lib.run.networks import load, train_cell
from xai_lib.run.settings import LOSSES, Settings
from xai_lib.run.stage import computed, stage


@dataclass(frozen=True)
class Predicted:
    """Outputs for the N test images, whose numbers ``index`` and true classes ``labels`` are int64 [N].

    ``logits`` are float32 [N,C], the pooled ``features`` float32 [N,D].
    """

    index: Tensor
    labels: Tensor
    logits: Tensor
    features: Tensor

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


@stage("predict", version=1)
def predict(folder: Path, *, network: Cell, images: Split, device: torch.device) -> None:
    """What a trained network says about every test image."""
    split, classifier = images.to(device), load(network).classifier
    features = training.predict(classifier.features, split)
    with torch.inference_mode():
        logits = classifier.head(features)
    outputs = {"index": split.index, "labels": split.labels, "logits": logits, "features": features}
    files.write_tensors(folder / "outputs.pt", outputs)


@stage("explain", version=1)
def explain(folder: Path, *, network: Cell, images: Split, method_name: str, device: torch.device) -> None:
    """Raw maps of the scored images on the layer's own grid, so that they can be scored again."""
    folded = models.fold_batchnorm(load(network).classifier)
    files.write_tensors(folder / "maps.pt", method.raw_maps(folded, images, method_name, device))


@stage("score", version=1)
def score(
    folder: Path, *, network: Cell, maps: Cell, images: Split, flipping_step: int, n_quantus: int, device: torch.device
) -> None:
    """Every metric of the paper for every scored image of one network and method."""
    split, raw = images.to(device), files.read_tensors(computed(maps) / "maps.pt")
    folded = models.fold_batchnorm(load(network).classifier).to(memory_format=torch.channels_last)
    curves, fractions = method.flipping_curves(folded, split, raw["maps"], flipping_step)
    full = method.scaled(raw["maps"], split.images.shape[-2:])
    values = {
        **method.of_curves(curves, fractions, raw["predicted"] == raw["labels"]),
        **method.of_maps(raw, split),
        **quantus_column.scores(folded, split, full, n_quantus),
    }
    files.write_tensors(folder / "curves.pt", {"curves": curves, "fractions": fractions})
    files.write_frame(folder / "scores.csv", rows(raw["index"], values))


def predict_cell(run: Settings, loss: str, seed: int) -> Cell:
    """The outputs of a network for the test images."""
    return predict.cell(network=train_cell(run, loss, seed), images=run.test_split(), device=run.device)


def explain_cell(run: Settings, loss: str, seed: int, name: str) -> Cell:
    """The maps of a network by one method."""
    network = train_cell(run, loss, seed)
    return explain.cell(network=network, images=run.scored_split(), method_name=name, device=run.device)


def score_cell(run: Settings, loss: str, seed: int, name: str) -> Cell:
    """The scores of a network's maps by one method."""
    budgets = {"flipping_step": run.contrastive.flipping_step, "n_quantus": run.contrastive.n_quantus}
    maps, network = explain_cell(run, loss, seed, name), train_cell(run, loss, seed)
    return score.cell(network=network, maps=maps, images=run.scored_split(), device=run.device, **budgets)


def score_cells(run: Settings, loss: str, seed: int) -> list[Cell]:
    """What the command ``score`` computes: each of it is shorter than the start of a process."""
    return [predict_cell(run, loss, seed), *(score_cell(run, loss, seed, name) for name in METHODS)]


def jobs(run: Settings) -> Iterator[tuple[str, dict[str, Any]]]:
    """The commands of the part and their options: one a network; none where networks come with their weights."""
    if not run.pretrained:
        yield from (("score", {"loss": loss, "seed": seed}) for loss, seed in itertools.product(LOSSES, run.seeds))


def cells(run: Settings, parts: Sequence[str] = ("predict", "score")) -> list[Cell]:
    """The cells of some parts ("predict", "explain", "score"), without those that they stand on."""
    networks = list(itertools.product(LOSSES, run.seeds))
    found = [predict_cell(run, *network) for network in networks if "predict" in parts]
    for part, make in (("explain", explain_cell), ("score", score_cell)):
        if part in parts:
            found += [make(run, *network, name) for network in networks for name in METHODS]
    return found


def predicted(run: Settings, loss: str, seed: int) -> Predicted:
    """A network's outputs for the test images, computed now if the store lacks them."""
    return Predicted(**files.read_tensors(computed(predict_cell(run, loss, seed)) / "outputs.pt"))


def explained(run: Settings, loss: str, seed: int, name: str) -> dict[str, Tensor]:
    """The maps of one network and method, as :func:`method.raw_maps` returns them."""
    return files.read_tensors(computed(explain_cell(run, loss, seed, name)) / "maps.pt")


def scores(run: Settings) -> pd.DataFrame:
    """All scores: rows loss, seed, method, index, metric, value (NaN where undefined)."""
    parts = [files.read_frame(folder / "scores.csv").assign(**which) for which, folder in _scored(run)]
    return pd.concat(parts, ignore_index=True)[["loss", "seed", "method", "index", "metric", "value"]]


def curves(run: Settings) -> pd.DataFrame:
    """Pixel-flipping curves, averaged over images: rows loss, seed, method, fraction, probability."""
    parts = []
    for which, folder in _scored(run):
        found = files.read_tensors(folder / "curves.pt")
        columns = {"fraction": found["fractions"], "probability": found["curves"].nanmean(dim=0)}
        parts.append(pd.DataFrame(columns).assign(**which))
    return pd.concat(parts, ignore_index=True)


def predictions(run: Settings) -> pd.DataFrame:
    """What every network says about the test images: rows loss, seed, index, correct (bool), confidence."""
    parts = []
    for loss, seed in itertools.product(LOSSES, run.seeds):
        outputs = predicted(run, loss, seed)
        columns = {"index": outputs.index, "correct": outputs.correct.bool(), "confidence": outputs.confidence}
        parts.append(pd.DataFrame(columns).assign(loss=loss, seed=seed))
    return pd.concat(parts, ignore_index=True)


def _scored(run: Settings) -> Iterator[tuple[dict[str, Any], Path]]:
    for which in itertools.product(LOSSES, run.seeds, METHODS):
        yield dict(zip(("loss", "seed", "method"), which)), computed(score_cell(run, *which))
