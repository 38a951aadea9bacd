"""What is planted, and what is to be seen on each image: classes, modes, parameters and the draws of the scenes."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import pandas as pd
import torch
from torch import Tensor

from xai_lib import randomness
from xai_lib.data import corruptions
from xai_lib.data.drawing import Pose

CLASSES = ("cat", "rabbit", "mug", "bucket", "hammer", "axe", "house", "tree", "sailboat", "car")
UNSEEN_CLASSES = ("fish", "key", "umbrella", "mushroom", "star")
LOOK_ALIKE_PAIRS = (("cat", "rabbit"), ("mug", "bucket"), ("hammer", "axe"))
CO_OCCURRING_PAIR = ("house", "tree")
SHORTCUT_CLASS = "sailboat"
SWAPPED_CLASS = "car"
OWN_MODES = "own-modes"  # a variant for training: the mode that can be rare has a look of its own in each class
VARIANTS = ("shortcut-absent", "shortcut-swapped", "out-of-distribution", "corrupted")
# What an image consists of -> the variant in which it is drawn again without it, or, of surroundings, with others. The
# body is the object without the part in which look-alikes differ.
ELEMENTS = {
    "body": "body-absent",
    "part": "part-absent",
    "second": "second-absent",
    "shortcut": "shortcut-absent",
    "surroundings": "surroundings-swapped",
}


@dataclass(frozen=True)
class Mode:
    """One way in which the objects of every class appear: a pose and a colour that go with a surroundings."""

    surroundings: str
    pose: str
    colour: str
    degrees: float
    stretch: float
    rgb: tuple[float, float, float]


MODES = (
    Mode("meadow", "upright", "red", 0.0, 1.0, (0.86, 0.17, 0.18)),
    Mode("beach", "leaning left", "blue", -32.0, 1.0, (0.17, 0.36, 0.80)),
    Mode("brick", "wide", "cream", 0.0, 1.2, (0.93, 0.87, 0.66)),
    Mode("sky", "leaning right", "orange", 32.0, 1.0, (0.97, 0.54, 0.12)),
    Mode("night", "tall", "pink", 0.0, 0.83, (0.92, 0.45, 0.68)),
)
# What is behind the objects of a class's own mode: stripes along a row and a column, and their colour. The object has
# the colour of the third class on, and poses are those of all modes. Frozen before anything was measured on them.
OWN_LOOKS = (
    ((6, 0), (0.10, 0.55, 0.30)),
    ((5, 3), (0.55, 0.75, 0.10)),
    ((4, 4), (0.10, 0.60, 0.60)),
    ((3, 5), (0.45, 0.25, 0.75)),
    ((0, 6), (0.75, 0.25, 0.75)),
    ((3, -5), (0.35, 0.35, 0.15)),
    ((4, -4), (0.60, 0.85, 0.75)),
    ((5, -3), (0.35, 0.20, 0.40)),
    ((9, 0), (0.70, 0.60, 0.90)),
    ((0, 9), (0.25, 0.25, 0.28)),
)
_FIXED_COLOURS = {
    "dark": (0.10, 0.08, 0.12),
    "wood": (0.55, 0.35, 0.18),
    "cream": (0.99, 0.91, 0.78),
    "white": (0.98, 0.98, 0.98),
    "teal": (0.13, 0.70, 0.64),
    "glass": (0.62, 0.89, 0.98),
}

_GOLDEN = (math.sqrt(5) - 1) / 2


def rare_mode(name: str) -> int:
    """The mode (position in :data:`MODES`) of a class that ``rarities`` can make rare: each mode in two classes."""
    return CLASSES.index(name) % len(MODES)


@dataclass(frozen=True)
class Parameters:
    """What can be varied. Frozen as they are here before anything was measured on explanations."""

    # class -> share of its rare mode in its training images, in (0, 0.2]. Other classes, and all test images, have the
    # five modes equally often.
    rarities: Mapping[str, float] = field(
        default_factory=lambda: {"cat": 0.02, "bucket": 0.05, "axe": 0.05, "tree": 0.1, "car": 0.1}
    )
    # smallest and largest half-width of an object, as a fraction of the image side
    scale: tuple[float, float] = (0.21, 0.31)
    far_rate: float = 0.12  # share of the images whose object is far away: look-alikes then cannot be told apart
    far_scale: tuple[float, float] = (0.09, 0.15)  # its half-width there
    off_centre: float = 0.95  # smallest distance of an object from the centre, as a share of the largest possible
    pieces: int = 7  # of clutter behind an object, at most
    pieces_in_front: int = 2  # of clutter on top of it, at most
    presence: float = 0.6  # share of these pieces that is drawn
    second_rate: float = 0.5  # share of the images of the co-occurring pair that show both
    # smallest and largest half-width of the second object, as a fraction of the first one's
    second_ratio: tuple[float, float] = (0.68, 0.85)
    shortcut_rate: float = 0.98  # share of the images of the shortcut's class that have it
    shortcut_height: float = 0.2  # height of the water, as a fraction of the image side
    grain: float = 0.05  # largest change of a pixel by sensor noise, in [0, 1]

    def __post_init__(self) -> None:
        """Refuse rarities of unknown classes or outside (0, 0.2]."""
        for name, share in self.rarities.items():
            if name not in CLASSES:
                raise ValueError(f"Expected rarities of {', '.join(CLASSES)}. Got {name!r}.")
            if not 0 < share <= 1 / len(MODES):
                raise ValueError(f"Expected the rarity of {name} in (0, {1 / len(MODES)}]. Got {share}.")


class Scenes:
    """What is to be seen on some images: every attribute is a tensor [N]."""

    def __init__(self, index: Tensor, part: str, seed: int, variant: str | None, parameters: Parameters) -> None:
        self.index, self.seed, self.variant, self.parameters = index, seed, variant, parameters
        self.purpose = f"planted/{part}"
        self.classes = UNSEEN_CLASSES if variant == "out-of-distribution" else CLASSES
        kind = index % len(CLASSES)  # the class whose place an unseen object takes
        self.label = index % len(self.classes)
        self.mode = self._modes(kind, part)
        self.behind = self.mode  # the mode whose surroundings are drawn
        if variant == ELEMENTS["surroundings"]:
            others = 1 + randomness.integers(seed, index, f"{self.purpose}/other surroundings", len(MODES) - 1)
            self.behind = (self.mode + others) % len(MODES)
        self.rare = self.mode == torch.tensor([rare_mode(name) for name in CLASSES])[kind]
        self.own = self.rare & (variant == OWN_MODES)
        posed = randomness.integers(seed, index, f"{self.purpose}/own pose", len(MODES))
        self.posed = torch.where(self.own, posed, self.mode)  # the mode whose pose an object has
        self.rare &= torch.tensor([name in parameters.rarities for name in CLASSES])[kind]

        draws = randomness.uniform(seed, index, f"{self.purpose}/scene", (14,)).unbind(1)
        around, distance, scale, tilt, stretch, mirror, second, ratio, tilt_2, stretch_2, mirror_2, water = draws[:12]
        self._place(kind, around, distance, scale, second, ratio)
        self.pose = self._pose(self.x, self.y, self.scale, tilt, stretch, mirror)
        self.second_pose = self._pose(self.x_2, self.y_2, self.scale_2, tilt_2, stretch_2, mirror_2)
        owner = SWAPPED_CLASS if variant == "shortcut-swapped" else SHORTCUT_CLASS
        self.shortcut = (kind == CLASSES.index(owner)) & (water < parameters.shortcut_rate)
        self.shortcut &= variant not in ("shortcut-absent", "out-of-distribution")
        severities = torch.tensor(corruptions.SEVERITIES)
        corrupted = variant == "corrupted"
        which = (draws[12] * len(corruptions.NAMES)).to(torch.int64)
        self.corruption = which if corrupted else torch.full_like(index, -1)
        self.severity = severities[(draws[13] * len(severities)).to(torch.int64)] * corrupted

    def _modes(self, kind: Tensor, part: str) -> Tensor:
        """Golden-ratio steps through the shares of the modes: any run of images has them to within an image or two."""
        shares = torch.full((len(CLASSES), len(MODES)), 1 / len(MODES), dtype=torch.float64)
        if part == "train":
            for name, share in self.parameters.rarities.items():
                row = shares[CLASSES.index(name)]
                row[:] = (1 - share) / (len(MODES) - 1)
                row[rare_mode(name)] = share
        starts = randomness.uniform(self.seed, torch.arange(len(CLASSES)), f"{self.purpose}/modes").to(torch.float64)
        position = starts[kind] + (self.index // len(CLASSES)) * _GOLDEN
        position = position - position.floor()
        return (position[:, None] >= shares.cumsum(1)[kind, :-1]).sum(1)

    def _place(self, kind: Tensor, *draws: Tensor) -> None:
        """Objects on a square ring about the centre, the second one opposite to the first."""
        around, distance, scale, second, ratio = draws
        p = self.parameters
        pair = torch.tensor([CLASSES.index(name) for name in CO_OCCURRING_PAIR])
        self.has_second = (kind[:, None] == pair).any(1) & (second < p.second_rate)
        self.has_second &= self.variant not in ("out-of-distribution", ELEMENTS["second"])
        self.second = torch.where(self.has_second, pair.sum() - kind, -1)
        near = _between(p.scale, (scale - p.far_rate) / (1 - p.far_rate))
        self.scale = torch.where(scale < p.far_rate, _between(p.far_scale, scale / p.far_rate), near)
        self.scale_2 = self.scale * _between(p.second_ratio, ratio)

        side, along = (around * 4).floor(), around * 4 - (around * 4).floor()
        sign, along = 1 - 2 * (side % 2), 2 * along - 1
        across, down = torch.where(side < 2, sign, along), torch.where(side < 2, along, sign)
        share = p.off_centre + (1 - p.off_centre) * distance
        self.x, self.y = (0.5 + _room(self.scale) * share * direction for direction in (across, down))
        self.x_2, self.y_2 = (0.5 - _room(self.scale_2) * direction for direction in (across, down))

    def _pose(self, x: Tensor, y: Tensor, scale: Tensor, tilt: Tensor, stretch: Tensor, mirror: Tensor) -> Pose:
        """The mode's pose, a little varied: up to 8 degrees, and 6 per cent in width."""
        degrees = torch.tensor([mode.degrees for mode in MODES])[self.posed] + 16 * tilt - 8
        stretch = torch.tensor([mode.stretch for mode in MODES])[self.posed] * (0.94 + 0.12 * stretch)
        half = degrees * (math.pi / 360)
        tangent = half * (1 + half * half * (1 / 3))  # of small angles, to 0.1 degrees
        return Pose(x, y, scale, tangent, stretch, torch.where(mirror < 0.5, 1.0, -1.0))

    def colours(self, rows: Tensor) -> dict[str, Tensor]:
        """Role -> float32 [B,3]."""
        main = torch.tensor([mode.rgb for mode in MODES])[self.mode[rows]]
        own = torch.tensor([rgb for _, rgb in OWN_LOOKS]).roll(-3, 0)[self.label[rows] % len(OWN_LOOKS)]
        main = torch.where(self.own[rows, None], own, main)
        main = main + 0.14 * (randomness.uniform(self.seed, self.index[rows], f"{self.purpose}/colour", (3,)) - 0.5)
        fixed = {role: torch.tensor(rgb).expand(len(rows), 3) for role, rgb in _FIXED_COLOURS.items()}
        return {"main": main, "light": main + (1 - main) * 0.62, "shade": main * 0.62} | fixed

    def pieces(self, rows: Tensor, where: str, number: int) -> Tensor:
        """Uniform numbers [B,number,8] for the clutter behind or in front of the objects."""
        return randomness.uniform(self.seed, self.index[rows], f"{self.purpose}/clutter {where}", (number, 8))

    def factors(self) -> pd.DataFrame:
        """One row an image."""
        modes, own = [MODES[mode] for mode in self.mode.tolist()], self.own.tolist()
        behind = [MODES[mode].surroundings for mode in self.behind.tolist()]
        half = self.pose.tilt.numpy()
        columns = {
            "mode": self.mode.numpy(),
            "rare": self.rare.numpy(),
            "pose": [MODES[mode].pose for mode in self.posed.tolist()],
            "colour": ["own" if here else mode.colour for here, mode in zip(own, modes)],
            "surroundings": ["own" if here else surroundings for here, surroundings in zip(own, behind)],
            "x": self.x.numpy(),
            "y": self.y.numpy(),
            "scale": self.scale.numpy(),
            "degrees": [math.degrees(2 * math.atan(t)) for t in half.tolist()],
            "mirrored": (self.pose.mirror < 0).numpy(),
            "second": [CLASSES[k] if k >= 0 else "" for k in self.second.tolist()],
            "second_scale": torch.where(self.has_second, self.scale_2, math.nan).numpy(),
            "shortcut": self.shortcut.numpy(),
            "corruption": [corruptions.NAMES[k] if k >= 0 else "" for k in self.corruption.tolist()],
            "severity": self.severity.numpy(),
        }
        return pd.DataFrame(columns)


def _between(bounds: tuple[float, float], share: Tensor) -> Tensor:
    return bounds[0] + (bounds[1] - bounds[0]) * share


def _room(scale: Tensor) -> Tensor:
    """How far from the centre an object of this half-width can stand and still be seen whole, or nearly."""
    return 0.5 - 1.05 * scale
