"""Figures of the benchmark."""

from xai_lib.papers.saliency.figures.benchmark import (
    Extreme,
    against_probability,
    cost,
    curves,
    extremes,
    maps,
    transforms,
)
from xai_lib.papers.saliency.figures.rankings import agreement, critical_difference, fooled, readings

__all__ = [
    "Extreme",
    "against_probability",
    "agreement",
    "cost",
    "critical_difference",
    "curves",
    "extremes",
    "fooled",
    "maps",
    "readings",
    "transforms",
]
