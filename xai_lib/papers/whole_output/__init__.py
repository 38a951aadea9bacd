"""Explaining all top classes of an image at once, in two stages (CWOX)."""

from typing import Any

__all__ = ["explain_output"]


def __getattr__(name: str) -> Any:
    """``explain_output`` needs figures and more: imported when asked for, so that the method stands alone."""
    if name != "explain_output":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from xai_lib.papers.whole_output.one_image import explain_output

    return explain_output
