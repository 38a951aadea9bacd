"""Stages of the saliency benchmark: scores of one network and method, a chunk of images at a time."""

import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pandas as pd
import torch
from torch import nn
from tqdm import tqdm

from xai_lib import files as artefacts
from xai_lib import pretrained
from xai_lib.data import Split
from xai_lib.explainers.layers import last_spatial_layer
from xai_lib.explainers.layers import find_layer
from xai_lib.explainers.subject import Subject
from xai_lib.papers.saliency import method as benchmark
from xai_lib.papers.saliency.method import lineup
from xai_lib.run import subjects
from xai_lib.run.cell import Cell
from xai_lib.run.settings import Settings
from xai_lib.run.stages import STAGES
from xai_lib.run.store import Store

_CHUNK = 500  # images of one cell: what a killed run loses at most
_COSTED = 8
_PRETRAINED = "torchvision:resnet50"
_PRETRAINED_LAYER = "layer4"
PARTS = ("fidelity", "repeated", "transformed", "cost")


@dataclass(frozen=True, eq=False)
class Bench:
    """One run of the benchmark: networks with their images, methods, budgets.

    Attributes:
        run: scale and device.
        subjects: the networks, each with its images; several are trainings that differ in the seed.
        methods: names of the explainers that take part.
    """

    run: Settings
    subjects: tuple[Subject, ...]
    methods: tuple[str, ...] = lineup.ALL


def bench(run: Settings) -> Bench:
    """The benchmark on a run's first cross-entropy trainings, or, on ImageNet, on torchvision's ResNet-50.

    Raises:
        FileNotFoundError: if torchvision's weights are missing; the message says which file goes where.
    """
    if run.pretrained:
        return Bench(run, (subjects.from_torchvision(run, _PRETRAINED, _PRETRAINED_LAYER, run.saliency.n_saliency),))
    return Bench(run, tuple(subjects.trained_here(run, seed, run.saliency.n_saliency) for seed in subjects.seeds(run)))


def bench_of(
    run: Settings,
    network: nn.Module,
    images: Split,
    *,
    name: str,
    layer: str | None = None,
    methods: tuple[str, ...] = lineup.ALL,
) -> Bench:
    """The benchmark on a network of your own.

    Args:
        run: scale, device and label; its data set is not used.
        network: images [B,3,H,W] -> logits [B,C], in evaluation mode.
        images: images, labels in the network's order of classes, and the normalisation it was trained with.
        name: what the network is, besides its weights: with them it makes the key under which scores are kept.
        layer: dotted name of the layer explained; None for the network's default, or its last spatial one.
        methods: names of the explainers that take part.

    Raises:
        ValueError: if there is no such layer or method; the message lists those that exist.
    """
    if strangers := [method for method in methods if method not in lineup.ALL]:
        raise ValueError(f"Expected methods out of {', '.join(lineup.ALL)}. Got {', '.join(strangers)}.")
    network = network.to(run.device, memory_format=torch.channels_last)
    images = subjects.some(images, run.saliency.n_saliency)
    weights = pretrained.state_digest(network)
    subject = Subject(
        load=lambda: network,
        key=hashlib.sha256(f"{name}|{weights}".encode()).hexdigest(),
        parents=(),
        layer=_layer_of(network, images, layer, run.device),
        images=images,
        reference=lambda: subjects.some(images, subjects.REFERENCE),
        device=run.device,
    )
    return Bench(run, (subject,), methods)


def parts_of(method: str) -> tuple[str, ...]:
    """What is computed for a method: those beyond the paper's and the controls stay out of Table 4."""
    return tuple(part for part in PARTS if part != "transformed" or method not in lineup.BEYOND)


def saliency_cells(bench: Bench, subject: Subject, method: str, part: str) -> list[Cell]:
    """The cells of one network, method and part: one for each chunk of images."""
    return [_cell(bench.run, subject, method, part, images) for _, images in _chunks(bench.run, subject, part)]


def benchmarked(bench: Bench, subject: Subject, method: str, part: str) -> pd.DataFrame:
    """Scores of one network, method and part (of :data:`PARTS`), computed now where the store lacks them.

    Returns:
        The rows of :mod:`xai_lib.benchmark`'s function of that name; for "cost" one row.
    """
    store, frames = Store(), []
    for start, images in _chunks(bench.run, subject, part):
        cell = _cell(bench.run, subject, method, part, images)

        def work(folder: Path, start: int = start, images: Split = images) -> None:
            artefacts.write_frame(folder / "scores.csv", _compute(bench.run, subject, method, part, start, images))

        if not store.is_done(cell):
            _ = subject.network  # trained first, outside this cell's time
        frames.append(artefacts.read_frame(store.compute(cell, work, parents=subject.parents) / "scores.csv"))
    return pd.concat(frames, ignore_index=True)


@cache
def saliency_scores(bench: Bench, part: str) -> pd.DataFrame:
    """All networks and methods of a part: seed, method, and the columns of :func:`benchmarked`."""
    parts = [
        benchmarked(bench, subject, method, part).assign(seed=subject.seed, method=method)
        for subject in bench.subjects
        for method in tqdm(bench.methods, desc=f"{part}, seed {subject.seed}", leave=False, disable=None)
        if part in parts_of(method)
    ]
    return pd.concat(parts, ignore_index=True)


def _layer_of(network: nn.Module, images: Split, layer: str | None, device: torch.device) -> str:
    if layer is not None or hasattr(network, "default_layer"):
        return find_layer(network, layer)[0]
    batch = next(iter(images.subset([0]).batches(1)))
    return last_spatial_layer(network, images.normalise(batch.images.to(device)))


def _chunks(run: Settings, subject: Subject, part: str) -> list[tuple[int, Split]]:
    """Start and images of each chunk of a part."""
    budget = {
        "fidelity": len(subject.images),
        "repeated": run.saliency.n_sensitivity,
        "transformed": run.saliency.n_transformed,
        "cost": _COSTED,
    }[part]
    n = min(budget, len(subject.images))
    return [(start, subject.images.subset(list(range(start, min(start + _CHUNK, n))))) for start in range(0, n, _CHUNK)]


def _cell(run: Settings, subject: Subject, method: str, part: str, images: Split) -> Cell:
    scale = run.scale
    budgets = {
        "fidelity": {"causal_steps": run.saliency.causal_steps, "n_readings": run.saliency.n_sensitivity},
        "repeated": {"causal_steps": run.saliency.causal_steps, "draws": run.saliency.sensitivity_draws},
        "transformed": {"causal_steps": run.saliency.causal_steps},
        "cost": {},
    }[part]
    return Cell(
        "saliency",
        {
            "version": STAGES["saliency"].version,
            "network": subject.key,
            "layer": subject.layer,
            "images": {"digest": images.digest, "number": len(images)},
            "method": method,
            "settings": lineup.settings(method, scale),
            "part": part,
            **budgets,
        },
    )


def _compute(run: Settings, subject: Subject, method: str, part: str, start: int, images: Split) -> pd.DataFrame:
    images = images.materialised()
    scale = run.scale
    settings = lineup.settings(method, scale)
    if part == "fidelity":
        n_readings = 0 if method in lineup.BEYOND else min(max(run.saliency.n_sensitivity - start, 0), len(images))
        return benchmark.fidelity(
            subject, method, settings, images, causal_steps=run.saliency.causal_steps, n_readings=n_readings
        )
    if part == "repeated":
        return benchmark.repeated(
            subject,
            method,
            settings,
            images,
            causal_steps=run.saliency.causal_steps,
            draws=run.saliency.sensitivity_draws,
        )
    if part == "transformed":
        return benchmark.transformed(subject, method, settings, images, causal_steps=run.saliency.causal_steps)
    return pd.DataFrame([benchmark.cost(subject, method, settings, images)])
