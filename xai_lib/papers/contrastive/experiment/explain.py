"""Stage "explain": raw maps of the scored images, on the layer's own grid, so that they can be scored again."""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from xai_lib import explainers, models
from xai_lib import files as artefacts
from xai_lib.data.split import Batch
from xai_lib.explainers.adapter import raw_maps
from xai_lib.metrics import similarity
from xai_lib.run.cell import Cell
from xai_lib.run.settings import Settings
from xai_lib.run.stages import STAGES
from xai_lib.run.store import Store
from xai_lib.run.train import train_cell, trained

_BATCH = 256
_SEED = 0  # of noise and of the other class: the same for every network, so that comparisons are paired


@dataclass(frozen=True)
class Explained:
    """Raw, signed maps [N,h,w], float32, of the N scored images.

    Attributes:
        index: image indices, int64 [N].
        labels: true classes, int64 [N].
        predicted: predicted classes, int64 [N].
        maps: of the predicted class.
        noisy: of the predicted class, for the image with noise.
        noisy_released: the same, the noisy image clamped as in the released code.
        other: of a random other class; None for methods that know no class.
        cell: their place in the store.
    """

    index: Tensor
    labels: Tensor
    predicted: Tensor
    maps: Tensor
    noisy: Tensor
    noisy_released: Tensor
    other: Tensor | None
    cell: Cell


def explain_cell(run: Settings, loss: str, seed: int, method: str) -> Cell:
    """What maps depend on: the network, the images and the method."""
    split = run.scored_split()
    return Cell(
        "explain",
        {
            "version": STAGES["explain"].version,
            "train": train_cell(run, loss, seed).key,
            "images": {"digest": split.digest, "number": len(split)},
            "method": method,
        },
    )


def explained(run: Settings, loss: str, seed: int, method: str) -> Explained:
    """The maps of one network and method, computed now if the store lacks them."""
    cell = explain_cell(run, loss, seed, method)

    def work(folder: Path) -> None:
        network = models.fold_batchnorm(trained(run, loss, seed).classifier)
        batches = [_explain(network, run, method, batch) for batch in run.scored_split().batches(_BATCH)]
        maps = {name: torch.cat([batch[name] for batch in batches]) for name in batches[0]}
        artefacts.write_tensors(folder / "maps.pt", maps)

    store = Store()
    if not store.is_done(cell):
        trained(run, loss, seed)
    folder = store.compute(cell, work, parents=[train_cell(run, loss, seed)])
    return Explained(**{"other": None, **artefacts.read_tensors(folder / "maps.pt")}, cell=cell)


def _explain(network: models.Classifier, run: Settings, method: str, batch: Batch) -> dict[str, Tensor]:
    x = run.scored_split().normalise(batch.images.to(run.device))
    index = batch.index.to(run.device)
    with torch.inference_mode():
        logits = network(x)
    predicted = logits.argmax(dim=1).clone()

    def maps(images: Tensor, target: Tensor) -> Tensor:
        return raw_maps(network, method, images, target, index)

    results = {
        "index": index,
        "labels": batch.labels,
        "predicted": predicted,
        "maps": maps(x, predicted),
        "noisy": maps(similarity.noisy(x, seed=_SEED, index=index), predicted),
        "noisy_released": maps(similarity.noisy(x, seed=_SEED, index=index, clamp=True), predicted),
    }
    if explainers.about(method).class_specific:
        results["other"] = maps(x, similarity.other_class(predicted, logits.shape[1], seed=_SEED, index=index))
    return {name: tensor.cpu() for name, tensor in results.items()}
