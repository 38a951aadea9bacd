"""Latent tree analysis of binary words (whole-output paper §3; Chen et al. 2017)."""

from xai_lib.papers.whole_output.latent_tree.hierarchy import fit_tree
from xai_lib.papers.whole_output.latent_tree.islands import fit_islands
from xai_lib.papers.whole_output.latent_tree.tree import Tree, load, save
