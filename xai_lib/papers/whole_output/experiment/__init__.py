"""What is computed of every network and kept: documents, trees, scores."""

from xai_lib.papers.whole_output.experiment.documents import (
    Corpus,
    class_names,
    clusterings_of,
    corpus_of_file,
    partition,
    stability_cell,
    stability_of,
    tree,
    tree_cell,
)
from xai_lib.papers.whole_output.experiment.explanations import (
    PARTS,
    ExplainedNetwork,
    base_of,
    bases_of,
    cells,
    jobs,
    study,
    whole_output_cells,
    whole_output_scores,
    whole_outputs,
)

__all__ = [
    "PARTS",
    "Corpus",
    "ExplainedNetwork",
    "base_of",
    "bases_of",
    "cells",
    "class_names",
    "clusterings_of",
    "corpus_of_file",
    "jobs",
    "partition",
    "stability_cell",
    "stability_of",
    "study",
    "tree",
    "tree_cell",
    "whole_output_cells",
    "whole_output_scores",
    "whole_outputs",
]
