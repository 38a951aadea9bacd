"""Stages "documents", "latent-tree" and "stability": what networks confuse, clustered, and how firmly."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from xai_lib import files
from xai_lib.data import Split
from xai_lib.explainers.subject import Subject
from xai_lib.papers.whole_output import latent_tree
from xai_lib.papers.whole_output.method import clusters, documents, wordnet
from xai_lib.run.cell import Cell
from xai_lib.run.settings import Settings
from xai_lib.run.stage import computed, stage

LATENT_TREE = "latent tree"
UNTESTED = "latent tree, no correlation test"
RANDOM = "random, same sizes"
OWN = "latent tree, the network's own documents"
_BATCH = 250
_MANY_LABELS, _RESOLUTION = 100, 30  # 1000 classes then fall into about as many clusters as the latent tree has
_SEED = 0


@dataclass(frozen=True, eq=False)
class Corpus:
    """Documents of top classes, from a network or from a file."""

    label: str  # how pages call it
    classes: tuple[str, ...]  # their names
    key: str  # what identifies the documents in the store
    parents: tuple[Cell, ...]  # the cell of the stage "documents"; none for a file
    load: Callable[[], list[list[int]]] = field(repr=False)  # gives all documents, also those of one label; called once
    tree: latent_tree.Tree | None = None  # fitted before; None where the documents give it

    @property
    def identity(self) -> dict[str, Any]:
        """What stands for the documents in a key of the store."""
        return {"documents": self.key, "labels": len(self.classes)}

    @cached_property
    def documents(self) -> list[list[int]]:
        """All documents, those of one label among them."""
        return self.load()

    @property
    def informative(self) -> list[list[int]]:
        """Those of at least two labels, from which clusters are made: one label says nothing about confusion."""
        return [document for document in self.documents if len(document) > 1]


@stage("documents", version=1)
def find_documents(folder: Path, *, network: Subject, images: Split, cumulative: float, device: torch.device) -> None:
    """The top classes of images, uncapped."""
    batches = (images.normalise(batch.images.to(device)) for batch in images.batches(_BATCH))
    found = documents.of_network(network.network, batches, cumulative=cumulative)
    names = [str(number) for number in images.index.tolist()]
    documents.write(folder / "documents.json", dict(zip(names, found, strict=True)))


@stage("latent-tree", version=2)
def fit_tree(folder: Path, *, corpus: Corpus, seed: int) -> None:
    """The latent tree of documents, or the one that was given with them."""
    if corpus.tree is not None:
        latent_tree.save(corpus.tree, folder / "tree.json")
        return
    found = corpus.informative
    if len(found) < 2:
        raise ValueError(
            f"Expected at least two documents of two or more classes ({corpus.label}). Got {len(found)} of "
            f"{len(corpus.documents)}: the network is sure of its images; take more or harder ones."
        )
    latent_tree.save(latent_tree.fit_tree(found, len(corpus.classes), seed=seed), folder / "tree.json")


@stage("stability", version=2)
def cluster_again(folder: Path, *, corpus: Corpus, tree: Cell, repeats: int, seed: int) -> None:
    """Other clusterings of the same documents, and how each agrees with itself on other documents and seeds."""
    found, n_labels = corpus.informative, len(corpus.classes)
    islands, frames, partitions = latent_tree.load(computed(tree) / "tree.json").clusters(1), [], {}
    for name, method in _methods(len(islands), n_labels).items():
        own = name == LATENT_TREE
        partitions[name] = islands if own else method(found, n_labels, seed=seed)
        for what in ("halves", "bootstrap", *["seeds"] * own):
            again = clusters.made_again(what, found, n_labels, method, repeats=repeats, seed=seed)
            frames.append(again.assign(clustering=name))
    partitions[RANDOM] = clusters.random_partition([len(island) for island in islands], seed=seed)
    files.write_frame(folder / "stability.csv", pd.concat(frames, ignore_index=True))
    files.write_json(folder / "clusterings.json", partitions)


def corpus_of_network(run: Settings, network: Subject, images: Split, label: str) -> Corpus:
    """The top classes of images, which need not be those that are explained; found once they are asked for."""
    cell = find_documents.cell(network=network, images=images, cumulative=documents.CUMULATIVE, device=run.device)
    about = label, tuple(images.classes), cell.key, (cell,)
    return Corpus(*about, lambda: list(documents.read(computed(cell) / "documents.json").values()))


def corpus_of_file(path: Path, classes: Sequence[str], label: str) -> Corpus:
    """Documents in the authors' format, read now; raises as :func:`documents.read`, or if a class has no name."""
    path = Path(path)
    found = list(documents.read(path).values())
    highest = max(map(max, found), default=-1)
    if highest >= len(classes):
        raise ValueError(
            f"Expected classes from 0 to {len(classes) - 1}, which have names, in {path}. Got {highest}: "
            "the names must be of the same classes as the documents."
        )
    return Corpus(label, tuple(classes), files.sha256(path), (), lambda: found)


def with_tree(corpus: Corpus, path: Path | str) -> Corpus:
    """The documents with a latent tree that :func:`latent_tree.save` wrote; ValueError if it is of other classes."""
    tree = latent_tree.load(path)
    if tree.n_labels != len(corpus.classes):
        raise ValueError(f"Expected a tree of {len(corpus.classes)} classes in {path}. Got one of {tree.n_labels}.")
    key = f"{corpus.key} {files.sha256(Path(path))}"
    return replace(corpus, key=key, parents=(), tree=tree)


def class_names(path: Path) -> tuple[str, ...]:
    """Names of classes from a file as ImageNet's class index, class number -> [WordNet id, name]."""
    return tuple(name.replace("_", " ") for _, name in _class_index(path))


def wordnet_steps(class_index: Path, nouns: Path) -> np.ndarray:
    """:func:`wordnet.steps` between the classes of such a file, int64 [N,N]; ``nouns`` is a ``data.noun``."""
    return wordnet.steps([identifier for identifier, _ in _class_index(class_index)], nouns)


def _class_index(path: Path) -> list[tuple[str, str]]:
    try:
        index = json.loads(Path(path).read_text(encoding="utf-8"))
        return [(str(index[str(number)][0]), str(index[str(number)][1])) for number in range(len(index))]
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise ValueError(
            f'Expected {path} to hold {{"0": ["n01440764", "tench"], …}}, every class number from 0 on. '
            f"Got another content: {error!r}."
        ) from error


def tree_cell(corpus: Corpus) -> Cell:
    """The latent tree of some documents."""
    return fit_tree.cell(corpus=corpus, seed=_SEED)


def stability_cell(corpus: Corpus, repeats: int) -> Cell:
    """Other clusterings of some documents, made again so many times."""
    return cluster_again.cell(corpus=corpus, tree=tree_cell(corpus), repeats=repeats, seed=_SEED)


def tree(corpus: Corpus) -> latent_tree.Tree:
    """The latent tree of the documents, fitted now if the store lacks it."""
    return latent_tree.load(computed(tree_cell(corpus)) / "tree.json")


def partition(corpus: Corpus) -> clusters.Partition:
    """The level-1 clusters of the latent tree: every class in one."""
    return tree(corpus).clusters(1)


def clusterings_of(corpus: Corpus, repeats: int) -> dict[str, clusters.Partition]:
    """Other clusterings of the same documents: name -> every class in one cluster; the latent tree's first."""
    return files.read_json(computed(stability_cell(corpus, repeats)) / "clusterings.json")


def stability_of(corpus: Corpus, repeats: int) -> pd.DataFrame:
    """How clusterings agree with themselves: clustering, and the rows of :func:`clusters.made_again`."""
    return files.read_frame(computed(stability_cell(corpus, repeats)) / "stability.csv")


def _methods(n_clusters: int, n_labels: int) -> dict[str, clusters.Cluster]:
    """Clustering methods; those that need a number take the latent tree's, more where documents lack many classes."""

    def as_many(method: clusters.Cluster, found: clusters.Documents, n: int, *, seed: int) -> clusters.Partition:
        n_found = len({label for document in found for label in document})
        return method(found, n, max(n_clusters, n - n_found + min(n_found, 1)), seed=seed)

    methods = {
        LATENT_TREE: latent_tree.fit_islands,
        UNTESTED: partial(latent_tree.fit_islands, correlation_test=False),
        "average linkage": partial(as_many, clusters.average_linkage),
        "spectral": partial(as_many, clusters.spectral),
        "Louvain": clusters.louvain,
    }
    if n_labels > _MANY_LABELS:  # Louvain's own resolution finds a handful of communities among so many
        methods[f"Louvain, resolution {_RESOLUTION}"] = partial(clusters.louvain, resolution=_RESOLUTION)
    return methods
