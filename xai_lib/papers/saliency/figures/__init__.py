"""Figures of the benchmark: maps and scores, and the rankings made of them."""

from xai_lib.papers.saliency.figures import benchmark, rankings
