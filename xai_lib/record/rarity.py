"""The record of the trainings on planted images with rare modes."""

from pathlib import Path

from xai_lib.papers.dominance import claims as verdicts
from xai_lib.papers.dominance import figures
from xai_lib.papers.dominance.analysis import rarity
from xai_lib.papers.dominance.tables import rarity as tables
from xai_lib.record.writing import Figures, Tables, prepare, write, write_provenance
from xai_lib.run import workflow
from xai_lib.run.settings import Settings

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
    write_provenance(run, folder, workflow.of_rarities(run))
