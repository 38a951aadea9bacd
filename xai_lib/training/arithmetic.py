"""How numbers are computed on a device: what changes a training's result without being in its recipe."""

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Numerics:
    """Arithmetic of one training; part of what identifies its result."""

    precision: str  # "float32", or "bfloat16" (autocast in the network; weights, losses and sums stay float32)
    tf32: bool  # whether float32 convolutions may round to TensorFloat-32 (GPUs)
    compiled: str  # "no", or the mode of `torch.compile`


def numerics(device: torch.device) -> Numerics:
    """The arithmetic used on ``device``.

    bfloat16 where the hardware multiplies it (a processor that only emulates it would be about nine times slower), else
    float32. On a GPU the network is compiled with CUDA graphs; on a processor compiling does not pay.
    """
    on_gpu = device.type == "cuda"
    return Numerics(
        precision="bfloat16" if has_bfloat16(device) else "float32",
        tf32=on_gpu and torch.backends.cudnn.allow_tf32,
        compiled="reduce-overhead" if on_gpu else "no",
    )


def has_bfloat16(device: torch.device) -> bool:
    """Whether ``device`` multiplies bfloat16 in hardware."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    able = torch.cpu.get_capabilities() if device.type == "cpu" else {}
    return any(able.get(name, False) for name in ("avx512_bf16", "amx_bf16", "bf16"))
