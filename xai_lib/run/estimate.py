"""What a run will take: forwards, core-hours, memory and disk, from a trial on a few images; and what it has taken."""

import os
import resource
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from unittest.mock import patch

import pandas as pd
import torch
from torch.utils.flop_counter import FlopCounterMode

from xai_lib import files, models
from xai_lib.forward import images_at_once
from xai_lib.run import networks, workflow
from xai_lib.run.cell import Cell
from xai_lib.run.settings import Settings, settings
from xai_lib.run.stage import computed, lineage
from xai_lib.run.store import Store

COLUMNS = ("cells", "done", "untried", "forwards", "hours", "disk", "expected", "taken")
# Budgets of the trial: as few images and trainings as show all that is done; what is done to an image is the run's own.
_TRIAL = {"n_train": 256, "n_held_out": 20, "epochs_ce": 1, "epochs_scl": 1, "epochs_tl": 1, "epochs_tuned": 1}
_TRIAL |= {"seeds": 2, "saliency_seeds": 1, "dominance_seeds": 1, "matched_seeds": 1, "variant_seeds": 1}
_TRIAL |= {"stability_repeats": 1, "n_mosaics": 1, "n_deals": 1, "n_paired": 4, "n_focus": 8, "rarity_trainings": 1}
_IMAGES = ("n_scored", "n_quantus", "n_further", "n_saliency", "n_transformed", "n_sensitivity", "n_tools", "n_outputs")
_SMALL, _LARGE = 20, 2  # of each, where images are small, and where networks are published
_OF_A_CLASS = 6  # test images of the trial, of which a class's clusters are made
_SMALLER = 64  # pixels of a side in the trial of published networks
_ENOUGH = 2.0  # seconds in which the network's speed is measured


def estimate(run: Settings) -> pd.DataFrame:
    """What each command of a run takes, in the order of its plan, without doing any of it.

    A trial does everything once on a few images, smaller ones where networks are published, in a store of its own, and
    counts operations; how many of these the network alone does in a second is measured on one core of this machine.
    Of networks that are trained here, which are small, the trial's seconds count, not the operations.
    Indexed by command, a row has ``cells`` and ``done``, numbers of them; ``forwards`` (images through the network,
    passes back by their operations, in millions), ``hours`` (of a core), ``disk`` (10⁹ bytes); ``expected`` and
    ``taken``, the hours of what is done; ``untried``, cells of which nothing is known, as a method failed in the trial.
    ``attrs["memory"]`` is the most that this process held, in 10⁹ bytes.
    """
    flops, per_second = _speed(run)
    costs, found, store = _trial(run), defaultdict(Counter), Store()
    for command, cell in _cells(run):
        unit, n, row = costs.get(_kind(cell)), units(cell), found[command]
        if unit is None:
            row.update(cells=1, untried=1)
            continue
        hours = n * (unit["flops"] / per_second if run.pretrained and unit["flops"] else unit["seconds"]) / 3600
        row.update(cells=1, forwards=unit["flops"] * n / flops / 1e6, hours=hours, disk=unit["bytes"] * n / 1e9)
        if store.is_done(cell):
            taken = files.read_json(store.path(cell) / "provenance.json")["seconds"] / 3600
            row.update(done=1, expected=hours, taken=taken)
    frame = pd.DataFrame.from_dict(found, orient="index").reindex(columns=COLUMNS).fillna(0.0)
    frame = frame.astype(dict.fromkeys(COLUMNS[:3], int))
    frame.attrs["memory"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
    return frame


def units(cell: Cell) -> float:
    """How much of its kind of work a cell is: images, those of all epochs of a training, or mosaics."""
    given = cell.arguments
    n, mosaics = len(given.get("images", ())), given.get("n_mosaics", 0)
    if cell.stage in ("train", "tune"):
        return n * given["recipe"].epochs
    if cell.stage == "rarity":
        return given["n_train"] * sum(recipe.epochs for recipe in given["recipes"].values())
    if cell.stage == "dominance-clusters":
        return n + len(given["training"])
    if cell.stage == "dominance-focus":
        return mosaics
    if cell.stage.startswith("dominance"):
        classes = len(given["images"].labels.unique())
        if cell.stage == "dominance-pairs":
            return given["n_images"] * (given["n_images"] - 1) * min(given["n_classes"] or classes, classes)
        return classes * (mosaics * (1 + given.get("n_deals", 0)) if mosaics else 1)
    return n or 1


def _kind(cell: Cell) -> tuple[str, ...]:
    """Cells that differ in nothing else but how much there is to do."""
    given = cell.arguments
    method = given["explained"].method if "explained" in given else given.get("method_name", "")
    loss = given["recipe"].loss if "recipe" in given else ""
    return cell.stage, given.get("part", ""), given.get("name", ""), method, loss


def _cells(run: Settings) -> Iterator[tuple[str, Cell]]:
    """Every cell of a run, once, with the command that computes it first."""
    found: dict[str, tuple[str, Cell]] = {}
    for command, _, cells in workflow.jobs(run):
        for cell in lineage(cells):
            found.setdefault(cell.key, (command, cell))
    yield from found.values()


def _trial(run: Settings) -> Mapping[tuple[str, ...], Counter]:
    """Of each kind of cell, what a unit takes: "flops", "seconds" and "bytes"."""
    n_classes = len(run.test_split().labels.unique())
    changed = _TRIAL | dict.fromkeys(_IMAGES, _LARGE if run.pretrained else _SMALL)
    changed |= {"n_test": _OF_A_CLASS * n_classes} | ({"size": _SMALLER} if run.pretrained else {})
    given = [run.parameters["overrides"], *(f"{name}={value}" for name, value in changed.items())]
    trial = settings(**{**run.parameters, "overrides": ", ".join(filter(None, given))})
    costs: dict[tuple[str, ...], Counter] = defaultdict(Counter)
    larger = (run.networks.size / trial.networks.size) ** 2
    with tempfile.TemporaryDirectory() as folder, patch.dict(os.environ, XAI_STORE=folder):
        for _, cell in _cells(trial):
            started = time.process_time()
            try:
                with FlopCounterMode(display=False) as counted:
                    written = computed(cell)
            except Exception:  # what fails on a network leaves no gap but its own
                continue
            seconds, flops = time.process_time() - started, larger * counted.get_total_flops()
            size = larger * sum(file.stat().st_size for file in written.rglob("*") if file.is_file())
            costs[_kind(cell)].update(units=units(cell), flops=flops, seconds=seconds, bytes=size)
    return {kind: Counter({name: cost[name] / cost["units"] for name in cost}) for kind, cost in costs.items()}


def _speed(run: Settings) -> tuple[float, float]:
    """Operations of the network for one image, and how many of them it does in a second on one core."""
    if run.pretrained:
        network = networks.from_published(run, run.published[0], 1).network
    else:
        recipe = run.recipe(networks.LOSS)
        network = models.build(recipe.architecture, 10, width=recipe.width, seed=0).eval()
        network = models.fold_batchnorm(network).to(run.device, memory_format=torch.channels_last)
    x = torch.zeros(1, 3, run.networks.size, run.networks.size, device=run.device)
    x = x.expand(images_at_once(x), -1, -1, -1).contiguous(memory_format=torch.channels_last)
    threads, n = torch.get_num_threads(), 0
    with torch.inference_mode(), FlopCounterMode(display=False) as counted:
        network(x)
    torch.set_num_threads(1)
    try:
        with torch.inference_mode():
            started = time.perf_counter()
            while (seconds := time.perf_counter() - started) < _ENOUGH or not n:
                n += len(network(x).argmax(1).tolist())
    finally:
        torch.set_num_threads(threads)
    flops = counted.get_total_flops() / len(x)
    return flops, flops * n / seconds


def told(found: pd.DataFrame) -> str:
    """An estimate as lines of text."""
    total = found.sum().to_frame("all").T.astype(found.dtypes)
    shown = pd.concat([found, total]).rename(columns={"forwards": "forwards (10⁶)", "hours": "core-hours"})
    shown = shown.rename(columns={"disk": "disk (GB)", "expected": "of those done", "taken": "they took"})
    held = f"The trial held {found.attrs['memory']:.1f} GB of memory. Forwards count passes back as well."
    lines = [shown.to_string(float_format="{:,.3g}".format), held]
    if total["untried"].item():
        lines.append(f"{total['untried'].item()} cells are not counted: what they do failed in the trial.")
    if total["taken"].item():
        off = total["taken"].item() / max(total["expected"].item(), 1e-9)
        lines.append(f"What is done took {off:.2f} times what is expected of it.")
    return "\n".join(lines)
