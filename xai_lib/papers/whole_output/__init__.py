"""Explaining all top classes of an image at once, in two stages (CWOX)."""

from importlib import import_module
from typing import Any

__all__ = ["explain_output"]


def __getattr__(name: str) -> Any:
    """``explain_output`` needs figures and more: imported when asked for, so that the method stands alone."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module("xai_lib.papers.whole_output.one_image"), name)
