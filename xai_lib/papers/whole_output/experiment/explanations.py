"""Stage "whole-output": scores of one network's whole-output explanations, a chunk of images at a time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pandas as pd
import torch
from tqdm import tqdm

from xai_lib import files as artefacts
from xai_lib import models
from xai_lib.data import Split, planted
from xai_lib.explainers.subject import Subject
from xai_lib.forward import images_at_once
from xai_lib.papers.whole_output.experiment import documents
from xai_lib.papers.whole_output.experiment.documents import Corpus
from xai_lib.papers.whole_output.method import base_maps, evaluation
from xai_lib.papers.whole_output.method import documents as top
from xai_lib.papers.whole_output.method.base_maps import Base
from xai_lib.papers.whole_output.method.confusion import confusion_clusters
from xai_lib.papers.whole_output.method.evaluation import Images
from xai_lib.run import subjects
from xai_lib.run.cell import Cell
from xai_lib.run.settings import Settings
from xai_lib.run.stages import STAGES
from xai_lib.run.store import Store

PARTS = ("paper", "released", "clusterings")
AT_MOST = 5  # top classes of an image that are explained (§5)
_CHUNK = 100  # images of one cell: what a killed run loses at most
_PIXELS_AT_ONCE = 1 << 15  # of images explained together: 32 at 32 pixels
# Of columns that a chunk without rows, or with one class in each, would give another type.
_TYPES = {"index": "int64", "class": "int64", "value": "float64"} | dict.fromkeys(("rivals", "top", "clusters"), "str")
_TORCHVISION = {
    "torchvision:resnet50": {"grad-cam": ("layer4", "layer3"), "excitation-backprop": ("layer4", "layer4.0")},
    "torchvision:googlenet": {
        "grad-cam": ("inception5b", "inception5b.branch1"),
        "excitation-backprop": ("inception5b", "inception5a"),
    },
}


@dataclass(frozen=True, eq=False)
class ExplainedNetwork:
    """A network whose whole outputs are explained.

    Attributes:
        subject: the network, with the test images.
        model: name in the published tables, "resnet50" or "googlenet"; "" for a network of our own.
        layers: base explainer -> names of its coarse and its fine layer.
        corpus: the documents of its top classes.
        observer: another network, which plays the observer of the matching task; None where there is no other.
    """

    subject: Subject
    model: str
    layers: Mapping[str, tuple[str, str]]
    corpus: Corpus
    observer: Subject | None

    @property
    def name(self) -> str:
        """How pages call it."""
        return self.model or f"seed {self.subject.seed}"


@dataclass(frozen=True, eq=False)
class Study:
    """One run of the whole-output part.

    Attributes:
        run: scale and device.
        networks: those that are explained.
    """

    run: Settings
    networks: tuple[ExplainedNetwork, ...]


@dataclass(frozen=True, eq=False)
class Outputs:
    """What is explained of some images.

    Attributes:
        images: the images.
        x: normalised, float [B,3,H,W], on the network's device.
        top: their top classes, ranked.
        probabilities: of all classes, float [B,C].
    """

    images: Split
    x: torch.Tensor
    top: list[list[int]]
    probabilities: torch.Tensor


def study(run: Settings) -> Study:
    """The part on a run's first cross-entropy trainings, or, on ImageNet, on torchvision's GoogLeNet and ResNet-50.

    Documents are of the training images (§3); on ImageNet of the validation images, as released. A network's observer
    is the training with the next seed; on ImageNet the other network.

    Raises:
        FileNotFoundError: if torchvision's weights are missing; the message says which file goes where.
    """
    if run.pretrained:
        return Study(run, _from_torchvision(run))
    return Study(run, tuple(_trained_here(run, seed) for seed in subjects.seeds(run)))


def outputs_of(explained: ExplainedNetwork, images: Split) -> Outputs:
    """Run the network: the top classes of some images, K = min(5, as many as have more than 0.95) (§5)."""
    subject = explained.subject
    images = images.materialised()
    x = images.normalise(images.images.to(subject.device))
    with torch.inference_mode():
        probabilities = subject.network(x).float().softmax(1)
    found = top.top_classes(probabilities, cumulative=documents.CUMULATIVE, at_most=AT_MOST)
    return Outputs(images, x.clone(), found, probabilities.clone())


def bases_of(study: Study, explained: ExplainedNetwork, variant: str = "paper") -> list[Base]:
    """The base explainers with the settings of the run."""
    return [base_of(study, explained, name, variant) for name in base_maps.BASES]


def base_of(study: Study, explained: ExplainedNetwork, name: str, variant: str = "paper") -> Base:
    """One base explainer with the settings of the run."""
    scale = study.run.scale
    return base_maps.base(
        name,
        explained.layers.get(name, explained.layers["grad-cam"]),
        variant=variant,
        n_masks=study.run.explainers.rise_masks,
        n_samples=study.run.explainers.lime_samples,
    )


def chunks(study: Study, explained: ExplainedNetwork) -> list[Split]:
    """The images that are explained, a cell's worth at a time."""
    images = explained.subject.images
    n = len(images)
    return [images.subset(list(range(start, min(start + _CHUNK, n)))) for start in range(0, n, _CHUNK)]


def whole_output_cell(study: Study, explained: ExplainedNetwork, part: str, images: Split) -> Cell:
    """What the scores of a chunk depend on."""
    scale, corpus = study.run.scale, explained.corpus
    config = {
        "network": explained.subject.key,
        "layers": {name: list(pair) for name, pair in sorted(explained.layers.items())},
        "images": {"digest": images.digest, "number": len(images)},
        "tree": documents.tree_cell(corpus).key,
        "part": part,
        "steps": study.run.whole_output.contrast_steps,
    }
    if part == "clusterings":
        config["clusterings"] = _stability_cell(study, explained).key
    else:
        config |= {"rise_masks": study.run.explainers.rise_masks, "lime_samples": study.run.explainers.lime_samples}
        observer = _observer(explained, part)
        config["observer"] = observer.key if observer is not None else None
    return Cell("whole-output", {"version": STAGES["whole-output"].version, **config})


def whole_output_cells(study: Study, explained: ExplainedNetwork, part: str) -> list[Cell]:
    """The cells of one network and part: one for each chunk of images."""
    return [whole_output_cell(study, explained, part, images) for images in chunks(study, explained)]


def scored_chunk(study: Study, explained: ExplainedNetwork, part: str, images: Split) -> Path:
    """The folder of a chunk's scores, computed now if the store lacks them."""
    store, cell = Store(), whole_output_cell(study, explained, part, images)
    if not store.is_done(cell):  # what it stands on first, outside this cell's time
        documents.partition(explained.corpus)
        if part == "clusterings":
            documents.clusterings_of(explained.corpus, study.run.whole_output.stability_repeats)
        observer = _observer(explained, part)
        _ = explained.subject.network, observer and observer.network

    def work(folder: Path) -> None:
        frames = (
            _clusterings(study, explained, images) if part == "clusterings" else _scores(study, explained, part, images)
        )
        for name, frame in frames.items():
            artefacts.write_frame(folder / f"{name}.csv", frame)

    return store.compute(cell, work, parents=_parents(study, explained, part))


@cache
def whole_output_scores(study: Study, part: str) -> pd.DataFrame:
    """Scores of all networks for a part of :data:`PARTS`.

    Returns:
        Columns network, seed, and those of :func:`evaluation.evaluate`, or of :func:`evaluation.compare_clusterings`
        for "clusterings".
    """
    return _gathered(study, part, "scores")


@cache
def whole_outputs(study: Study) -> pd.DataFrame:
    """Every image's output: network, seed, index, label, top, clusters, probability.

    ``top`` holds the top classes, ranked, with a space between; ``clusters`` the confusion clusters, with a bar
    between them; ``probability`` that of the top classes together.
    """
    return _gathered(study, "paper", "outputs")


def _gathered(study: Study, part: str, name: str) -> pd.DataFrame:
    frames = []
    for explained in study.networks:
        for images in tqdm(chunks(study, explained), desc=f"{part}, {explained.name}", leave=False, disable=None):
            frame = artefacts.read_frame(scored_chunk(study, explained, part, images) / f"{name}.csv")
            types = {column: kind for column, kind in _TYPES.items() if column in frame}
            frames.append(frame.astype(types).assign(network=explained.name, seed=explained.subject.seed))
    return pd.concat(frames, ignore_index=True)


def lineage(study: Study, explained: ExplainedNetwork, parts: Sequence[str]) -> list[Cell]:
    """The cells that some parts of a network's scores stand on, in the order in which they are computed."""
    observer = explained.observer.parents if explained.observer is not None else ()
    trees = [documents.tree_cell(explained.corpus)]
    if "clusterings" in parts:
        trees.append(_stability_cell(study, explained))
    return [*explained.subject.parents, *observer, *explained.corpus.made_by, *trees]


def _parents(study: Study, explained: ExplainedNetwork, part: str) -> list[Cell]:
    """The cells whose keys are in the key of a part."""
    parents = [*explained.subject.parents, documents.tree_cell(explained.corpus)]
    if part == "clusterings":
        parents.append(_stability_cell(study, explained))
    observer = _observer(explained, part)
    return [*parents, *(observer.parents if observer is not None else ())]


def _observer(explained: ExplainedNetwork, part: str) -> Subject | None:
    """The network that plays the observer, in the part that has the matching task."""
    return explained.observer if part == "paper" else None


def _stability_cell(study: Study, explained: ExplainedNetwork) -> Cell:
    return documents.stability_cell(explained.corpus, study.run.whole_output.stability_repeats)


def _scores(
    study: Study, explained: ExplainedNetwork, part: str, images: Split
) -> dict[str, pd.DataFrame]:
    partition = documents.partition(explained.corpus)
    observer = _observer(explained, part)
    scores, listed = [], []
    for batch in _batches(images):
        outputs = outputs_of(explained, batch)
        clusters = [confusion_clusters(partition, found) for found in outputs.top]
        listed.append(_listed(outputs, clusters))
        confusing = [b for b, found in enumerate(clusters) if any(len(cluster) > 1 for cluster in found)]
        if confusing:
            scores.append(
                evaluation.evaluate(
                    explained.subject.network,
                    _confusing(outputs, clusters, confusing),
                    bases_of(study, explained, part),
                    n_classes=outputs.probabilities.shape[1],
                    steps=study.run.whole_output.contrast_steps,
                    variant=part,
                    observed_by=observer.network if observer is not None else None,
                )
            )
    return {"scores": _all(scores, evaluation.COLUMNS), "outputs": pd.concat(listed, ignore_index=True)}


def _clusterings(study: Study, explained: ExplainedNetwork, images: Split) -> dict[str, pd.DataFrame]:
    partitions = documents.clusterings_of(explained.corpus, study.run.whole_output.stability_repeats)
    base = base_of(study, explained, "grad-cam")
    scores = []
    for batch in _batches(images):
        outputs = outputs_of(explained, batch)
        several = [b for b, found in enumerate(outputs.top) if len(found) > 1]
        if several:
            clusters = {
                name: [confusion_clusters(partition, outputs.top[b]) for b in several]
                for name, partition in partitions.items()
            }
            scores.append(
                evaluation.compare_clusterings(
                    explained.subject.network,
                    outputs.x[several],
                    outputs.images.index.to(outputs.x.device)[several],
                    clusters,
                    base,
                    n_classes=outputs.probabilities.shape[1],
                    steps=study.run.whole_output.contrast_steps,
                )
            )
    return {"scores": _all(scores, evaluation.CLUSTERING_COLUMNS)}


def _batches(images: Split) -> list[Split]:
    first = images.subset([0]).materialised()
    at_once = images_at_once(first.images, cpu=_PIXELS_AT_ONCE, gpu=_PIXELS_AT_ONCE, least=1)
    return [
        images.subset(list(range(start, min(start + at_once, len(images))))) for start in range(0, len(images), at_once)
    ]


def _confusing(outputs: Outputs, clusters: Sequence[list[list[int]]], rows: list[int]) -> Images:
    images, device = outputs.images, outputs.x.device
    differing, look_alike = None, [None] * len(rows)
    if images.name == "planted":
        differing = images.masks["part"][rows].to(device)
        look_alike = [_look_alike(images.classes[label]) for label in images.labels[rows].tolist()]
    return Images(
        outputs.x[rows], images.index.to(device)[rows], [clusters[row] for row in rows], differing, look_alike
    )


def _look_alike(name: str) -> tuple[int, int] | None:
    """The pair of look-alike planted classes that a class belongs to, by number."""
    for pair in planted.LOOK_ALIKE_PAIRS:
        if name in pair:
            return tuple(planted.CLASSES.index(member) for member in pair)
    return None


def _listed(outputs: Outputs, clusters: Sequence[list[list[int]]]) -> pd.DataFrame:
    rows = zip(outputs.top, clusters, outputs.probabilities.cpu(), strict=True)
    columns = [
        {
            "top": " ".join(map(str, found)),
            "clusters": " | ".join(" ".join(map(str, cluster)) for cluster in groups),
            "probability": float(probabilities[found].sum()),
        }
        for found, groups, probabilities in rows
    ]
    numbers = {"index": outputs.images.index.tolist(), "label": outputs.images.labels.tolist()}
    return pd.DataFrame(columns).assign(**numbers)


def _all(frames: list[pd.DataFrame], columns: Sequence[str]) -> pd.DataFrame:
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=columns)


def _trained_here(run: Settings, seed: int) -> ExplainedNetwork:
    subject = subjects.trained_here(run, seed, run.whole_output.n_outputs)
    seeds = list(run.seeds)
    other = seeds[(seeds.index(seed) + 1) % len(seeds)]
    corpus = documents.corpus_of_network(
        lambda: subject.network, subject.key, subject.parents, run.train_split, f"{run.label}, seed {seed}"
    )
    observer = subjects.trained_here(run, other, run.whole_output.n_outputs) if other != seed else None
    return ExplainedNetwork(subject, "", {"grad-cam": _coarse_and_fine(run, seed)}, corpus, observer)


def _coarse_and_fine(run: Settings, seed: int) -> tuple[str, str]:
    """The network's last layer, and the last one of the stage before it, as the released settings for ResNet-50."""
    recipe = run.recipe(subjects.LOSS)
    names = list(models.build(recipe.architecture, 2, width=recipe.width, seed=seed).layers())
    stage = names[-1].rsplit(".", 1)[0] if names[-1].count(".") > 1 else names[-1]
    return names[-1], [name for name in names if not name.startswith(stage)][-1]


def _from_torchvision(run: Settings) -> tuple[ExplainedNetwork, ...]:
    found = {
        name: subjects.from_torchvision(run, name, layers["grad-cam"][0], run.whole_output.n_outputs)
        for name, layers in _TORCHVISION.items()
    }
    explained = []
    for name, subject in found.items():
        (other,) = (one for key, one in found.items() if key != name)
        model = name.removeprefix("torchvision:")
        corpus = documents.corpus_of_network(
            lambda subject=subject: subject.network,
            subject.key,
            (),
            run.test_split,
            f"{run.label}, {model}, validation images",
        )
        explained.append(ExplainedNetwork(subject, model, _TORCHVISION[name], corpus, other))
    return tuple(explained)
