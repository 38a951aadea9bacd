"""Figures of the benchmark."""

from xai_lib.papers.saliency.figures.benchmark import against_probability, cost, curves, extremes, maps, transforms
from xai_lib.papers.saliency.figures.rankings import agreement, critical_difference, fooled, readings

__all__ = ["against_probability", "cost", "curves", "extremes", "maps", "transforms"]
__all__ += ["agreement", "critical_difference", "fooled", "readings"]
