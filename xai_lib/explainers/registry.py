"""The explainers by name, and what a caller has to know about each before calling it."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

from torch import Tensor, nn

from xai_lib.registry import Entry, Registry, is_half_random

Explain = Callable[..., Tensor]
Layer = nn.Module | str | None  # see :func:`layers.find_layer`
Score = Callable[[Tensor], Tensor]  # from logits [B,C] to [B] or [B,S]
Family = Literal["uninformed", "gradient", "cam", "occlusion", "learning", "relevance", "elsewhere"]
Explains = Literal["logit", "probability", "log-probability"]
Complete = Literal["image", "layer", "logit"]


@dataclass(frozen=True)
class Explainer(Entry):
    """One registered explainer: ``function(model, x, *, score, layer, …)``, see :mod:`xai_lib.explainers`."""

    class_specific: bool  # whether the map depends on `score`, which may else be left out and gives [B,H,W] in any case
    # the kind of method, as the saliency paper groups them (§3), relevance propagation, or maps of others
    family: Family
    explains: Explains  # what of a class the method's own paper explains; `scores.of_class` makes that score
    colours: bool  # whether its raw map has a value per colour, [B,3,H,W] or [B,S,3,H,W]
    # what its values add up to, by its own paper: a logit, less that of the mean-coloured image or of a layer of zeros
    complete: Complete | None
    depth: float  # where its own paper puts it: at this share of the layers up to the one explained
    signed: bool  # whether negative values of a raw map without colours are kept in one reading of the saliency paper

    _common: ClassVar[frozenset[str]] = frozenset({"model", "x", "score", "layer", "seed", "index"})

    @property
    def has_readings(self) -> bool:
        """Whether its maps differ between the saliency paper's text and the code it cites: see ``normalise``."""
        return self.colours or self.signed

    @property
    def on_layer(self) -> bool:
        """Whether its map lives on a layer's grid: ``upsample=False`` then gives that grid, and ``layer`` is used."""
        return "upsample" in inspect.signature(self.function).parameters

    @property
    def fixed(self) -> bool:
        """Whether it only has maps, of given images by a given network, and refuses to explain anything else."""
        return getattr(self.function, "fixed", False)


EXPLAINERS: Registry[Explainer] = Registry("explainer")
about, get, names = EXPLAINERS.about, EXPLAINERS.get, EXPLAINERS.names


def register(
    name: str, *, paper: str, family: Family, class_specific: bool = True, explains: Explains = "logit",
    colours: bool = False, signed: bool = False, complete: Complete | None = None, depth: float = 1.0,
    title: str | None = None,
) -> Callable[[Explain], Explain]:  # fmt: skip
    """Decorator that enters an explainer under `name` and returns it unchanged; `title` is the name if it is None.

    ValueError if the name is taken, or the family, what is explained or what it adds up to is another word; TypeError
    if it cannot be called as ``function(model, x, score=…, layer=…)``, or takes only one of ``seed`` and ``index``.
    """
    given = (("family", family, Family), ("explains", explains, Explains), ("complete", complete or "image", Complete))
    for what, value, kind in given:
        if value not in get_args(kind):
            raise ValueError(f"Expected {what} of {name!r} out of {', '.join(get_args(kind))}. Got {value!r}.")

    def enter(function: Explain) -> Explain:
        parameters = inspect.signature(function).parameters
        usual = list(parameters)[:2] == ["model", "x"] and {"score", "layer"} <= parameters.keys()
        if not usual or is_half_random(function):
            expected = "Expected an explainer (model, x, *, score, layer, …), with both seed and index if it is random."
            raise TypeError(f"{expected} Got {name!r} with ({', '.join(parameters)}).")
        known = (class_specific, family, explains, colours, complete, depth, signed)
        EXPLAINERS.enter(Explainer(name, function, paper, title or name, *known))
        return function

    return enter
