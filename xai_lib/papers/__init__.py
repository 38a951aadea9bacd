"""The four papers, a folder each: method, experiment, analysis, claims, figures, tables."""

from collections.abc import Callable
from importlib import import_module
from typing import Any


def on_demand(package: str, **modules: str) -> Callable[[str], Any]:
    """A package's ``__getattr__``: what needs figures and more is imported when asked for, so a method stands alone."""

    def found(name: str) -> Any:
        if name not in modules:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(f"{package}.{modules[name]}"), name)

    return found
