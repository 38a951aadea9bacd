"""The record of a run of the saliency benchmark."""

from pathlib import Path

from xai_lib.papers.saliency import claims as verdicts
from xai_lib.papers.saliency import experiment, figures, tables
from xai_lib.papers.saliency.analysis import evidence, pictures, printed, scores
from xai_lib.record.writing import Figures, Numbers, Tables, Views, prepare, write, write_provenance
from xai_lib.run import workflow
from xai_lib.run.settings import Settings

_TABLES: Tables = {
    "table-1": (printed.table_1, tables.table_1),
    "table-2": (printed.table_2, tables.table_2),
    "table-3": (printed.table_3, tables.table_3),
    "table-4": (printed.table_4, tables.table_4),
    "unprinted": (lambda bench: printed.unprinted(bench, scores.present(bench, scores.WITHOUT_VALUE)),
                  tables.unprinted),
    "readings": (evidence.readings, tables.readings),
    "stability": (evidence.stability, tables.stability),
    "fooled": (evidence.fooled, tables.fooled),
    "discrimination": (evidence.discrimination, tables.discrimination),
    "verdicts": (verdicts.verdicts, tables.verdicts),
    "cost": (evidence.cost, tables.cost),
}  # fmt: skip
_VIEWS: Views = {
    "networks": tables.networks,
    "methods": tables.methods,
    "sanity": tables.sanity,
    "leaderboard": tables.leaderboard,
}
_NUMBERS: Numbers = {
    "leaderboard": lambda bench: printed.leaderboard(bench, scores.present(bench)),
    "agreement": evidence.agreement,
    "by-setting": printed.by_setting,
}
_CURVES = (
    "fake-cam",
    "gradient",
    "integrated-gradients",
    "grad-cam",
    "score-cam",
    "rise",
    "random",
    "centred-gaussian",
)
_FIGURES: Figures = {
    "maps": lambda bench: figures.maps(*pictures.maps(bench, bench.methods, n=4)),
    "curves": lambda bench: figures.curves(pictures.causal_curves(bench, _CURVES, n=50)),
    "extremes": lambda bench: figures.extremes(pictures.extremes(bench)),
    "probability": lambda bench: figures.against_probability(evidence.against_probability(bench)),
    "transforms": lambda bench: figures.transforms(
        printed.by_setting(bench).query("metric in ['average-drop', 'insertion']")
    ),
    "readings": lambda bench: figures.readings(evidence.readings(bench).query("metric == 'average-drop'")),
    "agreement": lambda bench: figures.agreement(evidence.agreement(bench)),
    "ranks-insertion": lambda bench: figures.critical_difference(*evidence.mean_ranks(bench, "insertion"), "Insertion"),
    "ranks-gain": lambda bench: figures.critical_difference(*evidence.mean_ranks(bench, "average-gain"), "AG"),
    "fooled": lambda bench: figures.fooled(evidence.fooled(bench)),
    "cost": lambda bench: figures.cost(evidence.cost(bench)),
}


def record(run: Settings, folder: Path) -> None:
    """Write a run of the saliency benchmark into ``folder``; as :func:`xai_lib.record.contrastive.record`."""
    prepare(folder)
    bench = experiment.bench(run)
    write(bench, folder, _TABLES, _VIEWS, _NUMBERS, _FIGURES)
    write_provenance(run, folder, workflow.of_bench(bench))
