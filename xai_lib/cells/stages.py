"""The stages of a run and the version of each one's code.

A cell's key holds the version of its stage. A test hashes the sources named here: code that changes what a
stage computes without a new version fails it, so that no stored result outlives the code that made it.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Stage:
    """Version of a stage's code, and the modules (dotted names below ``xai_lib``) that decide its result."""

    version: int
    sources: tuple[str, ...]


_LATENT_TREE = (
    "whole_output.latent_tree",
    "whole_output.latent_tree.belief_propagation",
    "whole_output.latent_tree.bridging",
    "whole_output.latent_tree.files",
    "whole_output.latent_tree.global_em",
    "whole_output.latent_tree.hierarchy",
    "whole_output.latent_tree.information",
    "whole_output.latent_tree.islands",
    "whole_output.latent_tree.latent_class",
    "whole_output.latent_tree.patterns",
    "whole_output.latent_tree.tree",
)

STAGES = {
    "train": Stage(
        1,
        (
            "cells.train",
            "randomness",
            "models",
            "losses",
            "datasets.augmentation",
            "training",
            "training.arithmetic",
            "training.evaluation",
            "training.loop",
            "training.objective",
            "training.optimisation",
            "training.probe",
        ),
    ),
    "predict": Stage(1, ("cells.predict", "models", "training.evaluation")),
    "explain": Stage(
        1,
        (
            "cells.explain",
            "randomness",
            "models",
            "explainers.cams",
            "explainers.layers",
            "explainers.passes",
            "explainers.scores",
            "metrics.similarity",
        ),
    ),
    "score": Stage(
        1,
        (
            "cells.score",
            "frames",
            "randomness",
            "models",
            "explainers.cams",
            "explainers.normalise",
            "metrics.complexity",
            "metrics.faithfulness",
            "metrics.localisation",
            "metrics.maps",
            "metrics.perturbation",
            "metrics.quantus_column",
            "metrics.similarity",
        ),
    ),
    "saliency": Stage(
        1,
        (
            "cells.saliency",
            "cells.subjects",
            "frames",
            "randomness",
            "models",
            "benchmark.cost",
            "benchmark.fidelity",
            "benchmark.lineup",
            "benchmark.repeated",
            "benchmark.subject",
            "benchmark.transformed",
            "datasets.transforms",
            "explainers.ablation_cam",
            "explainers.bottleneck",
            "explainers.cams",
            "explainers.controls",
            "explainers.gradients",
            "explainers.last_layer",
            "explainers.layers",
            "explainers.library_cams",
            "explainers.lime",
            "explainers.normalise",
            "explainers.passes",
            "explainers.relevance",
            "explainers.rise",
            "explainers.score_cam",
            "explainers.scores",
            "metrics.causal",
            "metrics.completeness",
            "metrics.complexity",
            "metrics.effective_complexity",
            "metrics.localisation",
            "metrics.maps",
            "metrics.masking",
            "metrics.monotonicity",
            "metrics.perturbation",
            "metrics.randomisation",
            "metrics.sensitivity",
            "metrics.similarity",
        ),
    ),
    "documents": Stage(1, ("cells.documents", "models", "explainers.passes", "whole_output.documents")),
    "latent-tree": Stage(1, ("cells.documents", "whole_output.documents", *_LATENT_TREE)),
    "stability": Stage(
        1,
        (
            "cells.documents",
            "whole_output.clusterings",
            "whole_output.co_occurrence",
            "whole_output.documents",
            "whole_output.partitions",
            "whole_output.stability",
            *_LATENT_TREE,
        ),
    ),
    "whole-output": Stage(
        1,
        (
            "cells.subjects",
            "cells.whole_output",
            "randomness",
            "models",
            "explainers.cams",
            "explainers.layers",
            "explainers.lime",
            "explainers.normalise",
            "explainers.passes",
            "explainers.relevance",
            "explainers.rise",
            "explainers.scores",
            "metrics.localisation",
            "metrics.maps",
            "metrics.perturbation",
            "whole_output.base_maps",
            "whole_output.confusion",
            "whole_output.curve",
            "whole_output.documents",
            "whole_output.evaluation",
            "whole_output.explanation",
            "whole_output.faithfulness",
            "whole_output.groups",
            "whole_output.heatmaps",
            "whole_output.observer",
            "whole_output.rivals",
        ),
    ),
}
