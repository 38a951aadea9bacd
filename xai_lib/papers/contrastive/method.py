"""How the contrastive paper scores maps (§3.4 to §4.3): which maps are made of an image, and what is measured on them.

The losses are in ``xai_lib.losses``, the class activation maps and metrics in their rooms; here they are put together.
"""

import torch
from torch import Tensor, nn

from xai_lib import explainers
from xai_lib.data.split import Split
from xai_lib.explainers import adapter, cams, normalise
from xai_lib.metrics import complexity, localisation, pixel_flipping, similarity

METHODS = ("grad-cam", "eigen-cam")

_BATCH = 256
_SEED = 0  # of noise and of the other class: the same for every network, so that comparisons are paired


def raw_maps(network: nn.Module, split: Split, method: str, device: torch.device) -> dict[str, Tensor]:
    """Raw, signed maps of the predicted class on the layer's own grid, and what the metrics need besides.

    Args:
        network: normalised images -> logits, in evaluation mode, on ``device``.
        split: N images.
        method: name of an explainer.
        device: where it runs.

    Returns:
        ``index``, ``labels``, ``predicted`` (int64 [N]); ``maps``, ``noisy`` (of the image with noise),
        ``noisy_released`` (the noisy image clamped as in the released code), float32 [N,h,w]; and ``other`` (of a
        random other class) for methods that know classes.
    """
    batches = []
    for batch in split.batches(_BATCH):
        x, index = split.normalise(batch.images.to(device)), batch.index.to(device)
        found = {"index": index, "labels": batch.labels, **_of_batch(network, method, x, index)}
        batches.append({name: tensor.cpu() for name, tensor in found.items()})
    return {name: torch.cat([batch[name] for batch in batches]) for name in batches[0]}


def scaled(maps: Tensor, size: tuple[int, int]) -> Tensor:
    """Raw maps [B,h,w] as the paper scores them: negative values cut, image size, scaled to [0, 1] (§3.4, §4.3)."""
    return normalise.min_max(cams.upsample(normalise.relu(maps), size))


def flipping_curves(network: nn.Module, split: Split, maps: Tensor, step: int) -> tuple[Tensor, Tensor]:
    """Flipping curves [N,S+1] of the true class, as in the released code, and the fractions removed [S+1].

    The maps [N,h,w] explain the predicted class (§4.3). Computed where the split lies.
    """
    size = split.images.shape[-2:]
    curves = []
    for batch, raw in zip(split.batches(_BATCH), maps.split(_BATCH)):
        attribution = scaled(raw.to(split.images.device), size)
        x, options = split.normalise(batch.images), {"index": batch.index, "step": step}
        curves.append(pixel_flipping.pixel_flipping_curve(network, x, attribution, batch.labels, **options))
    return torch.cat(curves).cpu(), pixel_flipping.fractions_removed(size.numel(), step)


def of_curves(curves: Tensor, fractions: Tensor, correct: Tensor) -> dict[str, Tensor]:
    """Pixel flipping, and in the confidence-normalised reading, where the image is classified correctly, each [N].

    Elsewhere the true class starts near 0, and the quotient would be ruled by how near: NaN.
    """
    areas = pixel_flipping.area(pixel_flipping.normalised(curves), fractions)
    return {
        "pixel-flipping": pixel_flipping.area(curves, fractions),
        "pixel-flipping-normalised": areas.masked_fill(~correct, float("nan")),
    }


def of_maps(maps: dict[str, Tensor], split: Split) -> dict[str, Tensor]:
    """Metrics that need no network, each [N], from what :func:`raw_maps` returns."""
    size = split.images.shape[-2:]
    full = scaled(maps["maps"], size)
    values = {
        "continuity": similarity.continuity(full, scaled(maps["noisy"], size)),
        "continuity-released": similarity.continuity(full, scaled(maps["noisy_released"], size), empty="keep"),
        "complexity": complexity.complexity(full),
        "sparseness": complexity.sparseness(full),
        "empty-map": _empty(full),
    }
    if "other" in maps:
        other = scaled(maps["other"], size)
        values["contrastivity"] = similarity.contrastivity(full, other)
        values["contrastivity-empty-kept"] = similarity.contrastivity(full, other, empty="keep")
        values["empty-map-of-other-class"] = _empty(other)
    if "object" in split.masks:
        mask = split.masks["object"].cpu()
        values["pointing-game"] = localisation.pointing_game(full, mask)
        values["attribution-localisation"] = localisation.attribution_localisation(full, mask)
        values["attribution-localisation-paper"] = localisation.attribution_localisation_paper(full, mask)
    return values


def _of_batch(network: nn.Module, method: str, x: Tensor, index: Tensor) -> dict[str, Tensor]:
    with torch.inference_mode():
        logits = network(x)
    predicted = logits.argmax(dim=1).clone()

    def maps(images: Tensor, target: Tensor) -> Tensor:
        return adapter.raw_maps(network, method, images, target, index)

    found = {
        "predicted": predicted,
        "maps": maps(x, predicted),
        "noisy": maps(similarity.noisy(x, seed=_SEED, index=index), predicted),
        "noisy_released": maps(similarity.noisy(x, seed=_SEED, index=index, clamp=True), predicted),
    }
    if explainers.about(method).class_specific:
        found["other"] = maps(x, similarity.other_class(predicted, logits.shape[1], seed=_SEED, index=index))
    return found


def _empty(maps: Tensor) -> Tensor:
    return (maps == 0).flatten(1).all(dim=1).float()
