"""Metrics: plain functions from a batch to one score per image, float [B], NaN where a score is undefined.

A score does not depend on how images were batched. What each metric needs stands in its signature; what its numbers
mean stands in :class:`Metric`: ``metrics.about("complexity").better``.
"""

import math

from xai_lib.metrics.complexity import complexity, sparseness
from xai_lib.metrics.faithfulness import pixel_flipping, pixel_flipping_normalised
from xai_lib.metrics.localisation import attribution_localisation, attribution_localisation_paper, pointing_game
from xai_lib.metrics.registry import Metric, about, get, names, register
from xai_lib.metrics.similarity import continuity, contrastivity

__all__ = ["Metric", "about", "get", "names", "register"]

_PAPER = "contrastive"

register("pixel-flipping", pixel_flipping, "lower", (0, 1), _PAPER, "§3.5, PF")
register("pixel-flipping-normalised", pixel_flipping_normalised, "lower", (0, math.inf), _PAPER, "after §3.5, PF")
register("continuity", continuity, "higher", (-1, 1), _PAPER, "§3.5")
register("contrastivity", contrastivity, "lower", (-1, 1), _PAPER, "§3.5")
register("complexity", complexity, "lower", (0, math.inf), _PAPER, "§3.5, CM")
register("sparseness", sparseness, "higher", (0, 1), _PAPER, "Table 1")
register("pointing-game", pointing_game, "higher", (0, 1), _PAPER, "§3.5, PG")
register("attribution-localisation", attribution_localisation, "higher", (0, 1), _PAPER, "§3.5, AL as released")
register("attribution-localisation-paper", attribution_localisation_paper, "higher", (0, 1), _PAPER, "§3.5, AL")
