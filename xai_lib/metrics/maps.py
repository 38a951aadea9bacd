"""What every metric on maps asks first: is this a batch of maps, and is one of them empty or broken?"""

import torch
from torch import Tensor


def check_maps(maps: Tensor, name: str = "attribution") -> None:
    """Refuse what is not a batch of maps: TypeError if no float tensor, ValueError if not [B,H,W] with a pixel."""
    if not isinstance(maps, Tensor) or not maps.is_floating_point():
        got = maps.dtype if isinstance(maps, Tensor) else type(maps).__name__
        raise TypeError(f"Expected {name} as a float tensor [B,H,W]. Got {got}.")
    if maps.ndim != 3 or 0 in maps.shape[1:]:
        raise ValueError(f"Expected {name} as maps [B,H,W]. Got shape {list(maps.shape)}: pass one map per image.")


def check_pair(a: Tensor, b: Tensor) -> None:
    """Refuse what are not two batches of maps of one shape; raises as :func:`check_maps`."""
    check_maps(a, "a")
    check_maps(b, "b")
    if a.shape != b.shape:
        raise ValueError(f"Expected two batches of maps of one shape. Got {list(a.shape)} and {list(b.shape)}.")


def is_empty(maps: Tensor) -> Tensor:
    """Which maps hold nothing but zeros, bool [B]. Min-max turns a constant map into such a one."""
    check_maps(maps, "maps")
    return (maps == 0).flatten(1).all(1)


def is_finite(maps: Tensor) -> Tensor:
    """Which maps are free of NaN and infinity, bool [B]."""
    check_maps(maps, "maps")
    return maps.isfinite().flatten(1).all(1)


def is_defined(maps: Tensor) -> Tensor:
    """Which maps are finite and not empty, bool [B]: most metrics have a score for these alone."""
    return is_finite(maps) & ~is_empty(maps)


def defined(scores: Tensor, where: Tensor) -> Tensor:
    """Scores as float32, NaN where the condition, a bool tensor that broadcasts to them, does not hold."""
    return torch.where(where, scores, torch.nan).float()


def sizes(maps: Tensor) -> Tensor:
    """Absolute values of maps, checked as :func:`check_maps` does: float32, or float64 for float64 maps, [B,H·W]."""
    check_maps(maps)
    values = maps.detach().abs().flatten(1)
    return values if values.dtype == torch.float64 else values.float()
