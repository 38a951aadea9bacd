"""The paper's tables and what it argues, computed from a run of the benchmark."""

from xai_lib.papers.saliency.analysis import evidence, pictures, printed, scores
