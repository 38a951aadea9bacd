"""Data sets: generated, downloaded, or a user's own folder of images."""

from dataclasses import replace
from pathlib import Path

import pandas as pd
import torch
from torch import Tensor

from xai_lib.data import cifar, folder, imagenet, planted
from xai_lib.data.split import Batch, NotEnoughError, Split

_FOLDER = "folder:"
_IMAGENET = "imagenet:"
_PLANTED_SIZES = {"train": 5000, "test": 2000}  # where no number of images is named


def names() -> list[str]:
    """What :func:`load` takes as a name."""
    return ["planted", "cifar10", "cifar100", f"{_FOLDER}<path>", f"{_IMAGENET}<path>"]


def check_name(name: str) -> None:
    """Raise a ValueError that lists the choices if ``name`` is not one of :func:`names`."""
    has_path = isinstance(name, str) and name not in (_FOLDER, _IMAGENET) and name.startswith((_FOLDER, _IMAGENET))
    if not has_path and name not in ("planted", "cifar10", "cifar100"):
        raise ValueError(f"Expected a data set out of {', '.join(names())}. Got {name!r}.")


def load(
    name: str, part: str, *, n: int | None = None, size: int | None = None, variant: str | None = None,
    root: Path = Path("data"), download: bool = False,
) -> Split:  # fmt: skip
    """One part of a data set, on the processor; ImageNet's images stay in their files until they are asked for.

    The name is one of :func:`names`, the part "train" or "test". ``n`` images are balanced over
    classes; fewer images than classes are of the first classes only, and None is all (planted: 5,000 and 2,000). The
    side is ``size`` pixels: None is 32, and 224 for ImageNet; CIFAR has 32. For ``variant`` see
    :func:`planted.generate`. ``root`` is the folder of downloaded data; ``download`` whether CIFAR may be fetched.

    ValueError if a choice does not exist or does not fit the data set; the message lists the choices.
    FileNotFoundError, RuntimeError, FolderError as the data set's own loader.
    """
    check_name(name)
    if part not in ("train", "test"):
        raise ValueError(f"Expected the part train or test. Got {part!r}.")
    if size is None:
        size = 224 if name.startswith(_IMAGENET) else 32
    if name == "planted":
        return planted.generate(_PLANTED_SIZES[part] if n is None else n, part, size=size, variant=variant)
    if variant is not None:
        raise ValueError(f"Expected no variant: only planted images have them. Got {variant!r} for {name!r}.")
    if name.startswith((_FOLDER, _IMAGENET)):
        kind, _, path = name.partition(":")
        return select({"folder": folder, "imagenet": imagenet}[kind].load(Path(path), part, size=size), n)
    if size != 32:
        raise ValueError(f"Expected size 32 for {name}. Got {size}.")
    return select(cifar.load(name, part, root=root, download=download), n)


def select(split: Split, n: int | None) -> Split:
    """The first ``n`` images when classes take turns: as balanced as can be, a prefix of any larger selection.

    Example:
        >>> select(load("planted", "test", n=40, size=16), 12).labels.tolist()
        [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1]
    """
    if n is None or n == len(split):
        return split
    if not 1 <= n <= len(split):
        raise ValueError(f"Expected 1 to {len(split)} images of {split.name} {split.part}. Got {n}.")
    return split.subset(_in_turn(split.labels)[:n])


def some(split: Split, n: int | None) -> Split:
    """At most ``n`` images, as :func:`select` chooses them: all where there are fewer, and for None."""
    return select(split, None if n is None else min(n, len(split)))


def held_out(
    name: str, n: int | None, n_held_out: int, *, size: int | None = None, root: Path = Path("data"),
    download: bool = False,
) -> tuple[Split, Split]:  # fmt: skip
    """The training images, and images like them that no network is trained on: settings are chosen on these.

    Drawn images are held out in addition to the ``n``; of other data sets, training images are held out and the ``n``
    are taken from the rest (see :func:`without`): all of it where fewer are left. Arguments and errors are those of
    :func:`load` and :func:`without`.
    """
    if name == "planted":
        training = load(name, "train", n=n, size=size)
        further = planted.generate(n_held_out, "train", size=training.images.shape[-1], first=len(training))
        return training, replace(further, part="held-out")
    everything = load(name, "train", size=size, root=root, download=download)
    rest, further = without(everything, n_held_out)
    return some(rest, n), further


def without(split: Split, n: int) -> tuple[Split, Split]:
    """A split without ``n`` of its images, and these: the last of each class, while classes take turns.

    They are at most a fifth of the images, and at most half of those of a class. NotEnoughError if that is none.

    Example:
        >>> rest, held_out = without(load("planted", "train", n=40, size=16), 5)
        >>> len(rest), held_out.part, held_out.index.tolist()
        (35, 'held-out', [30, 31, 32, 33, 34])
    """
    backwards = split.labels.flip(0)
    order = _in_turn(backwards)
    to_spare = split.labels.bincount() // 2
    order = order[_rank(backwards)[order] < to_spare[backwards[order]]][: min(n, len(split) // 5)]
    if not len(order):
        got = f"{len(split)} images of {split.name} in {len(split.labels.unique())} classes"
        expected = "Expected at least 5 training images, with two of some class, to hold out some."
        raise NotEnoughError(f"{expected} Got {got}.")
    chosen = len(split) - 1 - order
    stays = torch.ones(len(split), dtype=torch.bool)
    stays[chosen] = False
    return split.subset(stays.nonzero()[:, 0]), replace(split.subset(chosen), part="held-out")


def _in_turn(labels: Tensor) -> Tensor:
    """Positions [N] in the order in which classes take turns."""
    return torch.argsort(_rank(labels) * (labels.max() + 1) + labels, stable=True)


def _rank(labels: Tensor) -> Tensor:
    """How many images of its class come before each, int64 [N]."""
    listed = pd.Series(labels.cpu().numpy())
    return torch.tensor(listed.groupby(listed).cumcount().to_numpy(), device=labels.device)
