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
    """A network and the images on which its explanations are scored."""

    load: Callable[[], nn.Module]  # images [B,3,H,W] -> logits [B,C], in evaluation mode, on `device`; called once
    key: str  # what identifies the network's weights in the store
    parents: tuple  # cells of the store that the network came from
    layer: str | None  # the layer explained, a dotted name; None for the network's default
    images: Split  # what is explained; `images.subset` gives parts
    reference: Callable[[], Split] = field(repr=False)  # whose activations at the layer IBA takes mean and spread of
    device: torch.device  # where it all runs
    seed: int = 0  # number of the training, for tables; 0 for a network not trained here

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

        `settings` are the method's own keywords; `network` is one in this one's place, such as one of random weights.
        """
        known = {"layer": self.layer, "settings": settings, "statistics": lambda: self.statistics}
        return raw_maps(self.network if network is None else network, method, x, target, index, **known)

    def explain(
        self, method: str, settings: dict, x: Tensor, target: Tensor, index: Tensor, network: nn.Module | None = None
    ) -> Tensor:
        """The same in [0, 1] and of the images' size: [B,H,W] for one class an image, [B,S,H,W] for S."""
        raw = self.raw_maps(method, settings, x, target, index, network)
        return normalise.unit_maps(raw, method, tuple(x.shape[-2:]))
