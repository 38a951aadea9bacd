"""Every pair of a class's clusters, on mosaics: the values of which the dominance matrix is the mean (Eq. 8)."""

import itertools
from collections.abc import Sequence

import pandas as pd
import torch
from torch import Tensor

from xai_lib.papers.dominance.method import energy, mosaics
from xai_lib.papers.dominance.method.energy import Explain
from xai_lib.papers.dominance.method.mosaics import Mosaics


def pairwise(
    x: Tensor,
    target: int,
    assigned: Tensor,
    explain: Explain,
    *,
    n: int = 25,
    seed: int = 0,
    purpose: str,
    resized: bool = False,
    scalings: Sequence[str] = ("relu",),
) -> pd.DataFrame:
    """The dominance of one cluster over another on each mosaic, for all pairs of clusters (Eq. 6, J = ``n``).

    Args:
        x: the class's evaluation images, normalised, float [N,3,H,W], on the network's device.
        target: the class, whose logit is explained.
        assigned: their clusters, int64 [N].
        explain: maps of mosaics, see :func:`energy.by_grad_cam`.
        n: mosaics of each pair.
        seed, purpose: what the draws depend on, besides the clusters; the same give the same mosaics.
        resized, scalings: as :func:`energy.shares`.

    Returns:
        Columns first, second (clusters, first < second), mosaic (from 0 in each pair), scaling, value: the share of
        ``first``'s quadrants in [0, 1], above 0.5 where ``first`` dominates; NaN for an empty map.

    Raises:
        ValueError: if there are fewer than two clusters.
    """
    which, drawn = draw(assigned, n, seed=seed, purpose=purpose)
    of_class = torch.full((len(drawn),), target, device=x.device)
    found = energy.shares(drawn, x, of_class, explain, resized=resized, scalings=scalings)
    return pd.concat([which.assign(scaling=name, value=value) for name, value in found.items()], ignore_index=True)


def draw(assigned: Tensor, n: int, *, seed: int = 0, purpose: str) -> tuple[pd.DataFrame, Mosaics]:
    """The mosaics of :func:`pairwise`: a row each of first, second and mosaic, and what each of them shows.

    Raises:
        ValueError: if there are fewer than two clusters.
    """
    present = assigned.unique().tolist()
    if len(present) < 2:
        raise ValueError(f"Expected images of at least two clusters. Got the clusters {present}.")
    pairs = list(itertools.combinations(present, 2))
    members = {cluster: (assigned == cluster).nonzero()[:, 0] for cluster in present}
    drawn = [
        mosaics.of_clusters(members[first], members[second], n, seed=seed, purpose=f"{purpose}/{first}-{second}")
        for first, second in pairs
    ]
    rows = [{"first": first, "second": second, "mosaic": number} for first, second in pairs for number in range(n)]
    return pd.DataFrame(rows), mosaics.concatenate(drawn)
