"""Record a run too slow to repeat at every build: its tables, figures and provenance, in a folder of the book."""

from xai_lib.record import contrastive, dominance, rarity, saliency, whole_output

__all__ = ["contrastive", "dominance", "rarity", "saliency", "whole_output"]
