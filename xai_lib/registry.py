"""Things by name, each with what a caller must know before calling it: explainers and metrics are kept in one each."""

import difflib
import functools
import hashlib
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar


@dataclass(frozen=True)
class Entry:
    """What is known of a registered function."""

    name: str  # its name in the registry, kebab-case
    function: Callable[..., Any]  # what is called
    paper: str  # where it comes from
    title: str  # how a reader sees it

    _common: ClassVar[frozenset[str]] = frozenset()  # arguments that all functions of the registry take

    @property
    def random(self) -> bool:
        """Whether it draws random numbers: it then takes ``seed`` and ``index`` (image indices, int64 [B])."""
        return "seed" in inspect.signature(self.function).parameters

    @property
    def source(self) -> str:
        """SHA-256 of its file, or of its own code in a notebook; a function may have it ready under ``content``."""
        if content := getattr(self.function, "content", ""):
            return content
        inner = getattr(self.function, "made_of", self.function)
        try:
            text = inspect.getsource(inspect.getmodule(inner))
        except (OSError, TypeError):
            text = inspect.getsource(inner)
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def needs(self) -> tuple[str, ...]:
        """The arguments without a default, by name, but for those that every function of the registry takes."""
        parameters = inspect.signature(self.function).parameters.values()
        return tuple(p.name for p in parameters if p.default is p.empty and p.name not in self._common)


Kind = TypeVar("Kind", bound=Entry)


class Registry(Generic[Kind]):
    """Entries of one kind ("metric") by name; ``entries`` holds them in the order in which they came.

    Example:
        >>> tools = Registry("tool")
        >>> tools.enter(Entry("half", lambda x: x / 2, paper="-", title="Half"))
        >>> tools.get("half")(3), tools.names()
        (1.5, ('half',))
    """

    def __init__(self, kind: str) -> None:
        self.kind, self.entries = kind, dict[str, Kind]()

    def enter(self, entry: Kind) -> None:
        """Add an entry; ValueError if its name is taken."""
        if entry.name in self.entries:
            taken = ", ".join(self.names())
            raise ValueError(f"Expected a new {self.kind} name. Got {entry.name!r}, which is taken: {taken}.")
        self.entries[entry.name] = entry

    def about(self, name: str) -> Kind:
        """What is known of the one with this name; a ValueError for another lists those that exist, nearest first."""
        if name not in self.entries:
            near = difflib.get_close_matches(name, self.names(), n=3)
            listed = ", ".join(near + [other for other in self.names() if other not in near])
            article = "an" if self.kind[0] in "aeiou" else "a"
            raise ValueError(f"Expected the name of {article} {self.kind}: {listed}. Got {name!r}.")
        return self.entries[name]

    def get(self, name: str) -> Callable[..., Any]:
        """The function of this name; raises as :meth:`about` does."""
        return self.about(name).function

    def names(self) -> tuple[str, ...]:
        """The names of all, sorted."""
        return tuple(sorted(self.entries))


def is_half_random(function: Callable[..., Any]) -> bool:
    """Whether a function takes only one of ``seed`` and ``index``, which decide an image's draws together."""
    parameters = inspect.signature(function).parameters
    return ("seed" in parameters) != ("index" in parameters)


def named_as(inner: Callable[..., Any]) -> Callable[[Callable], Callable]:
    """Decorator that gives a function the name and docstring of the one that it is made of, not its arguments."""

    def name(function: Callable[..., Any]) -> Callable[..., Any]:
        functools.update_wrapper(function, inner)
        del function.__wrapped__  # inspect.signature would follow it
        function.made_of = inner
        return function

    return name
