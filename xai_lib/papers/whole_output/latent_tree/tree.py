"""A latent tree (whole-output paper §3, Figure 5): labels, clusters of them at level 1, groups of these above, bridges
at the top. Every variable is binary: a label is in a document or not, a latent is on or off.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from xai_lib import files

Groups = tuple[tuple[int, ...], ...]
Edges = tuple[tuple[int, int], ...]
Probabilities = tuple[tuple[tuple[float, float], ...], ...]


@dataclass(frozen=True)
class Tree:
    """A latent tree over labels. Lists become tuples, so that two trees can be compared and hashed. ValueError if a
    label or a node does not have exactly one parent, bridges are not a forest with parents first, or the probabilities
    do not fit the nodes or are not in [0, 1].
    """

    n_labels: int  # labels are 0 to n_labels - 1
    # The nodes of each level, lowest first, as their children: labels at level 1, above that positions of nodes of the
    # level below. Everything below the top level has one parent.
    levels: tuple[Groups, ...]
    bridges: Edges = ()  # (parent, child) between top nodes, parents first; nobody's child is a root
    # [k][i]: the probability that label i (k = 0) or node i of level k is on, given that its parent is off, and given
    # that it is on; both are the same for a root. None where there is no model.
    probabilities: Probabilities | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "levels", tuple(_tuples(level) for level in self.levels))
        object.__setattr__(self, "bridges", _tuples(self.bridges))
        _check_levels(self.n_labels, self.levels)
        _check_bridges(self.bridges, len(self.levels[-1]))
        if self.probabilities is not None:
            object.__setattr__(self, "probabilities", tuple(_tuples(level) for level in self.probabilities))
            _check_probabilities(self.probabilities, [self.n_labels, *map(len, self.levels)])

    def clusters(self, level: int = 1) -> list[list[int]]:
        """The labels below each node of a level, ascending; every label is in exactly one.

        Example:
            >>> Tree(3, (((0, 2), (1,)), ((0, 1),))).clusters(2)
            [[0, 1, 2]]
        """
        if level not in range(1, len(self.levels) + 1):
            raise ValueError(f"Expected a level from 1 to {len(self.levels)}. Got {level!r}.")
        below = [[label] for label in range(self.n_labels)]
        for groups in self.levels[:level]:
            below = [sorted(label for child in group for label in below[child]) for group in groups]
        return below


def save(tree: Tree, path: Path | str) -> None:
    """Write a tree as JSON; the file appears whole or not at all, and :func:`load` gives back an equal tree."""
    files.write_json(Path(path), vars(tree))


def load(path: Path | str) -> Tree:
    """Read a tree that :func:`save` wrote; FileNotFoundError without a file, ValueError if it holds something else."""
    try:
        return Tree(**files.read_json(Path(path)))
    except (ValueError, TypeError) as error:
        raise ValueError(
            f"Expected {path} to hold a latent tree, as save writes it. "
            f"Got a file that cannot be read as one ({error!r}): fit the tree again, or get the file again."
        ) from error


def _tuples(rows: Iterable[Iterable]) -> tuple[tuple, ...]:
    return tuple(tuple(row) for row in rows)


def _check_levels(n_labels: int, levels: tuple[Groups, ...]) -> None:
    if not levels:
        raise ValueError("Expected at least one level of nodes above the labels. Got none.")
    n_below, what = n_labels, "labels"
    for level, groups in enumerate(levels, start=1):
        children = sorted(child for group in groups for child in group)
        if children != list(range(n_below)) or not all(groups):
            raise ValueError(
                f"Expected every one of the {n_below} {what} as a child of exactly one node of level {level}, and no "
                f"node without children. Got {len(children)} children of {len(groups)} nodes."
            )
        n_below, what = len(groups), f"nodes of level {level}"


def _check_bridges(bridges: Edges, n_top: int) -> None:
    children = [child for _, child in bridges]
    known = set(range(n_top)) - set(children)  # the roots
    for parent, child in bridges:
        if parent not in known or child in known or child not in range(n_top):
            expected = f"Expected bridges (parent, child) between the {n_top} top nodes, a forest with parents first."
            raise ValueError(f"{expected} Got {(parent, child)} in {bridges}.")
        known.add(child)


def _check_probabilities(probabilities: Probabilities, sizes: Sequence[int]) -> None:
    found = [len(level) for level in probabilities]
    pairs = [pair for level in probabilities for pair in level]
    if found != list(sizes) or any(len(pair) != 2 for pair in pairs):
        raise ValueError(f"Expected two probabilities for each of {list(sizes)} labels and nodes. Got {found} rows.")
    wrong = [pair for pair in pairs if not all(0 <= value <= 1 for value in pair)]
    if wrong:
        raise ValueError(f"Expected probabilities in [0, 1]. Got {wrong[0]} and {len(wrong) - 1} more such pairs.")
