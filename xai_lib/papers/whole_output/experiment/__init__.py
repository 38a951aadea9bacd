"""What is computed of every network and kept: documents, trees, scores."""

from xai_lib.papers.whole_output.experiment.documents import (
    Corpus,
    class_names,
    clusterings_of,
    corpus_of_file,
    partition,
    stability_of,
    tree,
)
from xai_lib.papers.whole_output.experiment.explanations import (
    ExplainedNetwork,
    Study,
    base_of,
    bases_of,
    study,
    whole_output_scores,
    whole_outputs,
)

__all__ = [
    "Corpus",
    "ExplainedNetwork",
    "Study",
    "base_of",
    "bases_of",
    "class_names",
    "clusterings_of",
    "corpus_of_file",
    "partition",
    "stability_of",
    "study",
    "tree",
    "whole_output_scores",
    "whole_outputs",
]
