"""The saliency benchmark: every method of the line-up, scored by every metric, on one network and some images.

Plain functions on a :class:`Subject` that return tidy frames; what is computed once and kept is ``cells``' business.
"""

from xai_lib.benchmark import lineup
from xai_lib.benchmark.cost import cost
from xai_lib.benchmark.fidelity import TARGETS, fidelity
from xai_lib.benchmark.repeated import repeated
from xai_lib.benchmark.subject import Subject
from xai_lib.benchmark.transformed import transformed

__all__ = ["TARGETS", "Subject", "cost", "fidelity", "lineup", "repeated", "transformed"]
