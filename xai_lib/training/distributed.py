"""One training on several devices: ``torchrun --nproc-per-node 8 -m xai_lib train …``.

Every process takes its share of each batch. Outputs are gathered before the loss, so that a contrastive loss sees the
pairs of the whole batch; the gradients are then those of one process with all images (up to batch normalisation, whose
statistics are synchronised on GPUs and each process's own on processors).
"""

import os

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel


def rank() -> int:
    """Number of this process, 0 if there is only one."""
    return dist.get_rank() if dist.is_initialized() else 0


def size() -> int:
    """Number of processes."""
    return dist.get_world_size() if dist.is_initialized() else 1


def join(device: torch.device) -> torch.device:
    """Join the processes that torchrun started, and return this process's device; alone, return ``device``.

    The caller leaves with ``torch.distributed.destroy_process_group()``.
    """
    if "LOCAL_RANK" not in os.environ:
        return device
    if not dist.is_initialized():
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    if device.type != "cuda":
        return device
    device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
    torch.cuda.set_device(device)
    return device


def wrap(network: nn.Module) -> nn.Module:
    """``network`` with gradients averaged over the processes; alone, ``network`` itself."""
    if size() == 1:
        return network
    on_gpu = next(network.parameters()).is_cuda
    return DistributedDataParallel(network, device_ids=[torch.cuda.current_device()] if on_gpu else None)


def synchronise_norms(network: nn.Module) -> nn.Module:
    """``network`` with batch statistics over all processes, where torch can do that (GPUs)."""
    if size() == 1 or not next(network.parameters()).is_cuda:
        return network
    return nn.SyncBatchNorm.convert_sync_batchnorm(network)


def share(positions: Tensor) -> Tensor:
    """This process's part of a batch. ValueError if the batch cannot be divided evenly."""
    if len(positions) % size():
        got = f"{len(positions)} images: change batch_size"
        raise ValueError(f"Expected a batch that {size()} processes divide evenly. Got {got}.")
    return positions[rank() :: size()]


def gather(part: Tensor) -> Tensor:
    """All processes' parts [B/P, …] as one tensor [B, …]; gradients flow into this process's own part only.

    A loss on the result, times the number of processes, has after averaging over processes the gradient of one process
    with the whole batch: each contributes the derivative by its own part.
    """
    if size() == 1:
        return part
    parts = [torch.empty_like(part) for _ in range(size())]
    dist.all_gather(parts, part.detach().contiguous())
    parts[rank()] = part
    return torch.cat(parts)


def wait() -> None:
    """Wait until every process is here."""
    if size() > 1:
        dist.barrier()
