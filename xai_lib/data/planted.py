"""The planted data set: generated images in which everything an explanation should find is known.

Ten classes of drawn objects on textured, cluttered surroundings. What is planted:

1. objects with exact masks, small and away from the centre (``masks["object"]``);
2. :data:`LOOK_ALIKE_PAIRS`, classes that differ in one part (``masks["part"]``, on both members), and
   :data:`CO_OCCURRING_PAIR`, classes that appear together (the label is the larger object's; ``masks["second"]``);
3. five modes in every class (pose, colour and surroundings go together), some of them rare in training and as
   frequent as the others in evaluation (``Parameters.rarities``); the other classes show the same modes, unless it is
   drawn in a class's own look (:data:`OWN_MODES`);
4. a shortcut: :data:`SHORTCUT_CLASS` is nearly always shown above water (``masks["shortcut"]``), nothing else is;
5. variants of the same images: :data:`VARIANTS`, and one without each of its :data:`ELEMENTS`.

An image is a function of (seed, part, index) and of the parameters: any order, subset or batch gives the same
bytes, and a variant changes only what it is named for.
"""

import hashlib
import json
import math
from dataclasses import asdict

import torch
from torch import Tensor

from xai_lib import randomness
from xai_lib.data import corruptions, drawing, objects, surroundings
from xai_lib.data.drawing import Patch, Pose
from xai_lib.data.scenes import (  # noqa: F401 (names of what is planted)
    CLASSES,
    CO_OCCURRING_PAIR,
    ELEMENTS,
    LOOK_ALIKE_PAIRS,
    MODES,
    OWN_LOOKS,
    OWN_MODES,
    SHORTCUT_CLASS,
    SWAPPED_CLASS,
    UNSEEN_CLASSES,
    VARIANTS,
    Parameters,
    Scenes,
    rare_mode,
)
from xai_lib.data.split import MASKS, Split

VERSION = 1  # to be raised with every change of what is drawn

# Colour statistics of the default training part; a test measures them.
MEAN = (0.505, 0.475, 0.436)
STD = (0.271, 0.254, 0.268)

_PALETTE = torch.tensor([mode.rgb for mode in MODES])
_CHUNK = 256
_REACH = 1.4  # no object in any pose reaches further, in units


def generate(
    n: int, part: str, *, size: int = 32, seed: int = 0, variant: str | None = None,
    parameters: Parameters | None = None, first: int = 0,
) -> Split:  # fmt: skip
    """Draw ``n`` images of a part, the first ones unless ``first`` says where to begin.

    Classes take turns, so every run of images is balanced. The parts are independent images, with modes as in
    ``parameters`` (by default those of the frozen data set) in ``"train"`` and equally frequent in ``"test"``. ``size``
    is the image side in pixels, at least 16: the same scenes at every size. With a ``variant``, one of
    :data:`VARIANTS`, of those of :data:`ELEMENTS`, or :data:`OWN_MODES`, images are the same but for the named change:

    - ``shortcut-absent``: no water; ``shortcut-swapped``: water under :data:`SWAPPED_CLASS` instead;
    - ``out-of-distribution``: objects of :data:`UNSEEN_CLASSES`, which are then the split's classes;
    - ``body-absent``, ``part-absent``, ``second-absent``: nothing is drawn in its place;
    - ``surroundings-swapped``: another texture behind everything;
    - ``corrupted``: each image by one of ``corruptions.NAMES`` at one of three severities;
    - ``own-modes``: the mode that can be rare has colours and surroundings that no other class has, in all poses, so
      that what is rare in one class is not common in others.

    Returns a split with all four masks and these factors: mode, rare, pose, colour, surroundings, x, y, scale
    (half-width, all as fractions of the image side), degrees, mirrored, second (class or ""), second_scale, shortcut,
    corruption (name or ""), severity. ValueError for a part, size, number or variant that does not exist.

    Example:
        >>> split = generate(20, "test", size=16)
        >>> split.images.shape, split.classes[split.labels[3]], list(split.masks)
        (torch.Size([20, 3, 16, 16]), 'bucket', ['object', 'part', 'second', 'shortcut'])
    """
    parameters = parameters or Parameters()
    if part not in ("train", "test"):
        raise ValueError(f"Expected a part out of train, test. Got {part!r}.")
    variants = dict.fromkeys((*VARIANTS, *ELEMENTS.values(), OWN_MODES))
    if variant is not None and variant not in variants:
        raise ValueError(f"Expected a variant out of {', '.join(variants)}, or None. Got {variant!r}.")
    if n < 1 or size < 16:
        raise ValueError(f"Expected at least 1 image of at least 16 pixels. Got n = {n}, size = {size}.")
    scenes = Scenes(torch.arange(first, first + n), part, seed, variant, parameters)
    images, masks = _render(scenes, size)
    known = json.dumps([VERSION, asdict(parameters), part, size, seed, variant])
    about = "planted", part, hashlib.sha256(known.encode()).hexdigest(), masks, scenes.factors()
    return Split(images, scenes.label, scenes.classes, scenes.index, MEAN, STD, *about)


def _render(scenes: Scenes, size: int) -> tuple[Tensor, dict[str, Tensor]]:
    """Draw the scenes class by class: uint8 [N,3,size,size] and the masks, bool [N,size,size]."""
    n = len(scenes.index)
    images = torch.empty(n, 3, size, size, dtype=torch.uint8)
    masks = {key: torch.zeros(n, size, size, dtype=torch.bool) for key in MASKS}
    for label in scenes.label.unique().tolist():
        for rows in (scenes.label == label).nonzero()[:, 0].split(_CHUNK):
            images[rows], found = _draw(scenes, rows, scenes.classes[label], size)
            for key, mask in found.items():
                masks[key][rows] = mask
    return images, masks


def _draw(scenes: Scenes, rows: Tensor, name: str, size: int) -> tuple[Tensor, dict[str, Tensor]]:
    """Draw images that show one class, from back to front."""
    canvas, masks = _background(scenes, rows, size)
    colours = scenes.colours(rows)
    flat = canvas.view(len(rows), 3, -1)
    if scenes.has_second[rows].any():
        here = scenes.has_second[rows].nonzero()[:, 0]
        other = scenes.classes[int(scenes.second[rows[here[0]]])]
        selected, in_colours = flat[here], {role: colour[here] for role, colour in colours.items()}
        covered, _, where = _object(selected, scenes.second_pose[rows[here]], other, in_colours, None)
        flat[here] = selected
        masks["second"] = torch.zeros_like(masks["shortcut"])
        masks["second"][here] = drawing.to_mask(covered, where, size)
    covered, part, where = _object(flat, scenes.pose[rows], name, colours, scenes.variant)
    masks["object"], masks["part"] = (drawing.to_mask(alpha, where, size) for alpha in (covered, part))
    pieces = scenes.pieces(rows, "in front", scenes.parameters.pieces_in_front)
    hidden = surroundings.clutter(flat, pieces, _PALETTE, scenes.parameters.presence, scenes.pose[rows]) >= 0.5
    for key in ("second", "shortcut"):
        if key in masks:
            masks[key] &= ~masks["object"]
    masks = {key: mask & ~hidden.view(mask.shape) for key, mask in masks.items()}
    grain = randomness.uniform(scenes.seed, scenes.index[rows], f"{scenes.purpose}/grain", (1, size, size))
    canvas = (canvas + (grain * 2 - 1) * scenes.parameters.grain).clamp_(0, 1)
    return (_corrupted(scenes, rows, canvas) * 255 + 0.5).to(torch.uint8), masks


def redrawn(images: Split, variant: str) -> Split:
    """Drawn images (else ValueError), by default parameters and seed, once more under a variant of :func:`generate`."""
    if images.name != "planted":
        raise ValueError(f"Expected drawn images, which can be drawn again. Got {images.name}.")
    first, last, size = int(images.index.min()), int(images.index.max()), images.images.shape[-1]
    whole = generate(last + 1 - first, images.part, size=size, variant=variant, first=first)
    return whole.subset((images.index - first).tolist())


def _object(
    canvas: Tensor, pose: Pose, name: str, colours: dict[str, Tensor], variant: str | None
) -> tuple[Tensor, Tensor, Patch]:
    where = drawing.patch(pose, math.isqrt(canvas.shape[2]), _REACH)
    layers = getattr(objects, name)(where.u, where.v)
    if variant in (ELEMENTS["body"], ELEMENTS["part"]):
        layers = [layer for layer in layers if layer.part == (variant == ELEMENTS["body"])]
    return *drawing.paint(canvas, where, layers, colours), where


def _background(scenes: Scenes, rows: Tensor, size: int) -> tuple[Tensor, dict[str, Tensor]]:
    """Surroundings, water and clutter: float32 [B,3,H,W], and the mask of the water."""
    p, seed, purpose = scenes.parameters, scenes.seed, scenes.purpose
    canvas = torch.empty(len(rows), 3, size, size)
    for number, mode in enumerate(MODES):
        here = ((scenes.behind[rows] == number) & ~scenes.own[rows]).nonzero()[:, 0]
        canvas[here] = surroundings.texture(mode.surroundings, seed, scenes.index[rows[here]], purpose, size)
    here = scenes.own[rows].nonzero()[:, 0]
    if len(here):
        look = OWN_LOOKS[int(scenes.label[rows[0]])]  # all rows are of one class
        canvas[here] = surroundings.fabric(*look, seed, scenes.index[rows[here]], purpose, size)
    surroundings.clutter(canvas.view(len(rows), 3, -1), scenes.pieces(rows, "behind", p.pieces), _PALETTE, p.presence)
    mask = torch.zeros(len(rows), size, size, dtype=torch.bool)
    here = scenes.shortcut[rows].nonzero()[:, 0]
    if len(here):
        waves, alpha = surroundings.water(seed, scenes.index[rows[here]], purpose, size, p.shortcut_height)
        canvas[here] += (waves - canvas[here]) * alpha
        mask[here] = alpha[:, 0] >= 0.5
    return canvas, {"shortcut": mask}


def _corrupted(scenes: Scenes, rows: Tensor, canvas: Tensor) -> Tensor:
    if scenes.variant != "corrupted":
        return canvas
    for number, name in enumerate(corruptions.NAMES):
        for severity in corruptions.SEVERITIES:
            here = ((scenes.corruption[rows] == number) & (scenes.severity[rows] == severity)).nonzero()[:, 0]
            index = scenes.index[rows[here]]
            canvas[here] = corruptions.corrupt(canvas[here], name, severity, scenes.seed, index, scenes.purpose)
    return canvas
