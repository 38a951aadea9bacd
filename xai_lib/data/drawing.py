"""Anti-aliased drawing of many small shapes at once: signed distances, colours, patches of a canvas.

Only correctly rounded operations are used (add, multiply, divide, square root, floor, minimum, maximum), so that
the same scene gives the same bytes in any batch and on any processor. Positions and lengths are in fractions of
the image side; an object is drawn in its own coordinates (u to the right, v downwards, about one unit to its rim).
"""

from dataclasses import dataclass
from functools import reduce

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Layer:
    """One piece of an object."""

    distance: Tensor  # signed, [B,P,P], negative inside
    role: str  # of its colour
    part: bool = False  # whether it is what tells two look-alike classes from each other


@dataclass(frozen=True, eq=False)
class Pose:
    """Where and how an object stands; every field is float32 [B].

    ``x``, ``y``: centre, and ``scale``: one unit of the object, fractions of the image side; ``tilt``: tangent of half
    the angle, clockwise; ``stretch``: width times it, height divided by it; ``mirror``: 1 or -1.
    """

    x: Tensor
    y: Tensor
    scale: Tensor
    tilt: Tensor
    stretch: Tensor
    mirror: Tensor

    def __getitem__(self, rows: Tensor | slice) -> "Pose":
        return Pose(*(getattr(self, name)[rows] for name in self.__dataclass_fields__))


# Signed distances, in the object's coordinates.
def disc(u: Tensor, v: Tensor, cx: float, cy: float, radius: float) -> Tensor:
    """Distance to a disc."""
    return torch.sqrt((u - cx) ** 2 + (v - cy) ** 2) - radius


def ellipse(u: Tensor, v: Tensor, cx: float, cy: float, rx: float, ry: float) -> Tensor:
    """Approximate distance to an ellipse (right at its rim)."""
    return (torch.sqrt(((u - cx) * (1 / rx)) ** 2 + ((v - cy) * (1 / ry)) ** 2) - 1) * min(rx, ry)


def ring(u: Tensor, v: Tensor, cx: float, cy: float, radius: float, thickness: float) -> Tensor:
    """Distance to a circle drawn with a pen of half-width ``thickness``."""
    return disc(u, v, cx, cy, radius).abs_() - thickness


def box(u: Tensor, v: Tensor, cx: float, cy: float, hx: float, hy: float, rounding: float = 0.0) -> Tensor:
    """Distance to a rectangle of half-sizes ``hx``, ``hy`` with rounded corners (a lower bound at the corners)."""
    if not rounding:
        return torch.maximum((u - cx).abs_() - hx, (v - cy).abs_() - hy)
    du, dv = (u - cx).abs_() - (hx - rounding), (v - cy).abs_() - (hy - rounding)
    outside = torch.sqrt(du.clamp(min=0) ** 2 + dv.clamp(min=0) ** 2)
    return outside + torch.maximum(du, dv).clamp(max=0) - rounding


def polygon(u: Tensor, v: Tensor, *corners: tuple[float, float]) -> Tensor:
    """Distance to a convex polygon, corners clockwise on the screen (a lower bound near its corners)."""
    edges = []
    for (ax, ay), (bx, by) in zip(corners, corners[1:] + corners[:1], strict=True):
        length = ((bx - ax) ** 2 + (by - ay) ** 2) ** 0.5
        nx, ny = (by - ay) / length, (ax - bx) / length  # points outwards
        edges.append(u * nx + (v * ny - (ax * nx + ay * ny)))
    return reduce(torch.maximum, edges)


def bar(u: Tensor, v: Tensor, start: tuple[float, float], end: tuple[float, float], thickness: float) -> Tensor:
    """Distance to a line with round ends, drawn with a pen of half-width ``thickness``."""
    dx, dy = end[0] - start[0], end[1] - start[1]
    scale = 1 / (dx * dx + dy * dy)
    du, dv = u - start[0], v - start[1]
    along = (du * (dx * scale) + dv * (dy * scale)).clamp_(0, 1)
    return torch.sqrt((du - along * dx) ** 2 + (dv - along * dy) ** 2) - thickness


def union(*distances: Tensor) -> Tensor:
    """Distance to several shapes taken together."""
    return reduce(torch.minimum, distances)


@dataclass(frozen=True, eq=False)
class Patch:
    """A square window of every image: ``position`` int64 [B,P*P] in the flattened image, ``side`` = P pixels."""

    position: Tensor
    side: int
    u: Tensor
    v: Tensor
    sharpness: Tensor


def patch(pose: Pose, size: int, reach: float) -> Patch:
    """The window that holds an object reaching ``reach`` units from its centre, with the object's coordinates.

    ``u``, ``v`` are float32 [B,P,P]; ``sharpness`` [B,1,1] is the number of pixels in one unit.
    """
    side = min(size, int(2 * reach * float(pose.scale.max()) * size) + 3)
    first_x, first_y = ((centre * size - side / 2).floor().clamp(0, size - side) for centre in (pose.x, pose.y))
    steps = torch.arange(side)
    columns, rows = (first.to(torch.int64)[:, None] + steps for first in (first_x, first_y))  # [B,P]
    position = (rows[:, :, None] * size + columns[:, None, :]).flatten(1)  # [B,P*P]
    inverse = 1 / pose.scale
    dx = ((columns + 0.5) / size - pose.x[:, None]) * inverse[:, None]
    dy = ((rows + 0.5) / size - pose.y[:, None]) * inverse[:, None]
    square = pose.tilt * pose.tilt
    cosine, sine = (1 - square) / (1 + square), 2 * pose.tilt / (1 + square)
    across, down = pose.mirror / pose.stretch, pose.stretch
    u = (dy * (sine * across)[:, None])[:, :, None] + (dx * (cosine * across)[:, None])[:, None, :]
    v = (dy * (cosine * down)[:, None])[:, :, None] + (dx * (-sine * down)[:, None])[:, None, :]
    return Patch(position, side, u, v, (pose.scale * size)[:, None, None])


def paint(canvas: Tensor, where: Patch, layers: list[Layer], colours: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
    """Draw an object's layers, bottom first, into its window of ``canvas`` float32 [B,3,H*W], in place.

    The window is as :func:`patch` gives it; colours, float32 [B,3], are by role. Returns float32 [B,P*P] in [0,1]: how
    much of each pixel the object covers, and its part alone (what is visible).
    """
    target = where.position[:, None].expand(-1, 3, -1)
    pixels = canvas.gather(2, target)  # [B,3,P*P]
    covered, part = torch.zeros(2, len(canvas), where.side**2)
    for layer in layers:
        alpha = (0.5 - layer.distance * where.sharpness).clamp_(0, 1).flatten(1)
        pixels += (colours[layer.role][:, :, None] - pixels).mul_(alpha[:, None])
        covered += (1 - covered).mul_(alpha)
        part += ((1 - part) if layer.part else -part).mul_(alpha)
    canvas.scatter_(2, target, pixels)
    return covered, part


def to_mask(covered: Tensor, where: Patch, size: int) -> Tensor:
    """Pixels at least half covered: float32 [B,P*P] in a window -> bool [B,H,W]."""
    mask = torch.zeros(len(covered), size * size, dtype=torch.bool)
    return mask.scatter_(1, where.position, covered >= 0.5).view(-1, size, size)
