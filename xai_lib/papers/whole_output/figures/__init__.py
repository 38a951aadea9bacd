"""Figures, the zoomable tree and the matching game."""

from xai_lib.papers.whole_output.figures.clusters import co_occurrence, island_sizes, stability
from xai_lib.papers.whole_output.figures.matching_game import matching_game
from xai_lib.papers.whole_output.figures.tree import zoomable_tree
from xai_lib.papers.whole_output.figures.whole_output import compared_methods, contrastive_curves, whole_output
