"""Tables that notebooks show: the numbers of ``results``, formatted for a page; one module a paper."""

from xai_lib.tables.html import interval, number, p_value, plus_minus, show, signed

__all__ = ["interval", "number", "p_value", "plus_minus", "show", "signed"]
