"""Correlations of rows of values."""

import torch
from scipy.stats import rankdata
from torch import Tensor


def pearson(a: Tensor, b: Tensor) -> Tensor:
    """Correlation of each row of a with that of b, [B] from float [B,N]; NaN where one is constant."""
    a, b = a - a.mean(1, keepdim=True), b - b.mean(1, keepdim=True)
    return ((a * b).sum(1) / (a.square().sum(1) * b.square().sum(1)).sqrt()).clamp(-1, 1)


def spearman(a: Tensor, b: Tensor) -> Tensor:
    """Correlation of the ranks in each row, equal values sharing the mean of theirs: as :func:`pearson`."""
    return pearson(*(torch.from_numpy(rankdata(values.cpu(), axis=1)).to(values.device) for values in (a, b)))
