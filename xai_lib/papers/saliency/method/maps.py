"""One method on one network: its raw maps, made once, and gone through in the same batches by every score of them."""

import inspect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import pandas as pd
import torch
from torch import Tensor, nn

from xai_lib import explainers, metrics
from xai_lib.data.split import Split
from xai_lib.explainers import normalise
from xai_lib.explainers.subject import Subject
from xai_lib.metrics import randomisation
from xai_lib.metrics.rows import rows
from xai_lib.papers.saliency.method.lineup import ALL, READINGS

_BATCH = 50
_SEED = 0  # of a metric's draws: the same for every network and method, so that comparisons are paired


@dataclass(frozen=True, eq=False)
class Explained:
    """A network explained by a method."""

    subject: Subject  # network, layer and device
    method: str  # name of an explainer
    settings: Mapping[str, Any] = field(default_factory=dict)  # its keywords beyond those that all explainers share

    @property
    def identity(self) -> dict[str, Any]:
        """What stands for it in a key: all that decides a map but the image."""
        about = explainers.about(self.method)
        found = {"method": self.method, "settings": self.settings, "numerics": self.subject.device}
        found |= {"reference": self.subject.reference()} if "statistics" in about.needs else {}
        found |= {"depth": about.depth} if about.depth < 1 else {}
        found |= {} if self.method in ALL else {"source": about.source}  # that of ALL is in the version of each stage
        return {**self.subject.identity, **found}

    @property
    def parents(self) -> tuple:
        """Cells of the store that the network came from."""
        return self.subject.parents

    @property
    def readings(self) -> tuple[str, ...]:
        """Those of :data:`lineup.READINGS` in which its maps differ: the first alone where they do not."""
        return READINGS if explainers.about(self.method).has_readings else READINGS[:1]

    def raw(self, x: Tensor, target: Tensor, index: Tensor, network: nn.Module | None = None) -> Tensor:
        """Raw maps, as :meth:`Subject.raw_maps` gives them; of another ``network`` where there is one."""
        return self.subject.raw_maps(self.method, dict(self.settings), x, target, index, network)

    def maps(self, x: Tensor, target: Tensor, index: Tensor) -> Tensor:
        """Maps in [0, 1], as :meth:`Subject.explain` gives them."""
        return self.subject.explain(self.method, dict(self.settings), x, target, index)

    def scaled(self, raw: Tensor, x: Tensor, reading: str = READINGS[0]) -> Tensor:
        """Raw maps of images in [0, 1] and of their size, under a reading: see :func:`normalise.unit_maps`."""
        return normalise.unit_maps(raw, self.method, tuple(x.shape[-2:]), reading)


class Batch(NamedTuple):
    """Images with their maps, on the network's device."""

    x: Tensor  # normalised images, float32 [B,3,H,W]
    index: Tensor  # their indices, int64 [B]
    masks: dict[str, Tensor]  # bool [B,H,W] by name
    target: Tensor  # the true, the predicted and the least probable class, int64 [B,3]
    raw: Tensor  # raw maps of each, float32 [B,3,…], on the layer's grid where the method has one


def raw_maps(explained: Explained, images: Split) -> dict[str, Tensor]:
    """What :func:`batches` reads.

    ``target``, int64 [N,3]: the true, the predicted and the least probable class; ``maps``, float32 [N,3,…]: raw maps
    of each, [N,1,…] of a method that knows no class.

    Example:
        >>> from xai_lib import data, models
        >>> images = data.load("planted", "test", n=10).subset([0, 1])
        >>> network = models.build("resnet8", 10, width=4, seed=0).eval()
        >>> subject = Subject(lambda: network, "key", (), None, images, lambda: images, torch.device("cpu"))
        >>> {name: list(found.shape) for name, found in raw_maps(Explained(subject, "grad-cam"), images).items()}
        {'target': [2, 3], 'maps': [2, 3, 8, 8]}
    """
    subject, classes = explained.subject, 3 if explainers.about(explained.method).class_specific else 1
    targets, maps, images = [], [], images.to(subject.device)
    for batch in images.batches(_BATCH):
        x = images.normalise(batch.images)
        with torch.inference_mode():
            logits = subject.network(x.clone())  # into which it may write
        targets.append(torch.stack([batch.labels, logits.argmax(dim=1), logits.argmin(dim=1)], dim=1))
        maps.append(explained.raw(x, targets[-1], batch.index)[:, :classes].detach().float().cpu())
    return {"target": torch.cat(targets).cpu(), "maps": torch.cat(maps)}


def batches(explained: Explained, images: Split, stored: dict[str, Tensor]) -> Iterator[Batch]:
    """The images in the batches in which they were explained, with what :func:`raw_maps` found."""
    device, done = explained.subject.device, 0
    images = images.to(device)
    for batch in images.batches(_BATCH):
        here = slice(done, done + len(batch.labels))
        target, raw = (stored[name][here].to(device) for name in ("target", "maps"))
        masks = {name: mask[here] for name, mask in images.masks.items()}
        yield Batch(images.normalise(batch.images), batch.index, masks, target, raw.expand(-1, 3, *raw.shape[2:]))
        done = here.stop


def scored(explained: Explained, images: Split, stored: dict[str, Tensor], metric: str) -> pd.DataFrame:
    """Stored maps for the true class under any registered metric, which gets what it asks for by name.

    ``metric`` is one of :func:`lineup.added_metrics`, which says what it may ask for; the maps it gets are those in
    [0, 1]. Returns rows index, metric, value, reading.
    """
    function, parts = metrics.get(metric), []
    asked = inspect.signature(function).parameters
    for x, index, masks, target, raw in batches(explained, images, stored):
        given = {"model": explained.subject.network, "x": x, "target": target[:, 0], "index": index, "seed": _SEED}
        given["mask"] = masks.get("object")
        for reading in explained.readings:
            given["attribution"] = explained.scaled(raw[:, 0], x, reading)
            values = function(**{name: value for name, value in given.items() if name in asked})
            parts.append(rows(index, {metric: values}, reading=reading))
    return pd.concat(parts, ignore_index=True)


def class_similarity(explained: Explained, images: Split, stored: dict[str, Tensor]) -> pd.DataFrame:
    """How alike stored maps for the true and for the least probable class are: Spearman's correlation over pixels.

    Rows index, metric ("class-similarity"), value in [-1, 1], reading. A constant map is like no other: 0.
    """
    parts = []
    for x, index, _, _, raw in batches(explained, images, stored):
        for reading in explained.readings:
            true, least = (explained.scaled(raw[:, place], x, reading) for place in (0, 2))
            values = {"class-similarity": randomisation.spearman(true, least).nan_to_num(0.0)}
            parts.append(rows(index, values, reading=reading))
    return pd.concat(parts, ignore_index=True)
