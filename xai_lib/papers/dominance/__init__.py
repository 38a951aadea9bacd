"""Which clusters of a class does a network attend to? (XICH)"""

from importlib import import_module
from typing import Any

__all__ = ["rank_clusters"]


def __getattr__(name: str) -> Any:
    """``rank_clusters`` needs figures and more: imported when asked for, so that the method stands alone."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module("xai_lib.papers.dominance.one_class"), name)
