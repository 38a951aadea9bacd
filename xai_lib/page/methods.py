"""How methods are told apart: colour says the family, the marker which of its methods."""

import itertools
from collections.abc import Sequence

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from xai_lib import explainers
from xai_lib.page.names import FAMILY_NAMES, METHOD_NAMES
from xai_lib.page.style import FAMILY_COLOURS, MARKERS


def colour(method: str) -> str:
    """The colour of a method's family."""
    return FAMILY_COLOURS[explainers.about(method).family]


def styles(methods: Sequence[str]) -> dict[str, dict[str, str]]:
    """Colour and marker of each method, as keywords of a line; no two of a family share a marker (up to nine)."""
    markers = {family: itertools.cycle(MARKERS) for family in FAMILY_COLOURS}
    families = {method: explainers.about(method).family for method in methods}
    return {name: {"color": FAMILY_COLOURS[kind], "marker": next(markers[kind])} for name, kind in families.items()}


def legend_of_methods(figure: Figure, methods: Sequence[str]) -> None:
    """Put a legend of methods, family by family, below a figure."""
    looks = styles(methods)
    ordered = sorted(methods, key=lambda method: list(FAMILY_NAMES).index(explainers.about(method).family))
    handles = [Line2D([], [], label=METHOD_NAMES[name], markersize=4, linewidth=1, **looks[name]) for name in ordered]
    figure.legend(handles=handles, loc="outside lower center", ncols=6, fontsize=8, frameon=False)


def legend_of_families(figure: Figure, methods: Sequence[str]) -> None:
    """Put a legend of the families of methods below a figure."""
    present = {explainers.about(method).family for method in methods}
    handles = [
        Line2D([], [], color=FAMILY_COLOURS[name], label=text, marker="o", markersize=4, linewidth=0)
        for name, text in FAMILY_NAMES.items()
        if name in present
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=6, fontsize=8, frameon=False, handletextpad=0.2)
