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
from xai_lib.explainers.layers import at_depth
from xai_lib.explainers.registry import about

_BATCH = 64
_FEWER = 200  # reference images of a network in this one's place, of which there are many


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
    _statistics: dict[str, FeatureStatistics] = field(default_factory=dict, init=False, repr=False)

    @property
    def identity(self) -> dict[str, str | None]:
        """What stands for the network in a key of the store: its weights and the layer explained, no images."""
        return {"network": self.key, "layer": self.layer}

    @cached_property
    def network(self) -> nn.Module:
        """The network, loaded at first use, with parameters that gradients can go through wherever that is."""
        with torch.inference_mode(False):
            return self.load()

    def statistics(self, method: str, network: nn.Module | None = None) -> FeatureStatistics:
        """Mean and spread over the reference images, or the first 200 for another `network`, where a method stands."""
        if network is not None:
            split = self.reference()
            return self._estimated(method, network, split.subset(torch.arange(min(_FEWER, len(split)))))
        if method not in self._statistics:
            self._statistics[method] = self._estimated(method, self.network, self.reference())
        return self._statistics[method]

    def raw_maps(
        self, method: str, settings: dict, x: Tensor, target: Tensor, index: Tensor, network: nn.Module | None = None
    ) -> Tensor:
        """Raw maps of a method, on the layer's own grid if any (:func:`adapter.raw_maps`), or of a network like it."""
        known = {"layer": self.layer, "settings": settings, "statistics": lambda: self.statistics(method, network)}
        return raw_maps(self.network if network is None else network, method, x, target, index, **known)

    def _estimated(self, method: str, network: nn.Module, split: Split) -> FeatureStatistics:
        batches = (split.normalise(batch.images.to(self.device)) for batch in split.batches(_BATCH))
        return feature_statistics(network, batches, at_depth(network, self.layer, about(method).depth))

    def explain(self, method: str, settings: dict, x: Tensor, target: Tensor, index: Tensor) -> Tensor:
        """The same in [0, 1] and of the images' size: [B,H,W] for one class an image, [B,S,H,W] for S."""
        return normalise.unit_maps(self.raw_maps(method, settings, x, target, index), method, tuple(x.shape[-2:]))
