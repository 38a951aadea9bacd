"""What is computed of every network and kept: predictions, maps, scores."""

from xai_lib.papers.contrastive.experiment.explain import Explained, explained
from xai_lib.papers.contrastive.experiment.gather import curves, predictions, scores
from xai_lib.papers.contrastive.experiment.predict import Predicted, predicted
from xai_lib.papers.contrastive.experiment.score import curve, scaled, scored

__all__ = [
    "Explained",
    "Predicted",
    "curve",
    "curves",
    "explained",
    "predicted",
    "predictions",
    "scaled",
    "scored",
    "scores",
]
