"""The metrics by name, and what a reader of a score has to know about each."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from xai_lib.registry import Entry, Registry, is_half_random

Score = Callable[..., Tensor]


@dataclass(frozen=True)
class Metric(Entry):
    """One registered metric: ``function`` gives float32 [B], see :mod:`xai_lib.metrics`.

    Attributes:
        better: whether a "higher" or a "lower" score is better.
        range: lowest and highest possible score; infinite where there is no bound.
        equation: where this definition is printed: paper and section or equation.
    """

    better: Literal["higher", "lower"]
    range: tuple[float, float]
    equation: str

    @property
    def arrow(self) -> str:
        """Points to where better scores lie, ↑ or ↓."""
        return {"higher": "↑", "lower": "↓"}[self.better]


METRICS: Registry[Metric] = Registry("metric")
about, get, names = METRICS.about, METRICS.get, METRICS.names


def register(
    name: str,
    *,
    better: Literal["higher", "lower"],
    range: tuple[float, float],
    paper: str,
    equation: str,
    title: str | None = None,
) -> Callable[[Score], Score]:
    """Decorator that enters a metric under `name` and returns it unchanged; `title` is the name if it is None.

    Raises:
        ValueError: if the name is taken, `better` is another word, or the range is not (low, high) with low < high.
        TypeError: if the function takes only one of ``seed`` and ``index``.
    """
    if better not in ("higher", "lower"):
        raise ValueError(f"Expected better as 'higher' or 'lower' for {name!r}. Got {better!r}.")
    if len(range) != 2 or not range[0] < range[1]:
        raise ValueError(f"Expected range as (low, high) with low < high for {name!r}. Got {range}.")

    def enter(function: Score) -> Score:
        if is_half_random(function):
            raise TypeError(
                "Expected a metric with both seed and index if it is random. "
                f"Got {name!r} with ({', '.join(inspect.signature(function).parameters)})."
            )
        METRICS.enter(Metric(name, function, paper, title or name, better, range, equation))
        return function

    return enter
