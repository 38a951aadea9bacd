"""The contrastive losses of the contrastive paper (§3.2), written like their equations, without lists of triples."""

import math

import torch
from torch import Tensor
from torch.nn import functional


def supervised_contrastive(z: Tensor, labels: Tensor, *, temperature: float) -> Tensor:
    """Supervised contrastive loss (Khosla et al. 2020; contrastive paper §3.2), mean over anchors (printed: their sum).

    An anchor i has the loss -Σ_{p∈P(i)} log(exp(z_i·z_p/τ) / Σ_{a≠i} exp(z_i·z_a/τ)) / |P(i)|, P(i) the others of its
    class. Anchors without any are left out; a batch of such anchors has loss 0 and gradient 0. Of embeddings of
    Euclidean length 1, float [M,k], the class of each, int64 [M], and a temperature τ > 0: a scalar of at least 0,
    float32 (float64 for float64 embeddings). ValueError if shapes do not fit or the temperature is not positive.

    Example:
        >>> z = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]])
        >>> supervised_contrastive(z, torch.tensor([0, 0, 1, 1]), temperature=1.0)  # ln(e + 2) - 1
        tensor(0.5514)
    """
    z = _checked(z, labels)
    if not temperature > 0:
        raise ValueError(f"Expected a temperature above 0. Got {temperature}.")
    itself = torch.eye(len(z), dtype=torch.bool, device=z.device)
    positive = (labels[:, None] == labels) & ~itself  # [M,M]
    similarity = (_products(z) / temperature).masked_fill(itself, -math.inf)
    log_share = similarity - similarity.logsumexp(dim=1, keepdim=True)
    per_anchor = -log_share.masked_fill(~positive, 0).sum(dim=1) / positive.sum(dim=1).clamp(min=1)
    return per_anchor.sum() / positive.any(dim=1).sum().clamp(min=1)


def triplet_semi_hard(z: Tensor, labels: Tensor, *, margin: float, variant: str = "paper") -> Tensor:
    """Triplet loss, mean over all semi-hard triplets of the batch (contrastive paper, Eq. 1 and Table 2).

    A triplet has the loss d(anchor, positive) - d(anchor, negative) + α. A negative is semi-hard if it is farther from
    the anchor than the positive, by less than the margin α (Schroff et al. 2015). Where a batch has no such triplet,
    each anchor's farthest positive and nearest negative are taken (Hermans et al. 2017), and the mean is over the
    anchors that have both. A batch with no such anchor has loss 0 and gradient 0.

    The variant "paper" takes squared Euclidean distances of embeddings of length 1, "released" plain ones of features
    as they are, as the authors' code does. Of z float [M,k], the class of each, int64 [M], and α > 0: a scalar of at
    least 0, float32 (float64 for float64 embeddings). ValueError if shapes, margin or variant do not fit.

    Example:
        >>> z, labels = torch.tensor([[0.0], [1.0], [-1.5], [2.5]]), torch.tensor([0, 0, 1, 2])
        >>> triplet_semi_hard(z, labels, margin=0.75, variant="released")  # two triplets of 1 - 1.5 + 0.75
        tensor(0.2500)
    """
    distance, positive, negative = _pairs(z, labels, margin, variant)
    weight, count = _semi_hard(distance.detach(), positive, negative, margin)
    semi_hard = (weight * distance).sum(dtype=torch.float64) / count.clamp(min=1) + margin
    farthest = distance.masked_fill(~positive, -math.inf).amax(dim=1)
    nearest = distance.masked_fill(~negative, math.inf).amin(dim=1)
    complete = positive.any(dim=1) & negative.any(dim=1)
    hard = (farthest - nearest + margin).clamp(min=0).masked_fill(~complete, 0).sum() / complete.sum().clamp(min=1)
    return torch.where(count > 0, semi_hard.to(distance.dtype), hard)


@torch.no_grad()
def semi_hard_share(z: Tensor, labels: Tensor, *, margin: float, variant: str = "paper") -> Tensor:
    """Share of a batch's triplets that are semi-hard, of all (anchor, positive, negative): a scalar in [0, 1].

    The mean over semi-hard triplets lies near α/2 whatever a network has learnt; their share falls as classes part.
    Arguments and errors as of :func:`triplet_semi_hard`. 0 for a batch without triplets.

    Example:
        >>> z, labels = torch.tensor([[0.0], [1.0], [-1.5], [2.5]]), torch.tensor([0, 0, 1, 2])
        >>> semi_hard_share(z, labels, margin=0.75, variant="released")  # two triplets of four
        tensor(0.5000)
    """
    distance, positive, negative = _pairs(z, labels, margin, variant)
    _, count = _semi_hard(distance, positive, negative, margin)
    return count / (positive.sum(dim=1) * negative.sum(dim=1)).sum().clamp(min=1)


def _pairs(z: Tensor, labels: Tensor, margin: float, variant: str) -> tuple[Tensor, Tensor, Tensor]:
    """Distances, and who is whose positive and negative, each [M,M]."""
    z = _checked(z, labels)
    if not margin > 0:
        raise ValueError(f"Expected a margin above 0. Got {margin}.")
    if variant not in ("paper", "released"):
        raise ValueError(f"Expected a variant out of paper, released. Got {variant!r}.")
    same = labels[:, None] == labels
    positive = same & ~torch.eye(len(z), dtype=torch.bool, device=z.device)
    square = (z * z).sum(dim=1)
    distance = (square[:, None] + square - 2 * _products(z)).clamp(min=0)
    if variant == "released":  # whose gradient at distance 0 is 0
        zero = distance == 0
        distance = distance.masked_fill(zero, 1).sqrt().masked_fill(zero, 0)
    return distance, positive, ~same


def _semi_hard(distance: Tensor, positive: Tensor, negative: Tensor, margin: float) -> tuple[Tensor, Tensor]:
    """How often each distance enters the sum over semi-hard triplets, and the number of these triplets.

    A positive's distance counts once for each of its semi-hard negatives, and a negative's is subtracted once for each
    of its semi-hard positives: int32 [M,M]. Along an anchor's sorted distances those lie side by side, and two look-ups
    count them: M² log M steps instead of M³.
    """
    ranked, source = distance.sort(dim=1)  # [M,M]: an anchor's distances, ascending
    positive, negative = positive.gather(1, source), negative.gather(1, source)
    beyond, place = ranked + margin, torch.searchsorted
    # d_ap < d_an < d_ap + margin: counted from the positive, then from the negative
    semi_hard_negatives = _count_between(negative, place(ranked, ranked, right=True), place(ranked, beyond))
    semi_hard_positives = _count_between(positive, place(beyond, ranked, right=True), place(ranked, ranked))
    of_positive = semi_hard_negatives.masked_fill(~positive, 0)
    of_negative = semi_hard_positives.masked_fill(~negative, 0)
    weight = torch.empty_like(of_positive).scatter_(1, source, of_positive - of_negative)
    return weight, of_positive.sum()


def _count_between(member: Tensor, first: Tensor, end: Tensor) -> Tensor:
    """For each [M,M] pair of positions, how many of ``member``'s columns ``first`` to ``end - 1`` are true, int32."""
    so_far = functional.pad(member.cumsum(dim=1, dtype=torch.int32), (1, 0))  # [M,M+1]
    return so_far.gather(1, end) - so_far.gather(1, first)


def _products(z: Tensor) -> Tensor:
    """Inner products of all pairs, [M,M], in ``z``'s own precision: autocast would take half of it."""
    with torch.autocast(z.device.type, enabled=False):
        return z @ z.T


def _checked(z: Tensor, labels: Tensor) -> Tensor:
    if z.ndim != 2 or labels.shape != (len(z),):
        raise ValueError(f"Expected z [M,k] and labels [M]. Got {list(z.shape)} and {list(labels.shape)}.")
    return z if z.dtype == torch.float64 else z.float()
