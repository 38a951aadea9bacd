"""What a map costs: passes through the network, time and memory, measured on one batch."""

import os
import time
from collections.abc import Callable
from functools import partial
from itertools import accumulate

import pandas as pd
import torch
from torch.profiler import ProfilerActivity, profile

from xai_lib.data.split import Split
from xai_lib.papers.saliency.method.maps import Explained


def cost(explained: Explained, images: Split) -> pd.DataFrame:
    """Cost of explaining the true class of ``images`` in one batch, an image.

    One row: ``forwards`` (images that went through the network, in whole or in part), ``seconds``, and ``megabytes``
    (10⁶ bytes, the most that tensors held at a time beyond what was there; on a processor, no other memory is seen).
    """
    network, device = explained.subject.network, explained.subject.device
    images = images.to(device)
    explain, passed = partial(explained.raw, images.normalise(images.images), images.labels, images.index), []
    explain()  # the first call also loads libraries, and takes statistics that serve all images
    _wait(device)
    with network.register_forward_pre_hook(lambda _module, inputs: passed.append(len(inputs[0]))):
        started = time.perf_counter()
        explain()
        _wait(device)
        seconds = time.perf_counter() - started
    found = {"forwards": sum(passed), "seconds": seconds, "megabytes": _peak_bytes(explain, device) / 1e6}
    return pd.DataFrame([found]) / len(images)


def _peak_bytes(work: Callable[[], object], device: torch.device) -> int:
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        work()
        return torch.cuda.max_memory_allocated(device) - before
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # the profiler reports each start and stop on stderr
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as record:
        work()
    events = record.profiler.kineto_results.events()
    return max(accumulate((event.nbytes() for event in events if event.name() == "[memory]"), initial=0))


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
