"""The metrics by name, and what a reader of a score has to know about each."""

import difflib
import inspect
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
        function: gives float32 [B], see :mod:`xai_lib.metrics`.
        better: whether a "higher" or a "lower" score is better.
        range: lowest and highest possible score; infinite where there is no bound.
        paper: who defined it.
        equation: where this definition is printed: paper and section or equation.
    """

    name: str
    function: Score
    better: Literal["higher", "lower"]
    range: tuple[float, float]
    paper: str
    equation: str

    @property
    def needs(self) -> tuple[str, ...]:
        """The arguments without a default, by name: ``("attribution", "mask")``."""
        parameters = inspect.signature(self.function).parameters.values()
        return tuple(parameter.name for parameter in parameters if parameter.default is parameter.empty)

    @property
    def random(self) -> bool:
        """Whether it draws random numbers: it then needs ``seed`` and ``index`` (image indices, int64 [B])."""
        return "seed" in inspect.signature(self.function).parameters


_METRICS: dict[str, Metric] = {}


def register(
    name: str, *, better: Literal["higher", "lower"], range: tuple[float, float], paper: str, equation: str
) -> Callable[[Score], Score]:
    """Decorator that enters a metric under `name` and returns it unchanged.

    Raises:
        ValueError: if the name is taken, `better` is another word, or the range is not (low, high) with low < high.
        TypeError: if the function takes only one of ``seed`` and ``index``.
    """
    if better not in ("higher", "lower"):
        raise ValueError(f"Expected better as 'higher' or 'lower' for {name!r}. Got {better!r}.")
    if len(range) != 2 or not range[0] < range[1]:
        raise ValueError(f"Expected range as (low, high) with low < high for {name!r}. Got {range}.")

    def enter(function: Score) -> Score:
        if name in _METRICS:
            raise ValueError(f"Expected a new metric name. Got {name!r}, which is taken: {', '.join(names())}.")
        parameters = inspect.signature(function).parameters
        if ("seed" in parameters) != ("index" in parameters):
            raise TypeError(
                "Expected a metric with both seed and index if it is random. "
                f"Got {name!r} with ({', '.join(parameters)})."
            )
        _METRICS[name] = Metric(name, function, better, range, paper, equation)
        return function

    return enter


def about(name: str) -> Metric:
    """What is known about a metric.

    Raises:
        ValueError: if no metric has that name; the message lists those that exist, nearest first.
    """
    if name not in _METRICS:
        near = difflib.get_close_matches(name, names(), n=3)
        listed = near + [other for other in names() if other not in near]
        raise ValueError(f"Expected the name of a metric: {', '.join(listed)}. Got {name!r}.")
    return _METRICS[name]


def get(name: str) -> Score:
    """The metric's function; raises as :func:`about` does."""
    return about(name).function


def names() -> tuple[str, ...]:
    """The names of all metrics, sorted."""
    return tuple(sorted(_METRICS))
