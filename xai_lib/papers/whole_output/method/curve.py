"""What a network says of a class and of its rivals while the pixels that a map ranks highest are deleted.

(Whole-output paper §5.1, Equation 3 and Figure 6.)
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from xai_lib.forward import Model, outputs
from xai_lib.metrics import perturbation
from xai_lib.metrics.maps import check_maps


@dataclass(frozen=True)
class Curve:
    """Probabilities while pixels go, float32 [N,S]: of the class, of its rivals together, and s = P(c)·(1 - P(C'))."""

    probability: Tensor
    rivals: Tensor
    score: Tensor


def contrastive_curve(
    model: Model,
    x: Tensor,
    image: Tensor,
    maps: Tensor,
    target: Tensor,
    rivals: Tensor,
    removed: Tensor,
    *,
    index: Tensor,
    seed: int = 0,
) -> Curve:
    """Follow a class and its rivals while the pixels that a map ranks highest become 0, the mean colour (Eq. 3).

    The maps of all images share forward passes; a number of pixels that a map's row of `removed` repeats is run once.

    Args:
        model: images [B,c,H,W] -> logits [B,C], in evaluation mode; only run forward, in float32.
        x: normalised images, float [B,c,H,W].
        image: which row of x each map is of, int64 [N].
        maps: float [N,H,W], of any sign and scale: only the order counts. Equal values go in an order drawn for each
            image, the same for all maps of an image.
        target: the class of each map, int64 [N].
        rivals: the classes that it is told apart from, bool [N,C], at least one for each map and not the target.
        removed: numbers of pixels, int64 [N,S] in 0 to H·W.
        index: image indices, int64 [B].
        seed: of the order of equal values.

    Raises:
        TypeError, ValueError: if types, shapes or ranges are not these, the model is in training mode, or a logit is
            not finite.
    """
    image, target, rivals, removed = (tensor.to(x.device) for tensor in (image, target, rivals, removed))
    check_rows(x, image, maps, target)
    _check_contrast(target, rivals, removed, maps[0].numel() if len(maps) else 0)
    if len(index) != len(x):
        raise ValueError(f"Expected one index per image, {len(x)} in all. Got {len(index)}.")
    rank = perturbation.ranks(maps.to(x.device), ties="random", seed=seed, index=index.to(x.device)[image])
    counts = x.shape[2] * x.shape[3] + 1
    row = torch.arange(len(maps), device=x.device)[:, None]
    points, place = torch.unique(row * counts + removed, return_inverse=True)
    row, count = points // counts, points % counts

    def make(point: Tensor, _: Tensor) -> Tensor:
        gone = rank[row[point]] < count[point][:, None, None]  # [n,H,W]
        return x[image[row[point]]].masked_fill(gone[:, None], 0)

    space = x[:1].expand(len(points), -1, -1, -1)
    classes = _columns(target, rivals)[row]
    found = outputs(model, make, _of_class_and_rivals, space, classes, 1, None)
    probability, together = found.reshape(len(points), 2)[place].unbind(-1)
    return Curve(probability, together, probability * (1 - together))


def check_rows(x: Tensor, image: Tensor, maps: Tensor, target: Tensor) -> None:
    """Refuse what are not images and, for some rows of them (a row may come twice), a map and a class.

    Raises:
        TypeError, ValueError: if x is not float [B,c,H,W], maps float [N,H,W], image int64 [N] in 0 to B-1, or target
            int64 [N].
    """
    check_maps(maps, "maps")
    if image.dtype != torch.int64 or image.shape != (len(maps),):
        raise ValueError(
            f"Expected the row of x of each map, int64 [{len(maps)}]. Got {image.dtype} with shape {list(image.shape)}."
        )
    if ((image < 0) | (image >= len(x))).any():
        raise ValueError(f"Expected rows of x in 0 to {len(x) - 1}. Got {image.min()} to {image.max()}.")
    perturbation.check_inputs(x[:1].expand(len(maps), *x.shape[1:]), maps, target)


def _of_class_and_rivals(logits: Tensor, classes: Tensor) -> Tensor:
    """Probability of the first class and of the others together, float32 [n,2]; see :func:`_columns`."""
    probabilities = logits.softmax(1).gather(1, classes)
    others = (probabilities * (classes != classes[:, :1])).sum(1)
    return torch.stack([probabilities[:, 0], others], dim=1)


def _columns(target: Tensor, rivals: Tensor) -> Tensor:
    """Each target and behind it its rivals, padded with the target: int64 [N,1+R]."""
    most = int(rivals.sum(1).max()) if len(rivals) else 0
    first = rivals.int().argsort(dim=1, descending=True, stable=True)[:, :most]
    return torch.cat([target[:, None], torch.where(rivals.gather(1, first), first, target[:, None])], dim=1)


def _check_contrast(target: Tensor, rivals: Tensor, removed: Tensor, n_pixels: int) -> None:
    n = len(target)
    if rivals.dtype != torch.bool or rivals.ndim != 2 or len(rivals) != n:
        raise ValueError(f"Expected rivals as bool [{n},C]. Got {rivals.dtype} with shape {list(rivals.shape)}.")
    if ((target < 0) | (target >= rivals.shape[1])).any():
        raise ValueError(f"Expected targets in 0 to {rivals.shape[1] - 1}. Got {target.min()} to {target.max()}.")
    if not rivals.any(1).all() or rivals.gather(1, target[:, None]).any():
        raise ValueError(
            "Expected at least one rival of each class, and not the class itself. Got a row of rivals without any or "
            "with its own class: leave out pairs without a rival."
        )
    if removed.dtype != torch.int64 or removed.ndim != 2 or len(removed) != n:
        raise ValueError(f"Expected removed as int64 [{n},S]. Got {removed.dtype} with shape {list(removed.shape)}.")
    if ((removed < 0) | (removed > n_pixels)).any():
        raise ValueError(f"Expected removed in 0 to {n_pixels}. Got {removed.min()} to {removed.max()}.")
