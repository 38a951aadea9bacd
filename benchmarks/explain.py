"""Seconds that ``python -m xai_lib explain`` takes from start to page, imports included, on at most two cores.

Run ``python benchmarks/explain.py [arguments of the command]``. A run before the measured ones fills the file cache.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SECONDS_TARGET = 20
CORES = 2
RUNS = 3


def main(arguments: list[str]) -> None:
    cores = sorted(os.sched_getaffinity(0))[:CORES]
    os.sched_setaffinity(0, cores)
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "xai_lib", "explain", "--output", str(Path(folder) / "page.html"), *arguments]
        seconds = [seconds_of(command) for _ in range(RUNS + 1)][1:]
    middle = statistics.median(seconds)
    verdict = "met" if middle <= SECONDS_TARGET else "MISSED"
    print(
        f"explain, {len(cores)} cores: {middle:.1f} s ({min(seconds):.1f} to {max(seconds):.1f}), "
        f"target {SECONDS_TARGET} s {verdict}"
    )


def seconds_of(command: list[str]) -> float:
    start = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - start


if __name__ == "__main__":
    main(sys.argv[1:])
