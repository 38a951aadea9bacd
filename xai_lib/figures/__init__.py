"""Figures that notebooks show. Each function draws one figure and returns it; none computes a result."""

from xai_lib.figures.contrastive import (
    classifier_diagram,
    confusion,
    distributions,
    embedding,
    flipping_curves,
    loss_curves,
    overlays,
    training_curves,
)
from xai_lib.figures.images import image_grid
from xai_lib.figures.planted import masks, one_of_each, variants, with_masks
from xai_lib.figures.style import use_style

__all__ = [
    "classifier_diagram",
    "confusion",
    "distributions",
    "embedding",
    "flipping_curves",
    "image_grid",
    "loss_curves",
    "masks",
    "one_of_each",
    "overlays",
    "training_curves",
    "use_style",
    "variants",
    "with_masks",
]
