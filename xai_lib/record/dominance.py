"""The record of a run of the dominance part."""

from pathlib import Path

from xai_lib.page.names import LETTERS
from xai_lib.papers.dominance import claims as verdicts
from xai_lib.papers.dominance import experiment, figures
from xai_lib.papers.dominance.analysis import hierarchies, networks, pictures, single, training
from xai_lib.papers.dominance.experiment.dominance import Hierarchies
from xai_lib.papers.dominance.tables import hierarchies as tables
from xai_lib.record.writing import Figures, Numbers, Tables, Views, prepare, write, write_provenance
from xai_lib.run import workflow
from xai_lib.run.settings import Settings


def _kind(of: Hierarchies) -> str:
    return of.kinds[0]


def _shown(of: Hierarchies) -> tuple[str, str]:
    return pictures.widest_and_narrowest(of, _kind(of))


_TABLES: Tables = {
    "accuracy": (networks.accuracy, tables.accuracy),
    "sizes": (networks.sizes, tables.sizes),
    "chosen": (networks.chosen, lambda of: tables.chosen(of, _kind(of))),
    "focus": (networks.focus, tables.focus),
    "null": (hierarchies.spread, tables.null),
    "classes": (lambda of: hierarchies.classes(of, _kind(of)), lambda of: tables.classes(of, _kind(of))),
    "variants": (hierarchies.variants, tables.variants),
    "between-trainings": (hierarchies.between_trainings, tables.between_trainings),
    "single-images": (single.over_classes, tables.single_images),
    "single-by-class": (single.correlations, lambda of: tables.single_by_class(of, _kind(of))),
    "over-classes": (training.over_classes, tables.over_classes),
    "clusters-and-outputs": (
        lambda of: training.over_classes(of, training.OUTPUTS),
        tables.clusters_and_outputs,
    ),
    "by-class": (training.clusters, lambda of: tables.by_class(of, _kind(of))),
    "least": (training.least_in_numbers, tables.least),
    "verdicts": (verdicts.verdicts, tables.verdicts),
}
_VIEWS: Views = {
    "fine-tuning": lambda of: tables.fine_tuning(of.run),
    "pairs-widest": lambda of: tables.pairs(of, _kind(of), _shown(of)[0]),
}
_NUMBERS: Numbers = {"pairs": hierarchies.pairs, "clusters": hierarchies.ranked, "correlations": training.correlations}
_FIGURES: Figures = {
    "representatives": lambda of: figures.representatives(pictures.representatives(of, _kind(of), _shown(of)[0])),
    "matrices": lambda of: figures.dominance_matrices(
        hierarchies.matrices(of, _kind(of), _shown(of)), LETTERS[: of.run.scale.n_clusters]
    ),
    "mosaics-widest": lambda of: figures.mosaics(pictures.examples(of, _kind(of), _shown(of)[0])),
    "mosaics-narrowest": lambda of: figures.mosaics(pictures.examples(of, _kind(of), _shown(of)[1])),
    "all-matrices": lambda of: figures.all_matrices(hierarchies.ranked_matrices(of, _kind(of))),
    "choices": lambda of: figures.choices(networks.first_choices(of, _kind(of))),
    "focus": lambda of: figures.focus(tables.named_focus(of)),
    "outputs": lambda of: figures.against_outputs(single.shown(of, _kind(of))),
    "training-share": lambda of: figures.training_share(training.by_rank(of, _kind(of))),
}


def record(run: Settings, folder: Path) -> None:
    """Write a run of the dominance part into ``folder``; as :func:`xai_lib.record.contrastive.record`."""
    prepare(folder)
    of = experiment.hierarchies(run)
    write(of, folder, _TABLES, _VIEWS, _NUMBERS, _FIGURES)
    write_provenance(run, folder, workflow.of_hierarchies(of))
