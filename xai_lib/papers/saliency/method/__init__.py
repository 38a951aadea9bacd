"""The benchmark: every method scored by every metric, on one network and some images."""

from xai_lib.papers.saliency.method import lineup
from xai_lib.papers.saliency.method.cost import cost
from xai_lib.papers.saliency.method.fidelity import TARGETS, completeness_gap, fidelity, step_size, transformed
from xai_lib.papers.saliency.method.maps import Explained, class_similarity, raw_maps, scored
from xai_lib.papers.saliency.method.repeated import repeated
from xai_lib.papers.saliency.method.tools import tools

__all__ = ["TARGETS", "Explained", "class_similarity", "completeness_gap", "lineup", "raw_maps", "step_size"]
__all__ += ["cost", "fidelity", "repeated", "scored", "tools", "transformed"]  # what stages call by name
