"""Record a run too slow to repeat at every build: its tables, figures and provenance, in a folder of the book."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
from IPython.display import DisplayObject
from matplotlib.figure import Figure

from xai_lib import artefacts, cells, figures, provenance
from xai_lib.cells import Bench, Corpus, Settings, Study
from xai_lib.keys import Cell
from xai_lib.results import contrastive as contrastive_results
from xai_lib.results import provenance as made_by
from xai_lib.results.saliency import evidence, pictures, printed, scores, verdicts
from xai_lib.results.whole_output import evidence as clusters
from xai_lib.results.whole_output import pictures as examples
from xai_lib.results.whole_output import printed as contrasts
from xai_lib.results.whole_output import scores as outputs
from xai_lib.results.whole_output import verdicts as contrastive_verdicts
from xai_lib.results.whole_output.pictures import Example
from xai_lib.store import Store
from xai_lib.tables import contrastive as contrastive_tables
from xai_lib.tables import provenance as table_of
from xai_lib.tables import saliency as saliency_tables
from xai_lib.tables import whole_output as whole_output_tables
from xai_lib.whole_output import latent_tree

RECORDED = "book/recorded"

# name -> numbers (CSV) and what a page shows of them (an HTML fragment)
_Tables = Mapping[str, tuple[Callable[[Any], pd.DataFrame], Callable[[Any], DisplayObject]]]
_Views = Mapping[str, Callable[[Any], DisplayObject]]
_Numbers = Mapping[str, Callable[[Any], pd.DataFrame]]
_Figures = Mapping[str, Callable[[Any], Figure]]

_CONTRASTIVE_TABLES: _Tables = {
    "accuracy": (contrastive_results.accuracy, contrastive_tables.accuracy),
    "results": (contrastive_results.results, contrastive_tables.results),
    "orders": (contrastive_results.orders, contrastive_tables.orders),
    "verdicts": (contrastive_results.verdicts, contrastive_tables.verdicts),
    "quantus": (contrastive_results.quantus, contrastive_tables.quantus),
    "empty-maps": (contrastive_results.empty_maps, contrastive_tables.empty_maps),
}
_CONTRASTIVE_VIEWS: _Views = {"images": contrastive_tables.splits, "settings": contrastive_tables.recipe_settings}
_CONTRASTIVE_NUMBERS: _Numbers = {"histories": contrastive_results.histories}
_CONTRASTIVE_FIGURES: _Figures = {
    "training": lambda run: figures.training_curves(contrastive_results.histories(run)),
    "embedding": lambda run: figures.embedding(contrastive_results.embedding(run, seed=0), run.test_split().classes),
    "overlays": lambda run: figures.overlays(*contrastive_results.overlays(run, n=6, seed=0)),
    "flipping": lambda run: figures.flipping_curves(cells.curves(run)),
    "distributions": lambda run: figures.distributions(cells.scores(run), contrastive_tables.PANELS),
}
_SALIENCY_TABLES: _Tables = {
    "table-1": (printed.table_1, saliency_tables.table_1),
    "table-2": (printed.table_2, saliency_tables.table_2),
    "table-3": (printed.table_3, saliency_tables.table_3),
    "table-4": (printed.table_4, saliency_tables.table_4),
    "unprinted": (lambda bench: printed.unprinted(bench, scores.present(bench, scores.WITHOUT_VALUE)),
                  saliency_tables.unprinted),
    "readings": (evidence.readings, saliency_tables.readings),
    "stability": (evidence.stability, saliency_tables.stability),
    "fooled": (evidence.fooled, saliency_tables.fooled),
    "discrimination": (evidence.discrimination, saliency_tables.discrimination),
    "verdicts": (verdicts.verdicts, saliency_tables.verdicts),
    "cost": (evidence.cost, saliency_tables.cost),
}  # fmt: skip
_SALIENCY_VIEWS: _Views = {
    "networks": saliency_tables.networks,
    "methods": saliency_tables.methods,
    "sanity": saliency_tables.sanity,
    "leaderboard": saliency_tables.leaderboard,
}
_SALIENCY_NUMBERS: _Numbers = {
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
_SALIENCY_FIGURES: _Figures = {
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
_WHOLE_OUTPUT_TABLES: _Tables = {
    "outputs": (outputs.outputs, whole_output_tables.outputs),
    "corpora": (clusters.corpora, whole_output_tables.corpora),
    "table-1": (lambda study: contrasts.methods(study, "cauc"), whole_output_tables.table_1),
    "table-2": (lambda study: contrasts.methods(study, "cdrop"), whole_output_tables.table_2),
    "table-3": (contrasts.bases, whole_output_tables.table_3),
    "degenerate": (outputs.degenerate, whole_output_tables.degenerate),
    "degenerate-released": (lambda study: outputs.degenerate(study, "released"),
                            lambda study: whole_output_tables.degenerate(study, "released")),
    "gain": (clusters.shares_of_the_gain, whole_output_tables.shares_of_the_gain),
    "variants": (clusters.variants, whole_output_tables.variants),
    "matching": (contrasts.matching, whole_output_tables.matching),
    "effect": (clusters.effect_of_clusters, whole_output_tables.effect_of_clusters),
    "verdicts": (contrastive_verdicts.verdicts, whole_output_tables.verdicts),
}  # fmt: skip
_WHOLE_OUTPUT_VIEWS: _Views = {"bases": whole_output_tables.bases}
_WHOLE_OUTPUT_FIGURES: _Figures = {
    "two-stages": lambda study: _drawn(examples.example(study, "grad-cam")),
    "two-stages-rise": lambda study: _drawn(examples.example(study, "rise")),
    "methods": lambda study: _compared(examples.example(study, "rise")),
    "curves": lambda study: figures.contrastive_curves(examples.curves(study, examples.example(study, "rise"))),
}
# of a collection of documents and how often it is clustered again
_CORPUS_TABLES: _Tables = {
    "strongest": (lambda of: clusters.strongest(of[0], 20), lambda of: whole_output_tables.strongest(of[0], 20)),
    "stability": (lambda of: clusters.stability(*of), lambda of: whole_output_tables.stability(*of)),
    "clusterings": (lambda of: clusters.clusterings(*of), lambda of: whole_output_tables.clusterings(*of)),
}
_CORPUS_VIEWS: _Views = {
    "corpus": lambda of: whole_output_tables.corpus(of[0]),
    "tree": lambda of: figures.zoomable_tree(cells.tree(of[0]), of[0].classes, title=f"Latent tree: {of[0].label}"),
}
_CORPUS_FIGURES: _Figures = {"stability": lambda of: figures.stability(clusters.stability(*of))}


def contrastive(run: Settings, folder: Path) -> None:
    """Write a run of the contrastive part into ``folder``: CSV, HTML, PNG and ``provenance.json``.

    Recording computes nothing but tables: what the store lacks is computed first, by the code of the commit.

    Raises:
        RuntimeError: if the tree differs from its commit (other than in recorded folders), so that no number could
            name the code that made it.
    """
    _prepare(folder)
    _write(run, folder, _CONTRASTIVE_TABLES, _CONTRASTIVE_VIEWS, _CONTRASTIVE_NUMBERS, _CONTRASTIVE_FIGURES)
    _write_provenance(run, folder, cells.of_run(run))


def saliency(run: Settings, folder: Path) -> None:
    """Write a run of the saliency benchmark into ``folder``; as :func:`contrastive`."""
    _prepare(folder)
    bench = cells.bench(run)
    _write(bench, folder, _SALIENCY_TABLES, _SALIENCY_VIEWS, _SALIENCY_NUMBERS, _SALIENCY_FIGURES)
    _write_provenance(run, folder, cells.of_bench(bench))


def whole_output(run: Settings, folder: Path) -> None:
    """Write a run of the whole-output part into ``folder``; as :func:`contrastive`."""
    _prepare(folder)
    study = cells.study(run)
    corpus = (study.networks[0].corpus, run.scale.stability_repeats)
    _write(study, folder, _WHOLE_OUTPUT_TABLES, _WHOLE_OUTPUT_VIEWS, {}, _WHOLE_OUTPUT_FIGURES)
    _write(corpus, folder, _CORPUS_TABLES, _CORPUS_VIEWS, {}, _CORPUS_FIGURES)
    figure = figures.co_occurrence(clusters.co_occurrence(corpus[0]), cells.partition(corpus[0]))
    _save(figure, folder / "co-occurrence.png")
    _write_provenance(run, folder, cells.of_study(study))


def documents(run: Settings, corpus: Corpus, folder: Path) -> None:
    """Write the clusters of a file of documents on ImageNet's classes, their latent tree and how firm they are."""
    _prepare(folder)
    of = (corpus, run.scale.stability_repeats)
    tables = _CORPUS_TABLES | {
        "examples": (lambda of: clusters.paper_examples(of[0]), lambda of: whole_output_tables.paper_examples(of[0]))
    }
    _write(of, folder, tables, _CORPUS_VIEWS, {}, _CORPUS_FIGURES)
    latent_tree.save(cells.tree(corpus), folder / "tree.json")
    artefacts.write_json(folder / "classes.json", list(corpus.classes))
    _write_provenance(run, folder, cells.of_corpus(*of))


def _prepare(folder: Path) -> None:
    provenance.require_clean_tree(outputs=(RECORDED,))
    folder.mkdir(parents=True, exist_ok=True)


def _write(
    of: Settings | Bench | Study | tuple[Corpus, int],
    folder: Path,
    tables: _Tables,
    views: _Views,
    numbers: _Numbers,
    drawings: _Figures,
) -> None:
    for name, (compute, view) in tables.items():
        artefacts.write_frame(folder / f"{name}.csv", compute(of))
        _write_text(folder / f"{name}.html", view(of).data)
    for name, view in views.items():
        _write_text(folder / f"{name}.html", view(of).data)
    for name, compute in numbers.items():
        artefacts.write_frame(folder / f"{name}.csv", compute(of))
    figures.use_style()
    for name, draw in drawings.items():
        _save(draw(of), folder / f"{name}.png")


def _save(figure: Figure, path: Path) -> None:
    figure.savefig(path, dpi=110, metadata={"Software": None})
    plt.close(figure)


def _drawn(example: Example) -> Figure:
    return figures.whole_output(example.picture, example.output, example.classes)


def _compared(example: Example) -> Figure:
    methods = ("swox", "cwox-1sb", "cwox-1sa", "cwox-1sa-fine", "cwox-2s")
    return figures.compared_methods(example.picture, example.output, example.classes, methods)


def _write_provenance(run: Settings, folder: Path, made: Sequence[Cell]) -> None:
    artefacts.write_frame(folder / "provenance.csv", made_by.provenance(made))
    _write_text(folder / "provenance.html", table_of.provenance(made).data)
    store = Store()
    records = [artefacts.read_json(store.path(cell) / "provenance.json") for cell in made]
    head = {"label": run.label, "scale": asdict(run.scale), "tables": provenance.software(), "cells": records}
    artefacts.write_json(folder / "provenance.json", head)


def _write_text(path: Path, text: str) -> None:
    with artefacts.atomically(path) as file:
        file.write(text.encode() + b"\n")
