"""What is computed of every network and kept: documents, trees, scores."""

from xai_lib.papers.whole_output.experiment.documents import Corpus as Corpus
from xai_lib.papers.whole_output.experiment.documents import class_names as class_names
from xai_lib.papers.whole_output.experiment.documents import clusterings_of as clusterings_of
from xai_lib.papers.whole_output.experiment.documents import corpus_of_file as corpus_of_file
from xai_lib.papers.whole_output.experiment.documents import partition as partition
from xai_lib.papers.whole_output.experiment.documents import stability_cell as stability_cell
from xai_lib.papers.whole_output.experiment.documents import stability_of as stability_of
from xai_lib.papers.whole_output.experiment.documents import tree as tree
from xai_lib.papers.whole_output.experiment.documents import tree_cell as tree_cell
from xai_lib.papers.whole_output.experiment.documents import with_tree as with_tree
from xai_lib.papers.whole_output.experiment.documents import wordnet_steps as wordnet_steps
from xai_lib.papers.whole_output.experiment.explanations import ExplainedNetwork as ExplainedNetwork
from xai_lib.papers.whole_output.experiment.explanations import base_of as base_of
from xai_lib.papers.whole_output.experiment.explanations import bases_of as bases_of
from xai_lib.papers.whole_output.experiment.explanations import cells as cells
from xai_lib.papers.whole_output.experiment.explanations import jobs as jobs
from xai_lib.papers.whole_output.experiment.explanations import left_out as left_out
from xai_lib.papers.whole_output.experiment.explanations import study as study
from xai_lib.papers.whole_output.experiment.explanations import whole_output_cells as whole_output_cells
from xai_lib.papers.whole_output.experiment.explanations import whole_output_scores as whole_output_scores
from xai_lib.papers.whole_output.experiment.explanations import whole_outputs as whole_outputs
from xai_lib.papers.whole_output.experiment.explanations import without_pairs as without_pairs
