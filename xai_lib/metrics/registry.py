"""The metrics by name, and what a reader of a score has to know about each."""

import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from torch import Tensor

from xai_lib.registry import Entry, Registry, is_half_random, named_as

Score = Callable[..., Tensor]


@dataclass(frozen=True)
class Metric(Entry):
    """One registered metric: ``function`` gives float32 [B], see :mod:`xai_lib.metrics`."""

    better: Literal["higher", "lower"]  # which scores are better
    range: tuple[float, float]  # lowest and highest possible score; infinite where there is no bound
    equation: str  # where this definition is printed: paper and section or equation
    relevant: float  # the smallest difference of means that matters, in the metric's units

    @property
    def arrow(self) -> str:
        """Points to where better scores lie, ↑ or ↓."""
        return {"higher": "↑", "lower": "↓"}[self.better]


METRICS: Registry[Metric] = Registry("metric")
about, get, names = METRICS.about, METRICS.get, METRICS.names


def register(
    name: str, *, better: Literal["higher", "lower"], range: tuple[float, float], paper: str, equation: str,
    title: str | None = None, relevant: float | None = None,
) -> Callable[[Score], Score]:  # fmt: skip
    """Decorator that enters a metric under `name` and returns it unchanged; `title` is the name if it is None.

    `relevant` is a hundredth of the range if it is None, and 0 where there is no range.

    ValueError if the name is taken, `better` is another word, or the range is not (low, high) with low < high;
    TypeError if the function takes only one of ``seed`` and ``index``.
    """
    if better not in ("higher", "lower"):
        raise ValueError(f"Expected better as 'higher' or 'lower' for {name!r}. Got {better!r}.")
    if len(range) != 2 or not range[0] < range[1]:
        raise ValueError(f"Expected range as (low, high) with low < high for {name!r}. Got {range}.")
    if relevant is None:
        relevant = (range[1] - range[0]) / 100 if math.isfinite(range[1] - range[0]) else 0.0

    def enter(function: Score) -> Score:
        if is_half_random(function):
            expected = "Expected a metric with both seed and index if it is random."
            raise TypeError(f"{expected} Got {name!r} with ({', '.join(inspect.signature(function).parameters)}).")
        METRICS.enter(Metric(name, function, paper, title or name, better, range, equation, relevant))
        return function

    return enter


def ranges() -> dict[str, tuple[float, float]]:
    """Name -> lowest and highest possible score of each metric, for :func:`xai_lib.statistics.summarise`."""
    return {name: metric.range for name, metric in METRICS.entries.items()}


def score_of(measure: Callable[..., Any], **fixed: object) -> Callable[[Score], Score]:
    """Decorator: from a function of what `measure` finds to a metric with the arguments of `measure`.

    The decorated function takes what `measure` returned, and by name those of its arguments that it needs too. Other
    keywords of its own become keywords of the metric; arguments that are `fixed` do not.

    Example:
        >>> def curve(x, *, step=2):
        ...     return x[::step]
        >>> @score_of(curve)
        ... def highest(found, *, step, least=0):
        ...     return max([least, *found]), step
        >>> highest([1, 9, 3]), highest([1, 9, 3], step=1, least=10)
        ((3, 2), (10, 1))
    """
    taken = {name: p for name, p in inspect.signature(measure).parameters.items() if name not in fixed}

    def decorate(score: Score) -> Score:
        own = list(inspect.signature(score).parameters.values())[1:]
        further = [parameter for parameter in own if parameter.name not in taken]
        signature = inspect.Signature([*taken.values(), *further], return_annotation=Tensor)

        @named_as(score)
        def scored(*args: Any, **kwargs: Any) -> Tensor:
            given = signature.bind(*args, **kwargs)
            given.apply_defaults()
            found = measure(**{name: given.arguments[name] for name in taken}, **fixed)
            return score(found, **{parameter.name: given.arguments[parameter.name] for parameter in own})

        scored.__signature__ = signature
        return scored

    return decorate
