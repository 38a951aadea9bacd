"""Every image a cluster of its own, and what else a network says of an image (dominance paper §4, Figure 3)."""

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from xai_lib.papers.dominance.method.clusters import nearest_distance
from xai_lib.papers.dominance.method.energy_share import Explain, mosaic_logits, shares
from xai_lib.papers.dominance.method.mosaics import LAYOUTS, of_pairs

_NEAREST = 5


def all_pairs(x: Tensor, target: int, explain: Explain, model: nn.Module, *, resized: bool = True) -> pd.DataFrame:
    """Dominance of each of n images over each other one, mosaics a, a, b, b in all six layouts: a row a pair a < b.
    ``value`` is a's share, the mean of its layouts with a value; ``n_undefined`` counts those without; ``logit`` is the
    mean logit of ``target`` that the model gives to these six mosaics. ``resized`` as :func:`energy_share.shares`.
    """
    if len(x) < 2:
        raise ValueError(f"Expected at least 2 images to compare. Got {len(x)}.")
    a, b = torch.triu_indices(len(x), len(x), offset=1)
    mosaics = of_pairs(a, b)
    share = shares(mosaics, x, torch.full((len(mosaics),), target), explain, resized=resized)["relu"]
    logits = mosaic_logits(model, mosaics, x, target, resized=resized)
    share, logits = (values.unflatten(0, (-1, len(LAYOUTS))).double() for values in (share, logits))
    known = {"value": share.nanmean(1), "n_undefined": share.isnan().sum(1), "logit": logits.mean(1)}
    return pd.DataFrame({"a": a, "b": b} | known)


def relative(frame: pd.DataFrame, n: int) -> np.ndarray:
    """Relative dominance of each of ``n`` images, float64 [n] in [0, 1]: see :func:`of_images`."""
    return of_images(frame)["dominance"].reindex(range(n)).to_numpy()


def of_images(frame: pd.DataFrame) -> pd.DataFrame:
    """Of each image of :func:`all_pairs`, by ``index``: ``dominance``, its mean share against the others in [0, 1], of
    pairs with a value, NaN without any; and ``mosaic_logit``, the mean of all mosaics in which it stands.
    """
    shares = frame["value"], 1 - frame["value"]
    sides = [frame.assign(index=frame[side], dominance=share) for side, share in zip("ab", shares)]
    return pd.concat(sides).groupby("index")[["dominance", "logit"]].mean().rename(columns={"logit": "mosaic_logit"})


def outputs(label: int, logits: Tensor, features: Tensor, training_features: Tensor) -> pd.DataFrame:
    """What else could tell which images of a class a network knows least: logit and probability of the class, and the
    mean distance to the five nearest of the training images of the class, or to all if there are fewer, in features.
    """
    distance = nearest_distance(features, training_features, min(_NEAREST, len(training_features)))
    said = {"logit": logits[:, label], "probability": logits.softmax(1)[:, label], "training_distance": distance}
    return pd.DataFrame({name: values.cpu().numpy() for name, values in said.items()})
