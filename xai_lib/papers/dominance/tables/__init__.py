"""Tables of the dominance notebooks. The paper prints no numbers, so no published column stands beside ours."""

from functools import partial

import pandas as pd
from IPython.display import HTML

from xai_lib.page import record
from xai_lib.page import verdicts as of_claims
from xai_lib.page.errata import errata as notes
from xai_lib.page.names import LETTERS, METHOD_NAMES
from xai_lib.page.table import MISSING, Column, interval, number, p_value, part_of, plus_minus, show, text
from xai_lib.papers.dominance import claims, experiment
from xai_lib.papers.dominance.analysis import hierarchies, networks, single
from xai_lib.papers.dominance.tables.clusters import (
    CLASS,
    NETWORK,
    PERCENT,
    accuracy,
    by_class,
    chosen,
    clusters_and_outputs,
    each,
    exception,
    fine_tuning,
    least,
    modes,
    name_of,
    of_network,
    over_classes,
    sizes,
    with_interval,
)
from xai_lib.run.study import Study

errata = partial(notes, "dominance")

_CLUSTERS = {"k-means": "clusters", "dealt": "images dealt at random"}
_EMPTY = Column("empty maps", ("n_undefined", "n"), part_of)
_SIZES = {"rescaled": "scaled to the network's input", "whole": "whole, of twice the side"}
_RELATIONS = {"mosaic_logit": "logit of the mosaics", single.LEFT: "logit, the mosaics' held fixed"}


def focus(study: Study) -> HTML:
    """Focus: how much of the energy falls on the images of the class that is explained."""
    columns = [NETWORK, text("explainer", "explainer", METHOD_NAMES)]
    columns += [Column("Focus ↑", ("mean", "spread"), plus_minus()), Column("95 %", ("low", "high"), interval())]
    columns += each(None, n_images="mosaics", n_undefined="empty maps")
    caption = f"Focus on mosaics of two images of a class and two of others; 0.5 is chance: {study.run.label}."
    return of_network(networks.focus(study), columns, caption, name="focus")


def null(study: Study) -> HTML:
    """Dominance between clusters, beside images that were dealt to clusters at random."""
    rows = hierarchies.spread(study)
    grouped = rows[rows["clustering"] != "modes"].groupby(["kind", "clustering"], sort=False)
    means = ("mean", "spread", "significant", "significant_holm")
    how = dict.fromkeys(means, "mean") | dict.fromkeys(("cyclic", "triples", "n_undefined", "n"), "sum")
    columns = [NETWORK, text("clusters", "clustering", _CLUSTERS)]
    columns += each(number(), mean="mean of the larger", spread="distance from 0.5")
    columns += each(PERCENT, significant="p < 0.05 (%)", significant_holm="Holm (%)")
    columns += [Column("intransitive triples", ("cyclic", "triples"), part_of), _EMPTY]
    caption = (
        f"Dominance between the clusters of a class, {study.run.dominance.n_mosaics} mosaics a pair: "
        f"{study.run.label}. Mean: of the larger cluster of each pair. Distance from 0.5: mean of |D − 0.5| over pairs "
        f"and classes. p: of the t test, share of the pairs. Images were dealt {study.run.dominance.n_deals} times."
    )
    order = pd.MultiIndex.from_product([rows["kind"].unique(), _CLUSTERS], names=["kind", "clustering"])
    return of_network(grouped.agg(how).reindex(order).reset_index(), columns, caption, name="null", behind=rows)


def pairs(study: Study, kind: str, label: str) -> HTML:
    """The pairs of one class: dominance, interval, and two p-values."""
    columns = [text("pair", ("first", "second"), lambda a, b: f"{LETTERS[a]} over {LETTERS[b]}")]
    columns += [Column("dominance", "dominance", number()), Column("95 %", ("low", "high"), interval())]
    columns += [*each(p_value, p_t="p, t", p_t_holm="Holm"), *each(None, n="mosaics", n_undefined="empty maps")]
    caption = f"Dominance between the clusters of {label}: {study.run.label}, {name_of(kind)}, training 0."
    record.keep("pairs", hierarchies.pairs(study))
    return show(hierarchies.pairs_of(study, kind, label), columns, caption, name="pairs-widest")


def classes(study: Study, kind: str) -> HTML:
    """The hierarchy of each class in a line."""
    columns = [CLASS, *(text(f"{end} dominant", (end, f"dominance_{end}"), _lettered) for end in ("most", "least"))]
    columns += [Column("its 95 %", ("low", "high"), interval(2)), *each(PERCENT, certain="last in resamples (%)")]
    counts = {"pairs that differ": ("decided", "pairs"), "intransitive": ("cyclic", "triples")}
    columns += [Column(title, both, part_of) for title, both in counts.items()]
    caption = (
        f"Hierarchies by relative dominance: {study.run.label}, {name_of(kind)}, training 0. Pairs differ where "
        "p < 0.05 after Holm's correction."
    )
    record.keep("clusters", hierarchies.ranked(study))
    return show(hierarchies.classes(study, kind), columns, caption, name="classes")


def variants(study: Study) -> HTML:
    """Other explainers, scalings and sizes on the same mosaics."""
    columns = [text("explainer", "explainer", METHOD_NAMES), text("mosaic", "size", _SIZES)]
    columns += [text("map", "scaling", {"relu": "ReLU", "min-max": "ReLU, min-max"})]
    columns += [*each(number(), spread="distance from 0.5"), *each(number(2), correlation="correlation")]
    columns += [*each(PERCENT, same_least="same least dominant (%)"), _EMPTY]
    caption = (
        "The same mosaics explained in other ways. Correlation (Spearman) and least dominant cluster: against the "
        f"first row, mean over classes and fine-tuned networks: {study.run.label}."
    )
    return show(hierarchies.variants(study), columns, caption, name="variants")


def between_trainings(study: Study) -> HTML:
    """Would another training rank the same images alike?"""
    rows = hierarchies.between_trainings(study)
    grouped = rows.groupby("kind", sort=False)
    frame = grouped["correlation"].agg(["mean", "min", "max"])
    frame["pairs"] = [len(here[["a", "b"]].drop_duplicates()) for _, here in grouped]
    columns = [NETWORK, *each(None, pairs="pairs of trainings")]
    columns += each(number(2), mean="correlation, mean", min="lowest class", max="highest class")
    caption = (
        "Do two trainings rank the same images alike? Spearman's correlation over a class's images, each with the "
        f"relative dominance of its cluster: {study.run.label}."
    )
    return show(frame.reset_index(), columns, caption, name="between-trainings", behind=rows)


def single_images(study: Study) -> HTML:
    """Figure 3 in numbers: the correlation of dominance with logit and probability."""
    columns = [NETWORK, text("mosaics", "size", _SIZES)]
    columns += [text("dominance and", "output", lambda output: _RELATIONS.get(output, output))]
    columns += [Column("correlation", ("correlation", "low", "high"), with_interval)]
    columns += [*each(number(2), smallest="smallest", largest="largest")]
    columns += [*each(None, classes="classes", networks="networks")]
    caption = (
        "Every image its own cluster: Spearman's correlation of relative dominance with the network's output, mean "
        "over networks and classes with a 95 % interval over images, and the smallest and largest of a network and "
        f"class: for these classes and networks. In print: “non-correlated”, without a number. {study.run.label}."
    )
    return of_network(single.over_classes(study), columns, caption, name="single-images")


def single_by_class(study: Study, kind: str) -> HTML:
    """The same for each class of the first network."""
    rows = single.correlations(study)
    shown = networks.first(rows, kind)
    shown = shown[shown["size"] == experiment.RESCALED]
    wide = shown.pivot(index="label", columns="output", values=["correlation", "low", "high", "n"])
    wide.columns = [f"{output} {name}" for name, output in wide.columns]
    columns = [
        CLASS,
        Column("logit", "logit correlation", number(2)),
        Column("95 %", ("logit low", "logit high"), interval(2)),
        Column("images", "logit n", number(0)),
        Column("probability", "probability correlation", number(2)),
        Column("95 % ", ("probability low", "probability high"), interval(2)),
    ]
    caption = (
        "Correlation of dominance with logit and probability, on mosaics scaled to the network's input, intervals over "
        f"images: {study.run.label}, {name_of(kind)}, training 0."
    )
    in_order = wide.loc[shown["label"].unique()].reset_index()
    return show(in_order, columns, caption, name="single-by-class", behind=rows)


def verdicts(study: Study) -> HTML:
    """What the paper claims, and whether it holds here."""
    rows = claims.verdicts(study)
    named = rows.assign(method=rows["method"].map(name_of, na_action="ignore"))
    return of_claims.verdicts(named, study.run.label, with_method=True, behind=rows)


def _lettered(cluster: int, dominance: float) -> str:
    return MISSING if pd.isna(dominance) else f"{LETTERS[cluster]} ({number(2)(dominance)})"
