"""Dominance D of one cluster over another: mean of d over the mosaics of a pair (dominance paper §3.4, Eq. 8)."""

import itertools
from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from xai_lib.papers.dominance.method import energy_share, mosaics
from xai_lib.statistics.comparison import holm, t_p
from xai_lib.statistics.intervals import check_columns, mean_interval

NO_DOMINANCE = 0.5  # share of the energy that either cluster has where neither dominates


def pairwise(
    x: Tensor, target: int, assigned: Tensor, explain: energy_share.Explain, *, n: int = 25, seed: int = 0,
    purpose: str, resized: bool = True, scalings: Sequence[str] = ("relu",),
) -> pd.DataFrame:  # fmt: skip
    """d of each mosaic, for all pairs of a class's clusters (Eq. 6, J = ``n``): what :func:`pairs` takes the mean of.

    Of the class's evaluation images, normalised, float [N,3,H,W], on the network's device, their clusters ``assigned``,
    int64 [N], and the class ``target``, whose logit is explained by ``explain``, see :func:`energy_share.by_grad_cam`.
    The same ``seed``, ``purpose`` and clusters give the same mosaics. ``resized`` and ``scalings`` are as of
    :func:`energy_share.shares`.

    Returns columns first, second (clusters, first < second), mosaic (from 0 in each pair), scaling, value: the share of
    ``first``'s quadrants in [0, 1], above 0.5 where ``first`` dominates; NaN for an empty map. ValueError if there are
    fewer than two clusters.
    """
    which, drawn = draw(assigned, n, seed=seed, purpose=purpose)
    of_class = torch.full((len(drawn),), target, device=x.device)
    found = energy_share.shares(drawn, x, of_class, explain, resized=resized, scalings=scalings)
    return pd.concat([which.assign(scaling=name, value=value) for name, value in found.items()], ignore_index=True)


def draw(assigned: Tensor, n: int, *, seed: int = 0, purpose: str) -> tuple[pd.DataFrame, mosaics.Mosaics]:
    """The mosaics of :func:`pairwise`: a row each of first, second and mosaic, and what each of them shows."""
    present = assigned.unique().tolist()
    if len(present) < 2:
        raise ValueError(f"Expected images of at least two clusters. Got the clusters {present}.")
    upper = list(itertools.combinations(present, 2))
    members = {cluster: (assigned == cluster).nonzero()[:, 0] for cluster in present}
    drawn = [mosaics.of_clusters(members[a], members[b], n, seed=seed, purpose=f"{purpose}/{a}-{b}") for a, b in upper]
    rows = [(*pair, number) for pair in upper for number in range(n)]
    both = mosaics.Mosaics(torch.cat([part.images for part in drawn]), torch.cat([part.first for part in drawn]))
    return pd.DataFrame(rows, columns=["first", "second", "mosaic"]), both


def pairs(values: pd.DataFrame) -> pd.DataFrame:
    """Dominance D = (1/J) Σ_m d(m) of each pair of clusters of one class (Eq. 8), with interval and test against 0.5.

    Both are over mosaics: where a cluster has few images, these show the same ones again and again, and speak about
    these images, not about others of their kind.

    Of a row a mosaic, with the columns first, second (cluster numbers, first != second), mosaic (its number in the
    pair) and value: the share of ``first`` in [0, 1] (Eq. 6), NaN for an empty map. Each unordered pair occurs, in
    either order or both; other columns are ignored.

    Returns a row a pair, first < second, sorted: dominance (mean share of ``first``, above 0.5 where it dominates; NaN
    without a value); low, high (95 % bootstrap interval, NaN below two values); n, n_undefined (mosaics with and
    without a value); p_t (two-sided, of the paper's one-sample t test; 1 where every value is 0.5, NaN below two
    values); p_t_holm (by Holm's method over the pairs). ValueError if a column is missing, a cluster meets itself, a
    value is outside [0, 1], a pair has no row, or a mosaic of a pair occurs twice.

    Example:
        >>> values = pd.DataFrame({"first": 0, "second": 1, "mosaic": [0, 1, 2], "value": [0.5, 0.75, 1.0]})
        >>> pairs(values)["dominance"].item()
        0.75
    """
    rows = []
    for pair, shares in oriented(values).groupby(["first", "second"])["value"]:
        found, shifted = mean_interval(shares.to_numpy(), range=(0.0, 1.0)), shares.dropna().to_numpy() - NO_DOMINANCE
        rows.append((*pair, found.mean, found.low, found.high, len(shifted), found.n_undefined, t_p(shifted)))
    frame = pd.DataFrame(rows, columns=["first", "second", "dominance", "low", "high", "n", "n_undefined", "p_t"])
    return frame.assign(p_t_holm=holm(frame["p_t"]))


def matrix(pairs: pd.DataFrame, column: str = "dominance") -> np.ndarray:
    """A column of :func:`pairs` as a matrix of the clusters in the order of their numbers, float64 [P,P]. Of
    "dominance": entry i, j is that of i over j in [0, 1], entry j, i is one less it (Eq. 7), and 0.5 is on the
    diagonal. Any other column gives a symmetric matrix with NaN on the diagonal.

    Example:
        >>> matrix(pd.DataFrame({"first": [0], "second": [1], "dominance": [0.75]})).tolist()
        [[0.5, 0.75], [0.25, 0.5]]
    """
    clusters, place = np.unique(pairs[["first", "second"]].to_numpy(), return_inverse=True)
    first, second = place.reshape(-1, 2).T
    numbers = pairs[column].to_numpy(float)
    square = np.full((len(clusters), len(clusters)), np.nan)
    square[first, second] = numbers
    square[second, first] = 1 - numbers if column == "dominance" else numbers
    if column == "dominance":
        np.fill_diagonal(square, NO_DOMINANCE)
    return square


def oriented(values: pd.DataFrame) -> pd.DataFrame:
    """The rows of ``values`` with first < second, sorted by pair and mosaic; refused as :func:`pairs` says."""
    check_columns(values, ["first", "second", "mosaic", "value"])
    value, swapped = values["value"].to_numpy(float), (values["first"] > values["second"]).to_numpy()
    if (values["first"] == values["second"]).any():
        raise ValueError("Expected two different clusters in each row. Got a cluster with itself: leave such rows out.")
    if ((value < 0) | (value > 1)).any():
        raise ValueError(f"Expected shares in [0, 1], or NaN. Got {np.nanmin(value)} to {np.nanmax(value)}.")
    frame = pd.DataFrame(np.sort(values[["first", "second"]], axis=1), columns=["first", "second"])
    frame = frame.assign(mosaic=values["mosaic"].to_numpy(), value=np.where(swapped, 1 - value, value))
    repeated = frame.duplicated(["first", "second", "mosaic"])
    if repeated.any():
        raise ValueError(
            f"Expected each mosaic of a pair once. Got {int(repeated.sum())} more, the first "
            f"{frame.loc[repeated, ['first', 'second', 'mosaic']].iloc[0].to_dict()}: give one class, one scaling and "
            "one network, no mirrored copies, and mosaics of both orders different numbers."
        )
    clusters = sorted({*frame["first"], *frame["second"]})
    missing = set(itertools.combinations(clusters, 2)) - set(zip(frame["first"], frame["second"]))
    if len(clusters) < 2 or missing:
        raise ValueError(f"Expected every pair of two or more clusters. Got {clusters} without {sorted(missing)}.")
    return frame.sort_values(["first", "second", "mosaic"], ignore_index=True)
