"""Cells: pieces of work that the store computes once; what notebooks and the command line call.

``settings(...)`` says what a run is; ``trained``, ``tuned``, ``predicted``, ``explained`` and ``scored`` give one
network's part of it, computing what the store lacks; ``scores`` and ``curves`` gather a whole run; ``plan`` lists its
cells.
``bench(run)`` is the saliency benchmark on a run's networks, ``saliency_scores`` its results; ``study(run)`` is the
whole-output part, ``whole_output_scores`` its results, and ``tree`` the latent tree of a network's documents.
``hierarchies(run)`` is the dominance part, ``mosaic_shares`` and ``training_shares`` its results; ``rare_clusters`` are
those of its trainings on planted images with rare modes.
"""

from xai_lib.cells.documents import (
    Corpus,
    class_names,
    clusterings_of,
    corpus_of_file,
    partition,
    stability_of,
    tree,
)
from xai_lib.cells.dominance import (
    Hierarchies,
    RankedNetwork,
    choices,
    class_mosaics,
    cluster_images,
    focus_values,
    hierarchies,
    mosaic_shares,
    paired_images,
    training_shares,
    variant_shares,
)
from xai_lib.cells.example import Example, example
from xai_lib.cells.explain import Explained, explained
from xai_lib.cells.gather import curves, predictions, scores
from xai_lib.cells.plan import of_bench, of_corpus, of_hierarchies, of_rarities, of_run, of_study, plan
from xai_lib.cells.predict import Predicted, predicted
from xai_lib.cells.rarity import rare_clusters
from xai_lib.cells.saliency import Bench, bench, bench_of, benchmarked, saliency_scores
from xai_lib.cells.score import curve, scaled, scored
from xai_lib.cells.settings import LOSSES, METHODS, Settings, settings
from xai_lib.cells.stages import STAGES, Stage
from xai_lib.cells.train import Trained, trained
from xai_lib.cells.tune import tune_cell, tuned
from xai_lib.cells.whole_output import (
    ExplainedNetwork,
    Study,
    base_of,
    bases_of,
    study,
    whole_output_scores,
    whole_outputs,
)

__all__ = [
    "LOSSES",
    "METHODS",
    "STAGES",
    "Bench",
    "Corpus",
    "Example",
    "Explained",
    "ExplainedNetwork",
    "Hierarchies",
    "Predicted",
    "RankedNetwork",
    "Settings",
    "Stage",
    "Study",
    "Trained",
    "base_of",
    "bases_of",
    "bench",
    "bench_of",
    "benchmarked",
    "choices",
    "class_mosaics",
    "class_names",
    "cluster_images",
    "clusterings_of",
    "corpus_of_file",
    "curve",
    "curves",
    "example",
    "explained",
    "focus_values",
    "hierarchies",
    "mosaic_shares",
    "of_bench",
    "of_corpus",
    "of_hierarchies",
    "of_rarities",
    "of_run",
    "of_study",
    "paired_images",
    "partition",
    "plan",
    "predicted",
    "predictions",
    "rare_clusters",
    "saliency_scores",
    "scaled",
    "scored",
    "scores",
    "settings",
    "stability_of",
    "study",
    "trained",
    "training_shares",
    "tree",
    "tune_cell",
    "tuned",
    "variant_shares",
    "whole_output_scores",
    "whole_outputs",
]
