"""The record of the trainings on planted images with rare modes."""

from pathlib import Path

from xai_lib import cells, figures
from xai_lib.cells import Settings
from xai_lib.record.writing import Figures, Tables, prepare, write, write_provenance
from xai_lib.results.dominance import rarity, verdicts
from xai_lib.tables import rarity as tables

_TABLES: Tables = {
    "power-modes": (lambda run: rarity.power(run, "modes"), lambda run: tables.power(run, "modes")),
    "power-k-means": (lambda run: rarity.power(run, "k-means"), lambda run: tables.power(run, "k-means")),
    "purity": (rarity.purity, tables.purity),
    "suspected": (lambda run: rarity.suspected(run, "k-means"), lambda run: tables.suspected(run, "k-means")),
    "verdicts": (verdicts.rarity_verdicts, tables.verdicts),
}
_FIGURES: Figures = {
    "power-modes": lambda run: figures.power(rarity.power(run, "modes")),
    "power-k-means": lambda run: figures.power(rarity.power(run, "k-means")),
}


def record(run: Settings, folder: Path) -> None:
    """Write the trainings into ``folder``; as :func:`xai_lib.record.contrastive.record`."""
    prepare(folder)
    write(run, folder, _TABLES, {}, {}, _FIGURES)
    write_provenance(run, folder, cells.of_rarities(run))
