"""The benchmark: every method scored by every metric, by functions that stages call by their names here."""

from xai_lib.papers.saliency.method import lineup
from xai_lib.papers.saliency.method.cost import cost
from xai_lib.papers.saliency.method.fidelity import TARGETS, completeness_gap, fidelity, step_size, transformed
from xai_lib.papers.saliency.method.maps import Explained, class_similarity, raw_maps, scored
from xai_lib.papers.saliency.method.repeated import repeated
from xai_lib.papers.saliency.method.tools import tools
