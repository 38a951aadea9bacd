"""Who takes part in the saliency benchmark, under which settings, and how raw maps become maps in [0, 1]."""

from typing import Any

from xai_lib.run.scales import Scale

# The ten of Table 1, in its order.
PAPER = (
    "fake-cam",
    "gradient",
    "integrated-gradients",
    "guided-backprop",
    "grad-cam",
    "grad-cam++",
    "score-cam",
    "rise",
    "lime",
    "iba",
)
CONTROLS = ("uniform", "random", "centred-gaussian", "edge-map")
# Methods that the paper names but does not score.
BEYOND = (
    "smoothgrad",
    "eigen-cam",
    "hires-cam",
    "layer-cam",
    "xgrad-cam",
    "ablation-cam",
    "lrp",
    "excitation-backprop",
)
ALL = (*PAPER, *CONTROLS, *BEYOND)


def settings(method: str, scale: Scale) -> dict[str, Any]:
    """What a scale sets for a method; all else is the method's own default."""
    return {"rise": {"n_masks": scale.rise_masks}, "lime": {"n_samples": scale.lime_samples}}.get(method, {})
