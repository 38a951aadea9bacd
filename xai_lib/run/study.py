"""One run of a paper's part: the settings, and the networks that it is about."""

from dataclasses import dataclass
from typing import Any

from xai_lib.run.settings import Settings


@dataclass(frozen=True, eq=False)
class Study:
    """One run of a paper's part, made by the ``study`` of its experiment."""

    run: Settings  # what runs: budgets, data, device
    networks: tuple[Any, ...]  # those that it is about, in the order of its pages
    methods: tuple[str, ...] = ()  # names of the explainers that take part, where the part compares them
