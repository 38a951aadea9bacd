"""Explainers: plain functions from a network and images to attribution maps.

Every one is called as ``explainer(model, x, score=…, layer=…)``, also by name: ``get("grad-cam")(model, x, …)``.

- `x` holds normalised images, float [B,3,H,W]; all are explained in one batch.
- `score` maps logits [B,C] to what is explained: [B], or [B,S] for S scores from one forward pass. A class is
  ``class_score(target)``; a cluster of classes or a difference is another function.
- The result is the raw, signed map, float32 [B,H,W] or [B,S,H,W], on x's device. Normalising is a separate step
  (``normalise``). Explainers that ignore the score return [B,H,W] (``about(name).class_specific`` is False).
- The network is run in evaluation mode and left as it was: modes, hooks and ``.grad``, also after an error.
- Random explainers (``about(name).random``) take ``seed`` and ``index`` (image indices, int64 [B]).
- Explainers on a layer (``about(name).on_layer``) take ``upsample=False`` for maps on the layer's own grid.
"""

from xai_lib.explainers import (
    ablation_cam,
    bottleneck,
    cams,
    controls,
    gradients,
    layers,
    library_cams,
    lime,
    normalise,
    relevance,
    rise,
    score_cam,
)
from xai_lib.explainers.registry import Explainer, about, get, names, register
from xai_lib.explainers.scores import Score, class_score, of_class

__all__ = [
    "Explainer",
    "Score",
    "ablation_cam",
    "about",
    "bottleneck",
    "cams",
    "class_score",
    "controls",
    "get",
    "gradients",
    "layers",
    "library_cams",
    "lime",
    "names",
    "normalise",
    "of_class",
    "register",
    "relevance",
    "rise",
    "score_cam",
]
