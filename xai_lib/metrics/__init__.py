"""Metrics: plain functions that give one score per image, float32 [B].

Called directly or by name: ``get("complexity")(attribution)``. ``about(name)`` says which direction is better, the
range, the paper and equation, and what the function needs.

A score does not depend on which other images are in the batch. One that is not defined (an empty map, an empty mask) is
NaN: count it and report it. No argument is changed. Arguments have the same names everywhere:

- `model`: images [B,c,H,W] -> logits [B,C], in evaluation mode; only run forward, in float32 also under autocast.
- `x`: normalised images, float [B,c,H,W].
- `attribution`: one map per image, float [B,H,W], of any sign and scale where nothing else is said. Those that compare
  two maps of an image take `maps` and `others`.
- `target`: the class that is followed or explained, int64 [B].
- `mask`: the object's pixels, bool [B,H,W]. `quadrants`: of mosaics, bool [B,4].
- `explain`: ``(x, target, index)`` -> maps, float [B,H,W], scaled as the metric wants them: to [0,1] for SSIM.
- `index`, `seed`: image indices, int64 [B], and a number; together they alone decide an image's random draws.
- `ties`: the order of pixels with equal values: "random" is drawn for each image, "stable" goes row by row from the
  top left, "reversed" from the bottom right.
- `baseline`: what takes a pixel's place: "zero" is the mean colour of the data set, "minimum" the lowest value of the
  normalised image (black), and a tensor anything that broadcasts to `x`.
- `chunk`: images in one forward pass; None suits the device and bounds the memory.

Every function raises TypeError for what is not a float tensor where one is meant, and ValueError if shapes or choices
are not these, a target is not a class, the model is in training mode, or a logit is not finite.
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
    sensitivity,
    similarity,
)
from xai_lib.metrics.registry import Metric, about, get, names, ranges, register
