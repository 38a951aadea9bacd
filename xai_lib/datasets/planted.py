"""The planted data set: generated images in which everything an explanation should find is known.

Ten classes of drawn objects on textured, cluttered surroundings. What is planted:

1. objects with exact masks, small and away from the centre (``masks["object"]``);
2. :data:`LOOK_ALIKE_PAIRS`, classes that differ in one part (``masks["part"]``, on both members), and
   :data:`CO_OCCURRING_PAIR`, classes that appear together (the label is the larger object's; ``masks["second"]``);
3. five modes in every class (pose, colour and surroundings go together), some of them rare in training and as
   frequent as the others in evaluation (``Parameters.rarities``);
4. a shortcut: :data:`SHORTCUT_CLASS` is nearly always shown above water (``masks["shortcut"]``), nothing else is;
5. variants of the same images: :data:`VARIANTS`.

An image is a function of (seed, part, index) and of the parameters: any order, subset or batch gives the same
bytes, and a variant changes only what it is named for.
"""

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

import pandas as pd
import torch
from torch import Tensor

from xai_lib import randomness
from xai_lib.datasets import corruptions, drawing, objects, surroundings
from xai_lib.datasets.drawing import Pose
from xai_lib.datasets.split import Split

VERSION = 1  # to be raised with every change of what is drawn

CLASSES = ("cat", "rabbit", "mug", "bucket", "hammer", "axe", "house", "tree", "sailboat", "car")
UNSEEN_CLASSES = ("fish", "key", "umbrella", "mushroom", "star")
LOOK_ALIKE_PAIRS = (("cat", "rabbit"), ("mug", "bucket"), ("hammer", "axe"))
CO_OCCURRING_PAIR = ("house", "tree")
SHORTCUT_CLASS = "sailboat"
SWAPPED_CLASS = "car"
VARIANTS = ("shortcut-absent", "shortcut-swapped", "out-of-distribution", "corrupted")


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
    Mode("beach", "leaning left", "blue", -24.0, 1.0, (0.17, 0.36, 0.80)),
    Mode("brick", "wide", "cream", 0.0, 1.16, (0.93, 0.87, 0.66)),
    Mode("sky", "leaning right", "orange", 24.0, 1.0, (0.97, 0.54, 0.12)),
    Mode("night", "tall", "pink", 0.0, 0.86, (0.92, 0.45, 0.68)),
)
_DARK, _WOOD = (0.10, 0.08, 0.12), (0.50, 0.32, 0.17)

# Colour statistics of the default training part; a test measures them.
MEAN = (0.50, 0.46, 0.43)
STD = (0.25, 0.22, 0.24)

_GOLDEN = (math.sqrt(5) - 1) / 2
_CHUNK = 256


def rare_mode(name: str) -> int:
    """The mode (position in :data:`MODES`) of a class that ``rarities`` can make rare: each mode in two classes."""
    return CLASSES.index(name) % len(MODES)


@dataclass(frozen=True)
class Parameters:
    """What can be varied. Frozen as they are here before anything was measured on explanations.

    Attributes:
        rarities: class -> share of its rare mode in its training images, in (0, 0.2]; a class that is not named
            has all five modes equally often. Evaluation always has.
        scale: smallest and largest half-width of an object, as a fraction of the image side.
        off_centre: smallest distance of an object from the centre, as a share of the largest possible.
        pieces, presence: clutter in an image: how many pieces at most, and the share of them that is drawn.
        second_rate: share of the images of the co-occurring pair that show both.
        second_ratio: smallest and largest half-width of the second object, as a fraction of the first one's.
        shortcut_rate: share of the images of the shortcut's class that have it.
        shortcut_height: height of the water, as a fraction of the image side.
        grain: largest change of a pixel by sensor noise, in [0, 1].
    """

    rarities: Mapping[str, float] = field(
        default_factory=lambda: {"cat": 0.02, "bucket": 0.05, "axe": 0.05, "tree": 0.1, "car": 0.1}
    )
    scale: tuple[float, float] = (0.17, 0.23)
    off_centre: float = 0.7
    pieces: int = 7
    presence: float = 0.75
    second_rate: float = 0.5
    second_ratio: tuple[float, float] = (0.7, 0.88)
    shortcut_rate: float = 0.95
    shortcut_height: float = 0.2
    grain: float = 0.06

    def __post_init__(self) -> None:
        """Refuse rarities of unknown classes or outside (0, 0.2]."""
        for name, share in self.rarities.items():
            if name not in CLASSES:
                raise ValueError(f"Expected rarities of {', '.join(CLASSES)}. Got {name!r}.")
            if not 0 < share <= 1 / len(MODES):
                raise ValueError(f"Expected the rarity of {name} in (0, {1 / len(MODES)}]. Got {share}.")


def generate(
    n: int,
    part: str,
    *,
    size: int = 32,
    seed: int = 0,
    variant: str | None = None,
    parameters: Parameters | None = None,
) -> Split:
    """Draw the first ``n`` images of a part.

    Args:
        n: number of images; classes take turns, so every prefix is balanced.
        part: ``"train"`` or ``"test"``: independent images, and modes as in ``parameters`` or equally frequent.
        size: image side in pixels, at least 16; the same scenes at every size.
        seed: another seed, other images.
        variant: one of :data:`VARIANTS` or None. The images are the same but for the named change:
            ``shortcut-absent``: no water; ``shortcut-swapped``: water under :data:`SWAPPED_CLASS` instead;
            ``out-of-distribution``: objects of :data:`UNSEEN_CLASSES`, which are then the split's classes;
            ``corrupted``: each image by one of ``corruptions.NAMES`` at one of three severities.
        parameters: what is planted how; the default is the frozen data set.

    Returns:
        A split with all four masks and these factors: mode, rare, pose, colour, surroundings, x, y, scale (half-width,
        all as fractions of the image side), degrees, mirrored, second (class or ""), second_scale, shortcut,
        corruption (name or ""), severity.

    Raises:
        ValueError: for a part, size, number or variant that does not exist.
    """
    parameters = parameters or Parameters()
    if part not in ("train", "test"):
        raise ValueError(f"Expected a part out of train, test. Got {part!r}.")
    if variant is not None and variant not in VARIANTS:
        raise ValueError(f"Expected a variant out of {', '.join(VARIANTS)}, or None. Got {variant!r}.")
    if n < 1 or size < 16:
        raise ValueError(f"Expected at least 1 image of at least 16 pixels. Got n = {n}, size = {size}.")
    config = {
        "version": VERSION,
        "parameters": asdict(parameters),
        "n": n,
        "part": part,
        "size": size,
        "seed": seed,
        "variant": variant,
    }
    scenes = _Scenes(torch.arange(n), part, seed, variant, parameters)
    images, masks = _render(scenes, size)
    return Split(
        images=images,
        labels=scenes.label,
        classes=scenes.classes,
        index=scenes.index,
        mean=MEAN,
        std=STD,
        name="planted",
        part=part,
        digest=hashlib.sha256(json.dumps(config, sort_keys=True).encode()).hexdigest(),
        masks=masks,
        factors=scenes.factors(),
    )


class _Scenes:
    """What is to be seen on some images: every attribute is a tensor [N]."""

    def __init__(self, index: Tensor, part: str, seed: int, variant: str | None, parameters: Parameters) -> None:
        self.index, self.seed, self.variant, self.parameters = index, seed, variant, parameters
        self.purpose = f"planted/{part}"
        self.classes = UNSEEN_CLASSES if variant == "out-of-distribution" else CLASSES
        kind = index % len(CLASSES)  # the class whose place an unseen object takes
        self.label = index % len(self.classes)
        self.mode = self._modes(kind, part)
        self.rare = self.mode == torch.tensor([rare_mode(name) for name in CLASSES])[kind]
        self.rare &= torch.tensor([name in parameters.rarities for name in CLASSES])[kind]

        draws = randomness.uniform(seed, index, f"{self.purpose}/scene", (14,)).unbind(1)
        around, distance, scale, tilt, stretch, mirror, second, ratio, tilt_2, stretch_2, mirror_2, water = draws[:12]
        self._place(kind, around, distance, scale, second, ratio)
        self.pose = self._pose(self.x, self.y, self.scale, tilt, stretch, mirror)
        self.second_pose = self._pose(self.x_2, self.y_2, self.scale_2, tilt_2, stretch_2, mirror_2)
        self._shortcut(kind, water)
        severities = torch.tensor(corruptions.SEVERITIES)
        corrupted = variant == "corrupted"
        self.corruption = (
            (draws[12] * len(corruptions.NAMES)).to(torch.int64) if corrupted else torch.full_like(index, -1)
        )
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

    def _place(
        self, kind: Tensor, around: Tensor, distance: Tensor, scale: Tensor, second: Tensor, ratio: Tensor
    ) -> None:
        """Objects on a square ring about the centre, the second one opposite to the first."""
        p = self.parameters
        pair = torch.tensor([CLASSES.index(name) for name in CO_OCCURRING_PAIR])
        self.has_second = (kind[:, None] == pair).any(1) & (second < p.second_rate)
        self.has_second &= self.variant != "out-of-distribution"
        self.second = torch.where(self.has_second, pair.sum() - kind, -1)
        self.scale = p.scale[0] + (p.scale[1] - p.scale[0]) * scale
        self.scale_2 = self.scale * (p.second_ratio[0] + (p.second_ratio[1] - p.second_ratio[0]) * ratio)

        side, along = (around * 4).floor(), around * 4 - (around * 4).floor()
        sign, along = 1 - 2 * (side % 2), 2 * along - 1
        across, down = torch.where(side < 2, sign, along), torch.where(side < 2, along, sign)
        share = p.off_centre + (1 - p.off_centre) * distance
        self.x, self.y = (0.5 + _room(self.scale) * share * direction for direction in (across, down))
        self.x_2, self.y_2 = (0.5 - _room(self.scale_2) * direction for direction in (across, down))

    def _pose(self, x: Tensor, y: Tensor, scale: Tensor, tilt: Tensor, stretch: Tensor, mirror: Tensor) -> Pose:
        """The mode's pose, a little varied: up to 8 degrees, and 6 per cent in width."""
        degrees = torch.tensor([mode.degrees for mode in MODES])[self.mode] + 16 * tilt - 8
        stretch = torch.tensor([mode.stretch for mode in MODES])[self.mode] * (0.94 + 0.12 * stretch)
        half = degrees * (math.pi / 360)
        tangent = half * (1 + half * half * (1 / 3))  # of small angles, to 0.1 degrees
        return Pose(x, y, scale, tangent, stretch, torch.where(mirror < 0.5, 1.0, -1.0))

    def _shortcut(self, kind: Tensor, water: Tensor) -> None:
        owner = SWAPPED_CLASS if self.variant == "shortcut-swapped" else SHORTCUT_CLASS
        self.shortcut = (kind == CLASSES.index(owner)) & (water < self.parameters.shortcut_rate)
        self.shortcut &= self.variant not in ("shortcut-absent", "out-of-distribution")

    def colours(self, rows: Tensor) -> dict[str, Tensor]:
        """Role -> float32 [B,3]."""
        main = torch.tensor([mode.rgb for mode in MODES])[self.mode[rows]]
        main = main + 0.14 * (randomness.uniform(self.seed, self.index[rows], f"{self.purpose}/colour", (3,)) - 0.5)
        fixed = {"dark": _DARK, "wood": _WOOD}
        return {"main": main, "light": main + (1 - main) * 0.62, "shade": main * 0.62} | {
            role: torch.tensor(rgb).expand(len(rows), 3) for role, rgb in fixed.items()
        }

    def factors(self) -> pd.DataFrame:
        """One row an image."""
        modes = [MODES[mode] for mode in self.mode.tolist()]
        half = self.pose.tilt.numpy()
        return pd.DataFrame(
            {
                "mode": self.mode.numpy(),
                "rare": self.rare.numpy(),
                "pose": [mode.pose for mode in modes],
                "colour": [mode.colour for mode in modes],
                "surroundings": [mode.surroundings for mode in modes],
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
        )


def _room(scale: Tensor) -> Tensor:
    """How far from the centre an object of this half-width can stand and still be seen whole."""
    return 0.5 - 1.1 * scale


def _render(scenes: _Scenes, size: int) -> tuple[Tensor, dict[str, Tensor]]:
    """Draw the scenes class by class: uint8 [N,3,size,size] and the masks, bool [N,size,size]."""
    n = len(scenes.index)
    images = torch.empty(n, 3, size, size, dtype=torch.uint8)
    masks = {key: torch.zeros(n, size, size, dtype=torch.bool) for key in ("object", "part", "second", "shortcut")}
    for label in range(len(scenes.classes)):
        for rows in (scenes.label == label).nonzero()[:, 0].split(_CHUNK):
            images[rows], found = _draw(scenes, rows, scenes.classes[label], size)
            for key, mask in found.items():
                masks[key][rows] = mask
    return images, masks


def _draw(scenes: _Scenes, rows: Tensor, name: str, size: int) -> tuple[Tensor, dict[str, Tensor]]:
    """Draw images that show one class, from back to front."""
    canvas, masks = _background(scenes, rows, size)
    colours = scenes.colours(rows)
    flat = canvas.view(len(rows), 3, -1)
    if scenes.has_second[rows].any():
        here = scenes.has_second[rows].nonzero()[:, 0]
        other = scenes.classes[int(scenes.second[rows[here[0]]])]
        selected = flat[here]
        covered, _, where = _object(
            selected, scenes.second_pose[rows[here]], other, {k: c[here] for k, c in colours.items()}
        )
        flat[here] = selected
        masks["second"] = torch.zeros_like(masks["shortcut"])
        masks["second"][here] = drawing.to_mask(covered, where, size)
    covered, part, where = _object(flat, scenes.pose[rows], name, colours)
    masks["object"], masks["part"] = (drawing.to_mask(alpha, where, size) for alpha in (covered, part))
    for key in ("second", "shortcut"):
        if key in masks:
            masks[key] &= ~masks["object"]
    grain = randomness.uniform(scenes.seed, scenes.index[rows], f"{scenes.purpose}/grain", (1, size, size))
    canvas = (canvas + (grain * 2 - 1) * scenes.parameters.grain).clamp_(0, 1)
    return (_corrupted(scenes, rows, canvas) * 255 + 0.5).to(torch.uint8), masks


def _object(canvas: Tensor, pose: Pose, name: str, colours: dict[str, Tensor]) -> tuple[Tensor, Tensor, drawing.Patch]:
    where = drawing.patch(pose, int(canvas.shape[2] ** 0.5), 1.25)
    layers = getattr(objects, name)(where.u, where.v)
    return *drawing.paint(canvas, where, layers, colours), where


def _background(scenes: _Scenes, rows: Tensor, size: int) -> tuple[Tensor, dict[str, Tensor]]:
    """Surroundings, water and clutter: float32 [B,3,H,W], and the mask of the water."""
    p = scenes.parameters
    canvas = torch.empty(len(rows), 3, size, size)
    for number, mode in enumerate(MODES):
        here = (scenes.mode[rows] == number).nonzero()[:, 0]
        canvas[here] = surroundings.texture(
            mode.surroundings, scenes.seed, scenes.index[rows[here]], scenes.purpose, size
        )
    palette = torch.tensor([mode.rgb for mode in MODES])
    surroundings.clutter(
        canvas.view(len(rows), 3, -1),
        scenes.seed,
        scenes.index[rows],
        scenes.purpose,
        palette,
        pieces=p.pieces,
        presence=p.presence,
    )
    mask = torch.zeros(len(rows), size, size, dtype=torch.bool)
    here = scenes.shortcut[rows].nonzero()[:, 0]
    if len(here):
        waves, alpha = surroundings.water(
            scenes.seed, scenes.index[rows[here]], scenes.purpose, size, p.shortcut_height
        )
        canvas[here] += (waves - canvas[here]) * alpha
        mask[here] = alpha[:, 0] >= 0.5
    return canvas, {"shortcut": mask}


def _corrupted(scenes: _Scenes, rows: Tensor, canvas: Tensor) -> Tensor:
    if scenes.variant != "corrupted":
        return canvas
    for number, name in enumerate(corruptions.NAMES):
        for severity in corruptions.SEVERITIES:
            here = ((scenes.corruption[rows] == number) & (scenes.severity[rows] == severity)).nonzero()[:, 0]
            canvas[here] = corruptions.corrupt(
                canvas[here], name, severity, scenes.seed, scenes.index[rows[here]], scenes.purpose
            )
    return canvas
