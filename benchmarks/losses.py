"""The semi-hard triplet loss, forward and backward: time and peak memory against pytorch-metric-learning.

Run from the repository root: ``python benchmarks/losses.py``. 128 dimensions, ten classes; batches of 512 against the
reference, and ours alone at 1,024. Memory is the largest sum of tensors alive at once during a call, on the processor.
"""

import time
from collections.abc import Callable

import torch
from _pairs import median_ratio
from pytorch_metric_learning import distances, losses, miners
from torch import Tensor
from torch.nn import functional
from torch.profiler import ProfilerActivity, profile

from xai_lib.losses import triplet_semi_hard

MARGIN = 0.3
DISTANCE = distances.LpDistance(normalize_embeddings=False, p=2, power=2)
MINER = miners.TripletMarginMiner(margin=MARGIN, type_of_triplets="semihard", distance=DISTANCE)
REFERENCE = losses.TripletMarginLoss(margin=MARGIN, distance=DISTANCE)


def ours(z: Tensor, labels: Tensor) -> Tensor:
    return triplet_semi_hard(z, labels, margin=MARGIN)


def reference(z: Tensor, labels: Tensor) -> Tensor:
    return REFERENCE(z, labels, MINER(z, labels))


def step(loss: Callable[[Tensor, Tensor], Tensor], size: int) -> Callable[[], Tensor]:
    """One forward and backward pass on a fixed batch; returns the gradient."""
    generator = torch.Generator().manual_seed(0)
    z = functional.normalize(torch.randn(size, 128, generator=generator), dim=1).requires_grad_()
    labels = torch.randint(0, 10, (size,), generator=generator)
    return lambda: torch.autograd.grad(loss(z, labels), z)[0]


def peak_bytes(function: Callable[[], object]) -> int:
    """The most bytes that the tensors made by ``function`` hold at once: allocations and releases, added up."""
    function()
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as record:
        function()
    held = peak = 0
    for event in sorted(
        (event for event in record.profiler.kineto_results.events() if event.name() == "[memory]"),
        key=lambda event: event.start_ns(),
    ):
        held += event.nbytes()
        peak = max(peak, held)
    return peak


def main() -> None:
    fast, slow = step(ours, 512), step(reference, 512)
    torch.testing.assert_close(fast(), slow())
    median_ratio(fast, slow, name="semi-hard triplets, batch 512, time", target=20)
    small, large = peak_bytes(fast), peak_bytes(slow)
    met = "met" if large >= 18 * small else "MISSED"
    print(
        f"{'semi-hard triplets, batch 512, memory':<52} {small / 2**20:7.1f} MiB  reference {large / 2**20:7.1f} MiB  "
        f"{large / small:7.2f}x  target 18x {met}"
    )
    alone = step(ours, 1024)
    alone()
    seconds = []
    for _ in range(5):
        start = time.perf_counter()
        alone()
        seconds.append(time.perf_counter() - start)
    print(f"{'semi-hard triplets, batch 1024, time':<52} {sorted(seconds)[2]:9.4f} s")
    print(f"{'semi-hard triplets, batch 1024, memory':<52} {peak_bytes(alone) / 2**20:7.1f} MiB")


if __name__ == "__main__":
    main()
