"""What the saliency part computes of each network and method, chunk by chunk of images, and keeps; and whole runs."""

import hashlib
import itertools
import warnings
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import nn
from tqdm import tqdm

from xai_lib import explainers, files, metrics, pretrained
from xai_lib.checks import in_a_line
from xai_lib.data import Split
from xai_lib.explainers.layers import find_layer
from xai_lib.explainers.subject import Subject
from xai_lib.forward import layout
from xai_lib.papers.saliency import method
from xai_lib.papers.saliency.method import Explained, interventions, lineup
from xai_lib.papers.saliency.method.repeated import WEIGHT_DRAWS
from xai_lib.papers.saliency.method.tools import METHODS as TOOLED
from xai_lib.run.cell import Cell
from xai_lib.run.networks import LOSS, REFERENCE, explained_seeds, from_published, some, train_cell, with_images
from xai_lib.run.settings import Settings, Study
from xai_lib.run.stage import computed, stage
from xai_lib.run.store import CorruptArtefactError

PARTS = ("fidelity", "repeated", "transformed", "cost", "tools", "metric", "interventions")
_CHUNK, _FEWER = 500, 8  # images of one cell: what a killed run loses at most; where they are large and few
_LARGE = 128  # pixels of a side, from which an image takes seconds, not milliseconds
_MANY = 500  # images; from here on a method takes longer than the start of its process
_COSTED = 8


@stage("maps", version=1)
def maps(folder: Path, *, explained: Explained, images: Split) -> None:
    """Raw maps for three classes of each image, so that a new metric explains nothing again."""
    files.write_tensors(folder / "maps.pt", method.raw_maps(explained, images.materialised()))


@stage("saliency", version=2)
def saliency(
    folder: Path, *, explained: Explained, images: Split, part: str, budgets: Mapping[str, Any], raw: Cell | None
) -> None:
    """The scores of a part, by the function of its name in :mod:`xai_lib.papers.saliency.method`."""
    given = dict(budgets) if raw is None else {**budgets, "stored": _stored(raw)}
    found = getattr(method, part)(explained, images.materialised(), **given)
    files.write_frame(folder / "scores.csv", found)
    if found.attrs.get("left_out"):
        files.write_json(folder / "left-out.json", found.attrs["left_out"])


@stage("metric", version=2)
def metric(folder: Path, *, explained: Explained, images: Split, raw: Cell, name: str, source: str) -> None:
    """A metric that the paper does not have; ``source``, its code, is there for the key."""
    found = method.scored(explained, images.materialised(), stored=_stored(raw), metric=name)
    files.write_frame(folder / "scores.csv", found)


@stage("interventions", version=1)
def intervene(folder: Path, *, explained: Explained, images: Split, raw: Cell) -> None:
    """Stored maps of drawn images, held against what the network loses with each of their elements."""
    files.write_frame(folder / "scores.csv", interventions.scored(explained, images.materialised(), _stored(raw)))


def study(run: Settings) -> Study:
    """The benchmark on a run's first CE trainings, or first published network; FileNotFoundError where weights lack."""
    n = run.saliency.n_saliency
    if run.pretrained:
        return Study(run, (from_published(run, run.published[0], n),), lineup.methods())
    networks = tuple(with_images(run, train_cell(run, LOSS, seed), n) for seed in explained_seeds(run))
    return Study(run, networks, lineup.methods())


def study_of(
    run: Settings, network: nn.Module, images: Split, *, name: str, layer: str | None = None,
    methods: Sequence[str] = (),
) -> Study:  # fmt: skip
    """The benchmark on a network of your own; ValueError if there is no such layer or method, with those that exist.

    The network is images [B,3,H,W] -> logits [B,C], in evaluation mode; the images have labels in its order of classes,
    and the normalisation it was trained with. ``name`` is what the network is, besides its weights: with them it makes
    the key under which scores are kept. ``layer`` is the dotted name of the layer explained, empty for the network's
    default, or its last spatial one; no ``methods`` are all explainers.
    """
    _check(methods)
    images = some(images, run.saliency.n_saliency)
    x = images.normalise(next(iter(images.batches(_COSTED))).images.to(run.device))
    network = network.to(run.device)
    network = network.to(memory_format=layout(network, x))
    known = (name, pretrained.state_digest(network), *pretrained.answers(network, x))
    key = hashlib.sha256("|".join(known).encode()).hexdigest()
    try:
        layer = find_layer(network, layer or None, x)[0]
    except ValueError:  # without a layer of its own, a method that needs one says why there is none
        if layer:
            raise
        layer = None
    subject = Subject(lambda: network, key, (), layer, images, lambda: some(images, REFERENCE), run.device)
    return Study(run, (subject,), tuple(methods) or lineup.methods())


def settings_of(run: Settings, name: str) -> dict[str, Any]:
    """What a run's budgets set for a method; all else is the method's own default."""
    budgets = run.explainers
    set_by_run = {"rise": {"n_masks": budgets.rise_masks}, "lime": {"n_samples": budgets.lime_samples}}
    if budgets.score_cam_channels is not None:
        set_by_run["score-cam"] = {"n_channels": budgets.score_cam_channels}
    return set_by_run.get(name, {})


def explained_by(study: Study, subject: Subject, name: str) -> Explained:
    """One of the networks under one of the methods, with the run's settings."""
    return Explained(subject, name, settings_of(study.run, name))


def part_cells(study: Study, subject: Subject, name: str, part: str) -> list[Cell]:
    """The cells of one network, method and part (of :data:`PARTS`): one for each chunk of images.

    Methods beyond the paper's and the controls stay out of Table 4 and have no other readings. The part "metric" has
    a cell a chunk for each of :func:`lineup.added_metrics` that the images have what it needs for; "interventions" are
    of drawn images; the part "tools" is of the first network and of the methods that a tool can explain again.
    """
    explained, n = explained_by(study, subject, name), len(subject.images)
    budgets, is_papers = study.run.saliency, name in (*lineup.PAPER, *lineup.CONTROLS)
    limits = {"repeated": budgets.n_sensitivity, "transformed": budgets.n_transformed * is_papers, "cost": _COSTED}
    limits["cost"] *= not explainers.about(name).fixed  # looked up
    limits["tools"] = budgets.n_tools * (name in TOOLED and subject is study.networks[0])
    chunk = _CHUNK if subject.images.images.shape[-1] < _LARGE else min(_CHUNK, max(_FEWER, n // 100))
    n, found = min(limits.get(part, n), n), []
    for start in range(0, n, chunk):
        images = subject.images.subset(list(range(start, min(start + chunk, n))))
        given = {"explained": explained, "images": images}
        raw = maps.cell(**given) if part in ("fidelity", "metric", "interventions") else None
        if part == "metric":
            able = (metrics.about(name) for name in lineup.added_metrics())
            able = [about for about in able if "object" in images.masks or "mask" not in about.needs]
            found += [metric.cell(raw=raw, name=about.name, source=about.source, **given) for about in able]
            continue
        if part == "interventions":
            found += [intervene.cell(raw=raw, **given)] if images.name == "planted" else []
            continue
        own = {} if part == "cost" else {"causal_steps": budgets.causal_steps}
        if part == "fidelity":
            own["n_readings"] = min(max((budgets.n_sensitivity - start) * is_papers, 0), len(images))
        if part in ("repeated", "tools"):
            own["draws"] = budgets.sensitivity_draws
        if part == "repeated":
            own["samples"] = budgets.monotonicity_samples
            own |= {} if budgets.weight_draws == WEIGHT_DRAWS else {"weight_draws": budgets.weight_draws}
        found.append(saliency.cell(part=part, budgets=own, raw=raw, **given))
    return found


def cells(study: Study, parts: Sequence[str] = PARTS) -> list[Cell]:
    """Every cell of some parts, without those that they stand on."""
    every = itertools.product(study.networks, study.methods, parts)
    return [cell for subject, name, part in every for cell in part_cells(study, subject, name, part)]


def saliency_cells(run: Settings, seed: int, methods: Sequence[str]) -> list[Cell]:
    """What the command ``saliency`` computes; ValueError if there is no such network or method, listing all."""
    _check(methods)
    subjects = {subject.seed: subject for subject in study(run).networks}
    if seed not in subjects:
        raise ValueError(f"Expected a seed out of {', '.join(map(str, subjects))}. Got {seed}.")
    return cells(Study(run, (subjects[seed],), tuple(methods)))


def jobs(run: Settings) -> Iterator[tuple[str, dict[str, Any]]]:
    """The commands of the part and their options.

    One a network and method where images are many; where they are few, starting a process takes longer than a method,
    and there is one a network for the paper's methods and one for all others.
    """
    whole, n = study(run), run.saliency.n_saliency
    groups = [(name,) for name in whole.methods]
    if n is not None and n < _MANY:
        groups = [lineup.PAPER, tuple(name for name in whole.methods if name not in lineup.PAPER)]
    for subject, methods in itertools.product(whole.networks, groups):
        yield "saliency", {"seed": subject.seed, "methods": methods}


@cache
def scores(study: Study, part: str) -> pd.DataFrame:
    """All networks and methods of a part, computed now where the store lacks them.

    Columns seed and method, and those of the part's function in :mod:`xai_lib.papers.saliency.method`. A method that a
    network refuses has no rows, a metric of it none or NaN; a warning says why, and so does ``attrs["left_out"]``,
    (method, metric, or "" for all) -> reason. ValueError with the reasons where no method is left.
    """
    found, left_out = [], {}
    for subject in study.networks:
        for name in tqdm(study.methods, desc=f"{part}, seed {subject.seed}", leave=False, disable=None):
            for cell in part_cells(study, subject, name, part):
                if (folder := _computed(cell, name, left_out)) is not None:
                    found.append(files.read_frame(folder / "scores.csv").assign(seed=subject.seed, method=name))
    if left_out and not found and part == "fidelity":
        raise ValueError(f"Expected a method that the network can be explained by. Got: {' '.join(left_out.values())}")
    empty = pd.DataFrame(columns=["index", "metric", "value", "reading", "seed", "method"])
    frame = pd.concat(found or [empty], ignore_index=True)
    frame.attrs["left_out"] = left_out
    return frame


def applicable(study: Study) -> tuple[str, ...]:
    """The methods that have scores, in the order of the study."""
    scored = set(scores(study, "fidelity")["method"])
    return tuple(name for name in study.methods if name in scored)


def left_out(study: Study, *parts: str) -> dict[tuple[str, str], str]:
    """What some parts have no scores of, and why: see :func:`scores`."""
    return {what: why for part in parts for what, why in scores(study, part).attrs.get("left_out", {}).items()}


@cache
def class_similarity(study: Study) -> pd.DataFrame:
    """:func:`method.class_similarity` of the paper's informed methods that have scores: columns of :func:`scores`."""
    found = []
    for subject, name in itertools.product(study.networks, [n for n in lineup.INFORMED if n in applicable(study)]):
        for cell in part_cells(study, subject, name, "fidelity"):
            explained, images, raw = (cell.arguments[key] for key in ("explained", "images", "raw"))
            rows = method.class_similarity(explained, images.materialised(), _stored(raw))
            found.append(rows.assign(seed=subject.seed, method=name))
    return pd.concat(found, ignore_index=True)


def _computed(cell: Cell, name: str, left_out: dict[tuple[str, str], str]) -> Path | None:
    """The folder of a cell; None where the method or metric does not apply, which is noted as is what it lacks."""
    try:
        folder = computed(cell)
    except (CorruptArtefactError, OSError):
        raise
    except Exception as error:  # a network of one's own can make a method fail in any way
        what = cell.config.get("name", "")
        left_out[name, what] = in_a_line(error)
        part = what or cell.config["part"]
        warnings.warn(f"{name} is left out of {part!r}: {left_out[name, what]}", RuntimeWarning, stacklevel=3)
        return None
    if (folder / "left-out.json").exists():
        left_out |= {(name, metric): why for metric, why in files.read_json(folder / "left-out.json").items()}
    return folder


def _check(methods: Sequence[str]) -> None:
    if strangers := [name for name in methods if name not in lineup.methods()]:
        raise ValueError(f"Expected methods out of {', '.join(lineup.methods())}. Got {', '.join(strangers)}.")


def _stored(raw: Cell) -> dict[str, torch.Tensor]:
    return files.read_tensors(computed(raw) / "maps.pt")
