"""What lies behind the objects: five textures, striped cloth, the water along the lower edge, and clutter.

A texture depends on positions in fractions of the image side, so a scene looks alike at every size.
Correctly rounded operations only, as in ``drawing``.
"""

import math
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from xai_lib import randomness
from xai_lib.data import drawing
from xai_lib.data.drawing import Layer, Pose

NAMES = ("meadow", "beach", "brick", "sky", "night")

_KINDS = (  # of clutter: signed distances of small shapes
    partial(drawing.disc, cx=0.0, cy=0.0, radius=0.7),
    partial(drawing.box, cx=0.0, cy=0.0, hx=1.0, hy=0.25),
    lambda u, v: drawing.polygon(u, v, (0.0, -0.9), (0.8, 0.6), (-0.8, 0.6)),
    partial(drawing.ring, cx=0.0, cy=0.0, radius=0.7, thickness=0.22),
    partial(drawing.box, cx=0.0, cy=0.0, hx=0.6, hy=0.6),
)

Draw = Callable[[str, tuple[int, ...]], Tensor]  # what for, a shape -> uniform numbers [B, *shape]


def texture(name: str, seed: int, index: Tensor, purpose: str, size: int) -> Tensor:
    """Draw one surroundings (of :data:`NAMES`) for some images: float32 [B,3,size,size], about in [0,1]."""
    draw = {"meadow": _meadow, "beach": _beach, "brick": _brick, "sky": _sky, "night": _night}[name]
    images = draw(lambda what, shape: randomness.uniform(seed, index, f"{purpose}/{name}/{what}", shape), size)
    return _lit(images, seed, index, purpose, size)


def fabric(
    counts: tuple[int, int], rgb: tuple[float, float, float], seed: int, index: Tensor, purpose: str, size: int
) -> Tensor:
    """Striped cloth, as :func:`texture`: ``counts`` are the stripes along a row and along a column of the image."""
    phase = randomness.uniform(seed, index, f"{purpose}/fabric")[:, None, None]
    x = _coordinates(size)
    stripes = _wave(counts[0] * x + counts[1] * x[:, None] + phase) * 0.5 + 0.5
    dark, bright = (tuple(level * channel for channel in rgb) for level in (0.7, 1.1))
    return _lit(_mix(dark, bright, stripes), seed, index, purpose, size)


def _lit(images: Tensor, seed: int, index: Tensor, purpose: str, size: int) -> Tensor:
    """The same under a light of random direction and level, in place."""
    light = randomness.uniform(seed, index, f"{purpose}/light", (3,))[:, :, None] - 0.5  # slope x, slope y, level
    along = _coordinates(size) - 0.5
    shade = (light[:, 0] * 0.22 * along)[:, None, :] + (light[:, 1] * 0.22 * along + light[:, 2] * 0.16 + 1)[:, :, None]
    return images.mul_(shade[:, None])


def water(seed: int, index: Tensor, purpose: str, size: int, height: float) -> tuple[Tensor, Tensor]:
    """Waves below, ``height`` of the image high: colours [B,3,H,W] and the share of each pixel [B,1,H,W], float32."""
    phase = randomness.uniform(seed, index, f"{purpose}/water", (3,))[:, :, None, None]
    x = _coordinates(size)
    surface = 1 - height + 0.02 * _wave(4 * x + phase[:, 0])  # [B,1,W]
    depth = x[:, None] - surface  # [B,H,W]
    alpha = (0.5 + depth * size).clamp_(0, 1)
    crests = _wave(depth * 12 + 0.25 * _wave(5 * x + phase[:, 1]) + 0.25)
    crests = (crests * 2 - 0.9).clamp_(0, 1)
    return _mix((0.05, 0.42, 0.55), (0.62, 0.90, 0.92), crests), alpha[:, None]


def clutter(canvas: Tensor, draws: Tensor, palette: Tensor, presence: float, near: Pose | None = None) -> Tensor:
    """Scatter small discs, bars, triangles, rings and boxes over ``canvas`` float32 [B,3,H*W], in place.

    Of uniform numbers ``draws`` [B,pieces,8], a ``palette`` float32 [K,3], and the share of pieces that is drawn; on
    the object ``near``, or anywhere. Returns float32 [B,H*W] in [0,1]: how much of each pixel they cover.
    """
    size = math.isqrt(canvas.shape[2])
    hidden = torch.zeros_like(canvas[:, 0])
    for number in range(draws.shape[1]):
        x, y, scale, tilt, stretch, present, colour, tone = draws[:, number].unbind(1)
        if near is None:
            scale = 0.04 + 0.05 * scale
        else:
            x, y = near.x + (2 * x - 1) * near.scale, near.y + (2 * y - 1) * near.scale
            scale = near.scale * (0.2 + 0.25 * scale)
        pose = Pose(x, y, scale, 4 * tilt - 2, 0.75 + 0.6 * stretch, torch.ones_like(x))
        where = drawing.patch(pose, size, 1.45)
        distance = _KINDS[number % len(_KINDS)](where.u, where.v) + (present >= presence)[:, None, None] * 9.0
        colours = palette[(colour * len(palette)).to(torch.int64)] * (0.6 + 0.5 * tone)[:, None]
        covered, _ = drawing.paint(canvas, where, [Layer(distance, "main")], {"main": colours})
        hidden.scatter_(1, where.position, torch.maximum(hidden.gather(1, where.position), covered))
    return hidden


# Textures: of a draw function and a size, float32 [B,3,H,W].
def _meadow(draw: Draw, size: int) -> Tensor:
    blades = _noise(draw("blades", (7, 24)), size)
    patches = _noise(draw("patches", (4, 4)), size)
    return _mix((0.19, 0.42, 0.15), (0.48, 0.68, 0.25), blades * 0.6 + patches * 0.4)


def _beach(draw: Draw, size: int) -> Tensor:
    dunes = _noise(draw("dunes", (4, 4)), size)
    y = _coordinates(size)[:, None]
    ripples = _wave(y * 5 + dunes * 3) * 0.5 + 0.5
    return _mix((0.76, 0.61, 0.42), (0.94, 0.84, 0.63), ripples * 0.55 + dunes * 0.3 + 0.1)


def _brick(draw: Draw, size: int) -> Tensor:
    rows, columns = 7, 4
    shift = draw("shift", (2,))[:, :, None]
    y = _coordinates(size) * (rows - 1) + shift[:, 0]  # [B,H]
    row = y.floor()
    odd = (row - 2 * (row / 2).floor())[:, :, None]
    x = (_coordinates(size) * (columns - 1.5) + shift[:, 1] * 0.5)[:, None, :] + odd * 0.5
    column = x.floor()
    cell = row[:, :, None] * columns + column
    tone = draw("bricks", (rows * columns,)).gather(1, cell.to(torch.int64).flatten(1)).view(-1, size, size)
    joint = torch.minimum(_to_edge(x) * (1 / (columns - 1.5)), (_to_edge(y) * (1 / (rows - 1)))[:, :, None])
    mortar = (0.5 + (0.016 - joint) * size).clamp_(0, 1)
    wall = _mix((0.47, 0.20, 0.14), (0.66, 0.32, 0.22), tone)
    return wall + (torch.tensor([0.72, 0.68, 0.62])[:, None, None] - wall) * (mortar * 0.55)[:, None]


def _sky(draw: Draw, size: int) -> Tensor:
    clouds = _noise(draw("clouds", (5, 4)), size) * 0.65 + _noise(draw("wisps", (10, 8)), size) * 0.35
    clouds = ((clouds - 0.45) * 3).clamp_(0, 1)
    blue = _mix((0.36, 0.60, 0.88), (0.62, 0.80, 0.95), _coordinates(size)[:, None].expand(size, size)[None])
    return blue + (torch.tensor([0.97, 0.97, 0.98])[:, None, None] - blue) * (clouds * 0.65)[:, None]


def _night(draw: Draw, size: int) -> Tensor:
    grid = 6
    sky = _mix((0.07, 0.07, 0.20), (0.17, 0.14, 0.35), _noise(draw("haze", (4, 4)), size))
    stars = draw("stars", (3, grid, grid))
    position = _coordinates(size) * grid
    cell = position.to(torch.int64)
    inside = position - cell
    at = stars[:, :, cell[:, None], cell[None, :]]  # [B,3,H,W]
    dx, dy = inside - (0.2 + 0.6 * at[:, 0]), inside[:, None] - (0.2 + 0.6 * at[:, 1])
    distance = torch.sqrt(dx * dx + dy * dy)
    glow = (1 - distance * 4.5).clamp_(0, 1) * ((at[:, 2] - 0.35) * 2).clamp_(0, 1)
    return sky + (torch.tensor([1.0, 0.97, 0.85])[:, None, None] - sky) * (glow * 0.7)[:, None]


def _coordinates(size: int) -> Tensor:
    return (torch.arange(size) + 0.5) / size


def _wave(x: Tensor) -> Tensor:
    """A smooth wave of period 1 between -1 and 1, made of parabolas."""
    phase = x - x.floor() - 0.5
    return phase * (0.5 - phase.abs()) * 16


def _to_edge(x: Tensor) -> Tensor:
    """Distance to the nearest whole number."""
    return 0.5 - (x - x.floor() - 0.5).abs()


def _noise(lattice: Tensor, size: int) -> Tensor:
    """Smooth noise: float32 [B,h,w] in [0,1], stretched over the image -> [B,size,size]."""
    for dimension in (1, 2):
        last = lattice.shape[dimension] - 1
        position = _coordinates(size) * last
        cell = position.to(torch.int64).clamp(max=last - 1)
        weight = position - cell
        weight = weight * weight * (3 - 2 * weight)
        weight = weight[:, None] if dimension == 1 else weight
        low = lattice.index_select(dimension, cell)
        lattice = low + (lattice.index_select(dimension, cell + 1) - low) * weight
    return lattice


def _mix(low: tuple[float, float, float], high: tuple[float, float, float], amount: Tensor) -> Tensor:
    """Colours between two: amount [B,H,W] -> [B,3,H,W]."""
    start = torch.tensor(low)[:, None, None]
    return start + (torch.tensor(high)[:, None, None] - start) * amount[:, None]
