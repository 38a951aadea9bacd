"""Counter-based random numbers, drawn per image from (seed, image index, purpose).

Every draw is a pure function of its arguments: the order of the images, the batch size, the subset and the device do
not change it. The generator is SplitMix64 used as a hash (Steele, Lea & Flood 2014, "Fast splittable pseudorandom
number generators"): draw ``j`` of an image is ``mix(key(seed, purpose, index) + j * golden)``.
"""

import hashlib
import math

import torch
from torch import Tensor

from xai_lib.checks import described

# SplitMix64's constants, as signed 64-bit integers (torch has no unsigned arithmetic).
_GOLDEN = 0x9E3779B97F4A7C15 - (1 << 64)
_MIX_1 = 0xBF58476D1CE4E5B9 - (1 << 64)
_MIX_2 = 0x94D049BB133111EB - (1 << 64)


def uniform(seed: int, index: Tensor, purpose: str, shape: tuple[int, ...] = ()) -> Tensor:
    """Uniform numbers in [0, 1), multiples of 2^-24: a block of ``shape`` an image, float32 [B, *shape] on its device.

    They depend on the run's seed, on ``purpose``, what they are for (two purposes, as ``"crop/epoch 3"``, are
    independent), and on an image's own number in ``index``, int64 [B], alone.

    Example:
        >>> few, many = uniform(0, torch.tensor([7]), "crop", (2,)), uniform(0, torch.arange(9), "crop", (2,))
        >>> torch.equal(few[0], many[7])
        True
    """
    return _shift(_hash(seed, index, purpose, shape), 64 - 24).to(torch.float32) * 2.0**-24


def normal(seed: int, index: Tensor, purpose: str, shape: tuple[int, ...] = ()) -> Tensor:
    """Standard normal numbers, float32 [B, *shape]: Box-Muller on two blocks of :func:`uniform`."""
    radius = torch.sqrt(-2.0 * torch.log1p(-uniform(seed, index, f"{purpose}/radius", shape)))
    return radius * torch.cos(2.0 * math.pi * uniform(seed, index, f"{purpose}/angle", shape))


def integers(seed: int, index: Tensor, purpose: str, high: int, shape: tuple[int, ...] = ()) -> Tensor:
    """Integers in [0, ``high``), int64 [B, *shape]; ValueError if ``high`` is outside [1, 2^24]."""
    if not 1 <= high <= 1 << 24:
        raise ValueError(f"Expected high in [1, {1 << 24}]. Got {high}.")
    return (_shift(_hash(seed, index, purpose, shape), 64 - 31) * high) >> 31


def _hash(seed: int, index: Tensor, purpose: str, shape: tuple[int, ...]) -> Tensor:
    if index.dtype != torch.int64 or index.ndim != 1:
        raise ValueError(f"Expected image indices as an int64 tensor [B]. Got {described(index)}.")
    digest = hashlib.sha256(f"{seed}|{purpose}".encode()).digest()
    stream = int.from_bytes(digest[:8], "little", signed=True)
    key = _mix(_mix(index * _GOLDEN + stream) + stream)  # [B]
    counter = torch.arange(1, math.prod(shape) + 1, device=index.device) * _GOLDEN  # [J]
    return _mix(key[:, None] + counter).reshape(len(index), *shape)


def _mix(z: Tensor) -> Tensor:
    """SplitMix64's finaliser: a bijection of the 64-bit integers in which every input bit moves every output bit."""
    z = (z ^ _shift(z, 30)) * _MIX_1
    z = (z ^ _shift(z, 27)) * _MIX_2
    return z ^ _shift(z, 31)


def _shift(z: Tensor, bits: int) -> Tensor:
    """Logical right shift (torch's own is arithmetic)."""
    return (z >> bits) & ((1 << (64 - bits)) - 1)
