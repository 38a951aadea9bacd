"""The metrics by name, and what the numbers of each mean."""

import difflib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from torch import Tensor

Score = Callable[..., Tensor]


@dataclass(frozen=True)
class Metric:
    """One registered metric.

    Attributes:
        name: its name in the registry, kebab-case.
        function: from a batch to float [B], NaN where undefined.
        better: whether higher or lower is better.
        range: smallest and largest possible score.
        paper: short name of the paper that uses it.
        equation: where in that paper.
    """

    name: str
    function: Score
    better: Literal["higher", "lower"]
    range: tuple[float, float]
    paper: str
    equation: str


_METRICS: dict[str, Metric] = {}


def register(
    name: str,
    function: Score,
    better: Literal["higher", "lower"],
    score_range: tuple[float, float],
    paper: str,
    equation: str,
) -> None:
    """Enter a metric under ``name``.

    Raises:
        ValueError: if the name is taken, or ``better`` is neither direction.
    """
    if name in _METRICS:
        raise ValueError(f"Expected a new metric name. Got {name!r}, which is taken: {', '.join(names())}.")
    if better not in ("higher", "lower"):
        raise ValueError(f"Expected better to be higher or lower. Got {better!r} for {name!r}.")
    _METRICS[name] = Metric(name, function, better, score_range, paper, equation)


def about(name: str) -> Metric:
    """What is known about a metric.

    Raises:
        ValueError: if no metric has that name; the message lists those that exist, nearest first.
    """
    if name not in _METRICS:
        near = difflib.get_close_matches(str(name), names(), n=3)
        listed = near + [other for other in names() if other not in near]
        raise ValueError(f"Expected the name of a metric: {', '.join(listed)}. Got {name!r}.")
    return _METRICS[name]


def get(name: str) -> Score:
    """The metric's function; raises as :func:`about` does."""
    return about(name).function


def names() -> tuple[str, ...]:
    """The names of all metrics, sorted."""
    return tuple(sorted(_METRICS))
