"""What is computed of every network and kept: clusters, mosaics, trainings with rare modes."""

from xai_lib.papers.dominance.experiment.dominance import (
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
from xai_lib.papers.dominance.experiment.rarity import rare_clusters

__all__ = [
    "Hierarchies",
    "RankedNetwork",
    "choices",
    "class_mosaics",
    "cluster_images",
    "focus_values",
    "hierarchies",
    "mosaic_shares",
    "paired_images",
    "rare_clusters",
    "training_shares",
    "variant_shares",
]
