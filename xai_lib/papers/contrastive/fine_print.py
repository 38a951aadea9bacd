"""What the fine print changes: the paper's comparisons under every reading of what its text and its code leave open."""

import itertools
from collections.abc import Iterator
from dataclasses import replace

import pandas as pd

from xai_lib.papers.contrastive import claims, experiment
from xai_lib.run.budgets import RELEASED, VARIANTS
from xai_lib.run.cell import Cell
from xai_lib.run.settings import LOSSES, Settings


def under(run: Settings, variant: str) -> Settings:
    """The run under a variant, with fewer trainings and images: enough to see which way a comparison points."""
    few = {"n_scored": run.contrastive.n_further, "n_quantus": 1, "n_further": 1, "variant": variant}
    seeds = min(run.contrastive.variant_seeds, run.networks.seeds)
    return replace(run, contrastive=replace(run.contrastive, **few), networks=replace(run.networks, seeds=seeds))


def readings() -> Iterator[tuple[str, str]]:
    """Every variant and what it reads otherwise, then all those of the released code together."""
    yield from VARIANTS.items()
    yield "released", f"the released code: {', '.join(RELEASED)}"


def compared(run: Settings) -> pd.DataFrame:
    """Each comparison of :func:`claims.contrastive` under each variant, beside the default reading.

    Returns rows variant, claimed (the metric by default), metric (that of the variant), method, loss, before, after
    (differences in the claimed direction, in the metrics' units), relevant, turned (whether both are at least that and
    point in opposite directions), verdict_before, verdict_after. Only comparisons whose difference changes.
    """
    base = {method: _differences(under(run, "paper"), method) for method in ("grad-cam", "eigen-cam-tool")}
    parts = []
    for variant, _ in readings():
        before, method = ("eigen-cam-tool", "eigen-cam") if variant == "text-eigen-cam" else ("grad-cam",) * 2
        both = base[before].merge(_differences(under(run, variant), method), on="claim", suffixes=("_before", ""))
        parts.append(both.assign(variant=variant))
    rows = pd.concat(parts, ignore_index=True)
    new = {"metric_before": "claimed", "a": "loss", "difference_before": "before", "difference": "after"}
    rows = rows.rename(columns=new | {"verdict": "verdict_after"})
    matters = rows[["before", "after"]].abs().min(axis=1) >= rows["relevant"]
    rows["turned"] = matters & (rows["before"] * rows["after"] < 0)
    names = ["variant", "claimed", "metric", "method", "loss", "before", "after", "relevant", "turned"]
    moved = rows["before"] != rows["after"]
    return rows.loc[moved, [*names, "verdict_before", "verdict_after"]].reset_index(drop=True)


def cells(run: Settings) -> list[Cell]:
    """The cells that :func:`compared` stands on."""
    runs = [(under(run, "paper"), ("grad-cam", "eigen-cam-tool", "eigen-cam"))]
    runs += [(under(run, variant), ("grad-cam",)) for variant, _ in readings()]
    found = [
        experiment.score_cell(one, loss, seed, method)
        for one, methods in runs
        for loss, seed, method in itertools.product(LOSSES, one.seeds, methods)
    ]
    return list({cell.key: cell for cell in found}.values())


def _differences(run: Settings, method: str) -> pd.DataFrame:
    return claims.against_ce(run, [method])[["claim", "metric", "method", "a", "difference", "relevant", "verdict"]]
