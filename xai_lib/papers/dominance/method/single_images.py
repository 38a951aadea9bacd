"""Every image a cluster of its own, and what else a network says of an image (dominance paper §4, Figure 3)."""

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from xai_lib.papers.dominance.method.clusters import nearest_distance
from xai_lib.papers.dominance.method.energy_share import Explain, shares
from xai_lib.papers.dominance.method.mosaics import LAYOUTS, of_pairs

_NEAREST = 5


def all_pairs(x: Tensor, target: int, explain: Explain) -> pd.DataFrame:
    """Dominance of each image over each other one: mosaics a, a, b, b in all six layouts.

    Args:
        x: normalised images of one class, float [n,3,H,W], n at least 2: n (n - 1) / 2 pairs, six mosaics each.
        target: the class that is explained.
        explain: as :func:`energy_share.shares` takes it.

    Returns:
        One row a pair of positions a < b: a, b, value (a's share, the mean of its defined layouts, NaN if there is
        none; b's is one less it) and n_undefined (layouts whose map has no positive value).

    Raises:
        TypeError, ValueError: if there are fewer than 2 images, or as :func:`energy_share.shares`.

    Example:
        >>> bright_and_dark = torch.tensor([3.0, 1.0])[:, None, None, None].expand(2, 3, 8, 8)
        >>> all_pairs(bright_and_dark, 0, lambda x, target, index: x.mean(1)).to_numpy().tolist()
        [[0.0, 1.0, 0.75, 0.0]]
    """
    if len(x) < 2:
        raise ValueError(f"Expected at least 2 images to compare. Got {len(x)}.")
    a, b = torch.triu_indices(len(x), len(x), offset=1)
    mosaics = of_pairs(a, b)
    share = shares(mosaics, x, torch.full((len(mosaics),), target), explain)["relu"]
    by_layout = share.unflatten(0, (-1, len(LAYOUTS))).double()
    return pd.DataFrame({"a": a, "b": b, "value": by_layout.nanmean(1), "n_undefined": by_layout.isnan().sum(1)})


def relative(frame: pd.DataFrame, n: int) -> np.ndarray:
    """Relative dominance of each of ``n`` images: its mean share against the others.

    Of a frame of :func:`all_pairs`: float64 [n] in [0, 1]; pairs without a value are left out, NaN if none is left.

    Example:
        >>> relative(pd.DataFrame({"a": [0], "b": [1], "value": [0.75]}), 2)
        array([0.75, 0.25])
    """
    sides = [frame.set_index("a")["value"], 1 - frame.set_index("b")["value"]]
    return pd.concat(sides).groupby(level=0).mean().reindex(range(n)).to_numpy()


def outputs(label: int, logits: Tensor, features: Tensor, training_features: Tensor) -> pd.DataFrame:
    """What else could tell which images a network knows least: one row an image of a class, to compare dominance with.

    Of logits float [N,C] and features [N,D] of the class's images, and features [M,D] of its training images.

    Returns:
        Columns logit and probability, of the class, and training_distance: the mean distance to the (up to) five
        nearest training images, in features.

    Raises:
        ValueError: as :func:`nearest_distance`, for example without training images of the class.
    """
    nearest = min(_NEAREST, len(training_features))
    return pd.DataFrame(
        {
            "logit": logits[:, label].cpu().numpy(),
            "probability": logits.softmax(1)[:, label].cpu().numpy(),
            "training_distance": nearest_distance(features, training_features, nearest).cpu().numpy(),
        }
    )
