"""Who takes part in the saliency benchmark: methods and metrics by name, those of the paper and all that are new."""

from xai_lib import explainers, metrics

_GRADIENTS = ("gradient", "integrated-gradients", "guided-backprop")
_CAMS = ("grad-cam", "grad-cam++", "score-cam")
PAPER = ("fake-cam", *_GRADIENTS, *_CAMS, "rise", "lime", "iba")  # the ten of Table 1, in its order
CONTROLS = ("uniform", "random", "centred-gaussian", "edge-map")
_MORE_CAMS = ("eigen-cam", "eigen-cam-tool", "hires-cam", "layer-cam", "xgrad-cam", "ablation-cam")
BEYOND = ("smoothgrad", *_MORE_CAMS, "lrp", "excitation-backprop")  # which the paper names but does not score
ALL = (*PAPER, *CONTROLS, *BEYOND)
INFORMED = PAPER[1:]
UNINFORMED = ("fake-cam", *CONTROLS)
# How maps are scaled to [0, 1]: as the code does that the paper cites, the default, or as its §5.1 writes it.
READINGS = ("absolute", "signed")

FIDELITY = ("average-increase", "average-drop", "average-gain", "insertion", "deletion")
TABLE_1 = (*FIDELITY, "monotonicity")
TABLE_3 = ("max-sensitivity", "average-sensitivity", "sparseness", "complexity", "effective-complexity")
SANITY = ("parameter-randomisation", "parameter-randomisation-independent")
_READINGS = ("local-accuracy", "local-accuracy-logit", "completeness", "monotonicity-quantus", "monotonicity-arya")
# Defined in the paper's §4 or by the tool it used, without a published value.
UNPRINTED = (*_READINGS, "effective-complexity-minimum", *SANITY)
LOCALISATION = ("pointing-game", "attribution-localisation")  # where the data set has masks
METRICS = (*TABLE_1, *TABLE_3, *UNPRINTED, *LOCALISATION)
# Registered, but other papers' metrics or second readings of one above.
_FLIPPING = tuple(f"pixel-flipping{reading}" for reading in ("", "-matched", "-released"))
_ELSEWHERE = (*_FLIPPING, "attribution-localisation-paper", "completeness-quantus")
_SUPPLIED = {"model", "x", "attribution", "target", "index", "seed", "mask"}


def methods() -> tuple[str, ...]:
    """All who can take part: :data:`ALL`, then every other explainer in the registry that needs no further settings.

    Example:
        >>> methods()[:3], len(methods())
        (('fake-cam', 'gradient', 'integrated-gradients'), 23)
    """
    others = [name for name in explainers.names() if set(explainers.about(name).needs) <= {"statistics"}]
    return (*ALL, *(name for name in others if name not in ALL))


def added_metrics() -> tuple[str, ...]:
    """Metrics beyond :data:`METRICS` that the registry has and the benchmark can call, with stored maps alone.

    Their arguments are among ``model, x, attribution, target, index, seed, mask``; the last where images have masks.
    """
    others = [name for name in metrics.names() if name not in (*METRICS, *_ELSEWHERE)]
    return tuple(name for name in others if set(metrics.about(name).needs) <= _SUPPLIED)
