"""What is computed from a run: matrices, hierarchies, training shares, and images and maps to show."""

from xai_lib.papers.dominance.analysis import hierarchies, networks, pictures, rarity, single, training
