"""Tables of the dominance notebooks. The paper prints no numbers, so no published column stands beside ours."""

from collections.abc import Mapping
from functools import partial

import pandas as pd
from IPython.display import HTML

from xai_lib.page import verdicts as of_claims
from xai_lib.page.errata import errata as notes
from xai_lib.page.names import LETTERS, METHOD_NAMES
from xai_lib.page.record import keep
from xai_lib.page.table import MISSING, Column, interval, number, p_value, part_of, plus_minus, show, signed, text
from xai_lib.papers.dominance import claims
from xai_lib.papers.dominance.analysis import hierarchies, networks, single, training
from xai_lib.papers.dominance.tables.networks_and_clusters import (
    CLASS,
    NETWORK,
    PERCENT,
    TRAINING,
    accuracy,
    chosen,
    each,
    fine_tuning,
    finer,
    modes,
    name_of,
    of_network,
    sizes,
)
from xai_lib.run.study import Study

__all__ = ["accuracy", "chosen", "fine_tuning", "modes", "name_of", "sizes"]

errata = partial(notes, "dominance")

_CLUSTERS = {"k-means": "clusters", "shuffled": "images dealt at random"}


def focus(study: Study) -> HTML:
    """Focus: how much of the energy falls on the images of the class that is explained."""
    columns = [
        NETWORK,
        text("explainer", "explainer", METHOD_NAMES),
        Column("Focus ↑", ("mean", "spread"), plus_minus()),
        Column("95 %", ("low", "high"), interval()),
        *each(None, n_images="mosaics", n_undefined="empty maps"),
    ]
    caption = f"Focus on mosaics of two images of a class and two of others; 0.5 is chance: {study.run.label}."
    return of_network(networks.focus(study), columns, caption, name="focus")


def null(study: Study) -> HTML:
    """Dominance between clusters, beside images that were dealt to clusters at random."""
    rows = hierarchies.spread(study)
    grouped = rows[rows["clustering"] != "modes"].groupby(["kind", "clustering"], sort=False)
    means = ("mean", "spread", "significant", "significant_holm", "significant_wilcoxon")
    how = dict.fromkeys(means, "mean") | dict.fromkeys(("cyclic", "triples", "n_undefined", "n"), "sum")
    columns = [
        NETWORK,
        text("clusters", "clustering", _CLUSTERS),
        *each(number(), mean="mean of the larger", spread="spread over pairs"),
        *each(PERCENT, significant="p < 0.05 (%)", significant_holm="Holm (%)"),
        *each(PERCENT, significant_wilcoxon="Wilcoxon, Holm (%)"),
        Column("intransitive triples", ("cyclic", "triples"), part_of),
        Column("empty maps", ("n_undefined", "n"), part_of),
    ]
    caption = (
        f"Dominance between the clusters of a class, {study.run.dominance.n_mosaics} mosaics a pair: "
        f"{study.run.label}. Mean: of the larger cluster of each pair. Spread: root mean square of D − 0.5 over pairs, "
        "mean over classes. p: of the t test, share of the pairs."
    )
    return finer("null", rows, of_network(grouped.agg(how).reset_index(), columns, caption))


def pairs(study: Study, kind: str, label: str) -> HTML:
    """The pairs of one class: dominance, interval, and four p-values."""
    columns = [
        text("pair", ("first", "second"), lambda first, second: f"{LETTERS[first]} over {LETTERS[second]}"),
        Column("dominance", "dominance", number()),
        Column("95 %", ("low", "high"), interval()),
        *each(p_value, p_t="p, t", p_t_holm="Holm", p_wilcoxon="p, Wilcoxon", p_wilcoxon_holm="Holm "),
        *each(None, n="mosaics", n_undefined="empty maps"),
    ]
    caption = f"Dominance between the clusters of {label}: {study.run.label}, {name_of(kind)}, training 0."
    keep("pairs", hierarchies.pairs(study))
    return show(hierarchies.pairs_of(study, kind, label), columns, caption, name="pairs-widest")


def classes(study: Study, kind: str) -> HTML:
    """The hierarchy of each class in a line."""
    columns = [
        CLASS,
        text("most dominant", ("most", "dominance_most"), _lettered),
        text("least dominant", ("least", "dominance_least"), _lettered),
        Column("its 95 %", ("low", "high"), interval(2)),
        Column("last in resamples (%)", "certain", PERCENT),
        Column("pairs that differ", ("decided", "pairs"), part_of),
        Column("intransitive", ("cyclic", "triples"), part_of),
        Column("misfit", "misfit", number(2)),
    ]
    caption = (
        f"Hierarchies by relative dominance: {study.run.label}, {name_of(kind)}, training 0. Pairs differ where "
        "p < 0.05 after Holm's correction. Misfit: the largest distance of a pair's dominance from Bradley and Terry's "
        "model."
    )
    keep("clusters", hierarchies.ranked(study))
    return show(hierarchies.classes(study, kind), columns, caption, name="classes")


def variants(study: Study) -> HTML:
    """Other explainers, scalings and sizes on the same mosaics."""
    columns = [
        text("explainer", "explainer", METHOD_NAMES),
        text("mosaic", "resized", {True: "one image's size", False: "whole images"}),
        text("map", "scaling", {"relu": "ReLU", "min-max": "ReLU, min-max"}),
        Column("spread over pairs", "spread", number()),
        Column("correlation", "correlation", number(2)),
        Column("same least dominant (%)", "same_least", PERCENT),
        Column("empty maps", ("n_undefined", "n"), part_of),
    ]
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
    return finer("between-trainings", rows, show(frame.reset_index(), columns, caption))


def single_images(study: Study) -> HTML:
    """Figure 3 in numbers: the correlation of dominance with logit and probability."""
    columns = [
        NETWORK,
        text("dominance and", "output"),
        Column("correlation", "correlation", number(2)),
        Column("95 %, over classes", ("low", "high"), interval(2)),
        Column("strength", "strength", number(2)),
        Column("95 %, over images", ("strength_low", "strength_high"), interval(2)),
        Column("by chance", "by_chance", number(2)),
        *each(None, classes="classes", networks="trainings"),
    ]
    caption = (
        "Every image its own cluster: Spearman's correlation of relative dominance with the network's output, and its "
        "strength whatever its sign, beside that to expect of unrelated numbers. In print: “non-correlated”, without a "
        f"number. {study.run.label}."
    )
    return of_network(single.over_classes(study), columns, caption, name="single-images")


def single_by_class(study: Study, kind: str) -> HTML:
    """The same for each class of the first network."""
    rows = single.correlations(study)
    shown = networks.first(rows, kind)
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
        f"Correlation of dominance with logit and probability, intervals over images: {study.run.label}, "
        f"{name_of(kind)}."
    )
    return finer("single-by-class", rows, show(wide.loc[shown["label"].unique()].reset_index(), columns, caption))


def over_classes(study: Study) -> HTML:
    """Are clusters that dominate little rare in training?"""
    caption = (
        "Spearman's correlation of dominance with what training shows of a cluster, mean over classes. In print: low "
        f"dominance goes with few training images, without a number. {study.run.label}."
    )
    return _correlations(study, training.SHARES, caption, "over-classes")


def clusters_and_outputs(study: Study) -> HTML:
    """Do clusters that dominate have high logits?"""
    caption = (
        "Spearman's correlation of the dominance of a cluster with the mean output for its images, mean over classes. "
        f"Not in print. {study.run.label}."
    )
    return _correlations(study, training.OUTPUTS, caption, "clusters-and-outputs")


def by_class(study: Study, kind: str) -> HTML:
    """The least dominant cluster of each class of the first network."""
    rows = training.clusters(study)
    shown, least = (networks.first(found, kind) for found in (rows, training.least(study)))
    agree = networks.first(training.correlations(study), kind)
    agree = agree.pivot(index="label", columns="share", values="correlation").add_prefix("of_")
    own = least.rename(columns={"least_dominant": "cluster"}).merge(shown, on=["label", "cluster"])
    frame = own.merge(agree, on="label").set_index("label").reindex(shown["label"].unique()).reset_index()
    columns = [
        CLASS,
        text("least dominant", "cluster", _letter),
        text("fewest training images", "fewest", _letter),
        text("same", "same", lambda same: {True: "yes", False: "no"}.get(same, MISSING)),
        Column("training images", "training", number(0)),
        Column("share (%)", "training_share", number(1, times=100)),
        Column("evaluation images", "evaluation", number(0)),
        Column("representation", "representation", number(2)),
        *each(signed(2), of_training_share="correlation, share", of_representation="representation "),
    ]
    caption = (
        "The least dominant cluster of each class. Representation: training share divided by evaluation share, 1 is as "
        f"frequent in training as in evaluation. {study.run.label}, {name_of(kind)}, training 0."
    )
    keep("correlations", training.correlations(study))
    return finer("by-class", rows, show(frame, columns, caption))


def least(study: Study) -> HTML:
    """How often the least dominant cluster has the fewest training images."""
    columns = [
        *TRAINING,
        text("smallest", "share", {"training_share": "training share", "representation": "representation"}),
        Column("classes where it is the least dominant", ("same", "classes"), part_of),
        Column("by luck", "expected", number(1)),
        Column("p, exact", "p_value", p_value),
    ]
    caption = f"Is the least dominant cluster of a class the one with the fewest training images? {study.run.label}."
    return of_network(training.least_in_numbers(study), columns, caption, name="least")


def verdicts(study: Study) -> HTML:
    """What the paper claims, and whether it holds here."""
    rows = claims.verdicts(study)
    named = rows.assign(method=rows["method"].map(name_of))
    return finer("verdicts", rows, of_claims.verdicts(named, study.run.label, with_method=True, name=""))


def _correlations(study: Study, names: Mapping[str, str], caption: str, name: str) -> HTML:
    columns = [
        NETWORK,
        text("dominance and", "share", names),
        Column("correlation", "correlation", signed(2)),
        Column("95 %, over classes", ("low", "high"), interval(2)),
        Column("p, permutation", "p_value", p_value),
        Column("classes above 0", ("positive", "classes"), part_of),
        Column("trainings", "networks"),
    ]
    return of_network(training.over_classes(study, names), columns, caption, name=name)


def _letter(cluster: float) -> str:
    return MISSING if pd.isna(cluster) else LETTERS[int(cluster)]


def _lettered(cluster: int, dominance: float) -> str:
    return MISSING if pd.isna(dominance) else f"{LETTERS[cluster]} ({number(2)(dominance)})"
