"""The networks that are explained, with their images: trained here by cross-entropy, or torchvision's."""

from collections.abc import Callable

import torch
from torch import nn

from xai_lib import models, pretrained
from xai_lib.data import Split, select
from xai_lib.explainers.subject import Subject
from xai_lib.run.cell import Cell
from xai_lib.run.settings import Settings
from xai_lib.run.train import Trained, train_cell, trained
from xai_lib.run.tune import tune_cell, tuned

LOSS = "ce"  # the papers' networks are ordinary classifiers
REFERENCE = 2000  # training images from which IBA takes the layer's statistics


def seeds(run: Settings) -> range:
    """Seeds of the trainings whose networks are explained."""
    return range(min(run.scale.saliency_seeds, run.scale.seeds))


def trained_here(run: Settings, seed: int, n: int | None, loss: str = LOSS) -> Subject:
    """The network of a seed and a loss, with ``n`` test images, class-balanced (None: all)."""
    return _with_images(run, seed, n, lambda: trained(run, loss, seed), train_cell(run, loss, seed))


def fine_tuned(run: Settings, name: str, seed: int, n: int | None) -> Subject:
    """A network of ``run.fine_tunings``, as :func:`trained_here`."""
    return _with_images(run, seed, n, lambda: tuned(run, name, seed), tune_cell(run, name, seed))


def _with_images(run: Settings, seed: int, n: int | None, get: Callable[[], Trained], cell: Cell) -> Subject:
    """A network of the store, with folded normalisations."""

    def load() -> nn.Module:
        return models.fold_batchnorm(get().classifier).to(memory_format=torch.channels_last)

    return Subject(
        load=load,
        key=cell.key,
        parents=(cell,),
        layer=None,
        images=some(run.test_split(), n),
        reference=lambda: some(run.train_split(), REFERENCE),
        device=run.device,
        seed=seed,
    )


def from_torchvision(run: Settings, name: str, layer: str, n: int | None) -> Subject:
    """One of torchvision's networks, explained at a layer, with ``n`` images of ImageNet.

    Raises:
        FileNotFoundError: if its weights are missing; the message says which file goes where.
    """
    network = pretrained.pretrained(name, download=run.download)
    images = some(run.test_split(), n)
    return Subject(
        load=lambda: network.to(run.device, memory_format=torch.channels_last),
        key=pretrained.state_digest(network),
        parents=(),
        layer=layer,
        images=images,
        reference=lambda: some(images, REFERENCE),
        device=run.device,
    )


def some(split: Split, n: int | None) -> Split:
    """At most ``n`` images, class-balanced; all for None."""
    return select(split, None if n is None else min(n, len(split)))
