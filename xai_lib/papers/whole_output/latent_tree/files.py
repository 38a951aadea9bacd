"""Latent trees as files: our JSON, and the nested nodes in which the authors' trees are released."""

import re
from pathlib import Path
from typing import Any

from xai_lib import files
from xai_lib.papers.whole_output.latent_tree.tree import Tree, from_clusters

_WORDS = re.compile(r"(c\d+(-\S*)? [\d.eE-]+ ?)+")
_LABEL = re.compile(r"(?:^| )c(\d+)")


def save(tree: Tree, path: Path | str) -> None:
    """Write a tree as JSON; the file appears whole or not at all, and :func:`load` gives back an equal tree."""
    files.write_json(Path(path), vars(tree))


def load(path: Path | str) -> Tree:
    """Read a tree: a file of :func:`save`, or a tree that the authors of the paper released.

    A released tree is a list of nested nodes ``{"id", "text", "data", "children"}``. A node without children is a
    cluster of level 1, and its text names its labels, each followed by a number: "c402-acoustic_guitar 0.01
    c420-banjo 0.02". The number after "c" is the label. Such a tree comes without bridges and probabilities, nodes in
    the order of their smallest label. Labels up to the largest that no node names become clusters of their own.
    FileNotFoundError if there is no such file, ValueError if it is not JSON, or not a tree of one of the two forms.
    """
    path = Path(path)
    try:
        value = files.read_json(path)
        return _released(value) if isinstance(value, list) else Tree(**value)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ValueError(
            f"Expected {path} to hold a latent tree, as save writes it or as the paper's authors released theirs. "
            f"Got a file that cannot be read as one ({error!r}): fit the tree again, or get the file again."
        ) from error


def _released(nodes: list[dict[str, Any]]) -> Tree:
    """The tree of released nodes, its levels counted from the bottom."""
    levels: list[list[list[int]]] = [[] for _ in range(max(map(_height, nodes)))]
    for node in nodes:
        _collect(node, levels, len(levels))
    named = {label for cluster in levels[0] for label in cluster}
    n_labels = max(named) + 1
    alone = [[label] for label in range(n_labels) if label not in named]
    return from_clusters(n_labels, [level + alone for level in levels])


def _height(node: dict[str, Any]) -> int:
    return 1 + max(map(_height, node["children"]), default=0)


def _collect(node: dict[str, Any], levels: list[list[list[int]]], top: int) -> list[int]:
    """Enter the labels below a node at its level and at those up to `top`, where it stands in for missing nodes."""
    height = _height(node)
    if node["children"]:
        labels = [label for child in node["children"] for label in _collect(child, levels, height - 1)]
    else:
        labels = _labels(node["text"])
    for level in range(height, top + 1):
        levels[level - 1].append(labels)
    return labels


def _labels(text: str) -> list[int]:
    if not _WORDS.fullmatch(text):
        raise ValueError(f'Expected labels with numbers, like "c420-banjo 0.02". Got {text[:100]!r}.')
    return [int(label) for label in _LABEL.findall(text)]
