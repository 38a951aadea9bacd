"""Figures, the zoomable tree and the matching game."""

from xai_lib.papers.whole_output.figures.clusters import co_occurrence, island_sizes, stability
from xai_lib.papers.whole_output.figures.matching_game import matching_game
from xai_lib.papers.whole_output.figures.tree import zoomable_tree
from xai_lib.papers.whole_output.figures.whole_output import (
    compared_methods,
    contrastive_curves,
    part_energy,
    whole_output,
)

__all__ = [
    "co_occurrence",
    "compared_methods",
    "contrastive_curves",
    "island_sizes",
    "matching_game",
    "part_energy",
    "stability",
    "whole_output",
    "zoomable_tree",
]
