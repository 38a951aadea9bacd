"""Stages "documents", "latent-tree" and "stability": what networks confuse, clustered, and how firmly."""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pandas as pd
from torch import nn

from xai_lib import files as artefacts
from xai_lib.data import Split
from xai_lib.papers.whole_output import latent_tree
from xai_lib.papers.whole_output.method import clusterings, documents, stability
from xai_lib.run.cell import Cell
from xai_lib.run.stages import STAGES
from xai_lib.run.store import Store

CUMULATIVE = 0.95  # probability that a document covers (§5)
LATENT_TREE = "latent tree"
RANDOM = "random, same sizes"
_BATCH = 250
_MANY_LABELS, _RESOLUTION = 100, 30  # 1000 classes then fall into about as many clusters as the latent tree has
_SEED = 0

Partition = list[list[int]]


@dataclass(frozen=True, eq=False)
class Corpus:
    """Documents of top classes, from a network or from a file.

    Attributes:
        label: how pages call it.
        classes: names of the classes.
        key: what identifies the documents in the store.
        made_by: the cell of the stage "documents"; none for a file.
        load: gives all documents, also those of one label; called once.
    """

    label: str
    classes: tuple[str, ...]
    key: str
    made_by: tuple[Cell, ...]
    load: Callable[[], list[list[int]]]

    @property
    def documents(self) -> list[list[int]]:
        """All documents, those of one label among them."""
        return _loaded(self)

    @property
    def informative(self) -> list[list[int]]:
        """Those of at least two labels, from which clusters are made."""
        return documents.informative(self.documents)


def corpus_of_network(
    network: Callable[[], nn.Module],
    key: str,
    parents: tuple[Cell, ...],
    images: Callable[[], Split],
    label: str,
) -> Corpus:
    """The top classes of images, uncapped, computed now if the store lacks them when they are asked for.

    Args:
        network: gives the network, in evaluation mode.
        key: of its weights.
        parents: cells that the network came from.
        images: gives the images; they need not be those that are explained.
        label: how pages call the documents.
    """
    split = images()
    config = {"network": key, "images": {"digest": split.digest, "number": len(split)}, "cumulative": CUMULATIVE}
    cell = Cell("documents", {"version": STAGES["documents"].version, **config})

    def work(folder: Path) -> None:
        model = network()
        device = next(model.parameters()).device
        batches = (split.normalise(batch.images.to(device)) for batch in split.batches(_BATCH))
        found = documents.of_network(model, batches, cumulative=CUMULATIVE)
        names = [str(number) for number in split.index.tolist()]
        documents.write(folder / "documents.json", dict(zip(names, found, strict=True)))

    def load() -> list[list[int]]:
        if not Store().is_done(cell):
            network()  # trained first, outside this cell's time
        folder = Store().compute(cell, work, parents=parents)
        return list(documents.read(folder / "documents.json").values())

    return Corpus(label, tuple(split.classes), cell.key, (cell,), load)


def corpus_of_file(path: Path, classes: Sequence[str], label: str) -> Corpus:
    """Documents in the authors' format, read now: see :func:`documents.read`.

    Raises:
        FileNotFoundError, ValueError: as :func:`documents.read`, or if the file has a class that has no name.
    """
    path = Path(path)
    found = list(documents.read(path).values())
    highest = max((number for document in found for number in document), default=-1)
    if highest >= len(classes):
        raise ValueError(
            f"Expected classes from 0 to {len(classes) - 1}, which have names, in {path}. Got {highest}: "
            "the names must be of the same classes as the documents."
        )
    return Corpus(label, tuple(classes), hashlib.sha256(path.read_bytes()).hexdigest(), (), lambda: found)


def class_names(path: Path) -> tuple[str, ...]:
    """Names of classes from a file as ImageNet's class index: class number -> [WordNet id, name].

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it holds something else.
    """
    try:
        index = json.loads(Path(path).read_text(encoding="utf-8"))
        return tuple(index[str(number)][1].replace("_", " ") for number in range(len(index)))
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise ValueError(
            f'Expected {path} to hold {{"0": ["n01440764", "tench"], …}}, every class number from 0 on. '
            f"Got another content: {error!r}."
        ) from error


def tree_cell(corpus: Corpus) -> Cell:
    """What a latent tree depends on."""
    return Cell(
        "latent-tree",
        {
            "version": STAGES["latent-tree"].version,
            "documents": corpus.key,
            "labels": len(corpus.classes),
            "seed": _SEED,
        },
    )


def tree(corpus: Corpus) -> latent_tree.Tree:
    """The latent tree of the documents, fitted now if the store lacks it.

    Raises:
        ValueError: if fewer than two documents have several classes: there is nothing to cluster.
    """

    def work(folder: Path) -> None:
        found = corpus.informative
        if len(found) < 2:
            raise ValueError(
                f"Expected at least two documents of two or more classes ({corpus.label}). Got {len(found)} of "
                f"{len(corpus.documents)}: the network is sure of its images; take more or harder ones."
            )
        latent_tree.save(latent_tree.fit_tree(found, len(corpus.classes), seed=_SEED), folder / "tree.json")

    if not Store().is_done(tree_cell(corpus)):
        _ = corpus.documents  # first, outside this cell's time
    return latent_tree.load(Store().compute(tree_cell(corpus), work, parents=corpus.made_by) / "tree.json")


def partition(corpus: Corpus) -> Partition:
    """The level-1 clusters of the latent tree: every class in one."""
    return tree(corpus).clusters(1)


def stability_cell(corpus: Corpus, repeats: int) -> Cell:
    """What the study of other documents, seeds and clusterings depends on."""
    return Cell(
        "stability",
        {"version": STAGES["stability"].version, "tree": tree_cell(corpus).key, "repeats": repeats},
    )


def clusterings_of(corpus: Corpus, repeats: int) -> dict[str, Partition]:
    """Other clusterings of the same documents: name -> every class in one cluster; the latent tree's first."""
    return artefacts.read_json(_stability(corpus, repeats) / "clusterings.json")


def stability_of(corpus: Corpus, repeats: int) -> pd.DataFrame:
    """How clusterings agree with themselves: clustering, and the rows of :mod:`whole_output.stability`."""
    return artefacts.read_frame(_stability(corpus, repeats) / "stability.csv")


def _stability(corpus: Corpus, repeats: int) -> Path:
    def work(folder: Path) -> None:
        found, n_labels = corpus.informative, len(corpus.classes)
        islands = partition(corpus)
        methods = _methods(len(islands), n_labels)
        partitions = {LATENT_TREE: islands}
        partitions |= {name: method(found, n_labels, _SEED) for name, method in methods.items() if name != LATENT_TREE}
        partitions[RANDOM] = clusterings.random_partition([len(island) for island in islands], seed=_SEED)
        frames = []
        for name, method in methods.items():
            halves = stability.halves(found, n_labels, method, repeats=repeats, seed=_SEED)
            resampled = stability.bootstrap(found, n_labels, method, repeats=repeats, seed=_SEED)
            frames += [halves.assign(clustering=name), resampled.assign(clustering=name)]
            if name == LATENT_TREE:
                seeds = stability.seeds(found, n_labels, method, repeats=repeats, seed=_SEED)
                frames.append(seeds.assign(clustering=name))
        artefacts.write_frame(folder / "stability.csv", pd.concat(frames, ignore_index=True))
        artefacts.write_json(folder / "clusterings.json", partitions)

    if not Store().is_done(stability_cell(corpus, repeats)):
        tree(corpus)
    return Store().compute(stability_cell(corpus, repeats), work, parents=[tree_cell(corpus)])


def _methods(n_clusters: int, n_labels: int) -> dict[str, stability.Cluster]:
    """Clustering methods, those that need it with the latent tree's number of clusters.

    A part of the documents may lack so many classes, each then a cluster of its own, that there are more.
    """

    def at_least(found: stability.Documents, n: int) -> int:
        n_found = len({label for document in found for label in document})
        return max(n_clusters, n - n_found + min(n_found, 1))

    methods = {
        LATENT_TREE: lambda found, n, seed: latent_tree.fit_islands(found, n, seed=seed),
        "average linkage": lambda found, n, seed: clusterings.average_linkage(found, n, at_least(found, n), seed=seed),
        "spectral": lambda found, n, seed: clusterings.spectral(found, n, at_least(found, n), seed=seed),
        "Louvain": lambda found, n, seed: clusterings.louvain(found, n, seed=seed),
    }
    if n_labels > _MANY_LABELS:  # Louvain's own resolution finds a handful of communities among so many
        methods[f"Louvain, resolution {_RESOLUTION}"] = lambda found, n, seed: clusterings.louvain(
            found, n, resolution=_RESOLUTION, seed=seed
        )
    return methods


@cache
def _loaded(corpus: Corpus) -> list[list[int]]:
    return corpus.load()
