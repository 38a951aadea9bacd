"""Measure two functions in turn and print the median of the ratios of their times."""

import statistics
import time
from collections.abc import Callable

import torch


def median_ratio(
    ours: Callable[[], object],
    reference: Callable[[], object],
    pairs: int = 5,
    *,
    name: str = "",
    target: float | None = None,
) -> float:
    """Return the median over `pairs` of (seconds of `reference`) / (seconds of `ours`): above 1 means ours is faster.

    Both run once to warm up and then in turn, so a machine that slows down slows both; which of the two goes first
    alternates. The printed row holds the name, the median seconds of each, the median, lowest and highest ratio, and
    whether `target` was met.

    Raises:
        ValueError: if `pairs` is below 1.
    """
    if pairs < 1:
        raise ValueError(f"Expected at least one pair. Got pairs={pairs}.")
    ours()
    reference()
    seconds_of_ours, seconds_of_reference = [], []
    for pair in range(pairs):
        if pair % 2:
            seconds_of_ours.append(_seconds(ours))
            seconds_of_reference.append(_seconds(reference))
        else:
            seconds_of_reference.append(_seconds(reference))
            seconds_of_ours.append(_seconds(ours))
    ratios = [slow / fast for slow, fast in zip(seconds_of_reference, seconds_of_ours, strict=True)]
    ratio = statistics.median(ratios)
    row = (
        f"{name or 'ratio':<52} {statistics.median(seconds_of_ours):9.4f} s  "
        f"reference {statistics.median(seconds_of_reference):9.4f} s  "
        f"{ratio:7.2f}x ({min(ratios):.2f} to {max(ratios):.2f})"
    )
    if target is not None:
        row += f"  target {target:g}x {'met' if ratio >= target else 'MISSED'}"
    print(row, flush=True)
    return ratio


def _seconds(function: Callable[[], object]) -> float:
    _wait_for_device()
    start = time.perf_counter()
    function()
    _wait_for_device()
    return time.perf_counter() - start


def _wait_for_device() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
