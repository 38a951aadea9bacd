"""Bring your own: any network and any folder of images, with every mistake named before anything runs."""

from xai_lib.foreign.dominance import rank_clusters
from xai_lib.foreign.images import class_names, load_images, parse_statistics, with_normalisation
from xai_lib.foreign.network import check_model, load_model
from xai_lib.foreign.ranking import ClusterRanking
from xai_lib.foreign.whole_output import explain_output

__all__ = [
    "ClusterRanking",
    "check_model",
    "class_names",
    "explain_output",
    "load_images",
    "load_model",
    "parse_statistics",
    "rank_clusters",
    "with_normalisation",
]
