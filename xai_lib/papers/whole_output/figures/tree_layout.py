"""Where the nodes of a latent tree are drawn: children at the right of their node's line, in one column or several."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from xai_lib.papers.whole_output.latent_tree.tree import Tree

Size = tuple[float, float]  # width and height

FONT = 12  # of the labels; all lengths are in units of the drawing
STEP = 24  # from a node's line to its children
INDENT = 12  # from a cluster's line to its labels
GUTTER = 44  # left of the top nodes, for the bridges
_CHARACTER = 0.58 * FONT  # mean width
_HEAD = 14  # of the line above several columns
_GAP = 5  # below a node's children
_BETWEEN = 22  # between columns
_SHAPE = 1.25  # width to height that the drawing aims at
_SHAPES_BELOW = (0.3, 0.45, 0.6, 0.9, 1.3)  # and that are tried for what is below a node


@dataclass
class Node:
    """A node and what is below it, in columns."""

    level: int  # 0 is a label
    position: int  # in its level; a label's number
    children: list["Node"] = field(default_factory=list)
    columns: list[list["Node"]] = field(default_factory=list)
    x: float = 0.0  # of its dot, or where its text begins
    y: float = 0.0

    @property
    def inset(self) -> float:
        """How far the children are to the right of the line that joins them."""
        return STEP if self.level > 1 else INDENT

    def labels(self) -> list[int]:
        """The labels below, as they are read."""
        return [node.position for node in self.walk() if node.level == 0]

    def walk(self) -> Iterator["Node"]:
        """This node and every node below."""
        yield self
        for child in self.children:
            yield from child.walk()


def nested(tree: Tree) -> list[Node]:
    """The top nodes of a tree with all that is below them; nodes that a bridge joins are near each other."""
    nodes = [Node(0, label) for label in range(tree.n_labels)]
    for level, groups in enumerate(tree.levels, start=1):
        nodes = [Node(level, place, [nodes[child] for child in group]) for place, group in enumerate(groups)]
    children = {child for _, child in tree.bridges}
    waiting = [place for place in reversed(range(len(nodes))) if place not in children]
    found = []
    while waiting:  # depth first
        place = waiting.pop()
        found.append(nodes[place])
        waiting += reversed([child for parent, child in tree.bridges if parent == place])
    return found


def arrange(tree: Tree, names: Sequence[str], *, row: float, picture: float) -> tuple[list[Node], Size]:
    """Top nodes with all below in their places, the most page-like of several tries; labels have the height ``row``."""

    def place(node: Node, shape: float) -> Size:
        if node.level == 0:
            node.y = row / 2
            return picture + _CHARACTER * len(names[node.position]), row
        sizes = [place(child, shape) for child in node.children]
        node.columns, (width, height) = _fill(node.children, sizes, shape=shape, inset=node.inset, head=_HEAD)
        (only, *more) = node.columns
        node.y = _HEAD / 2 if more else (only[0].y + only[-1].y) / 2
        return width, height + _GAP

    tries = []
    for shape in _SHAPES_BELOW:
        tops = nested(tree)
        sizes = [place(top, shape) for top in tops]
        tries.append((tops, _fill(tops, sizes, shape=_SHAPE, inset=GUTTER, head=0)[1]))
    return min(tries, key=lambda one: _page(one[1], _SHAPE))


def _page(size: Size, shape: float) -> float:
    """Height of the smallest page of a shape that holds a block."""
    return max(size[0] / shape, size[1])


def _fill(
    nodes: Sequence[Node], sizes: Sequence[Size], *, shape: float, inset: float, head: float
) -> tuple[list[list[Node]], Size]:
    """Put finished blocks into columns that fit the smallest page of a shape; several columns begin below a head."""
    tries = []
    for n in range(1, len(nodes) + 1):
        ends = _ends([height for _, height in sizes], n)
        parts = [sizes[first:last] for first, last in pairwise([0, *ends])]
        widths = [inset + max(width for width, _ in part) for part in parts]
        height = max(sum(height for _, height in part) for part in parts) + head * (len(parts) > 1)
        tries.append((ends, widths, (sum(widths) + _BETWEEN * (len(parts) - 1), height)))
    ends, widths, size = min(tries, key=lambda one: _page(one[2], shape))
    columns, x = [], 0.0
    for (first, last), width in zip(pairwise([0, *ends]), widths):
        y = head if len(ends) > 1 else 0.0
        for node, (_, height) in zip(nodes[first:last], sizes[first:last]):
            for moved in node.walk():
                moved.x += x + inset
                moved.y += y
            y += height
        columns.append(list(nodes[first:last]))
        x += width + _BETWEEN
    return columns, size


def _ends(heights: Sequence[float], n: int) -> list[int]:
    """Where each of at most ``n`` columns of nearly least height ends."""
    limit = max(sum(heights) / n, max(heights))
    while True:
        ends, height = [], 0.0
        for place, more in enumerate(heights):
            if height and height + more > limit * 1.0001:
                ends.append(place)
                height = 0.0
            height += more
        if len(ends) < n:
            return [*ends, len(heights)]
        limit *= 1.03
