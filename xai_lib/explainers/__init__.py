"""Explainers: plain functions from a network and images to attribution maps.

Every one is called as ``explainer(model, x, score=…, layer=…)``, also by name: ``get("grad-cam")(model, x, …)``.
Arguments have the same names everywhere:

- `model`: the network, run in evaluation mode and left as it was: modes, hooks and ``.grad``, also after an error.
- `x`: normalised images, float [B,3,H,W]; all are explained in one batch.
- `score`: what is explained, from logits [B,C] to [B], or to [B,S] for S scores that share the forward passes. A class
  is ``class_score(target)``; a cluster of classes or a difference is another function.
- `layer`: a module, its dotted name, or None for the model's default layer. Taken by all, used by those on a layer.
- `upsample`: of those on a layer (``about(name).on_layer``): to the size of `x`, bilinearly; False keeps its grid.
- `seed`, `index`: of random ones (``about(name).random``): a number and image indices, int64 [B], which together alone
  decide an image's draws.
- `chunk`: images in one forward pass; None suits the device and bounds the memory.

The result is the raw, signed map on x's device: float32 [B,H,W] or [B,S,H,W]; on the layer's grid [B,h,w] or [B,S,h,w];
of gradients, with a value per colour, [B,3,H,W] or [B,S,3,H,W]. Normalising is a separate step (``normalise``).
Explainers that ignore the score return [B,H,W] (``about(name).class_specific`` is False).

They raise TypeError for images or scores that are no float tensors, and ValueError if shapes are not these, the layer
is not found or cannot be explained, the model did not return logits [B,C], a number is not finite, there is not one
index per image, or a setting is out of its range.
"""

from xai_lib.explainers import bottleneck, cams, controls, gradients, lime, normalise, perturbed_cams, relevance, rise
from xai_lib.explainers.registry import Explainer, Score, about, get, names, register
from xai_lib.explainers.scores import class_score, of_class
