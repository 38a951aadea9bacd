"""What else could tell which images of a class a network knows least: its outputs, and its training images."""

import pandas as pd
from torch import Tensor

from xai_lib.papers.dominance.method.clusters import nearest_distance

_NEAREST = 5


def outputs(label: int, logits: Tensor, features: Tensor, training_features: Tensor) -> pd.DataFrame:
    """One row an image of a class, for comparison with dominance (§4, Figure 3).

    Args:
        label: the class.
        logits: of the images, float [N,C].
        features: of the images, float [N,D].
        training_features: of the training images of the class, float [M,D].

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
