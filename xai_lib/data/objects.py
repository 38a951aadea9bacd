"""The drawn objects: each a function of its own coordinates, returning its layers from back to front.

``u`` runs to the right and ``v`` downwards, both float32 [B,P,P]; an object fills about the unit disc. Colour
roles: main, light and shade, which go with the mode; dark, wood, cream, white, teal and glass, which do not.

Look-alikes share every layer but one: the cat and the rabbit their face, the mug and the bucket their body, the
hammer and the axe their shaft.
"""

import torch
from torch import Tensor

from xai_lib.data.drawing import Layer, bar, box, disc, ellipse, polygon, ring, union

_EDGE = 0.085  # the dark line around an object, in units


def cat(u: Tensor, v: Tensor) -> list[Layer]:
    """A face with pointed ears."""
    side = u.abs()
    ears = polygon(side, v, (0.1, -0.05), (0.62, -0.86), (0.72, 0.2))
    inner = polygon(side, v, (0.3, 0.0), (0.57, -0.52), (0.62, 0.1))
    return [*_layers(ears, part=True, main=ears, cream=inner), *_face(u, v)]


def rabbit(u: Tensor, v: Tensor) -> list[Layer]:
    """The same face with long round ears."""
    side = u.abs()
    ears = ellipse(side, v, 0.3, -0.42, 0.2, 0.56)
    inner = ellipse(side, v, 0.3, -0.42, 0.09, 0.4)
    return [*_layers(ears, part=True, main=ears, cream=inner), *_face(u, v)]


def mug(u: Tensor, v: Tensor) -> list[Layer]:
    """A vessel with a handle at its side."""
    handle = ring(u, v, 0.56, 0.14, 0.33, 0.11)
    return [*_layers(handle, part=True, main=handle), *_vessel(u, v)]


def bucket(u: Tensor, v: Tensor) -> list[Layer]:
    """The same vessel with a handle over its top."""
    handle = torch.maximum(ring(u, v, 0.0, -0.34, 0.5, 0.11), v + 0.3)
    return [*_layers(handle, part=True, main=handle), *_vessel(u, v)]


def hammer(u: Tensor, v: Tensor) -> list[Layer]:
    """A shaft with a blunt head across it."""
    head = union(box(u, v, -0.04, -0.6, 0.44, 0.2, 0.06), box(u, v, 0.48, -0.6, 0.14, 0.28, 0.06))
    shine = box(u, v, -0.04, -0.68, 0.36, 0.05)
    return [*_shaft(u, v), *_layers(head, part=True, main=head, light=shine)]


def axe(u: Tensor, v: Tensor) -> list[Layer]:
    """The same shaft with a blade on one side."""
    wedge = polygon(u, v, (0.0, -0.64), (0.9, -1.06), (0.9, 0.14), (0.0, -0.28))
    blade = union(box(u, v, -0.06, -0.46, 0.2, 0.18, 0.04), torch.maximum(wedge, disc(u, v, -0.05, -0.46, 0.78)))
    shine = torch.maximum(blade + 0.04, -disc(u, v, -0.05, -0.46, 0.6))
    return [*_shaft(u, v), *_layers(blade, part=True, main=blade, light=shine)]


def house(u: Tensor, v: Tensor) -> list[Layer]:
    """Walls, a roof, a door and a window."""
    walls = box(u, v, 0.0, 0.37, 0.6, 0.45)
    roof = polygon(u, v, (0.0, -0.86), (0.86, 0.02), (-0.86, 0.02))
    chimney = box(u, v, 0.44, -0.55, 0.11, 0.3)
    door, window = box(u, v, -0.24, 0.55, 0.15, 0.27), box(u, v, 0.26, 0.34, 0.17, 0.15)
    return _layers(union(walls, roof, chimney), shade=chimney, cream=walls, main=roof, wood=door, dark=window)


def tree(u: Tensor, v: Tensor) -> list[Layer]:
    """A round crown on a trunk."""
    trunk = polygon(u, v, (-0.11, 0.1), (0.11, 0.1), (0.19, 0.92), (-0.19, 0.92))
    crown = union(disc(u.abs(), v, 0.38, -0.1, 0.42), disc(u, v, 0.0, -0.46, 0.46), disc(u, v, 0.0, 0.0, 0.4))
    glow = union(disc(u, v, -0.16, -0.52, 0.2), disc(u, v, -0.42, -0.16, 0.16))
    shadow = torch.maximum(crown, -disc(u, v, -0.14, -0.3, 0.72))
    return _layers(union(trunk, crown), wood=trunk, main=crown, shade=shadow, light=glow)


def sailboat(u: Tensor, v: Tensor) -> list[Layer]:
    """A hull, a mast and two sails."""
    hull = polygon(u, v, (-0.88, 0.42), (0.88, 0.42), (0.52, 0.84), (-0.56, 0.84))
    mast = box(u, v, -0.05, -0.2, 0.06, 0.65)
    main_sail = polygon(u, v, (0.06, -0.84), (0.76, 0.28), (0.06, 0.28))
    fore_sail = polygon(u, v, (-0.16, -0.6), (-0.16, 0.28), (-0.68, 0.28))
    whole = union(hull, mast, main_sail, fore_sail)
    return _layers(whole, wood=mast, white=main_sail, main=fore_sail, shade=hull)


def car(u: Tensor, v: Tensor) -> list[Layer]:
    """A body with a cabin on two wheels."""
    body = box(u, v, 0.0, 0.2, 0.96, 0.26, 0.16)
    cabin = polygon(u, v, (-0.36, -0.52), (0.3, -0.52), (0.62, 0.02), (-0.62, 0.02))
    windows = torch.maximum(cabin + 0.12, 0.06 - (u + 0.02).abs())
    side = u.abs()
    wheels, hubs = disc(side, v, 0.52, 0.46, 0.27), disc(side, v, 0.52, 0.46, 0.12)
    behind = _layers(union(body, cabin, wheels), main=cabin, glass=windows)
    return [*behind, Layer(body, "main"), Layer(wheels, "dark"), Layer(hubs, "white")]


def fish(u: Tensor, v: Tensor) -> list[Layer]:
    """A body with a tail, a fin and an eye."""
    body = ellipse(u, v, -0.16, 0.0, 0.72, 0.46)
    upper = polygon(u, v, (0.42, 0.0), (0.94, -0.5), (0.84, 0.06))
    tail = union(upper, polygon(u, v, (0.42, 0.0), (0.84, -0.06), (0.94, 0.5)))
    fin = polygon(u, v, (-0.06, 0.06), (0.34, -0.16), (0.34, 0.28))
    eye, pupil = disc(u, v, -0.54, -0.1, 0.13), disc(u, v, -0.56, -0.1, 0.07)
    return _layers(union(body, tail), shade=tail, main=body, light=fin, white=eye, dark=pupil)


def key(u: Tensor, v: Tensor) -> list[Layer]:
    """A bow, a shaft and two teeth."""
    bow = ring(u, v, -0.52, 0.0, 0.3, 0.13)
    blade = union(box(u, v, 0.36, 0.0, 0.58, 0.1), box(u, v, 0.52, 0.2, 0.08, 0.2), box(u, v, 0.82, 0.17, 0.09, 0.17))
    whole = union(bow, blade)
    return _layers(whole, main=whole, light=box(u, v, 0.36, -0.04, 0.54, 0.03))


def umbrella(u: Tensor, v: Tensor) -> list[Layer]:
    """A round canopy on a stick with a hook."""
    canopy = torch.maximum(disc(u, v, 0.0, 0.0, 0.86), v - 0.02)
    scallops = disc((u.abs() - 0.29).abs(), v, 0.285, 0.08, 0.26)
    canopy = torch.maximum(canopy, -scallops)
    gores = torch.maximum(canopy, ellipse(u, v, 0.0, 0.06, 0.3, 0.9))
    hook = torch.maximum(ring(u, v, 0.18, 0.66, 0.18, 0.07), 0.66 - v)
    stick = union(bar(u, v, (0.0, -0.9), (0.0, 0.66), 0.07), hook)
    return _layers(union(canopy, stick), wood=stick, main=canopy, teal=gores)


def mushroom(u: Tensor, v: Tensor) -> list[Layer]:
    """A spotted cap on a stem."""
    stem = polygon(u, v, (-0.2, -0.1), (0.2, -0.1), (0.32, 0.86), (-0.32, 0.86))
    cap = torch.maximum(ellipse(u, v, 0.0, 0.06, 0.9, 0.88), v - 0.1)
    spots = union(disc(u, v, -0.1, -0.5, 0.17), disc(u, v, -0.52, -0.16, 0.14), disc(u, v, 0.4, -0.2, 0.18))
    return _layers(union(stem, cap), cream=stem, main=cap, white=spots)


def star(u: Tensor, v: Tensor) -> list[Layer]:
    """Five points."""
    whole = _star(u, v, 0.95, 0.42)
    return _layers(whole, main=whole, light=_star(u, v, 0.6, 0.26))


def _star(u: Tensor, v: Tensor, outer: float, inner: float) -> Tensor:
    """Fold the plane to one fifth of a half-turn, then measure to one edge."""
    x, y = u.abs(), -v
    for nx, ny in ((0.809017, -0.587785), (-0.809017, -0.587785)):
        beyond = (x * nx + y * ny).clamp(min=0) * 2
        x, y = x - beyond * nx, y - beyond * ny
    x = x.abs()
    tip, notch = (0.0, outer), (inner * 0.587785, inner * 0.809017)
    ex, ey = notch[0] - tip[0], notch[1] - tip[1]
    length = (ex * ex + ey * ey) ** 0.5
    return (x - tip[0]) * (-ey / length) + (y - tip[1]) * (ex / length)


def _face(u: Tensor, v: Tensor) -> list[Layer]:
    side = u.abs()
    head = ellipse(u, v, 0.0, 0.3, 0.74, 0.58)
    muzzle = ellipse(u, v, 0.0, 0.52, 0.32, 0.24)
    eyes = ellipse(side, v, 0.3, 0.18, 0.11, 0.15)
    nose = polygon(u, v, (-0.14, 0.38), (0.14, 0.38), (0.0, 0.54))
    return [*_layers(head, main=head, cream=muzzle, dark=eyes), Layer(nose, "dark")]


def _vessel(u: Tensor, v: Tensor) -> list[Layer]:
    body = polygon(u, v, (-0.58, -0.34), (0.58, -0.34), (0.42, 0.8), (-0.42, 0.8))
    opening = ellipse(u, v, 0.0, -0.34, 0.58, 0.17)
    band = torch.maximum(body, (v - 0.28).abs() - 0.14)
    inside = ellipse(u, v, 0.0, -0.32, 0.45, 0.1)
    return _layers(union(body, opening), main=body, teal=band, shade=opening, dark=inside)


def _shaft(u: Tensor, v: Tensor) -> list[Layer]:
    shaft = box(u, v, 0.0, 0.1, 0.12, 0.86, 0.1)
    grip = box(u, v, 0.0, 0.68, 0.12, 0.26, 0.1)
    return _layers(shaft, wood=shaft, dark=grip)


def _layers(whole: Tensor, *, part: bool = False, **pieces: Tensor) -> list[Layer]:
    """A dark line around ``whole``, then pieces by colour role, from back to front."""
    return [Layer(whole - _EDGE, "dark", part), *(Layer(distance, role, part) for role, distance in pieces.items())]
