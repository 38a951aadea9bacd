"""The contrastive losses of the contrastive paper (§3.2), written like their equations, without lists of triples."""

import math

import torch
from torch import Tensor


def supervised_contrastive(z: Tensor, labels: Tensor, *, temperature: float) -> Tensor:
    """Supervised contrastive loss (Khosla et al. 2020; contrastive paper §3.2), mean over anchors.

    Anchors without a positive in the batch are left out; a batch of such anchors has loss 0.

    Args:
        z: embeddings of Euclidean length 1, float [M,k].
        labels: class of each, int64 [M].
        temperature: τ > 0.

    Returns:
        A scalar of at least 0, float32 (float64 for float64 embeddings).

    Raises:
        ValueError: if shapes do not fit or the temperature is not positive.
    """
    z = _checked(z, labels)
    if not temperature > 0:
        raise ValueError(f"Expected a temperature above 0. Got {temperature}.")
    itself = torch.eye(len(z), dtype=torch.bool, device=z.device)
    positive = (labels[:, None] == labels) & ~itself  # [M,M]
    similarity = (z @ z.T / temperature).masked_fill(itself, -math.inf)
    log_share = similarity - similarity.logsumexp(dim=1, keepdim=True)
    per_anchor = -log_share.masked_fill(~positive, 0).sum(dim=1) / positive.sum(dim=1).clamp(min=1)
    return per_anchor.sum() / positive.any(dim=1).sum().clamp(min=1)


def triplet_semi_hard(z: Tensor, labels: Tensor, *, margin: float, variant: str = "paper") -> Tensor:
    """Triplet loss, mean over all semi-hard triplets of the batch (contrastive paper, Eq. 1 and Table 2).

    A negative is semi-hard if it is farther from the anchor than the positive, by less than the margin. Where a batch
    has no such triplet, each anchor's farthest positive and nearest negative are taken (Hermans et al. 2017), and the
    mean is over anchors. A batch without a positive or without a negative has loss 0.

    Args:
        z: float [M,k]: embeddings of length 1 for the variant "paper", features as they are for "released".
        labels: class of each, int64 [M].
        margin: α > 0.
        variant: "paper" takes squared Euclidean distances, "released" plain ones, as the authors' code does.

    Returns:
        A scalar of at least 0, float32 (float64 for float64 embeddings).

    Raises:
        ValueError: if shapes do not fit, the margin is not positive or the variant does not exist.
    """
    z = _checked(z, labels)
    if not margin > 0:
        raise ValueError(f"Expected a margin above 0. Got {margin}.")
    if variant not in ("paper", "released"):
        raise ValueError(f"Expected a variant out of paper, released. Got {variant!r}.")
    distance = _distances(z, squared=variant == "paper")  # [M,M]
    same = labels[:, None] == labels
    positive = same & ~torch.eye(len(z), dtype=torch.bool, device=z.device)
    total, count = _semi_hard(distance, positive, ~same, margin)
    if count == 0:
        return _batch_hard(distance, positive, ~same, margin)
    return total / count


def _semi_hard(distance: Tensor, positive: Tensor, negative: Tensor, margin: float) -> tuple[Tensor, Tensor]:
    """Sum of ``d_ap - d_an + margin`` over all semi-hard triplets, and their number.

    With each anchor's negatives sorted, those of one positive lie side by side, and a running sum gives their total:
    M² log M steps instead of M³. Running sums are taken in float64, since they are subtracted from each other.
    """
    ordered = distance.masked_fill(~negative, math.inf).sort(dim=1).values  # [M,M], negatives first
    running = ordered.masked_fill(ordered.isinf(), 0).double().cumsum(dim=1)
    running = torch.nn.functional.pad(running, (1, 0))  # [M,M+1]
    with torch.no_grad():
        first = torch.searchsorted(ordered, distance, right=True)  # negatives no farther than the positive
        end = torch.searchsorted(ordered, distance + margin)  # negatives within the margin
        number = torch.where(positive, end - first, 0)
    # d_ap < d_an < d_ap + margin
    of_positive = number * (distance.double() + margin) - (running.gather(1, end) - running.gather(1, first))
    total = of_positive.masked_fill(~positive, 0).sum()
    return total.to(distance.dtype), number.sum()


def _batch_hard(distance: Tensor, positive: Tensor, negative: Tensor, margin: float) -> Tensor:
    farthest = distance.masked_fill(~positive, -math.inf).amax(dim=1)
    nearest = distance.masked_fill(~negative, math.inf).amin(dim=1)
    complete = positive.any(dim=1) & negative.any(dim=1)
    hinge = (farthest - nearest + margin).clamp(min=0)
    return hinge.masked_fill(~complete, 0).sum() / complete.sum().clamp(min=1)


def _distances(z: Tensor, *, squared: bool) -> Tensor:
    """Euclidean distances [M,M]; the gradient at distance 0 is 0."""
    square = (z * z).sum(dim=1)
    d2 = (square[:, None] + square - 2 * z @ z.T).clamp(min=0)
    if squared:
        return d2
    zero = d2 == 0
    return d2.masked_fill(zero, 1).sqrt().masked_fill(zero, 0)


def _checked(z: Tensor, labels: Tensor) -> Tensor:
    if z.ndim != 2 or labels.shape != (len(z),):
        raise ValueError(f"Expected z [M,k] and labels [M]. Got {list(z.shape)} and {list(labels.shape)}.")
    return z if z.dtype == torch.float64 else z.float()
