"""Re-derivations: what a function of the library computes, again in the plainest way or by another package.

A derivation stands beside the name of what it replicates, and takes of the shared inputs those that its arguments name:

    @replicates("explainers.gradients.gradient", inputs=small_network, atol=1e-6)
    def by_captum(model, x, target): ...

``test_derivations`` runs every pair on the same inputs and compares the results. A new module of derivations is
imported there and needs nothing else.
"""

import importlib
import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

BATCHED = ("x", "target", "index", "attribution", "mask", "quadrants")  # inputs with a row for each image

Inputs = dict[str, Any]


def called(function: Callable, given: Inputs) -> Any:
    """What a function returns, called with those of the inputs that its arguments name."""
    return function(**{name: given[name] for name in inspect.signature(function).parameters if name in given})


@dataclass(frozen=True)
class Derivation:
    """A function of the library, written again.

    Attributes:
        of: the original's dotted name below xai_lib.
        function: the derivation.
        inputs: makes the shared inputs, name -> value, from a case's keywords.
        cases: keywords of ``inputs``.
        each: the derivation takes one image at a time, without the first axis; its results are stacked.
        after: (result of the original, inputs) -> what the derivation's result is compared with.
        call: how a function is called with the inputs, the original as well as the derivation.
        rtol, atol: of ``torch.testing.assert_close``.
        share: added to ``atol``, as a share of the largest value that is expected.
    """

    of: str
    function: Callable
    inputs: Callable[..., Inputs]
    cases: Sequence[Inputs] = ({},)
    each: bool = False
    after: Callable[[Any, Inputs], Any] = lambda found, _given: found
    call: Callable[[Callable, Inputs], Any] = called
    rtol: float = 0.0
    atol: float = 0.0
    share: float = 0.0

    @property
    def name(self) -> str:
        """Of the derivation."""
        function = self.function
        return f"{function.func.__name__} {function.args[0]}" if isinstance(function, partial) else function.__name__

    def original(self) -> Callable:
        """The function of the library."""
        module, _, name = self.of.rpartition(".")
        return getattr(importlib.import_module(f"xai_lib.{module}"), name)

    def results(self, case: Inputs) -> tuple[Any, Any]:
        """What the original and the derivation make of a case."""
        found = self.after(self.call(self.original(), self.inputs(**case)), self.inputs(**case))
        given = self.inputs(**case)
        if not self.each:
            return found, self.call(self.function, given)
        present = [name for name in BATCHED if name in given]
        images = [{**given, **{name: given[name][b] for name in present}} for b in range(len(given[present[0]]))]
        return found, torch.stack([torch.as_tensor(self.call(self.function, image)) for image in images])

    def check(self, case: Inputs) -> None:
        """Fail if the two differ, or if nothing could differ."""
        found, expected = self.results(case)
        pairs = [(found, expected)] if isinstance(expected, Tensor) else list(zip(found, expected, strict=True))
        for ours, theirs in pairs:
            theirs = theirs.detach()
            atol = self.atol + self.share * float(theirs.abs().max())
            assert theirs.numel() == 1 or theirs.double().max() - theirs.double().min() > 10 * atol, "nothing to see"
            torch.testing.assert_close(ours, theirs, rtol=self.rtol, atol=atol, check_dtype=False)


DERIVATIONS: list[Derivation] = []


def replicates(of: str, **settings: Any) -> Callable[[Callable], Callable]:
    """Decorator that enters a derivation and returns it unchanged; `settings` are those of :class:`Derivation`."""

    def enter(function: Callable) -> Callable:
        DERIVATIONS.append(Derivation(of, function, **settings))
        return function

    return enter
