"""Tables of the dominance notebooks. The paper prints no numbers, so no published column stands beside ours."""

from collections.abc import Mapping
from functools import partial

import pandas as pd
from IPython.display import HTML, Markdown

from xai_lib.page import record, table
from xai_lib.page import verdicts as of_claims
from xai_lib.page.errata import errata as notes
from xai_lib.page.names import LETTERS, METHOD_NAMES
from xai_lib.page.table import MISSING, Column, each, ends, interval, number, p_value, part_of, show, signed, text
from xai_lib.papers.dominance import claims, experiment
from xai_lib.papers.dominance.analysis import hierarchies, networks, single, training
from xai_lib.papers.dominance.tables.fine_tuning import fine_tuning, name_of
from xai_lib.run.settings import Study

errata = partial(notes, "dominance")

_PERCENT = number(0, times=100)
_NETWORK = text("network", "kind", name_of)
_TRAINING = (_NETWORK, Column("training", "seed"))
_CLASS = text("class", "label")
_of_network = partial(show, group=["network"])
_CLUSTERS = {"k-means": "clusters", "dealt": "images dealt at random"}
_EMPTY = Column("empty maps", ("n_undefined", "n"), part_of)
_SIZES = {"rescaled": "scaled to the network's input", "whole": "whole, of twice the side"}
_RELATIONS = {"mosaic_logit": "logit of the mosaics", single.LEFT: "logit, the mosaics' held fixed"}


def accuracy(study: Study) -> HTML:
    """Accuracy and mean probability of the true class of each kind of network."""
    names = {"accuracy": "accuracy (%)", "probability": "probability of the class (%)"}
    columns = [_NETWORK, text("", "metric", names)]
    mean = Column("mean ± over trainings", ("mean", "spread"), table.plus_minus(1, times=100))
    columns += [mean, ends(1, times=100, title="95 %")]
    columns += each(None, n_seeds="trainings", n_images="images")
    caption = f"The networks, on test images: {study.run.label}."
    return _of_network(networks.accuracy(study), columns, caption, name="accuracy")


def sizes(study: Study) -> HTML:
    """How large the clusters are."""
    titles = {"smallest": "smallest", "median": "median", "largest": "largest", "fewest": "fewest training images"}
    caption = f"Evaluation images in a cluster, {study.run.dominance.n_clusters} clusters a class: {study.run.label}."
    return _of_network(networks.sizes(study), [*_TRAINING, *each(number(0), **titles)], caption, name="sizes")


def chosen(study: Study, kind: str) -> HTML:
    """How many clusters each class would have."""
    rows, own = networks.chosen(study), f"silhouette of {study.run.dominance.n_clusters}"
    columns = [_CLASS, *each(number(2), silhouette=own, best_silhouette="best silhouette")]
    columns += each(number(0), by_silhouette="clusters by silhouette", by_gap="by the gap statistic")
    caption = f"How many clusters a class has, of 2 to 10: {study.run.label}, {name_of(kind)}, training 0."
    return show(networks.first(rows, kind), columns, caption, name="chosen", behind=rows)


def modes(study: Study) -> HTML:
    """Are the clusters the planted modes?"""
    columns = [*_TRAINING, *each(number(2), ari="ARI, mean over classes", lowest="lowest", highest="highest")]
    what = "Agreement of the clusters with the five planted modes of each class"
    return _of_network(networks.modes(study), columns, f"{what} (adjusted Rand index, 1 is equality).")


def over_classes(study: Study) -> HTML:
    """Are clusters that dominate little rare in training?"""
    caption = "what training shows of it, mean over classes. In print: low dominance, few training images; no number."
    return _correlations(study, training.SHARES, caption, "over-classes")


def clusters_and_outputs(study: Study) -> HTML:
    """Do clusters that dominate have high logits?"""
    caption = "the mean output for its images, mean over classes. Not in print."
    return _correlations(study, training.OUTPUTS, caption, "clusters-and-outputs")


def by_class(study: Study, kind: str) -> HTML:
    """The least dominant cluster of each class of the first network."""
    rows = training.clusters(study)
    shown, least = (networks.first(found, kind) for found in (rows, training.least(study)))
    agree = networks.first(training.correlations(study), kind)
    agree = agree.pivot(index="label", columns="share", values="correlation").add_prefix("of_")
    frame = least.merge(agree, on="label").set_index("label").reindex(shown["label"].unique()).reset_index()
    columns = [_CLASS, text("least dominant", "cluster", _letter), text("fewest training images", "fewest", _letter)]
    columns += [text("same", "same", lambda same: {True: "yes", False: "no"}.get(same, MISSING))]
    columns += [*each(number(0), training="training images"), *each(number(1, times=100), training_share="share (%)")]
    columns += [*each(number(0), evaluation="evaluation images"), *each(number(2), representation="representation")]
    columns += each(signed(2), of_training_share="correlation, share", of_representation="representation ")
    caption = (
        "The least dominant cluster of each class. Representation: training share divided by evaluation share, 1 is as "
        f"frequent in training as in evaluation. {study.run.label}, {name_of(kind)}, training 0."
    )
    record.keep("correlations", training.correlations(study))
    return show(frame, columns, caption, name="by-class", behind=rows)


def least(study: Study) -> HTML:
    """What training shows of the clusters at the ends of the hierarchies, beside dealt ones."""
    columns = [_NETWORK, text("of", "share", training.SHARES_OF_IMAGES), text("place", "rank", training.RANKS)]
    columns += each(number(), value="clusters", dealt="dealt")
    columns += [Column("difference", ("difference", "low", "high"), _with_interval), *each(p_value, p_value="p, deals")]
    caption = (
        "The clusters at the ends of the hierarchies, beside those of clusters of the same sizes to which images were "
        "dealt at random: small clusters are more often last, whatever they contain. Means over classes and networks, "
        f"{study.run.label}."
    )
    return _of_network(training.ranks_in_numbers(study), columns, caption, name="least")


def exception(study: Study, kind: str, label: str = "airplane") -> Markdown:
    """Whether the class that the paper excepts is one here: a sentence."""
    found = training.exception(study, kind, label)
    if found is None:
        return Markdown(f"In print the class {label} does not follow the claim. {study.run.label} has no such class.")
    other = "lowest" if found["below"] == 0 else f"not the lowest ({found['below']} classes have a lower one)"
    again = "found again" if found["below"] == 0 and found["narrower"] == 1 else "not found again"
    return Markdown(
        f"In print the class {label} does not follow the claim: it has a cluster of three images, and almost no "
        "dominance. Here the correlation of dominance with the training share is "
        f"{signed(2)(found['correlation'])} in {label} and {signed(2)(found['others'])} on average in the others: of "
        f"{found['classes']} classes it is {other}. Its pairs lie {found['spread']:.3f} from 0.5 on average, at place "
        f"{found['narrower']} from the narrowest class, and its smallest cluster has {found['smallest']} images. The "
        f"exception is {again}."
    )


def focus(study: Study) -> HTML:
    """Focus: how much of the energy falls on the images of the class that is explained."""
    columns = [_NETWORK, text("explainer", "explainer", METHOD_NAMES)]
    columns += [Column("Focus ↑", ("mean", "spread"), table.plus_minus()), ends(title="95 %")]
    columns += each(None, n_images="mosaics", n_undefined="empty maps")
    caption = f"Focus on mosaics of two images of a class and two of others; 0.5 is chance: {study.run.label}."
    return _of_network(networks.focus(study), columns, caption, name="focus")


def null(study: Study) -> HTML:
    """Dominance between clusters, beside images that were dealt to clusters at random."""
    rows = hierarchies.spread(study)
    grouped = rows[rows["clustering"] != "modes"].groupby(["kind", "clustering"], sort=False)
    means = ("mean", "spread", "significant", "significant_holm")
    how = dict.fromkeys(means, "mean") | dict.fromkeys(("cyclic", "triples", "n_undefined", "n"), "sum")
    columns = [_NETWORK, text("clusters", "clustering", _CLUSTERS)]
    columns += each(number(), mean="mean of the larger", spread="distance from 0.5")
    columns += each(_PERCENT, significant="p < 0.05 (%)", significant_holm="Holm (%)")
    columns += [Column("intransitive triples", ("cyclic", "triples"), part_of), _EMPTY]
    caption = (
        f"Dominance between the clusters of a class, {study.run.dominance.n_mosaics} mosaics a pair: "
        f"{study.run.label}. Mean: of the larger cluster of each pair. Distance from 0.5: mean of |D − 0.5| over pairs "
        f"and classes. p: of the t test, share of the pairs. Images were dealt {study.run.dominance.n_deals} times."
    )
    order = pd.MultiIndex.from_product([rows["kind"].unique(), _CLUSTERS], names=["kind", "clustering"])
    return _of_network(grouped.agg(how).reindex(order).reset_index(), columns, caption, name="null", behind=rows)


def pairs(study: Study, kind: str, label: str) -> HTML:
    """The pairs of one class: dominance, interval, and two p-values."""
    columns = [text("pair", ("first", "second"), lambda a, b: f"{LETTERS[a]} over {LETTERS[b]}")]
    columns += [*each(number(), dominance="dominance"), ends(title="95 %")]
    columns += [*each(p_value, p_t="p, t", p_t_holm="Holm"), *each(None, n="mosaics", n_undefined="empty maps")]
    caption = f"Dominance between the clusters of {label}: {study.run.label}, {name_of(kind)}, training 0."
    record.keep("pairs", hierarchies.pairs(study))
    return show(hierarchies.pairs_of(study, kind, label), columns, caption, name="pairs-widest")


def classes(study: Study, kind: str) -> HTML:
    """The hierarchy of each class in a line."""
    said = lambda cluster, d: MISSING if pd.isna(d) else f"{LETTERS[cluster]} ({number(2)(d)})"  # noqa: E731
    columns = [_CLASS, *(text(f"{end} dominant", (end, f"dominance_{end}"), said) for end in ("most", "least"))]
    columns += [ends(2, title="its 95 %"), *each(_PERCENT, certain="last in resamples (%)")]
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
    columns += [*each(_PERCENT, same_least="same least dominant (%)"), _EMPTY]
    caption = (
        "The same mosaics explained in other ways. Correlation (Spearman) and least dominant cluster: against the "
        f"first row, mean over classes and the networks of the first kind: {study.run.label}."
    )
    return show(hierarchies.variants(study), columns, caption, name="variants")


def between_trainings(study: Study) -> HTML:
    """Would another training rank the same images alike?"""
    rows = hierarchies.between_trainings(study)
    grouped = rows.groupby("kind", sort=False)
    frame = grouped["correlation"].agg(["mean", "min", "max"])
    frame["pairs"] = [len(here[["a", "b"]].drop_duplicates()) for _, here in grouped]
    columns = [_NETWORK, *each(None, pairs="pairs of trainings")]
    columns += each(number(2), mean="correlation, mean", min="lowest class", max="highest class")
    caption = (
        "Do two trainings rank the same images alike? Spearman's correlation over a class's images, each with the "
        f"relative dominance of its cluster: {study.run.label}."
    )
    return show(frame.reset_index(), columns, caption, name="between-trainings", behind=rows)


def single_images(study: Study) -> HTML:
    """Figure 3 in numbers: the correlation of dominance with logit and probability."""
    columns = [_NETWORK, text("mosaics", "size", _SIZES)]
    columns += [text("dominance and", "output", lambda output: _RELATIONS.get(output, output))]
    columns += [Column("correlation", ("correlation", "low", "high"), _with_interval)]
    columns += [*each(number(2), smallest="smallest", largest="largest")]
    columns += [*each(None, classes="classes", networks="networks")]
    caption = (
        "Every image its own cluster: Spearman's correlation of relative dominance with the network's output, mean "
        "over networks and classes with a 95 % interval over images, and the smallest and largest of a network and "
        f"class: for these classes and networks. In print: “non-correlated”, without a number. {study.run.label}."
    )
    return _of_network(single.over_classes(study), columns, caption, name="single-images")


def single_by_class(study: Study, kind: str) -> HTML:
    """The same for each class of the first network."""
    rows = single.correlations(study)
    shown = networks.first(rows, kind)
    shown = shown[shown["size"] == experiment.RESCALED]
    columns = [_CLASS, Column("logit", "correlation logit", number(2))]
    columns += [Column("95 %", ("low logit", "high logit"), interval(2)), Column("images", "n logit", number(0))]
    columns += [Column("probability", "correlation probability", number(2))]
    columns += [Column("95 % ", ("low probability", "high probability"), interval(2))]
    caption = (
        "Correlation of dominance with logit and probability, on mosaics scaled to the network's input, intervals over "
        f"images: {study.run.label}, {name_of(kind)}, training 0."
    )
    shown = table.wide(shown, ["label"], "output", ["correlation", "low", "high", "n"])
    return show(shown, columns, caption, name="single-by-class", behind=rows.drop(columns="draws"))


def verdicts(study: Study) -> HTML:
    """What the paper claims, and whether it holds here."""
    rows = claims.verdicts(study)
    named = rows.assign(method=rows["method"].map(name_of, na_action="ignore"))
    return of_claims.verdicts(named, study.run.label, with_method=True, behind=rows)


def _with_interval(value: float, low: float, high: float) -> str:
    """A value and, behind it, its interval, both with their sign."""
    return f"{signed(2)(value)} {interval(2)(low, high)}"


def _correlations(study: Study, names: Mapping[str, str], caption: str, name: str) -> HTML:
    columns = [_NETWORK, text("dominance and", "share", names), *each(signed(2), correlation="correlation")]
    columns += [ends(2, title="95 %, permutation"), *each(p_value, p_value="p, permutation")]
    columns += [Column("classes above 0", ("positive", "classes"), part_of), Column("trainings", "networks")]
    caption = f"Spearman's correlation of a cluster's dominance with {caption} {study.run.label}."
    return _of_network(training.over_classes(study, names), columns, caption, name=name)


def _letter(cluster: float) -> str:
    return MISSING if pd.isna(cluster) else LETTERS[int(cluster)]
