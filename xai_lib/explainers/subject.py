"""What the benchmark is run on: a network, the layer that is explained, and images."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor, nn

from xai_lib.data.split import Split
from xai_lib.explainers import normalise
from xai_lib.explainers.adapter import raw_maps
from xai_lib.explainers.bottleneck import FeatureStatistics, feature_statistics

_BATCH = 64


@dataclass(frozen=True, eq=False)
class Subject:
    """A network and the images on which its explanations are scored.

    Attributes:
        load: gives the network: images [B,3,H,W] -> logits [B,C], in evaluation mode, on ``device``. Called once.
        key: what identifies the network's weights in the store.
        parents: cells of the store that the network came from.
        layer: the layer explained, a dotted name; None for the network's default.
        images: what is explained; ``images.subset`` gives parts.
        reference: images from which IBA takes the mean and spread of the layer's activations.
        device: where it all runs.
        seed: number of the training, for tables; 0 for a network not trained here.
    """

    load: Callable[[], nn.Module]
    key: str
    parents: tuple
    layer: str | None
    images: Split
    reference: Callable[[], Split] = field(repr=False)
    device: torch.device
    seed: int = 0

    @property
    def identity(self) -> dict[str, str | None]:
        """What stands for the network in a key of the store: its weights and the layer explained, no images."""
        return {"network": self.key, "layer": self.layer}

    @cached_property
    def network(self) -> nn.Module:
        """The network, loaded at first use, with parameters that gradients can go through wherever that is."""
        with torch.inference_mode(False):
            return self.load()

    @cached_property
    def statistics(self) -> FeatureStatistics:
        """Mean and spread of the layer's activations over the reference images."""
        split = self.reference()
        batches = (split.normalise(batch.images.to(self.device)) for batch in split.batches(_BATCH))
        return feature_statistics(self.network, batches, self.layer)

    def raw_maps(
        self, method: str, settings: dict, x: Tensor, target: Tensor, index: Tensor, network: nn.Module | None = None
    ) -> Tensor:
        """Raw maps of a method, on the layer's own grid where it has one, as :func:`adapter.raw_maps` gives them.

        `settings` are the method's keywords beyond those that all share; `network` is one in this one's place, such as
        one with random weights.
        """
        network = self.network if network is None else network
        known = {"layer": self.layer, "settings": settings, "statistics": lambda: self.statistics}
        return raw_maps(network, method, x, target, index, **known)

    def explain(
        self, method: str, settings: dict, x: Tensor, target: Tensor, index: Tensor,
        how: normalise.Normalisation = "paper",
    ) -> Tensor:  # fmt: skip
        """Maps in [0, 1] of the images' size, [B,H,W] or [B,S,H,W]; arguments as :meth:`raw_maps`."""
        raw = self.raw_maps(method, settings, x, target, index)
        return normalise.unit_maps(raw, method, tuple(x.shape[-2:]), how)
