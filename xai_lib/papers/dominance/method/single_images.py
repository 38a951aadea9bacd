"""Every image a cluster of its own: an order of a class's images by dominance (dominance paper §4, Figure 3)."""

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from xai_lib.papers.dominance.method.energy import Explain, shares
from xai_lib.papers.dominance.method.mosaics import LAYOUTS, of_pairs


def all_pairs(x: Tensor, target: int, explain: Explain) -> pd.DataFrame:
    """Dominance of each image over each other one: mosaics a, a, b, b in all six layouts.

    Args:
        x: normalised images of one class, float [n,3,H,W], n at least 2: n (n - 1) / 2 pairs, six mosaics each.
        target: the class that is explained.
        explain: as :func:`energy.shares` takes it.

    Returns:
        One row a pair of positions a < b: a, b, value (a's share, the mean of its defined layouts, NaN if there is
        none; b's is one less it) and n_undefined (layouts whose map has no positive value).

    Raises:
        TypeError, ValueError: if there are fewer than 2 images, or as :func:`energy.shares`.
    """
    if len(x) < 2:
        raise ValueError(f"Expected at least 2 images to compare. Got {len(x)}.")
    a, b = torch.triu_indices(len(x), len(x), offset=1)
    mosaics = of_pairs(a, b)
    share = shares(mosaics, x, torch.full((len(mosaics),), target), explain)["relu"]
    by_layout = share.unflatten(0, (-1, len(LAYOUTS))).double()
    return pd.DataFrame({"a": a, "b": b, "value": by_layout.nanmean(1), "n_undefined": by_layout.isnan().sum(1)})


def relative(frame: pd.DataFrame, n: int) -> np.ndarray:
    """Relative dominance of each image: its mean share against the others.

    Args:
        frame: as :func:`all_pairs` returns it.
        n: number of images.

    Returns:
        float64 [n] in [0, 1]; pairs without a value are left out, NaN for an image that has no other pair.
    """
    both = pd.concat(
        [
            frame[["a", "value"]].rename(columns={"a": "image"}),
            pd.DataFrame({"image": frame["b"], "value": 1 - frame["value"]}),
        ]
    )
    return both.groupby("image")["value"].mean().reindex(range(n)).to_numpy()
