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
from xai_lib.metrics import pixel_flipping, quantus_column
from xai_lib.metrics.rows import rows
from xai_lib.papers.contrastive import method
from xai_lib.papers.contrastive.method import METHODS, Budget
from xai_lib.run import networks
from xai_lib.run.cell import Cell
from xai_lib.run.networks import load, train_cell
from xai_lib.run.settings import LOSSES, Settings
from xai_lib.run.stage import computed, stage

_BY_TOOL = {"grad-cam": "GradCAM", "eigen-cam-tool": "EigenCAM"}  # names in pytorch-grad-cam


@dataclass(frozen=True)
class Predicted:
    """Outputs for the N test images."""

    index: Tensor  # numbers of the images, int64 [N]
    labels: Tensor  # true classes, int64 [N]
    logits: Tensor  # float32 [N,C]
    features: Tensor  # pooled, float32 [N,D]

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


@stage("explain", version=2)
def explain(
    folder: Path, *, network: Cell, images: Split, method_name: str, target: str, n_further: int, device: torch.device
) -> None:
    """Raw maps of the scored images on the layer's own grid, so that they can be scored again."""
    folded = models.fold_batchnorm(load(network).classifier)
    maps = method.raw_maps(folded, images, method_name, device, target=target, n_further=n_further)
    files.write_tensors(folder / "maps.pt", maps)


@stage("score", version=2)
def score(
    folder: Path, *, network: Cell, maps: Cell, images: Split, method_name: str, budget: Budget, device: torch.device
) -> None:
    """Every metric of the paper for every scored image of one network and method, and by the authors' tools."""
    split, raw = images.to(device), files.read_tensors(computed(maps) / "maps.pt")
    folded = models.fold_batchnorm(load(network).classifier).to(memory_format=torch.channels_last)
    values, curves = method.measured(folded, split, raw, budget)
    full, n = method.scaled(raw["maps"], split.images.shape[-2:]), budget.n_quantus
    values |= quantus_column.scores(folded, split, full, n)
    if method_name in _BY_TOOL:
        x, tool = split.normalise(split.images[:n]), _BY_TOOL[method_name]
        theirs = quantus_column.tool_maps(tool, folded, folded.default_layer(), x, raw["predicted"][:n])
        of_tools = quantus_column.scores(folded, split, theirs, n)
        values |= {name.replace("(quantus)", "(both tools)"): of_one for name, of_one in of_tools.items()}
    files.write_tensors(folder / "curves.pt", curves)
    files.write_frame(folder / "scores.csv", rows(raw["index"], values))


def network_cell(run: Settings, loss: str, seed: int) -> Cell:
    """The classifier of a training, as the run's variant has it."""
    network, variants = train_cell(run, loss, seed), run.contrastive.variants
    how = {"network": network, "device": run.device}
    if loss == "ce" and "best-test-epoch" in variants:
        return networks.checkpoint.cell(**how, epoch=None, probe="paper", chosen_on=run.test_split())
    if loss != "ce" and "released-probe" in variants:
        return networks.checkpoint.cell(**how, epoch=run.recipe(loss).epochs, probe="released", chosen_on=None)
    return network


def predict_cell(run: Settings, loss: str, seed: int, images: Split | None = None) -> Cell:
    """The outputs of a network for the test images, or others."""
    images = run.test_split() if images is None else images
    return predict.cell(network=network_cell(run, loss, seed), images=images, device=run.device)


def explain_cell(run: Settings, loss: str, seed: int, name: str) -> Cell:
    """The maps of a network by one method."""
    target = next((name for name in ("augmented", "true-class") if name in run.contrastive.variants), "predicted")
    how = {"target": target.removesuffix("-class"), "n_further": run.contrastive.n_further, "device": run.device}
    return explain.cell(network=network_cell(run, loss, seed), images=run.scored_split(), method_name=name, **how)


def score_cell(run: Settings, loss: str, seed: int, name: str) -> Cell:
    """The scores of a network's maps by one method."""
    maps, network, given = explain_cell(run, loss, seed, name), network_cell(run, loss, seed), run.contrastive
    budget = Budget(given.flipping_step, given.n_further, given.n_quantus, "colour-values" in given.variants)
    about = {"images": run.scored_split(), "method_name": name, "budget": budget, "device": run.device}
    return score.cell(network=network, maps=maps, **about)


def score_cells(run: Settings, loss: str, seed: int) -> list[Cell]:
    """What the command ``score`` computes: each of it is shorter than the start of a process."""
    outputs = [predict_cell(run, loss, seed, images) for images in (None, run.held_out_split())]
    return [*outputs, *(score_cell(run, loss, seed, name) for name in METHODS)]


def jobs(run: Settings) -> Iterator[tuple[str, dict[str, Any]]]:
    """The commands of the part and their options: one a network; none where networks come with their weights."""
    if not run.pretrained:
        yield from (("score", {"loss": loss, "seed": seed}) for loss, seed in itertools.product(LOSSES, run.seeds))


def cells(run: Settings, parts: Sequence[str] = ("predict", "score")) -> list[Cell]:
    """The cells of some parts ("predict", "explain", "score"), without those that they stand on."""
    networks = list(itertools.product(LOSSES, run.seeds))
    outputs = (None, run.held_out_split()) if "predict" in parts else ()  # of the test images, and of those held out
    found = [predict_cell(run, *network, images) for network in networks for images in outputs]
    makers = [make for part, make in (("explain", explain_cell), ("score", score_cell)) if part in parts]
    return [*found, *(make(run, *network, name) for make in makers for network in networks for name in METHODS)]


def predicted(run: Settings, loss: str, seed: int, images: Split | None = None) -> Predicted:
    """A network's outputs for the test images, or others, computed now if the store lacks them."""
    return Predicted(**files.read_tensors(computed(predict_cell(run, loss, seed, images)) / "outputs.pt"))


def explained(run: Settings, loss: str, seed: int, name: str) -> dict[str, Tensor]:
    """The maps of one network and method, as :func:`method.raw_maps` returns them."""
    return files.read_tensors(computed(explain_cell(run, loss, seed, name)) / "maps.pt")


def scores(run: Settings, methods: Sequence[str] = METHODS) -> pd.DataFrame:
    """All scores: rows loss, seed, method, index, metric, value (NaN where undefined)."""
    parts = []
    for which, folder, found, degree in _scored(run, methods):
        kept, areas = files.read_frame(folder / "scores.csv"), method.areas(found, degree)
        index = torch.tensor(kept.loc[kept["metric"] == "complexity", "index"].to_numpy())
        parts.append(pd.concat([kept, rows(index, areas)]).assign(**which))
    return pd.concat(parts, ignore_index=True)[["loss", "seed", "method", "index", "metric", "value"]]


def temperatures(run: Settings) -> pd.DataFrame:
    """What brings every network to one mean confidence: rows loss, seed, accuracy, confidence, temperature, target.

    Accuracy and confidence are those on held-out images; the confidence aimed at, ``target``, is the mean accuracy of
    all networks, so that on average they are neither too sure nor too unsure. NaN where no temperature reaches it.
    """
    networks = list(itertools.product(LOSSES, run.seeds))
    held_out = [predicted(run, *network, run.held_out_split()) for network in networks]
    found = pd.DataFrame(networks, columns=["loss", "seed"])
    found["accuracy"] = [float(outputs.correct.mean()) for outputs in held_out]
    found["confidence"] = [float(outputs.confidence.mean()) for outputs in held_out]
    target = aimed_at(found["accuracy"].mean(), len(run.test_split().classes))
    degrees = [training.temperature(outputs.logits, target) for outputs in held_out]
    return found.assign(target=target, temperature=degrees)


def aimed_at(accuracy: float, n_classes: int) -> float:
    """The confidence that networks are brought to: their accuracy, at least 0.05 away from what cannot be reached."""
    return min(max(accuracy, 1 / n_classes + 0.05), 0.95)


def curves(run: Settings) -> pd.DataFrame:
    """Pixel-flipping curves at one mean confidence, averaged over images: loss, seed, method, fraction, probability."""
    parts = []
    for which, _, found, degree in _scored(run, METHODS):
        probability = pixel_flipping.at_temperature(found["logits"], found["labels"], degree).nanmean(dim=0)
        parts.append(pd.DataFrame({"fraction": found["fractions"], "probability": probability}).assign(**which))
    return pd.concat(parts, ignore_index=True)


def predictions(run: Settings) -> pd.DataFrame:
    """What every network says about the test images: rows loss, seed, index, correct (bool), confidence."""
    parts = []
    for loss, seed in itertools.product(LOSSES, run.seeds):
        outputs = predicted(run, loss, seed)
        columns = {"index": outputs.index, "correct": outputs.correct.bool(), "confidence": outputs.confidence}
        parts.append(pd.DataFrame(columns).assign(loss=loss, seed=seed))
    return pd.concat(parts, ignore_index=True)


def _scored(run: Settings, methods: Sequence[str]) -> Iterator[tuple[dict[str, Any], Path, dict[str, Tensor], float]]:
    """What of each network and method, the folder of its scores, its curves, and the network's temperature."""
    degrees = temperatures(run).set_index(["loss", "seed"])["temperature"]
    for loss, seed, name in itertools.product(LOSSES, run.seeds, methods):
        folder = computed(score_cell(run, loss, seed, name))
        curves, which = files.read_tensors(folder / "curves.pt"), {"loss": loss, "seed": seed, "method": name}
        yield which, folder, curves, degrees[loss, seed]
