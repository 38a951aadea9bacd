"""The explainers by name, and what a caller has to know about each before calling it."""

import difflib
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

from torch import Tensor

Explain = Callable[..., Tensor]
Family = Literal["uninformed", "gradient", "cam", "occlusion", "learning", "relevance"]
Explains = Literal["logit", "probability", "log-probability"]


@dataclass(frozen=True)
class Explainer:
    """One registered explainer.

    Attributes:
        name: its name in the registry, kebab-case.
        function: ``function(model, x, *, score, layer, …)``, see :mod:`xai_lib.explainers`.
        paper: where the method comes from.
        class_specific: whether the map depends on ``score``. Where it does not, `score` may be left out, and the
            map is [B,H,W] even for a score of shape [B,S].
        family: the kind of method, as the saliency paper groups them (§3), and relevance propagation.
        explains: what of a class the method's own paper explains; ``scores.of_class`` makes that score.
    """

    name: str
    function: Explain
    paper: str
    class_specific: bool
    family: Family
    explains: Explains

    @property
    def random(self) -> bool:
        """Whether it draws random numbers: it then takes ``seed`` and ``index`` (image indices, int64 [B])."""
        return "seed" in inspect.signature(self.function).parameters

    @property
    def on_layer(self) -> bool:
        """Whether its map lives on a layer's grid: ``upsample=False`` then gives that grid, and ``layer`` is used."""
        return "upsample" in inspect.signature(self.function).parameters

    @property
    def needs(self) -> tuple[str, ...]:
        """The keywords without a default that are particular to this method, beyond score, layer, seed and index."""
        common = {"model", "x", "score", "layer", "seed", "index"}
        parameters = inspect.signature(self.function).parameters.values()
        return tuple(p.name for p in parameters if p.default is p.empty and p.name not in common)


_EXPLAINERS: dict[str, Explainer] = {}


def register(
    name: str, *, paper: str, family: Family, class_specific: bool = True, explains: Explains = "logit"
) -> Callable[[Explain], Explain]:
    """Decorator that enters an explainer under `name` and returns it unchanged.

    Raises:
        ValueError: if the name is taken, or the family or what is explained is another word.
        TypeError: if the function cannot be called as ``function(model, x, score=…, layer=…)``, or takes only one of
            ``seed`` and ``index``.
    """

    for what, value, choices in (("family", family, get_args(Family)), ("explains", explains, get_args(Explains))):
        if value not in choices:
            raise ValueError(f"Expected {what} of {name!r} out of {', '.join(choices)}. Got {value!r}.")

    def enter(function: Explain) -> Explain:
        if name in _EXPLAINERS:
            raise ValueError(f"Expected a new explainer name. Got {name!r}, which is taken: {', '.join(names())}.")
        parameters = inspect.signature(function).parameters
        faceless = list(parameters)[:2] != ["model", "x"] or not {"score", "layer"} <= parameters.keys()
        if faceless or ("seed" in parameters) != ("index" in parameters):
            raise TypeError(
                "Expected an explainer (model, x, *, score, layer, …), with both seed and index if it is random. "
                f"Got {name!r} with ({', '.join(parameters)})."
            )
        _EXPLAINERS[name] = Explainer(name, function, paper, class_specific, family, explains)
        return function

    return enter


def about(name: str) -> Explainer:
    """What is known about an explainer.

    Raises:
        ValueError: if no explainer has that name; the message lists those that exist, nearest first.
    """
    if name not in _EXPLAINERS:
        near = difflib.get_close_matches(name, names(), n=3)
        listed = near + [other for other in names() if other not in near]
        raise ValueError(f"Expected the name of an explainer: {', '.join(listed)}. Got {name!r}.")
    return _EXPLAINERS[name]


def get(name: str) -> Explain:
    """The explainer's function; raises as :func:`about` does."""
    return about(name).function


def names() -> tuple[str, ...]:
    """The names of all explainers, sorted."""
    return tuple(sorted(_EXPLAINERS))
