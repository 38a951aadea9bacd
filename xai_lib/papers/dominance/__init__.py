"""Which clusters of a class does a network attend to? (XICH)"""

from typing import Any

__all__ = ["rank_clusters"]


def __getattr__(name: str) -> Any:
    """``rank_clusters`` needs figures and more: imported when asked for, so that the method stands alone."""
    if name != "rank_clusters":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from xai_lib.papers.dominance.one_class import rank_clusters

    return rank_clusters
