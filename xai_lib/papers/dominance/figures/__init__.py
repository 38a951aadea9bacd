"""Figures of mosaics, matrices and training shares."""

from xai_lib.papers.dominance.figures.matrices import against_outputs, all_matrices, dominance_matrices, focus
from xai_lib.papers.dominance.figures.mosaics import Shown, choices, mosaics, representatives
from xai_lib.papers.dominance.figures.training_share import class_correlations, power, training_share

__all__ = [
    "Shown",
    "against_outputs",
    "all_matrices",
    "choices",
    "class_correlations",
    "dominance_matrices",
    "focus",
    "mosaics",
    "power",
    "representatives",
    "training_share",
]
