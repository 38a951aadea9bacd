"""The benchmark: every method scored by every metric, on one network and some images."""

from xai_lib.papers.saliency.method import lineup
from xai_lib.papers.saliency.method.cost import cost
from xai_lib.papers.saliency.method.fidelity import TARGETS, fidelity
from xai_lib.papers.saliency.method.repeated import repeated
from xai_lib.papers.saliency.method.transformed import transformed

__all__ = ["TARGETS", "cost", "fidelity", "lineup", "repeated", "transformed"]
