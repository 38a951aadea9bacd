"""The record of a run of the contrastive part."""

from pathlib import Path

from xai_lib.papers.contrastive import analysis as results
from xai_lib.papers.contrastive import experiment, figures, tables
from xai_lib.record.writing import Figures, Numbers, Tables, Views, prepare, write, write_provenance
from xai_lib.run import workflow
from xai_lib.run.settings import Settings

_TABLES: Tables = {
    "accuracy": (results.accuracy, tables.accuracy),
    "results": (results.results, tables.results),
    "orders": (results.orders, tables.orders),
    "verdicts": (results.verdicts, tables.verdicts),
    "quantus": (results.quantus, tables.quantus),
    "empty-maps": (results.empty_maps, tables.empty_maps),
}
_VIEWS: Views = {"images": tables.splits, "settings": tables.recipe_settings}
_NUMBERS: Numbers = {"histories": results.histories}
_FIGURES: Figures = {
    "training": lambda run: figures.training_curves(results.histories(run)),
    "embedding": lambda run: figures.embedding(results.embedding(run, seed=0), run.test_split().classes),
    "overlays": lambda run: figures.overlays(*results.overlays(run, n=6, seed=0)),
    "flipping": lambda run: figures.flipping_curves(experiment.curves(run)),
    "distributions": lambda run: figures.distributions(experiment.scores(run), tables.PANELS),
}


def record(run: Settings, folder: Path) -> None:
    """Write a run of the contrastive part into ``folder``: CSV, HTML, PNG and ``provenance.json``.

    Recording computes nothing but tables: what the store lacks is computed first, by the code of the commit.

    Raises:
        RuntimeError: as :func:`xai_lib.record.writing.prepare`.
    """
    prepare(folder)
    write(run, folder, _TABLES, _VIEWS, _NUMBERS, _FIGURES)
    write_provenance(run, folder, workflow.of_run(run))
