"""Latent trees as files."""

from pathlib import Path

from xai_lib import files
from xai_lib.papers.whole_output.latent_tree.tree import Tree


def save(tree: Tree, path: Path | str) -> None:
    """Write a tree as JSON; the file appears whole or not at all, and :func:`load` gives back an equal tree."""
    files.write_json(Path(path), vars(tree))


def load(path: Path | str) -> Tree:
    """Read a tree that :func:`save` wrote; FileNotFoundError without a file, ValueError if it holds something else."""
    path = Path(path)
    try:
        return Tree(**files.read_json(path))
    except (ValueError, TypeError) as error:
        raise ValueError(
            f"Expected {path} to hold a latent tree, as save writes it. "
            f"Got a file that cannot be read as one ({error!r}): fit the tree again, or get the file again."
        ) from error
