"""Figures, the zoomable tree and the matching game."""

from xai_lib.papers.whole_output.figures.clusters import co_occurrence as co_occurrence
from xai_lib.papers.whole_output.figures.clusters import island_sizes as island_sizes
from xai_lib.papers.whole_output.figures.clusters import stability as stability
from xai_lib.papers.whole_output.figures.matching_game import matching_game as matching_game
from xai_lib.papers.whole_output.figures.tree import zoomable_tree as zoomable_tree
from xai_lib.papers.whole_output.figures.whole_output import compared_methods as compared_methods
from xai_lib.papers.whole_output.figures.whole_output import contrastive_curves as contrastive_curves
from xai_lib.papers.whole_output.figures.whole_output import whole_output as whole_output
