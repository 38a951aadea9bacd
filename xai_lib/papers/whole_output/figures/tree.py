"""A latent tree that a reader zooms, drags and searches in the page, with the same tree as a list below it."""

import hashlib
from collections.abc import Mapping, Sequence
from html import escape
from itertools import count
from statistics import fmean
from string import Template

from IPython.display import HTML
from torch import Tensor

from xai_lib.papers.whole_output.figures.inline import beside, inline, png
from xai_lib.papers.whole_output.figures.tree_layout import FONT, GUTTER, INDENT, STEP, Node, arrange
from xai_lib.papers.whole_output.latent_tree.tree import Tree

_ROW = 14.5  # height of a label; all lengths are in units of the drawing
_PICTURE = 44  # side of a picture
_PIXELS = 48  # of its file
_MARGIN = 10
_PAGE = 700  # pixels; how wide the drawing is taken to be before the page knows
_LEGIBLE = 6  # pixels, of the labels; below, parts of the drawing have captions
_CAPTIONED = (25, 150)  # labels that a caption stands for, at least and, if there are smaller parts, at most
_numbers = count(1)


def zoomable_tree(tree: Tree, names: Sequence[str], *, title: str, images: Mapping[int, Tensor] | None = None) -> HTML:
    """A latent tree as an inline drawing (whole-output paper, Figure 5): brackets hold the clusters of labels, dashed
    arcs are bridges. ``images``, float [3,H,W] in [0,1], are shown before the names of their labels.
    """
    images = images or {}
    if len(names) != tree.n_labels or not set(images) <= set(range(tree.n_labels)):
        got = f"{len(names)} names and images of {sorted(images)[:10]}"
        raise ValueError(f"Expected a name for each of {tree.n_labels} labels, and images of these only. Got {got}.")
    row, picture = (_PICTURE + 2, _PICTURE + 6) if images else (_ROW, 0)
    tops, size = arrange(tree, names, row=row, picture=picture)
    width, height = (side + 2 * _MARGIN for side in size)
    drawing = _bridges(tree, tops) + [_subtree(node, names, images, picture) for node in tops]
    drawing += [_caption(node, names, size[0]) for node in tops]
    digest = hashlib.sha256(repr((tree, names, title)).encode()).hexdigest()
    page = Template(beside("tree.html").strip()).substitute(
        here=f"tree-{digest[:8]}-{next(_numbers)}",
        title=escape(title),
        summary=f"Latent tree of {tree.n_labels} classes in {len(tree.levels[0])} clusters",
        bridges=" Dashed lines are the bridges between the top groups." if tree.bridges else "",
        distant=" distant" if FONT * _PAGE / width < _LEGIBLE else "",
        view=f"{-_MARGIN} {-_MARGIN} {_n(width)} {_n(height)}",
        measures=f"--scale:{_PAGE / width:.3f};--width:{width:.0f};--height:{height:.0f}",
        insets=f'data-step="{STEP}" data-indent="{INDENT + picture}"',
        drawing="\n".join(drawing),
        list="\n".join(_entry(node, names) for node in tops),
        css=beside("tree.css").strip(),
        js=beside("tree.js").strip(),
    )
    return HTML(page)


def _subtree(node: Node, names: Sequence[str], images: Mapping[int, Tensor], picture: float) -> str:
    """A group of the node's lines, everything below it, and its dot: the script reads the nesting."""
    if node.level == 0:
        shown = ""
        if node.position in images:
            place = f'x="{_n(node.x)}" y="{_n(node.y - _PICTURE / 2)}" width="{_PICTURE}" height="{_PICTURE}"'
            shown = f'<image {place} href="{inline(png(images[node.position], _PIXELS))}"/>'
        return f'{shown}<text x="{_n(node.x + picture)}" y="{_n(node.y)}">{escape(names[node.position])}</text>'
    kind = "above" if node.level > 1 else "cluster" if len(node.children) > 1 else "alone"
    below = "".join(_subtree(child, names, images, picture) for child in node.children)
    dot = f'<circle cx="{_n(node.x)}" cy="{_n(node.y)}" r="{_n(2.2 + 0.6 * node.level)}"/>'
    return f'<g class="{kind}"><path d="{_lines(node)}"/>{below}{dot}</g>'


def _lines(node: Node) -> str:
    """From the node to its children; a cluster's line is a bracket beside its labels."""
    found = ""
    for column in node.columns:
        x = _n(column[0].x - node.inset)
        first, *_, last = (_n(child.y) for child in [column[0], *column])
        joined = f"M{_n(node.x)} {_n(node.y)}H{x}" if len(node.columns) > 1 else ""
        if node.level == 1:
            found += f"{joined or f'M{x} {_n(column[0].y - 5)}'}V{_n(column[-1].y + 5)}"
        else:
            found += f"{joined or f'M{x} {first}'}V{last}"
            found += "".join(f"M{x} {_n(child.y)}h{STEP}" for child in column)
    return found


def _bridges(tree: Tree, tops: Sequence[Node]) -> list[str]:
    """Dashed arcs at the left of the top nodes that the tree joins."""
    at, found = {node.position: node for node in tops}, []
    for a, b in ((at[parent], at[child]) for parent, child in tree.bridges):
        bend = min(GUTTER - 6, 14 + abs(b.y - a.y) / 20)
        curve = f"M{_n(a.x)} {_n(a.y)}C{_n(a.x - bend)} {_n(a.y)} {_n(b.x - bend)} {_n(b.y)} {_n(b.x)} {_n(b.y)}"
        found.append(f'<path class="bridge" d="{curve}"/>')
    return found


def _caption(node: Node, names: Sequence[str], width: float) -> str:
    """Text over parts of the drawing while labels are too small to read: a first label, and how many more."""
    labels = node.labels()
    if len(labels) < _CAPTIONED[0]:
        return ""
    if len(labels) > _CAPTIONED[1] and (below := "".join(_caption(child, names, width) for child in node.children)):
        return below
    y = _n(fmean(below.y for below in node.walk()))
    x, anchor = (_n(width), "end") if node.x > 0.8 * width else (_n(node.x), "start")
    more = f'<tspan x="{x}" dy="1.1em">and {len(labels) - 1} more</tspan>'
    where = f'x="{x}" y="{y}" text-anchor="{anchor}" data-labels="{len(labels)}"'
    return f'<text class="caption" {where}>{escape(names[labels[0]])}{more}</text>'


def _entry(node: Node, names: Sequence[str]) -> str:
    """An entry of the list: the labels of a cluster, or what is below a node above."""
    while node.level > 1 and len(node.children) == 1:
        (node,) = node.children
    if node.level == 1:
        return f"<li>{escape(', '.join(names[label] for label in node.labels()))}</li>"
    below = "".join(_entry(child, names) for child in node.children)
    return f"<li>{len(node.labels())} classes<ul>{below}</ul></li>"


def _n(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
