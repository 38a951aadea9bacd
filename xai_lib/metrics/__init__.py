"""Metrics: plain functions that give one score per image, float32 [B].

Called directly or by name: ``get("complexity")(attribution)``.

- A score does not depend on which other images are in the batch. Random metrics (``about(name).random``) take ``seed``
  and ``index`` (image indices, int64 [B]), which alone decide an image's draws.
- A score that is not defined (an empty map, an empty mask) is NaN: count it and report it.
- ``about(name)`` says which direction is better, the range, the paper and equation, and what the function needs.
- Names of arguments are shared: `model` (images [B,C,H,W] -> logits [B,K], in evaluation mode), `x` (normalised images,
  float [B,C,H,W]), `attribution` (one map per image, float [B,H,W]), `target` (class per image, int64 [B]), `mask`
  (bool [B,H,W]), `quadrants` (of mosaics, bool [B,4]), `explain` (``(x, target, index)`` -> maps [B,H,W] as the
  metric wants them).
- No argument is changed.
"""

from xai_lib.metrics import (
    causal,
    completeness,
    complexity,
    effective_complexity,
    localisation,
    masking,
    monotonicity,
    mosaics,
    randomisation,
    robustness,
    sensitivity,
    similarity,
)
from xai_lib.metrics import pixel_flipping as faithfulness
from xai_lib.metrics.registry import Metric, about, get, names, register

__all__ = [
    "Metric",
    "about",
    "causal",
    "completeness",
    "complexity",
    "effective_complexity",
    "faithfulness",
    "get",
    "localisation",
    "masking",
    "monotonicity",
    "mosaics",
    "names",
    "randomisation",
    "register",
    "robustness",
    "sensitivity",
    "similarity",
]
