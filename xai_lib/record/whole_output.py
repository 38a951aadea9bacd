"""The record of a run of the whole-output part, and of a file of documents."""

from pathlib import Path

from matplotlib.figure import Figure

from xai_lib import files as artefacts
from xai_lib.papers.whole_output import claims as verdicts
from xai_lib.papers.whole_output import experiment, figures, latent_tree, tables
from xai_lib.papers.whole_output.analysis import evidence as clusters
from xai_lib.papers.whole_output.analysis import pictures as examples
from xai_lib.papers.whole_output.analysis import printed as contrasts
from xai_lib.papers.whole_output.analysis import scores as outputs
from xai_lib.papers.whole_output.analysis.pictures import Example
from xai_lib.papers.whole_output.experiment.documents import Corpus
from xai_lib.record.writing import Figures, Tables, Views, prepare, save, write, write_provenance
from xai_lib.run import workflow
from xai_lib.run.settings import Settings

_TABLES: Tables = {
    "outputs": (outputs.outputs, tables.outputs),
    "corpora": (clusters.corpora, tables.corpora),
    "table-1": (lambda study: contrasts.methods(study, "cauc"), tables.table_1),
    "table-2": (lambda study: contrasts.methods(study, "cdrop"), tables.table_2),
    "table-3": (contrasts.bases, tables.table_3),
    "degenerate": (outputs.degenerate, tables.degenerate),
    "degenerate-released": (lambda study: outputs.degenerate(study, "released"),
                            lambda study: tables.degenerate(study, "released")),
    "gain": (clusters.shares_of_the_gain, tables.shares_of_the_gain),
    "variants": (clusters.variants, tables.variants),
    "matching": (contrasts.matching, tables.matching),
    "effect": (clusters.effect_of_clusters, tables.effect_of_clusters),
    "verdicts": (verdicts.verdicts, tables.verdicts),
}  # fmt: skip
_VIEWS: Views = {"bases": tables.bases}
_FIGURES: Figures = {
    "two-stages": lambda study: _drawn(examples.example(study, "grad-cam")),
    "two-stages-rise": lambda study: _drawn(examples.example(study, "rise")),
    "methods": lambda study: _compared(examples.example(study, "rise")),
    "curves": lambda study: figures.contrastive_curves(examples.curves(study, examples.example(study, "rise"))),
}
# of a collection of documents and how often it is clustered again
_CORPUS_TABLES: Tables = {
    "strongest": (lambda of: clusters.strongest(of[0], 20), lambda of: tables.strongest(of[0], 20)),
    "stability": (lambda of: clusters.stability(*of), lambda of: tables.stability(*of)),
    "clusterings": (lambda of: clusters.clusterings(*of), lambda of: tables.clusterings(*of)),
}
_CORPUS_VIEWS: Views = {
    "corpus": lambda of: tables.corpus(of[0]),
    "tree": lambda of: figures.zoomable_tree(
        experiment.tree(of[0]), of[0].classes, title=f"Latent tree: {of[0].label}"
    ),
}
_CORPUS_FIGURES: Figures = {"stability": lambda of: figures.stability(clusters.stability(*of))}


def record(run: Settings, folder: Path) -> None:
    """Write a run of the whole-output part into ``folder``; as :func:`xai_lib.record.contrastive.record`."""
    prepare(folder)
    study = experiment.study(run)
    corpus = (study.networks[0].corpus, run.scale.stability_repeats)
    write(study, folder, _TABLES, _VIEWS, {}, _FIGURES)
    write(corpus, folder, _CORPUS_TABLES, _CORPUS_VIEWS, {}, _CORPUS_FIGURES)
    figure = figures.co_occurrence(clusters.co_occurrence(corpus[0]), experiment.partition(corpus[0]))
    save(figure, folder / "co-occurrence.png")
    write_provenance(run, folder, workflow.of_study(study))


def record_documents(run: Settings, corpus: Corpus, folder: Path) -> None:
    """Write the clusters of a file of documents on ImageNet's classes, their latent tree and how firm they are."""
    prepare(folder)
    of = (corpus, run.scale.stability_repeats)
    more = {"examples": (lambda of: clusters.paper_examples(of[0]), lambda of: tables.paper_examples(of[0]))}
    write(of, folder, _CORPUS_TABLES | more, _CORPUS_VIEWS, {}, _CORPUS_FIGURES)
    latent_tree.save(experiment.tree(corpus), folder / "tree.json")
    artefacts.write_json(folder / "classes.json", list(corpus.classes))
    write_provenance(run, folder, workflow.of_corpus(*of))


def _drawn(example: Example) -> Figure:
    return figures.whole_output(example.picture, example.output, example.classes)


def _compared(example: Example) -> Figure:
    methods = ("swox", "cwox-1sb", "cwox-1sa", "cwox-1sa-fine", "cwox-2s")
    return figures.compared_methods(example.picture, example.output, example.classes, methods)
