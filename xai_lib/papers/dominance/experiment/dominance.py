"""Stage "dominance": the clusters of each class, their mosaics, and which cluster a network attends to."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pandas as pd
import torch
from torch import Tensor
from tqdm import tqdm

from xai_lib import explainers
from xai_lib import files as artefacts
from xai_lib.data import Split
from xai_lib.explainers.subject import Subject
from xai_lib.papers.dominance.method import (
    choice,
    clusters,
    energy,
    features,
    mosaics,
    outputs,
    pairwise,
    share,
    single_images,
)
from xai_lib.papers.dominance.method.energy import Explain
from xai_lib.run import subjects
from xai_lib.run.cell import Cell
from xai_lib.run.settings import LOSSES, Settings
from xai_lib.run.stages import STAGES
from xai_lib.run.store import Store

K_MEANS, SHUFFLED, MODES = "k-means", "shuffled", "modes"
PARTS = ("clusters", "choice", "mosaics", "variants", "pairs", "focus")
EXPLAINERS = ("grad-cam", "eigen-cam", "excitation-backprop", "gradient", "random")
_OF_ALL = ("clusters", "mosaics", "focus")  # parts of every network; the others are of the fine-tuned ones, the paper's
_CLASS_NAMES = ("label", "predicted", "target")  # columns
_BATCH = 256
_SEED = 0  # of clusters and mosaics: the same for every network


@dataclass(frozen=True, eq=False)
class RankedNetwork:
    """A network whose clusters are ranked.

    Attributes:
        subject: the network, with the evaluation images, all of them.
        kind: how it was trained: a name of ``Settings.fine_tunings``, or "ce", "scl", "tl".
    """

    subject: Subject
    kind: str

    @property
    def seed(self) -> int:
        """Number of the training."""
        return self.subject.seed

    @property
    def parts(self) -> tuple[str, ...]:
        """What is computed for it, of :data:`PARTS`."""
        return _OF_ALL if self.kind in LOSSES else PARTS


@dataclass(frozen=True, eq=False)
class Hierarchies:
    """One run of the dominance part.

    Attributes:
        run: scale and device.
        networks: those that are explained, the paper's fine-tuned ones first.
    """

    run: Settings
    networks: tuple[RankedNetwork, ...]

    @property
    def kinds(self) -> tuple[str, ...]:
        """Ways of training, in the order of the networks."""
        return tuple(dict.fromkeys(ranked.kind for ranked in self.networks))

    def of(self, kind: str) -> tuple[RankedNetwork, ...]:
        """The networks of a kind."""
        return tuple(ranked for ranked in self.networks if ranked.kind == kind)


def hierarchies(run: Settings) -> Hierarchies:
    """The part on a run's networks: fine-tuned as in the paper, and trained by CE, SCL and TL, which it does not do.

    Raises:
        ValueError: on ImageNet, of which there are no training images here.
    """
    if run.pretrained:
        raise ValueError(
            f"Expected a data set with training images, to which clusters are compared. Got {run.dataset}: "
            "take planted, cifar10, cifar100 or folder:<path>."
        )
    seeds = run.tuned_seeds
    tuned = [
        RankedNetwork(subjects.fine_tuned(run, name, seed, None), name) for name in run.fine_tunings for seed in seeds
    ]
    losses = [RankedNetwork(subjects.trained_here(run, seed, None, loss), loss) for loss in LOSSES for seed in seeds]
    return Hierarchies(run, (*tuned, *losses))


def dominance_cell(of: Hierarchies, ranked: RankedNetwork, part: str) -> Cell:
    """What one part of a network's results depends on."""
    scale, subject, training = of.run.scale, ranked.subject, of.run.train_split()
    config = {
        "network": subject.key,
        "layer": subject.layer,
        "images": {"digest": subject.images.digest, "number": len(subject.images)},
        "part": part,
    }
    config |= {
        "clusters": {
            "n_clusters": of.run.dominance.n_clusters,
            "training": {"digest": training.digest, "number": len(training)},
        },
        "choice": {},
        "mosaics": {"n_mosaics": of.run.dominance.n_mosaics},
        "variants": {"n_mosaics": of.run.dominance.n_mosaics, "explainers": list(EXPLAINERS)},
        "pairs": {"n_paired": of.run.dominance.n_paired, "classes": of.run.dominance.paired_classes},
        "focus": {"n_focus": of.run.dominance.n_focus, "explainers": list(EXPLAINERS)},
    }[part]
    if part in ("mosaics", "variants"):
        config["clustering"] = dominance_cell(of, ranked, "clusters").key
    return Cell("dominance", {"version": STAGES["dominance"].version, **config})


def dominance_parents(of: Hierarchies, ranked: RankedNetwork, part: str) -> list[Cell]:
    """The cells whose keys are in the key of a part."""
    clustered = [dominance_cell(of, ranked, "clusters")] if part in ("mosaics", "variants") else []
    return [*ranked.subject.parents, *clustered]


def computed(of: Hierarchies, ranked: RankedNetwork, part: str) -> Path:
    """The folder of one part of a network's results, computed now if the store lacks it."""
    store, cell = Store(), dominance_cell(of, ranked, part)
    if not store.is_done(cell):  # what it stands on first, outside this cell's time
        _ = ranked.subject.network
        if part in ("mosaics", "variants"):
            computed(of, ranked, "clusters")

    def work(folder: Path) -> None:
        for name, frame in _WORK[part](of, ranked).items():
            artefacts.write_frame(folder / f"{name}.csv", frame)

    return store.compute(cell, work, parents=dominance_parents(of, ranked, part))


def cluster_images(of: Hierarchies) -> pd.DataFrame:
    """Every evaluation image: where it was put, and what its network says about it.

    Returns:
        Columns kind, seed, index, label (class name), predicted (class name), cluster, distance (to the cluster's
        centre), logit and probability of the true class, training_distance (mean distance to the five nearest training
        images of the class, in features); on planted images also mode.
    """
    return _gathered(of, "clusters", "images")


def training_shares(of: Hierarchies) -> pd.DataFrame:
    """Training and evaluation images of every cluster: kind, seed, clustering, label, and :func:`share.shares`."""
    return _gathered(of, "clusters", "shares")


def choices(of: Hierarchies) -> pd.DataFrame:
    """How many clusters each class could have: kind, seed, label, and the columns of :func:`choice.choose`."""
    return _gathered(of, "choice", "choice")


def mosaic_shares(of: Hierarchies) -> pd.DataFrame:
    """The dominance of one cluster over another on each mosaic, by Grad-CAM on mosaics of whole images.

    Returns:
        Columns kind, seed, clustering ("k-means", "shuffled" for the control, and on planted images "modes"), label,
        first, second (clusters), mosaic, value in [0, 1] (share of ``first``'s quadrants; NaN for an empty map).
    """
    return _gathered(of, "mosaics", "mosaics")


def variant_shares(of: Hierarchies) -> pd.DataFrame:
    """The same mosaics by other explainers, resized, or with maps scaled to [0, 1].

    Returns:
        The columns of :func:`mosaic_shares`, with explainer, resized and scaling for clustering.
    """
    return _gathered(of, "variants", "mosaics")


def paired_images(of: Hierarchies) -> pd.DataFrame:
    """Every image its own cluster: kind, seed, label, a, b (image indices), value, n_undefined (of six layouts)."""
    return _gathered(of, "pairs", "pairs")


def focus_values(of: Hierarchies) -> pd.DataFrame:
    """Focus on each mosaic of several classes: kind, seed, explainer, target (class name), mosaic, value."""
    return _gathered(of, "focus", "focus")


def class_mosaics(of: Hierarchies, ranked: RankedNetwork, label: str, pair: tuple[int, int]) -> mosaics.Mosaics:
    """The mosaics of two clusters of a class, the smaller number first.

    Positions are those of ``ranked.subject.images``.

    Raises:
        ValueError: if the class has no such pair of clusters.
    """
    images, split = _read(computed(of, ranked, "clusters") / "images.csv"), ranked.subject.images
    members = dict(_classes(split))[split.classes.index(label)]
    assigned = torch.tensor(images.loc[images["label"] == label, "cluster"].to_numpy())  # in the order of members
    which, drawn = pairwise.draw(assigned, of.run.dominance.n_mosaics, seed=_SEED, purpose=_purpose(K_MEANS, label))
    chosen = torch.tensor(((which["first"] == pair[0]) & (which["second"] == pair[1])).tolist())
    if not chosen.any():
        raise ValueError(f"Expected two of the clusters 0 to {assigned.max()}, the smaller number first. Got {pair}.")
    return mosaics.Mosaics(members[drawn.images[chosen]], drawn.first[chosen])


@cache
def _gathered(of: Hierarchies, part: str, name: str) -> pd.DataFrame:
    networks = [ranked for ranked in of.networks if part in ranked.parts]
    frames = [
        _read(computed(of, ranked, part) / f"{name}.csv").assign(kind=ranked.kind, seed=ranked.seed)
        for ranked in tqdm(networks, desc=part, leave=False, disable=None)
    ]
    return pd.concat(frames, ignore_index=True)


def _clusters(of: Hierarchies, ranked: RankedNetwork) -> dict[str, pd.DataFrame]:
    subject, split, training = ranked.subject, ranked.subject.images, of.run.train_split()
    here, there = _features(subject, split), _features(subject, training)
    with torch.inference_mode():
        logits = torch.cat([subject.network(x).float().cpu() for x in _batches(subject, split)])
    images, shares = [], []
    for label, members in _classes(split):
        seen = (training.labels.cpu() == label).nonzero()[:, 0]
        found = clusters.kmeans(here[members], of.run.dominance.n_clusters, seed=_SEED)
        trained, _ = clusters.assign(there[seen], found.centres)
        assigned = {K_MEANS: (trained, found.assigned)} | _modes(training, seen, split, members)
        images.append(
            outputs.outputs(label, logits[members], here[members], there[seen]).assign(
                index=split.index.cpu()[members],
                label=split.classes[label],
                predicted=[split.classes[k] for k in logits[members].argmax(1).tolist()],
                cluster=found.assigned,
                distance=found.distance,
                **({"mode": assigned[MODES][1]} if MODES in assigned else {}),
            )
        )
        shares += [
            share.shares(*(part.numpy() for part in parts), 1 + int(torch.cat(parts).max())).assign(
                clustering=name, label=split.classes[label]
            )
            for name, parts in assigned.items()
        ]
    return {"images": pd.concat(images, ignore_index=True), "shares": pd.concat(shares, ignore_index=True)}


def _choice(of: Hierarchies, ranked: RankedNetwork) -> dict[str, pd.DataFrame]:
    split = ranked.subject.images
    here = _features(ranked.subject, split)
    frames = [
        choice.choose(here[members], range(2, min(11, len(members))), seed=_SEED).assign(label=split.classes[label])
        for label, members in _classes(split)
    ]
    return {"choice": pd.concat(frames, ignore_index=True)}


def _mosaics(of: Hierarchies, ranked: RankedNetwork) -> dict[str, pd.DataFrame]:
    explain = energy.by_grad_cam(ranked.subject.network, ranked.subject.layer)
    frames = []
    for label, name, x, images in _class_by_class(of, ranked):
        assigned = torch.tensor(images["cluster"].to_numpy())
        clusterings = {K_MEANS: assigned, SHUFFLED: clusters.shuffled(assigned, seed=_SEED)}
        if "mode" in images:
            clusterings[MODES] = torch.tensor(images["mode"].to_numpy())
        frames += [
            pairwise.pairwise(
                x,
                label,
                of_images,
                explain,
                n=of.run.dominance.n_mosaics,
                seed=_SEED,
                purpose=_purpose(clustering, name),
            ).assign(clustering=clustering, label=name)
            for clustering, of_images in clusterings.items()
        ]
    return {"mosaics": pd.concat(frames, ignore_index=True).drop(columns="scaling")}


def _variants(of: Hierarchies, ranked: RankedNetwork) -> dict[str, pd.DataFrame]:
    frames = []
    for label, name, x, images in _class_by_class(of, ranked):
        for explainer, resized in [*((explainer, False) for explainer in EXPLAINERS), (EXPLAINERS[0], True)]:
            found = pairwise.pairwise(
                x,
                label,
                torch.tensor(images["cluster"].to_numpy()),
                _explain(ranked.subject, explainer),
                n=of.run.dominance.n_mosaics,
                seed=_SEED,
                purpose=_purpose(K_MEANS, name),
                resized=resized,
                scalings=("relu", "min-max"),
            )
            frames.append(found.assign(label=name, explainer=explainer, resized=resized))
    return {"mosaics": pd.concat(frames, ignore_index=True)}


def _pairs(of: Hierarchies, ranked: RankedNetwork) -> dict[str, pd.DataFrame]:
    split, scale = ranked.subject.images, of.run.scale
    explain = energy.by_grad_cam(ranked.subject.network, ranked.subject.layer)
    frames = []
    for label, members in itertools.islice(_classes(split), of.run.dominance.paired_classes):
        chosen = split.subset(members[: of.run.dominance.n_paired])
        index = chosen.index.cpu().numpy()
        frame = single_images.all_pairs(_normalised(ranked.subject, chosen), label, explain)
        frames.append(
            frame.assign(a=index[frame["a"].to_numpy()], b=index[frame["b"].to_numpy()], label=split.classes[label])
        )
    return {"pairs": pd.concat(frames, ignore_index=True)}


def _focus(of: Hierarchies, ranked: RankedNetwork) -> dict[str, pd.DataFrame]:
    subject, split = ranked.subject, ranked.subject.images
    drawn, target = mosaics.of_classes(split.labels.cpu(), of.run.dominance.n_focus, seed=_SEED)
    names = [split.classes[label] for label in target.tolist()]
    x = _normalised(subject, split)
    frames = []
    for explainer in EXPLAINERS:
        (value,) = energy.shares(drawn, x, target.to(x.device), _explain(subject, explainer)).values()
        frames.append(
            pd.DataFrame({"explainer": explainer, "target": names, "mosaic": range(len(names)), "value": value})
        )
    return {"focus": pd.concat(frames, ignore_index=True)}


_WORK = {
    "clusters": _clusters,
    "choice": _choice,
    "mosaics": _mosaics,
    "variants": _variants,
    "pairs": _pairs,
    "focus": _focus,
}


def _read(file: Path) -> pd.DataFrame:
    return artefacts.read_frame(file, _CLASS_NAMES)


def _classes(split: Split) -> Iterator[tuple[int, Tensor]]:
    """Each class that has images, with their positions."""
    labels = split.labels.cpu()
    for label in labels.unique().tolist():
        yield label, (labels == label).nonzero()[:, 0]


def _class_by_class(of: Hierarchies, ranked: RankedNetwork) -> Iterator[tuple[int, str, Tensor, pd.DataFrame]]:
    """Each class: its number and name, its normalised images, and its rows of the part "clusters"."""
    images = _read(computed(of, ranked, "clusters") / "images.csv")
    split = ranked.subject.images
    for label, members in _classes(split):
        name = split.classes[label]
        yield label, name, _normalised(ranked.subject, split.subset(members)), images[images["label"] == name]


def _purpose(clustering: str, label: str) -> str:
    return f"{clustering}/{label}"


def _explain(subject: Subject, explainer: str) -> Explain:
    layer = subject.layer if explainers.about(explainer).on_layer else None
    return energy.of_explainer(subject.network, explainer, layer)


def _features(subject: Subject, split: Split) -> Tensor:
    return features.pooled(subject.network, _batches(subject, split), subject.layer)


def _batches(subject: Subject, split: Split) -> Iterator[Tensor]:
    for batch in split.batches(_BATCH):
        yield split.normalise(batch.images.to(subject.device))


def _normalised(subject: Subject, split: Split) -> Tensor:
    return split.normalise(split.images.to(subject.device))


def _modes(training: Split, seen: Tensor, split: Split, members: Tensor) -> dict[str, tuple[Tensor, Tensor]]:
    """The planted modes of a class's training and evaluation images; none where they are not known."""
    if split.name != "planted":
        return {}
    pairs = ((training, seen), (split, members))
    return {MODES: tuple(torch.tensor(of_part.factors["mode"].to_numpy())[rows] for of_part, rows in pairs)}
