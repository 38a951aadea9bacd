"""Mosaics: 2×2 grids of images, two from each of two groups in balanced places (dominance paper §3.2, Eq. 2). Quadrants
are numbered 0 top left, 1 top right, 2 bottom left, 3 bottom right.
"""

from dataclasses import dataclass
from itertools import combinations

import torch
from torch import Tensor
from torch.nn import functional

from xai_lib.checks import described
from xai_lib.randomness import integers, uniform

# Which quadrants show the first group: the six ways to choose two of four, bool [6,4].
LAYOUTS = torch.tensor([[quadrant in two for quadrant in range(4)] for two in combinations(range(4), 2)])


@dataclass(frozen=True, eq=False)
class Mosaics:
    """M mosaics of four images."""

    images: Tensor  # position of the image of each quadrant, int64 [M,4]
    first: Tensor  # whether a quadrant is of the first group, bool [M,4]

    def __len__(self) -> int:
        return len(self.images)


def of_clusters(first: Tensor, second: Tensor, n: int, *, seed: int, purpose: str) -> Mosaics:
    """Mosaics m = {img_1, …, img_4}, two images from each of two clusters (Eq. 2), layouts balanced to within one.

    Equation 2 admits three images of one cluster as well, for which absence of dominance would not be a share of 0.5.
    Two from each in balanced places is our reading: a network that looks at a corner then favours no cluster.

    Of positions of the clusters' images, int64 [A] with A at least 1; a cluster of one image shows it twice. Draws of
    two purposes are independent. ValueError for other positions, or fewer than one mosaic.

    Example:
        >>> drawn = of_clusters(torch.tensor([0, 1]), torch.tensor([7, 8]), 25, seed=0, purpose="example")
        >>> len(drawn), drawn.images[0][drawn.first[0]].sort().values
        (25, tensor([0, 1]))
    """
    index, shown = _numbers(n), []
    for what, members in (("first", first), ("second", second)):
        _check_positions(what, members)
        if len(members) == 0:
            raise ValueError(f"Expected {what} as positions of at least 1 image. Got none: leave empty clusters out.")
        shown.append(members.cpu()[_two_of(len(members), index, seed, f"{purpose}/{what}")])
    return _placed(*shown, index, seed, purpose)


def of_pairs(a: Tensor, b: Tensor) -> Mosaics:
    """Mosaics a, a, b, b of M pairs of images, for an image taken as a cluster of its own (§4, Figure 3): 6M, each pair
    in all six :data:`LAYOUTS` before the next. Nothing is drawn. Positions are int64 [M].
    """
    for what, positions in (("a", a), ("b", b)):
        _check_positions(what, positions)
    if len(a) != len(b):
        raise ValueError(f"Expected a and b of one length, one place a pair. Got {len(a)} and {len(b)}.")
    first = LAYOUTS.repeat(len(a), 1)
    rows = torch.arange(len(a)).repeat_interleave(len(LAYOUTS))[:, None]
    return Mosaics(torch.where(first, a.cpu()[rows], b.cpu()[rows]), first)


def of_classes(labels: Tensor, n: int, *, seed: int) -> tuple[Mosaics, Tensor]:
    """n mosaics for Focus, and their target classes int64 [n], which take turns: two images of the target class, and
    two of two different others if there are three classes or more (Arias-Duart et al. 2022). Labels are int64 [N].
    """
    _check_positions("labels", labels)
    classes = labels.cpu().unique()
    if len(classes) < 2:
        raise ValueError(f"Expected images of at least 2 classes. Got {len(classes)}.")
    index = _numbers(n)
    turn = index % len(classes)
    others = _two_of(len(classes) - 1, index, seed, "focus/classes")
    drawn = torch.cat([turn[:, None].expand(-1, 2), others + (others >= turn[:, None])], 1)  # [n,4]
    shown = torch.empty(n, 4, dtype=torch.int64)
    for number, label in enumerate(classes.tolist()):
        members = (labels.cpu() == label).nonzero()[:, 0]
        two = members[_two_of(len(members), index, seed, f"focus/class {label}")].repeat(1, 2)
        shown = torch.where(drawn == number, two, shown)
    return _placed(shown[:, :2], shown[:, 2:], index, seed, "focus"), classes[turn]


def assemble(images: Tensor, resized: bool = True) -> Tensor:
    """Put four images [M,4,3,H,W] side by side, by quadrant: float [M,3,H,W] if resized, else [M,3,2H,2W].

    Resized is scaled back to the size of one image, bilinearly with antialiasing: "mosaics are only used at inference
    time after rescaling" (paper, footnote 1), which we read as to the network's input. ValueError for another shape.
    """
    if images.ndim != 5 or images.shape[1] != 4:
        raise ValueError(f"Expected images [M,4,3,H,W], four a mosaic. Got shape {list(images.shape)}.")
    mosaics = images.unflatten(1, (2, 2)).permute(0, 3, 1, 4, 2, 5).flatten(4, 5).flatten(2, 3)
    if not resized:
        return mosaics
    how = {"mode": "bilinear", "align_corners": False, "antialias": True}
    return functional.interpolate(mosaics, tuple(images.shape[-2:]), **how)


def _two_of(size: int, index: Tensor, seed: int, purpose: str) -> Tensor:
    """Two different numbers in 0 to size - 1 for each index, int64 [n,2]; 0 twice if there is only one."""
    if size == 1:
        return torch.zeros(len(index), 2, dtype=torch.int64)
    one = integers(seed, index, f"{purpose}/one", size)
    other = integers(seed, index, f"{purpose}/other", size - 1)
    return torch.stack([one, other + (other >= one)], 1)


def _placed(first: Tensor, second: Tensor, index: Tensor, seed: int, purpose: str) -> Mosaics:
    """Two positions [n,2] of each group in layouts in random order; which ones occur once more is random as well."""
    order = uniform(seed, index, f"{purpose}/layouts").argsort(stable=True)
    names = uniform(seed, torch.arange(len(LAYOUTS)), f"{purpose}/names of layouts").argsort(stable=True)
    where = torch.empty(len(index), 4, dtype=torch.bool)
    where[order] = LAYOUTS[names[torch.arange(len(index)) % len(LAYOUTS)]]
    images = torch.empty(where.shape, dtype=torch.int64)
    images[where], images[~where] = first.flatten(), second.flatten()
    return Mosaics(images, where)


def _numbers(n: int) -> Tensor:
    if n < 1:
        raise ValueError(f"Expected n of at least 1 mosaic. Got {n}.")
    return torch.arange(n)


def _check_positions(what: str, positions: Tensor) -> None:
    if not isinstance(positions, Tensor) or positions.dtype != torch.int64 or positions.ndim != 1:
        got = described(positions)
        raise ValueError(f"Expected {what} as an int64 tensor, one number an image or pair. Got {got}.")
