"""Correlations of rows of values."""

import torch
from torch import Tensor


def pearson(a: Tensor, b: Tensor) -> Tensor:
    """Correlation of each row of a with that of b, [B] from float [B,N]; NaN where one is constant."""
    a, b = a - a.mean(1, keepdim=True), b - b.mean(1, keepdim=True)
    return ((a * b).sum(1) / (a.square().sum(1) * b.square().sum(1)).sqrt()).clamp(-1, 1)


def spearman(a: Tensor, b: Tensor) -> Tensor:
    """Correlation of the ranks in each row, equal values sharing the mean of theirs: as :func:`pearson`."""
    return pearson(_ranks(a), _ranks(b))


def _ranks(values: Tensor) -> Tensor:
    """Twice the mean rank of each value in its row, less its mean: float64 [B,N], all 0 for a constant row."""
    ascending = values.sort(dim=1).values
    below = torch.searchsorted(ascending, values)
    up_to = torch.searchsorted(ascending, values, right=True)
    return (below + up_to - values.shape[1]).double()
