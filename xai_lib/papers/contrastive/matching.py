"""Networks of two losses matched in accuracy: pairs of epochs chosen on held-out images, and how their maps score.

A training keeps several of its epochs, so the more accurate network of a pair can be taken at an earlier one.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from xai_lib import files, models, training
from xai_lib.data.split import Split
from xai_lib.metrics.rows import rows
from xai_lib.papers.contrastive import experiment, method
from xai_lib.papers.contrastive.method import METHODS, Budget
from xai_lib.run import networks
from xai_lib.run.cell import Cell
from xai_lib.run.settings import Settings
from xai_lib.run.stage import computed, stage
from xai_lib.statistics.matching import ACCURACY_TOLERANCE


def latest_match(accuracy: Callable[[str, int], float], epochs: Mapping[str, Sequence[int]]) -> dict[str, int] | None:
    """The epoch of each of two trainings at which their accuracies match, as late as can be; None where none do.

    Both begin at their last epoch; as long as they do not match, the more accurate one goes back by one kept epoch.
    """
    left = {loss: list(kept) for loss, kept in epochs.items()}
    while all(left.values()):
        now = {loss: kept[-1] for loss, kept in left.items()}
        found = {loss: accuracy(loss, epoch) for loss, epoch in now.items()}
        if max(found.values()) - min(found.values()) <= ACCURACY_TOLERANCE + 1e-9:
            return now
        left[max(found, key=found.__getitem__)].pop()
    return None


@stage("match", version=1)
def match(
    folder: Path, *, pair: Mapping[str, Cell], held_out: Split, images: Split, budget: Budget, device: torch.device
) -> None:
    """The matched networks of two losses (loss, epoch, accuracy on held-out images), and the scores of their maps."""
    kept, held_out = {loss: networks.kept(cell) for loss, cell in pair.items()}, held_out.to(device)
    classifier_at = lambda loss, epoch: networks.load(kept[loss][epoch]).classifier  # noqa: E731
    accuracy = lambda loss, epoch: training.accuracy(classifier_at(loss, epoch), held_out)  # noqa: E731
    found = latest_match(accuracy, {loss: list(cells) for loss, cells in kept.items()}) or {}
    reached = {loss: accuracy(loss, epoch) for loss, epoch in found.items()}
    table = pd.DataFrame({"loss": list(found), "epoch": list(found.values()), "accuracy": list(reached.values())})
    parts = [pd.DataFrame(columns=["index", "metric", "value", "loss", "method"])]
    for loss, epoch in found.items():
        classifier = classifier_at(loss, epoch)
        target = experiment.aimed_at(sum(reached.values()) / len(reached), len(held_out.classes))
        degree = training.temperature(training.predict(classifier, held_out), target)
        folded = models.fold_batchnorm(classifier).to(memory_format=torch.channels_last)
        for name in METHODS:
            raw = method.raw_maps(folded, images, name, device)
            values, curves = method.measured(folded, images.to(device), raw, budget)
            parts.append(rows(raw["index"], values | method.areas(curves, degree), loss=loss, method=name))
    files.write_frame(folder / "pair.csv", table)
    files.write_frame(folder / "scores.csv", pd.concat(parts[bool(found) :], ignore_index=True))


def match_cell(run: Settings, a: str, b: str, seed: int) -> Cell:
    """The networks of two losses and one seed, matched in accuracy."""
    given = {"held_out": run.held_out_split(), "images": run.scored_split(), "device": run.device}
    given["budget"] = Budget(run.contrastive.flipping_step, n_further=1, n_quantus=1, colour_values=False)
    return match.cell(pair={loss: networks.train_cell(run, loss, seed) for loss in (a, b)}, **given)


def pairs(run: Settings) -> list[tuple[str, str, int]]:
    """What is matched: two losses and a seed."""
    return [(loss, "ce", seed) for loss in ("scl", "tl") for seed in run.seeds[: run.contrastive.matched_seeds]]


def match_cells(run: Settings, pair: str, seed: int) -> list[Cell]:
    """What the command ``match`` computes; a pair is written "scl-ce"."""
    return [match_cell(run, *pair.split("-"), seed)]


def jobs(run: Settings) -> Iterator[tuple[str, dict[str, Any]]]:
    """The commands ``match`` and their options; none where networks come with their weights."""
    if not run.pretrained:
        yield from (("match", {"pair": f"{a}-{b}", "seed": seed}) for a, b, seed in pairs(run))


def cells(run: Settings) -> list[Cell]:
    """The cells of every pair."""
    return [match_cell(run, *pair) for pair in pairs(run)]


def of_pairs(run: Settings, name: str) -> pd.DataFrame:
    """A table of :func:`match` of every pair: "pair", the matched networks, rows a, b (the pair), loss, seed, epoch,
    accuracy, none for a pair that does not match; or "scores" of these, rows a, b, loss, seed, method, index, metric,
    value.
    """
    parts = [
        files.read_frame(computed(cell) / f"{name}.csv").assign(a=a, b=b, seed=seed)
        for (a, b, seed), cell in zip(pairs(run), cells(run))
    ]
    return pd.concat(parts, ignore_index=True)
