"""Figures that notebooks show. Each function draws one figure and returns it; none computes a result."""

from xai_lib.figures.clusters import co_occurrence, island_sizes, stability
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
from xai_lib.figures.dominance import against_outputs, all_matrices, dominance_matrices, focus
from xai_lib.figures.images import image_grid
from xai_lib.figures.matching_game import Round, matching_game
from xai_lib.figures.mosaics import Shown, choices, mosaics, representatives
from xai_lib.figures.planted import masks, one_of_each, variants, with_masks
from xai_lib.figures.rankings import agreement, critical_difference, fooled, readings
from xai_lib.figures.saliency import Extreme, against_probability, cost, curves, extremes, maps, transforms
from xai_lib.figures.style import use_style
from xai_lib.figures.training_share import class_correlations, power, training_share
from xai_lib.figures.tree import zoomable_tree
from xai_lib.figures.whole_output import compared_methods, contrastive_curves, part_energy, whole_output

__all__ = [
    "Extreme",
    "Round",
    "Shown",
    "against_outputs",
    "against_probability",
    "agreement",
    "all_matrices",
    "choices",
    "class_correlations",
    "classifier_diagram",
    "co_occurrence",
    "compared_methods",
    "confusion",
    "contrastive_curves",
    "cost",
    "critical_difference",
    "curves",
    "distributions",
    "dominance_matrices",
    "embedding",
    "extremes",
    "flipping_curves",
    "focus",
    "fooled",
    "image_grid",
    "island_sizes",
    "loss_curves",
    "maps",
    "masks",
    "matching_game",
    "mosaics",
    "one_of_each",
    "overlays",
    "part_energy",
    "power",
    "readings",
    "representatives",
    "stability",
    "training_curves",
    "training_share",
    "transforms",
    "use_style",
    "variants",
    "whole_output",
    "with_masks",
    "zoomable_tree",
]
