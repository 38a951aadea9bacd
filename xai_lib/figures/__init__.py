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
from xai_lib.figures.matching_game import Round, matching_game
from xai_lib.figures.planted import masks, one_of_each, variants, with_masks
from xai_lib.figures.rankings import agreement, critical_difference, fooled, readings
from xai_lib.figures.saliency import Extreme, against_probability, cost, curves, extremes, maps, transforms
from xai_lib.figures.style import use_style
from xai_lib.figures.tree import zoomable_tree

__all__ = [
    "Extreme",
    "Round",
    "against_probability",
    "agreement",
    "classifier_diagram",
    "confusion",
    "cost",
    "critical_difference",
    "curves",
    "distributions",
    "embedding",
    "extremes",
    "flipping_curves",
    "fooled",
    "image_grid",
    "loss_curves",
    "maps",
    "masks",
    "matching_game",
    "one_of_each",
    "overlays",
    "readings",
    "training_curves",
    "transforms",
    "use_style",
    "variants",
    "with_masks",
    "zoomable_tree",
]
