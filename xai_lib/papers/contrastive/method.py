"""How the contrastive paper scores maps (§3.4 to §4.3): which maps are made of an image, and what is measured on them.

The losses are in ``xai_lib.losses``, the class activation maps and metrics in their rooms; here they are put together.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from xai_lib import explainers
from xai_lib.data.split import Split
from xai_lib.explainers import adapter, cams, normalise
from xai_lib.metrics import complexity, localisation, pixel_flipping, similarity

# Eigen-CAM stands twice: by the text's formula, and as pytorch-grad-cam computes it, which print was made with (§4.3).
METHODS = ("grad-cam", "eigen-cam", "eigen-cam-tool")
SIGMA = 0.02  # of the noise for continuity (§4.3)
SIGMAS = (0.005, 0.01, 0.05, 0.1)  # others, which show where it saturates

_BATCH = 256
_AREAS = {"matched": "logits", "random-order": "random", "least-first": "least"}
_CONTRASTS = (0.9, 1.0, 1.1)
_SEED = 0  # of noise and of the other class: the same for every network, so that comparisons are paired


@dataclass(frozen=True)
class Budget:
    """How much of the scored images is asked how much."""

    flipping_step: int  # pixels removed at each step of pixel flipping
    n_further: int  # of the images, those for other orders of removal and other strengths of noise
    n_quantus: int  # of the images, those that the authors' tools explain and score
    colour_values: bool  # whether pixel flipping is computed by colour values as well, as released


def raw_maps(
    network: nn.Module, split: Split, method: str, device: torch.device, *, target: str = "predicted",
    n_further: int = 0,
) -> dict[str, Tensor]:  # fmt: skip
    """Raw, signed maps of a class on the layer's own grid, and what the metrics need besides.

    Of an explainer, a network in evaluation mode (normalised images -> logits) on ``device``, and N images, the first
    ``n_further`` of them under noise of :data:`SIGMAS` as well. ``target`` is the class that is explained, "predicted"
    (§4.3) or "true"; or "augmented", the true one, averaged over six views (mirrored or not, at three contrasts).

    Returns ``index``, ``labels``, ``predicted`` (int64 [N]); ``maps``, ``noisy`` (of the image with noise),
    ``noisy_released`` (the noisy image clamped as in the released code), float32 [N,h,w]; ``other`` (of a random other
    class) for methods that know classes; and, of the first images, ``noisy <sigma>``.
    """
    batches, done = [], 0
    for batch in split.batches(_BATCH):
        x, index, labels = split.normalise(batch.images.to(device)), batch.index.to(device), batch.labels.to(device)
        maps = _of_batch(network, method, x, labels, index, target, max(0, n_further - done))
        batches.append({name: one.cpu() for name, one in {"index": index, "labels": labels, **maps}.items()})
        done += len(index)
    return {name: torch.cat([batch[name] for batch in batches if name in batch]) for name in batches[0]}


def scaled(maps: Tensor, size: tuple[int, int]) -> Tensor:
    """Raw maps [B,h,w] as the paper scores them: negative values cut, image size, scaled to [0, 1] (§3.4, §4.3)."""
    return normalise.min_max(cams.upsample(normalise.relu(maps), size))


def measured(
    network: nn.Module, split: Split, raw: dict[str, Tensor], budget: Budget
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Every metric of the paper for maps that :func:`raw_maps` gave, computed where the split lies.

    Returns scores by metric, [N] or of the first images only; and ``logits`` along pixel flipping [N,S+1,C], for
    :func:`areas`, also ``random`` and ``least`` (of the first images, in a random and in the reverse order), at
    ``fractions`` removed [S+1].
    """
    n, size = budget.n_further, split.images.shape[-2:]
    full = scaled(raw["maps"], size)
    some = split.subset(range(n))
    defined = 1 - _empty(full[:n])[:, None, None]  # an empty map has no reverse order either
    # a constant map removes pixels in the order of its ties, which is drawn for each image
    orders = {"least": defined * (2 - full[:n]), "random": defined + 0 * full[:n]}
    curves = {name: _flipped(network, some, maps, budget.flipping_step) for name, maps in orders.items()}
    curves["logits"] = _flipped(network, split, full, budget.flipping_step)
    curves["fractions"] = pixel_flipping.fractions_removed(size.numel(), budget.flipping_step)
    curves["labels"] = split.labels.cpu()
    values = {"pixel-flipping": areas(curves, 1.0)["pixel-flipping-matched"], **of_maps(raw, split)}
    if budget.colour_values:
        x = split.normalise(split.images)
        values["pixel-flipping-released"] = pixel_flipping.pixel_flipping_released(network, x, full.to(x), split.labels)
    return values, curves


def areas(curves: dict[str, Tensor], temperature: float) -> dict[str, Tensor]:
    """Areas under pixel flipping at a temperature, of the curves that :func:`measured` gave, by metric."""

    def area(order: str) -> Tensor:
        probability = pixel_flipping.at_temperature(curves[order], curves["labels"][: len(curves[order])], temperature)
        return pixel_flipping.area(probability, curves["fractions"])

    found = {f"pixel-flipping-{name}": area(order) for name, order in _AREAS.items()}
    first = pixel_flipping.at_temperature(curves["logits"][:, :1], curves["labels"], temperature)[:, 0]
    return found | {"pixel-flipping-printed": first - found["pixel-flipping-matched"]}


def of_maps(maps: dict[str, Tensor], split: Split) -> dict[str, Tensor]:
    """Metrics that need no network, each [N], from what :func:`raw_maps` returns."""
    size = split.images.shape[-2:]
    full = scaled(maps["maps"], size)
    values = {
        "continuity": similarity.continuity(full, scaled(maps["noisy"], size)),
        "continuity-released": similarity.continuity(full, scaled(maps["noisy_released"], size), empty="keep"),
        **of_shape(full, split),
        "empty-map": _empty(full),
    }
    for sigma in SIGMAS:
        if f"noisy {sigma}" in maps:
            noisy = scaled(maps[f"noisy {sigma}"], size)
            values[f"continuity {sigma}"] = similarity.continuity(full[: len(noisy)], noisy)
    if "other" in maps:
        other = scaled(maps["other"], size)
        values["contrastivity"] = similarity.contrastivity(full, other)
        values["contrastivity-empty-kept"] = similarity.contrastivity(full, other, empty="keep")
        values["empty-map-of-other-class"] = _empty(other)
    return values


def of_shape(full: Tensor, split: Split) -> dict[str, Tensor]:
    """Metrics of maps [N,H,W] alone, and of maps and masks where there are masks, each [N]."""
    values = {"complexity": complexity.complexity(full), "sparseness": complexity.sparseness(full)}
    if "object" in split.masks:
        mask = split.masks["object"].cpu()
        values["pointing-game"] = localisation.pointing_game(full, mask)
        values["attribution-localisation"] = localisation.attribution_localisation(full, mask)
        values["attribution-localisation-paper"] = localisation.attribution_localisation_paper(full, mask)
    return values


def _flipped(network: nn.Module, split: Split, maps: Tensor, step: int) -> Tensor:
    """Logits [N,S+1,C] along pixel flipping, in the order of maps [N,H,W]; NaN for an empty map."""
    found = [
        pixel_flipping.flipping_logits(network, split.normalise(batch.images), some, index=batch.index, step=step)
        for batch, some in zip(split.batches(_BATCH), maps.to(split.images.device).split(_BATCH))
    ]
    return torch.cat(found).cpu()


def _of_batch(
    network: nn.Module, method: str, x: Tensor, labels: Tensor, index: Tensor, target: str, n_further: int
) -> dict[str, Tensor]:
    with torch.inference_mode():
        logits = network(x)
    predicted = logits.argmax(dim=1).clone()
    explained = predicted if target == "predicted" else labels
    of = lambda x, classes: adapter.raw_maps(network, method, x, classes, index[: len(x)])  # noqa: E731

    def maps(images: Tensor, classes: Tensor) -> Tensor:
        if target != "augmented":
            return of(images, classes)
        views = [(of(factor * images, classes), of(factor * images.flip(3), classes).flip(2)) for factor in _CONTRASTS]
        return torch.stack([normalise.min_max(normalise.relu(one)) for pair in views for one in pair]).mean(0)

    def noisy(sigma: float, n: int | None = None, **options: bool) -> Tensor:
        return maps(similarity.noisy(x[:n], seed=_SEED, index=index[:n], sigma=sigma, **options), explained[:n])

    found = {"predicted": predicted, "maps": maps(x, explained), "noisy": noisy(SIGMA)}
    found["noisy_released"] = noisy(SIGMA, clamp=True)
    if explainers.about(method).class_specific:
        found["other"] = maps(x, similarity.other_class(explained, logits.shape[1], seed=_SEED, index=index))
    if n_further:
        found |= {f"noisy {sigma}": noisy(sigma, n_further) for sigma in SIGMAS}
    return found


def _empty(maps: Tensor) -> Tensor:
    return (maps == 0).flatten(1).all(dim=1).float()
