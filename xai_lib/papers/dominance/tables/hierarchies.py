"""Tables of the dominance notebooks. The paper prints no numbers, so no published column stands beside ours."""

from collections.abc import Mapping
from functools import partial

import numpy as np
import pandas as pd
from IPython.display import HTML

from xai_lib.page.errata import errata as notes
from xai_lib.page.names import LETTERS, LOSS_NAMES, METHOD_NAMES
from xai_lib.page.table import MISSING, blank_repeats, interval, number, p_value, plus_minus, show, signed
from xai_lib.page.verdicts import claims
from xai_lib.page.verdicts import verdict_rule as verdict_rule
from xai_lib.papers.dominance import claims as results_of_verdicts
from xai_lib.papers.dominance.analysis import hierarchies, networks, single, training
from xai_lib.papers.dominance.experiment.dominance import Hierarchies
from xai_lib.run.settings import Settings

errata = partial(notes, "dominance")

_DATA = {
    "k-means": "clusters",
    "shuffled": "images dealt at random",
    "modes": "planted modes",
}
_SETTINGS = {
    "start": "starts from",
    "architecture": "architecture",
    "epochs": "epochs",
    "optimizer": "optimizer",
    "learning_rate": "learning rate (peak)",
    "weight_decay": "weight decay",
    "label_smoothing": "label smoothing",
    "schedule": "schedule",
    "warmup_share": "warm-up, share of steps",
    "augmentation": "augmentation",
    "batch_size": "batch size",
}
_IN_PRINT = {
    "start": "ImageNet weights",
    "architecture": "ResNet-18, ResNet-50",
    "optimizer": "AdamW",
    "label_smoothing": "yes",
    "schedule": "linear warm-up, cosine",
}
_VALUES = {
    ("start", "ce"): "our network trained by cross-entropy",
    ("start", "imagenet"): "ImageNet weights",
    ("architecture", "resnet8"): "ResNet-8",
    ("architecture", "resnet18-224"): "ResNet-18",
    ("architecture", "resnet50-224"): "ResNet-50",
    ("optimizer", "adamw"): "AdamW",
    ("schedule", "one-cycle"): "linear warm-up, cosine",
    ("augmentation", "ce"): "as for cross-entropy",
}


def name_of(kind: str) -> str:
    """How pages call a kind of network."""
    architecture = kind.removeprefix("tuned").removeprefix("-")
    tuned = f"fine-tuned {architecture.replace('resnet', 'ResNet-')}".strip()
    return LOSS_NAMES.get(kind, tuned)


def fine_tuning(run: Settings) -> HTML:
    """Settings of the fine-tuning, beside what the paper says of its own."""
    frame = pd.DataFrame(
        {
            "setting": list(_SETTINGS.values()),
            "in print": [_IN_PRINT.get(name, MISSING) for name in _SETTINGS],
            **{
                name_of(kind): [_VALUES.get((name, value := getattr(recipe, name)), value) for name in _SETTINGS]
                for kind, recipe in run.fine_tunings.items()
            },
        }
    )
    caption = "Fine-tuning. The paper names its ingredients but no numbers; those here are ours."
    return show(frame, caption, text=list(frame))


def accuracy(of: Hierarchies) -> HTML:
    """Accuracy and mean probability of the true class of each kind of network."""
    rows = networks.accuracy(of)
    frame = pd.DataFrame(
        {
            "network": rows["kind"].map(name_of),
            "": rows["metric"].map({"accuracy": "accuracy (%)", "probability": "probability of the class (%)"}),
            "mean ± over trainings": [
                plus_minus(100 * mean, 100 * spread, 1) for mean, spread in zip(rows["mean"], rows["spread"])
            ],
            "95 %": [interval(100 * low, 100 * high, 1) for low, high in zip(rows["low"], rows["high"])],
            "trainings": rows["n_seeds"],
            "images": rows["n_images"],
        }
    )
    return show(
        blank_repeats(frame, ["network"]), f"The networks, on test images: {of.run.label}.", text=["network", ""]
    )


def sizes(of: Hierarchies) -> HTML:
    """How large the clusters are."""
    rows = networks.sizes(of)
    frame = pd.DataFrame(
        {
            "network": rows["kind"].map(name_of),
            "training": rows["seed"],
            "smallest": rows["smallest"],
            "median": [number(value, 0) for value in rows["median"]],
            "largest": rows["largest"],
            "fewest training images": rows["fewest"],
        }
    )
    caption = f"Evaluation images in a cluster, {of.run.dominance.n_clusters} clusters a class: {of.run.label}."
    return show(blank_repeats(frame, ["network"]), caption, text=["network"])


def chosen(of: Hierarchies, kind: str) -> HTML:
    """How many clusters each class would have."""
    rows = networks.of_first(networks.chosen(of), kind)
    n = of.run.dominance.n_clusters
    frame = pd.DataFrame(
        {
            "class": rows["label"],
            f"silhouette of {n}": [number(value, 2) for value in rows["silhouette"]],
            "best silhouette": [number(value, 2) for value in rows["best_silhouette"]],
            "clusters by silhouette": rows["by_silhouette"],
            "by the gap statistic": [MISSING if np.isnan(value) else int(value) for value in rows["by_gap"]],
        }
    )
    caption = f"How many clusters a class has, of 2 to 10: {of.run.label}, {name_of(kind)}, training 0."
    return show(frame, caption, text=["class"])


def modes(of: Hierarchies) -> HTML:
    """Are the clusters the planted modes?"""
    rows = networks.modes(of)
    frame = pd.DataFrame(
        {
            "network": rows["kind"].map(name_of),
            "training": rows["seed"],
            "ARI, mean over classes": [number(value, 2) for value in rows["ari"]],
            "lowest": [number(value, 2) for value in rows["lowest"]],
            "highest": [number(value, 2) for value in rows["highest"]],
        }
    )
    caption = (
        "Agreement of the clusters with the five planted modes of each class (adjusted Rand index, 1 is equality)."
    )
    return show(blank_repeats(frame, ["network"]), caption, text=["network"])


def focus(of: Hierarchies) -> HTML:
    """Focus: how much of the energy falls on the images of the class that is explained."""
    rows = networks.focus(of)
    frame = pd.DataFrame(
        {
            "network": rows["kind"].map(name_of),
            "explainer": rows["explainer"].map(METHOD_NAMES),
            "Focus ↑": [plus_minus(mean, spread) for mean, spread in zip(rows["mean"], rows["spread"])],
            "95 %": [interval(low, high) for low, high in zip(rows["low"], rows["high"])],
            "mosaics": rows["n_images"],
            "empty maps": rows["n_undefined"],
        }
    )
    caption = f"Focus on mosaics of two images of a class and two of others; 0.5 is chance: {of.run.label}."
    return show(blank_repeats(frame, ["network"]), caption, text=["network", "explainer"])


def named_focus(of: Hierarchies) -> pd.DataFrame:
    """:func:`networks.focus` with the networks' names, for its figure."""
    rows = networks.focus(of)
    return rows.assign(network=rows["kind"].map(name_of))


def null(of: Hierarchies) -> HTML:
    """Dominance between clusters, beside images that were dealt to clusters at random."""
    rows = hierarchies.spread(of)
    rows = rows[rows["clustering"] != "modes"]
    grouped = rows.groupby(["kind", "clustering"], sort=False)
    frame = pd.DataFrame(
        [
            {
                "network": name_of(kind),
                "clusters": _DATA[clustering],
                "mean of the larger": number(here["mean"].mean()),
                "spread over pairs": number(here["spread"].mean()),
                "p < 0.05 (%)": number(100 * here["significant"].mean(), 0),
                "Holm (%)": number(100 * here["significant_holm"].mean(), 0),
                "Wilcoxon, Holm (%)": number(100 * here["significant_wilcoxon"].mean(), 0),
                "intransitive triples": f"{here['cyclic'].sum()} of {here['triples'].sum()}",
                "empty maps": f"{here['n_undefined'].sum()} of {here['n'].sum()}",
            }
            for (kind, clustering), here in grouped
        ]
    )
    caption = (
        f"Dominance between the clusters of a class, {of.run.dominance.n_mosaics} mosaics a pair: {of.run.label}. Mean: "
        "of the larger cluster of each pair. Spread: root mean square of D − 0.5 over pairs, mean over classes. p: of "
        "the t test, share of the pairs."
    )
    return show(blank_repeats(frame, ["network"]), caption, text=["network", "clusters"])


def pairs(of: Hierarchies, kind: str, label: str) -> HTML:
    """The pairs of one class: dominance, interval, and four p-values."""
    rows = hierarchies.pairs_of(of, kind, label)
    frame = pd.DataFrame(
        {
            "pair": [f"{LETTERS[a]} over {LETTERS[b]}" for a, b in zip(rows["first"], rows["second"])],
            "dominance": [number(value) for value in rows["dominance"]],
            "95 %": [interval(low, high) for low, high in zip(rows["low"], rows["high"])],
            "p, t": [p_value(value) for value in rows["p_t"]],
            "Holm": [p_value(value) for value in rows["p_t_holm"]],
            "p, Wilcoxon": [p_value(value) for value in rows["p_wilcoxon"]],
            "Holm ": [p_value(value) for value in rows["p_wilcoxon_holm"]],
            "mosaics": rows["n"],
            "empty maps": rows["n_undefined"],
        }
    )
    caption = f"Dominance between the clusters of {label}: {of.run.label}, {name_of(kind)}, training 0."
    return show(frame, caption, text=["pair"])


def classes(of: Hierarchies, kind: str) -> HTML:
    """The hierarchy of each class in a line."""
    rows = hierarchies.classes(of, kind)
    frame = pd.DataFrame(
        {
            "class": rows["label"],
            "most dominant": [_lettered(*pair) for pair in zip(rows["most"], rows["dominance_most"])],
            "least dominant": [_lettered(*pair) for pair in zip(rows["least"], rows["dominance_least"])],
            "its 95 %": [interval(low, high, 2) for low, high in zip(rows["low"], rows["high"])],
            "last in resamples (%)": [number(100 * value, 0) for value in rows["certain"]],
            "pairs that differ": [f"{decided} of {n}" for decided, n in zip(rows["decided"], rows["pairs"])],
            "intransitive": [f"{cyclic} of {n}" for cyclic, n in zip(rows["cyclic"], rows["triples"])],
            "misfit": [number(value, 2) for value in rows["misfit"]],
        }
    )
    caption = (
        f"Hierarchies by relative dominance: {of.run.label}, {name_of(kind)}, training 0. Pairs differ where p < 0.05 "
        "after Holm's correction. Misfit: the largest distance of a pair's dominance from Bradley and Terry's model."
    )
    return show(frame, caption, text=["class", "most dominant", "least dominant"])


def variants(of: Hierarchies) -> HTML:
    """Other explainers, scalings and sizes on the same mosaics."""
    rows = hierarchies.variants(of)
    frame = pd.DataFrame(
        {
            "explainer": rows["explainer"].map(METHOD_NAMES),
            "mosaic": ["one image's size" if resized else "whole images" for resized in rows["resized"]],
            "map": rows["scaling"].map({"relu": "ReLU", "min-max": "ReLU, min-max"}),
            "spread over pairs": [number(value) for value in rows["spread"]],
            "correlation": [number(value, 2) for value in rows["correlation"]],
            "same least dominant (%)": [number(100 * value, 0) for value in rows["same_least"]],
            "empty maps": [f"{n} of {of_all}" for n, of_all in zip(rows["n_undefined"], rows["n"])],
        }
    )
    caption = (
        "The same mosaics explained in other ways. Correlation (Spearman) and least dominant cluster: against the "
        f"first row, mean over classes and fine-tuned networks: {of.run.label}."
    )
    return show(frame, caption, text=["explainer", "mosaic", "map"])


def between_trainings(of: Hierarchies) -> HTML:
    """Would another training rank the same images alike?"""
    rows = hierarchies.between_trainings(of)
    grouped = rows.groupby("kind", sort=False)["correlation"]
    frame = pd.DataFrame(
        {
            "network": [name_of(kind) for kind in grouped.groups],
            "pairs of trainings": [
                rows.loc[rows["kind"] == kind, ["a", "b"]].drop_duplicates().shape[0] for kind in grouped.groups
            ],
            "correlation, mean": [number(value, 2) for value in grouped.mean()],
            "lowest class": [number(value, 2) for value in grouped.min()],
            "highest class": [number(value, 2) for value in grouped.max()],
        }
    )
    caption = (
        "Do two trainings rank the same images alike? Spearman's correlation over a class's images, each with the "
        f"relative dominance of its cluster: {of.run.label}."
    )
    return show(frame, caption, text=["network"])


def single_images(of: Hierarchies) -> HTML:
    """Figure 3 in numbers: the correlation of dominance with logit and probability."""
    rows = single.over_classes(of)
    frame = pd.DataFrame(
        {
            "network": rows["kind"].map(name_of),
            "dominance and": rows["output"],
            "correlation": [number(value, 2) for value in rows["correlation"]],
            "95 %, over classes": [interval(low, high, 2) for low, high in zip(rows["low"], rows["high"])],
            "strength": [number(value, 2) for value in rows["strength"]],
            "95 %, over images": [
                interval(low, high, 2) for low, high in zip(rows["strength_low"], rows["strength_high"])
            ],
            "by chance": [number(value, 2) for value in rows["by_chance"]],
            "classes": rows["classes"],
            "trainings": rows["networks"],
        }
    )
    caption = (
        "Every image its own cluster: Spearman's correlation of relative dominance with the network's output, and its "
        "strength whatever its sign, beside that to expect of unrelated numbers. In print: “non-correlated”, without a "
        f"number. {of.run.label}."
    )
    return show(blank_repeats(frame, ["network"]), caption, text=["network", "dominance and"])


def single_by_class(of: Hierarchies, kind: str) -> HTML:
    """The same for each class of the first network."""
    rows = networks.of_first(single.correlations(of), kind)
    frame = pd.DataFrame({"class": rows["label"].unique()})
    for output in single.OUTPUTS:
        here = rows[rows["output"] == output]
        frame[output] = [number(value, 2) for value in here["correlation"]]
        frame[f"95 %{' ' * (output == 'probability')}"] = [
            interval(low, high, 2) for low, high in zip(here["low"], here["high"])
        ]
        frame["images"] = here["n"].to_numpy()
    caption = (
        f"Correlation of dominance with logit and probability, intervals over images: {of.run.label}, {name_of(kind)}."
    )
    return show(frame, caption, text=["class"])


def over_classes(of: Hierarchies) -> HTML:
    """Are clusters that dominate little rare in training?"""
    caption = (
        "Spearman's correlation of dominance with what training shows of a cluster, mean over classes. In print: low "
        f"dominance goes with few training images, without a number. {of.run.label}."
    )
    return _correlations(training.over_classes(of), training.SHARES, caption)


def clusters_and_outputs(of: Hierarchies) -> HTML:
    """Do clusters that dominate have high logits?"""
    caption = (
        "Spearman's correlation of the dominance of a cluster with the mean output for its images, mean over classes. "
        f"Not in print. {of.run.label}."
    )
    return _correlations(training.over_classes(of, training.OUTPUTS), training.OUTPUTS, caption)


def _correlations(rows: pd.DataFrame, names: Mapping[str, str], caption: str) -> HTML:
    frame = pd.DataFrame(
        {
            "network": rows["kind"].map(name_of),
            "dominance and": rows["share"].map(names),
            "correlation": [signed(value, 2) for value in rows["correlation"]],
            "95 %, over classes": [interval(low, high, 2) for low, high in zip(rows["low"], rows["high"])],
            "p, permutation": [p_value(value) for value in rows["p_value"]],
            "classes above 0": [f"{n} of {of_all}" for n, of_all in zip(rows["positive"], rows["classes"])],
            "trainings": rows["networks"],
        }
    )
    return show(blank_repeats(frame, ["network"]), caption, text=["network", "dominance and"])


def by_class(of: Hierarchies, kind: str) -> HTML:
    """The least dominant cluster of each class of the first network."""
    rows = networks.of_first(training.clusters(of), kind)
    found = networks.of_first(training.least(of), kind).set_index("label")
    correlations = networks.of_first(training.correlations(of), kind)
    table = correlations.pivot(index="label", columns="share", values="correlation")
    last = rows.set_index(["label", "cluster"])
    lines = []
    for label in dict.fromkeys(rows["label"]):
        if label not in found.index:  # no cluster has a dominance
            lines.append({"class": label})
            continue
        cluster = last.loc[(label, found.loc[label, "least_dominant"])]
        lines.append(
            {
                "class": label,
                "least dominant": LETTERS[found.loc[label, "least_dominant"]],
                "fewest training images": LETTERS[found.loc[label, "fewest"]],
                "same": "yes" if found.loc[label, "same"] else "no",
                "training images": f"{cluster['training']:.0f}",
                "share (%)": number(100 * cluster["training_share"], 1),
                "evaluation images": f"{cluster['evaluation']:.0f}",
                "representation": number(cluster["representation"], 2),
                "correlation, share": signed(table.loc[label, "training_share"], 2),
                "representation ": signed(table.loc[label, "representation"], 2),
            }
        )
    caption = (
        "The least dominant cluster of each class. Representation: training share divided by evaluation share, 1 is as "
        f"frequent in training as in evaluation. {of.run.label}, {name_of(kind)}, training 0."
    )
    return show(pd.DataFrame(lines), caption, text=["class", "least dominant", "fewest training images", "same"])


def least(of: Hierarchies) -> HTML:
    """How often the least dominant cluster has the fewest training images."""
    rows = training.least_in_numbers(of)
    frame = pd.DataFrame(
        {
            "network": rows["kind"].map(name_of),
            "training": rows["seed"],
            "smallest": rows["share"].map({"training_share": "training share", "representation": "representation"}),
            "classes where it is the least dominant": [
                f"{n} of {of_all}" for n, of_all in zip(rows["same"], rows["classes"])
            ],
            "by luck": [number(value, 1) for value in rows["expected"]],
            "p, exact": [p_value(value) for value in rows["p_value"]],
        }
    )
    caption = f"Is the least dominant cluster of a class the one with the fewest training images? {of.run.label}."
    return show(blank_repeats(frame, ["network"]), caption, text=["network", "smallest"])


def verdicts(of: Hierarchies) -> HTML:
    """What the paper claims, and whether it holds here."""
    rows = results_of_verdicts.verdicts(of)
    return claims(rows.assign(method=rows["method"].map(name_of)), of.run.label)


def _lettered(cluster: int, dominance: float) -> str:
    return MISSING if np.isnan(dominance) else f"{LETTERS[cluster]} ({number(dominance, 2)})"
