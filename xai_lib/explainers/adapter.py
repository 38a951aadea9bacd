"""Call an explainer by its name: what it takes beyond the network and the images is put together here."""

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor, nn

from xai_lib.explainers.bottleneck import FeatureStatistics
from xai_lib.explainers.layers import Layer, at_depth
from xai_lib.explainers.registry import about
from xai_lib.explainers.scores import Score, of_class
from xai_lib.models import is_multi_label


def raw_maps(
    network: nn.Module, method: str, x: Tensor, explained: Tensor | Score, index: Tensor, *, layer: Layer = None,
    settings: Mapping[str, Any] | None = None, statistics: Callable[[], FeatureStatistics] | None = None, seed: int = 0,
    upsample: bool = False,
) -> Tensor:  # fmt: skip
    """Raw maps of a registered explainer.

    ``explained`` are classes, int64 [B] or [B,S], of which the method explains what its own paper does; or a score. A
    method whose own paper puts it at an earlier layer (``about(method).depth``) stands there. ``settings`` are the
    method's own keywords; ``statistics`` gives those of the layer's activations, and is called only for a method that
    needs them. Maps and errors are those of the explainer; maps that know no class are repeated for each of S classes.

    Example:
        >>> import torch
        >>> network = nn.Sequential(nn.Identity(), nn.AdaptiveAvgPool2d(1), nn.Flatten())  # each colour's mean
        >>> x, classes = torch.tensor([[[[2.0, 6.0]], [[8.0, 8.0]], [[0.0, 4.0]]]]), torch.tensor([[0, 2]])
        >>> raw_maps(network, "hires-cam", x, classes, torch.tensor([0]), layer="0").flatten(1)
        tensor([[1., 3., 0., 2.]])
    """
    known = about(method)
    keywords = dict(settings or {})
    layer = layer if known.depth == 1 else at_depth(network, layer, known.depth, x)
    if known.random:
        keywords |= {"seed": seed, "index": index}
    if known.on_layer:
        keywords["upsample"] = upsample
    if statistics and "statistics" in known.needs:
        keywords["statistics"] = statistics()
    of_classes = isinstance(explained, Tensor)
    score = of_class(explained, known.explains, multi_label=is_multi_label(network)) if of_classes else explained
    maps = known.function(network, x, score=score, layer=layer, **keywords)
    if of_classes and explained.ndim == 2 and not known.class_specific:
        maps = maps[:, None].expand(-1, explained.shape[1], *maps.shape[1:])
    return maps
