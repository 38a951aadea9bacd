"""Names and colours that readers see, for the names by which the library knows losses, methods and metrics."""

LOSS_NAMES = {"ce": "CE", "scl": "SCL", "tl": "TL"}
METHOD_NAMES = {
    "fake-cam": "Fake-CAM",
    "gradient": "Gradient",
    "integrated-gradients": "IG",
    "guided-backprop": "GuidedBP",
    "grad-cam": "Grad-CAM",
    "grad-cam++": "Grad-CAM++",
    "score-cam": "Score-CAM",
    "rise": "RISE",
    "lime": "LIME",
    "iba": "IBA",
    "smoothgrad": "SmoothGrad",
    "eigen-cam": "Eigen-CAM",
    "hires-cam": "HiRes-CAM",
    "layer-cam": "Layer-CAM",
    "xgrad-cam": "XGrad-CAM",
    "ablation-cam": "Ablation-CAM",
    "lrp": "LRP",
    "excitation-backprop": "MWP",
    "uniform": "Uniform",
    "random": "Random",
    "centred-gaussian": "Centred Gaussian",
    "edge-map": "Edge map",
}
FAMILY_NAMES = {
    "uninformed": "uninformed",
    "gradient": "gradient",
    "cam": "class activation map",
    "occlusion": "occlusion",
    "learning": "learning",
    "relevance": "relevance",
}
TRANSFORM_NAMES = {"mixup": "MixUp", "resize": "Resize", "rotation": "Rotation", "crop": "Crop"}
# The arrow points to where better scores lie.
METRIC_NAMES = {
    "average-increase": "AI ↑",
    "average-drop": "AD ↓",
    "average-gain": "AG ↑",
    "insertion": "I ↑",
    "deletion": "D ↓",
    "local-accuracy": "LA ↓",
    "local-accuracy-logit": "LA, of logits ↓",
    "monotonicity": "Monotonicity ↑",
    "monotonicity-quantus": "Monotonicity, Quantus ↑",
    "monotonicity-arya": "Monotonicity, Arya ↑",
    "completeness": "Completeness gap ↓",
    "completeness-quantus": "Completeness, Quantus ↑",
    "max-sensitivity": "MS ↓",
    "average-sensitivity": "AS ↓",
    "sparseness": "Sparseness ↑",
    "complexity": "Complexity ↓",
    "effective-complexity": "EC, as computed ↓",
    "effective-complexity-minimum": "EC, as printed ↓",
    "parameter-randomisation": "MPRT ↓",
    "parameter-randomisation-independent": "MPRT, independent ↓",
    "pointing-game": "Pointing game ↑",
    "attribution-localisation": "Localisation ↑",
    "attribution-localisation-paper": "Localisation, as printed ↑",
}
# Ways to explain a whole output, and the scores of their maps.
WHOLE_OUTPUT_NAMES = {
    "swox": "SWOX",
    "cwox-1sa": "CWOX-1sA",
    "cwox-1sb": "CWOX-1sB",
    "cwox-2s": "CWOX-2s",
    "cwox-1sa-fine": "CWOX-1sA, second stage's maps",
    "random": "random map",
}
CONTRASTIVE_NAMES = {
    "cauc": "CAUC ↓",
    "cdrop": "CDROP ↑",
    "salient-pixels": "salient pixels",
}
# Okabe and Ito's palette, told apart by readers with any colour vision.
LOSS_COLOURS = {"ce": "#0072B2", "scl": "#D55E00", "tl": "#009E73"}
FAMILY_COLOURS = {
    "uninformed": "#777777",
    "gradient": "#0072B2",
    "cam": "#D55E00",
    "occlusion": "#009E73",
    "learning": "#CC79A7",
    "relevance": "#E69F00",
}
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"  # of the clusters of a class, A the largest
