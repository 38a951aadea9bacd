"""What is computed of every network and kept: documents, trees, and, a chunk of images at a time, scores."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from tqdm import tqdm

from xai_lib import files, models
from xai_lib.data import Split
from xai_lib.explainers.subject import Subject
from xai_lib.forward import images_at_once
from xai_lib.papers.whole_output import latent_tree
from xai_lib.papers.whole_output.experiment import documents
from xai_lib.papers.whole_output.experiment.documents import Corpus as Corpus
from xai_lib.papers.whole_output.experiment.documents import class_names as class_names
from xai_lib.papers.whole_output.experiment.documents import clusterings_of as clusterings_of
from xai_lib.papers.whole_output.experiment.documents import corpus_of_file as corpus_of_file
from xai_lib.papers.whole_output.experiment.documents import partition as partition
from xai_lib.papers.whole_output.experiment.documents import stability_cell as stability_cell
from xai_lib.papers.whole_output.experiment.documents import stability_of as stability_of
from xai_lib.papers.whole_output.experiment.documents import tree as tree
from xai_lib.papers.whole_output.experiment.documents import tree_cell as tree_cell
from xai_lib.papers.whole_output.experiment.documents import with_tree as with_tree
from xai_lib.papers.whole_output.experiment.documents import wordnet_steps as wordnet_steps
from xai_lib.papers.whole_output.method import base_maps, evaluation
from xai_lib.papers.whole_output.method.evaluation import Outputs, outputs_of
from xai_lib.run import networks
from xai_lib.run.cell import Cell
from xai_lib.run.settings import Settings, Study
from xai_lib.run.stage import computed, stage

PARTS = ("paper", "released", "clusterings")
_CHUNK, _FEWER = 100, 10  # images of one cell: what a killed run loses at most; where they are large
_LARGE = 128  # pixels of a side, from which an image takes a minute
_MANY = 500  # images; from here on a chunk takes longer than the start of its process
_PIXELS_AT_ONCE = {"cpu": 1 << 15, "gpu": 1 << 21}  # of images explained together: 32 at 32 pixels, 41 at 224
# Of columns that a chunk without rows, or with one class in each, would give another type.
_TYPES = {"index": "int64", "class": "int64", "value": "float64"} | dict.fromkeys(("rivals", "top", "clusters"), "str")
_RELEASED = {  # layers of the authors' code
    "torchvision:resnet50": {"grad-cam": ("layer4", "layer3"), "excitation-backprop": ("layer4", "layer4.0")},
    "torchvision:googlenet": {
        "grad-cam": ("inception5b", "inception5b.branch1"),
        "excitation-backprop": ("inception5b", "inception5a"),
    },
}


@dataclass(frozen=True, eq=False)
class ExplainedNetwork:
    """A network whose whole outputs are explained."""

    subject: Subject  # the network, with the test images
    model: str  # name in the published tables, "resnet50" or "googlenet"; "" for a network of our own
    layers: tuple[str, str]  # names of the coarse and the fine layer; the same where no layer has a finer grid
    corpus: documents.Corpus  # the documents of its top classes
    observers: tuple[Subject, ...]  # other networks, which play the observer of the matching task
    released: Mapping[str, tuple[str, str]] = field(default_factory=dict)  # base -> layers of the authors' code
    own: documents.Corpus | None = None  # the network's own documents, where others were given

    @property
    def name(self) -> str:
        """How pages call it."""
        return self.model or f"seed {self.subject.seed}"

    @property
    def chunks(self) -> list[Split]:
        """The images that are explained, a cell's worth at a time."""
        return _pieces(self.subject.images, _CHUNK if self.subject.images.images.shape[-1] < _LARGE else _FEWER)


@stage("whole-output", version=2)
def score(
    folder: Path, *, network: Subject, images: Split, part: str, clusters: Cell | Sequence[Cell],
    bases: Sequence[base_maps.Base], steps: int, observer: Subject | Sequence[Subject] | None, device: torch.device,
) -> None:  # fmt: skip
    """Scores of one part; in "paper" and "released" also every output. A second of ``clusters`` is the own tree."""
    if compared := part == "clusterings":
        clusters, *own = clusters if isinstance(clusters, Sequence) else (clusters,)
        partitions = files.read_json(computed(clusters) / "clusterings.json")
        partitions |= {documents.OWN: latent_tree.load(computed(own[0]) / "tree.json").clusters(1)} if own else {}
    else:
        partitions = {documents.LATENT_TREE: latent_tree.load(computed(clusters) / "tree.json").clusters(1)}
    scores, listed = [pd.DataFrame(columns=evaluation.CLUSTERING_COLUMNS if compared else evaluation.COLUMNS)], []
    observers = [observer] if isinstance(observer, Subject) else observer or ()
    how = {"steps": steps, "variant": part, "observed_by": [one.network for one in observers]}
    for batch in _batches(images, device):
        outputs = outputs_of(network.network, batch, partitions[documents.LATENT_TREE], device)
        listed.append(_listed(outputs, batch))
        several = outputs.part([b for b, found in enumerate(outputs.clusters) if max(map(len, found)) > 1])
        if several.top and compared:
            scores.append(evaluation.compare_clusterings(several, partitions, bases))
        elif several.top:
            scores.append(evaluation.evaluate(several, bases, **how))
    files.write_frame(folder / "scores.csv", pd.concat(scores[1:] or scores, ignore_index=True))
    if not compared:
        files.write_frame(folder / "outputs.csv", pd.concat(listed, ignore_index=True))


def left_out(run: Settings) -> str:
    """Why there is nothing to explain in this part; "" if there is."""
    classes = run.test_split().classes
    if len(classes) > 2:
        return ""
    return (
        f"This part needs at least three classes. {run.label} has {len(classes)}: {', '.join(classes)}. Every class "
        "then has one rival at most, and no cluster of two has another to be contrasted with."
    )


def study(run: Settings, given: str = "", class_index: str = "", tree: str = "") -> Study:
    """The part on a run's first cross-entropy trainings, or, on ImageNet, on as many published networks.

    Documents are of the training images (§3); on ImageNet of the validation images, as released. A network's observer
    is the training with the next seed, or all other published ones are. Files may give all networks other documents
    (``given``, with the names of their classes in ``class_index``, or the run's own) and a latent ``tree``.
    FileNotFoundError if weights or a file are missing; ValueError below three classes, or for another file's content.
    """
    if reason := left_out(run):
        raise ValueError(reason)
    found = _published(run) if run.pretrained else None
    found = found or tuple(_trained_here(run, seed) for seed in networks.explained_seeds(run))
    if given:
        names = documents.class_names(Path(class_index)) if class_index else found[0].corpus.classes
        corpus = documents.corpus_of_file(Path(given), names, Path(given).name)
        found = tuple(replace(explained, corpus=corpus, own=explained.corpus) for explained in found)
    if tree:
        found = tuple(replace(one, corpus=documents.with_tree(one.corpus, tree)) for one in found)
    if wrong := {len(one.corpus.classes) for one in found} - {len(run.test_split().classes)}:
        raise ValueError(f"Expected documents of {len(run.test_split().classes)} classes, as the images. Got {wrong}.")
    return Study(run, found)


def jobs(run: Settings) -> Iterator[tuple[str, dict[str, Any]]]:
    """The commands of the part and their options: one a network and part; one a chunk where images are many."""
    for number, explained in enumerate(() if left_out(run) else study(run).networks):
        chunks = list(range(len(explained.chunks)))
        groups = [chunks] if len(explained.subject.images) < _MANY else [[chunk] for chunk in chunks]
        for part, group in itertools.product(PARTS, groups):
            yield "whole-output", {"network": number, "part": part, "chunks": group}


def whole_output_cells(run: Settings, network: int, part: str, chunks: Sequence[int]) -> list[Cell]:
    """What the command ``whole-output`` computes; ValueError if there is no such network, part or chunk."""
    of_run = study(run)
    explained = networks.chosen("network", network, of_run.networks)
    if part not in PARTS:
        raise ValueError(f"Expected a part out of {', '.join(PARTS)}. Got {part!r}.")
    images = [networks.chosen("chunk", chunk, explained.chunks) for chunk in chunks]
    return [score_cell(of_run, explained, part, of_chunk) for of_chunk in images]


def cells(study: Study, parts: Sequence[str] = PARTS) -> list[Cell]:
    """Every cell of some parts, without those that they stand on."""
    both = itertools.product(study.networks, parts)
    return [score_cell(study, explained, part, images) for explained, part in both for images in explained.chunks]


def score_cell(study: Study, explained: ExplainedNetwork, part: str, images: Split) -> Cell:
    """The scores of a chunk of images."""
    run, compared = study.run, part == "clusterings"
    bases, steps = bases_of(study, explained, "paper" if compared else part), run.whole_output.contrast_steps
    clusters = documents.tree_cell(explained.corpus)
    if compared:
        again = documents.stability_cell(explained.corpus, run.whole_output.stability_repeats)
        clusters = (again, documents.tree_cell(explained.own)) if explained.own else again
    how = {"part": part, "clusters": clusters, "bases": bases, "steps": steps}
    observers = explained.observers if part == "paper" else ()
    observer = observers if len(observers) > 1 else next(iter(observers), None)
    return score.cell(network=explained.subject, images=images, **how, observer=observer, device=run.device)


def bases_of(study: Study, explained: ExplainedNetwork, variant: str = "paper") -> list[base_maps.Base]:
    """The base explainers with the settings of the run."""
    return [base_of(study, explained, name, variant) for name in base_maps.BASES]


def base_of(study: Study, explained: ExplainedNetwork, name: str, variant: str = "paper") -> base_maps.Base:
    """One base explainer with the settings of the run."""
    run, layers = study.run, explained.layers
    n_masks, n_samples = run.explainers.rise_masks, run.explainers.lime_samples
    if variant == "released":
        layers = explained.released.get(name, layers)
        n_masks, n_samples = run.whole_output.released_masks, run.whole_output.released_samples
    return base_maps.base(name, layers, variant=variant, n_masks=n_masks, n_samples=n_samples)


@cache
def whole_output_scores(study: Study, part: str) -> pd.DataFrame:
    """Scores of all networks for a part of :data:`PARTS`: network, model, seed, and columns of :mod:`evaluation`."""
    return _gathered(study, part, "scores")


@cache
def whole_outputs(study: Study) -> pd.DataFrame:
    """Every image's output: network, model, seed, index, label, top (ranked, with spaces), clusters (with a bar between
    two), probability (of the top classes together).
    """
    return _gathered(study, "paper", "outputs")


def without_pairs(study: Study) -> str:
    """Why there is nothing to contrast, as no output has two classes of one cluster at its top; "" if there is."""
    clusters = whole_outputs(study)["clusters"]
    if clusters.str.contains(r"\d \d").any():
        return ""
    return (
        f"None of the {len(clusters)} outputs of this run has two classes of one cluster at its top, so there is "
        "nothing to contrast. Take more images, or a network that is less sure of them."
    )


def _gathered(study: Study, part: str, name: str) -> pd.DataFrame:
    frames = []
    for explained in study.networks:
        for images in tqdm(explained.chunks, desc=f"{part}, {explained.name}", leave=False, disable=None):
            frame = files.read_frame(computed(score_cell(study, explained, part, images)) / f"{name}.csv")
            types = {column: kind for column, kind in _TYPES.items() if column in frame}
            known = {"network": explained.name, "model": explained.model, "seed": explained.subject.seed}
            frames.append(frame.astype(types).assign(**known))
    return pd.concat(frames, ignore_index=True)


def _batches(images: Split, device: torch.device) -> list[Split]:
    first = images.subset([0]).materialised()
    return _pieces(images, images_at_once(first.images.to(device), **_PIXELS_AT_ONCE, least=1))


def _pieces(images: Split, n: int) -> list[Split]:
    return [images.subset(list(range(first, min(first + n, len(images))))) for first in range(0, len(images), n)]


def _listed(outputs: Outputs, images: Split) -> pd.DataFrame:
    columns = {"top": [" ".join(map(str, top)) for top in outputs.top]}
    columns["clusters"] = [" | ".join(" ".join(map(str, cluster)) for cluster in found) for found in outputs.clusters]
    columns["probability"] = [float(of[top].sum()) for of, top in zip(outputs.probabilities.cpu(), outputs.top)]
    return pd.DataFrame(columns).assign(index=images.index.tolist(), label=images.labels.tolist())


def _trained_here(run: Settings, seed: int) -> ExplainedNetwork:
    seeds, n, recipe = list(run.seeds), run.whole_output.n_outputs, run.recipe(networks.LOSS)
    both = seed, seeds[(seeds.index(seed) + 1) % len(seeds)]
    subject, observer = (networks.with_images(run, networks.train_cell(run, networks.LOSS, each), n) for each in both)
    corpus = documents.corpus_of_network(run, subject, run.train_split(), f"{run.label}, seed {seed}")
    alike = models.build(recipe.architecture, 2, width=recipe.width, seed=seed).eval()  # in its layers
    layers = base_maps.coarse_and_fine(alike, torch.zeros(1, 3, run.networks.size, run.networks.size))
    return ExplainedNetwork(subject, "", layers, corpus, (observer,) if both[1] != seed else ())


def _published(run: Settings) -> tuple[ExplainedNetwork, ...]:
    everything = [networks.from_published(run, name, None) for name in run.published]
    subjects = [replace(one, images=networks.some(one.images, run.whole_output.n_outputs)) for one in everything]
    found, size = [], run.networks.size
    for name, whole, subject in list(zip(run.published, everything, subjects))[: run.networks.saliency_seeds]:
        model = name.partition(":")[2]
        corpus = documents.corpus_of_network(run, subject, whole.images, f"{run.label}, {model}, validation images")
        layers = base_maps.coarse_and_fine(subject.network, torch.zeros(1, 3, size, size, device=run.device))
        observers = tuple(other for other in subjects if other is not subject)
        found.append(ExplainedNetwork(subject, model, layers, corpus, observers, _RELEASED.get(name, {})))
    return tuple(found)
