"""Tables of the networks, their clusters and what training shows of these, and what all tables of the part share."""

from collections.abc import Mapping
from functools import partial

import pandas as pd
from IPython.display import HTML, Markdown

from xai_lib.page import record, table
from xai_lib.page.names import LETTERS, LOSS_NAMES
from xai_lib.page.table import MISSING, Column, interval, number, p_value, part_of, plus_minus, show, signed, text
from xai_lib.papers.dominance import experiment
from xai_lib.papers.dominance.analysis import networks, training
from xai_lib.run.settings import Settings
from xai_lib.run.study import Study

_SETTINGS = {  # of a fine-tuning -> name, what is in print
    "start": ("starts from", "ImageNet weights"),
    "architecture": ("architecture", "ResNet-18, ResNet-50"),
    "epochs": ("epochs", ""),
    "optimizer": ("optimizer", "AdamW"),
    "learning_rate": ("learning rate (peak)", ""),
    "weight_decay": ("weight decay", ""),
    "label_smoothing": ("label smoothing", "yes"),
    "schedule": ("schedule", "linear warm-up, cosine"),
    "warmup_share": ("warm-up, share of steps", ""),
    "augmentation": ("augmentation", ""),
    "batch_size": ("batch size", ""),
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
_RANKS = {
    "least": "the least dominant cluster",
    "lowest two": "the two least dominant (ranks 3 and 4 in print)",
    "most": "the most dominant cluster",
    "same": "how often the least dominant has the least",
}
_OF_IMAGES = {"training_share": "training share", "representation": "training share / evaluation share"}


def name_of(kind: str) -> str:
    """How pages call a kind of network."""
    said = kind.replace("-", " ").replace("resnet", "ResNet-")
    return LOSS_NAMES.get(kind, said.replace(experiment.TUNED, "fine-tuned"))


PERCENT = number(0, times=100)
NETWORK = text("network", "kind", name_of)
TRAINING = (NETWORK, Column("training", "seed"))
CLASS = text("class", "label")
of_network = partial(show, group=["network"])


def fine_tuning(run: Settings) -> HTML:
    """Settings of the fine-tuning, beside what the paper says of its own."""
    rows = pd.DataFrame(_SETTINGS.values(), columns=["setting", "in print"])
    for kind, recipe in run.fine_tunings.items():
        settings = [(name, getattr(recipe, name)) for name in _SETTINGS]
        rows[name_of(kind)] = pd.Series([_VALUES.get(setting, setting[1]) for setting in settings], dtype=object)
    columns = [text(name, name, table.printed if name == "in print" else None) for name in rows]
    caption = "Fine-tuning. The paper names its ingredients but no numbers; those here are ours."
    return show(rows, columns, caption, name="fine-tuning")


def accuracy(study: Study) -> HTML:
    """Accuracy and mean probability of the true class of each kind of network."""
    names = {"accuracy": "accuracy (%)", "probability": "probability of the class (%)"}
    columns = [NETWORK, text("", "metric", names)]
    columns += [Column("mean ± over trainings", ("mean", "spread"), plus_minus(1, times=100))]
    columns += [Column("95 %", ("low", "high"), interval(1, times=100))]
    columns += each(None, n_seeds="trainings", n_images="images")
    caption = f"The networks, on test images: {study.run.label}."
    return of_network(networks.accuracy(study), columns, caption, name="accuracy")


def sizes(study: Study) -> HTML:
    """How large the clusters are."""
    titles = {"smallest": "smallest", "median": "median", "largest": "largest", "fewest": "fewest training images"}
    caption = f"Evaluation images in a cluster, {study.run.dominance.n_clusters} clusters a class: {study.run.label}."
    return of_network(networks.sizes(study), [*TRAINING, *each(number(0), **titles)], caption, name="sizes")


def chosen(study: Study, kind: str) -> HTML:
    """How many clusters each class would have."""
    rows, own = networks.chosen(study), f"silhouette of {study.run.dominance.n_clusters}"
    columns = [CLASS, *each(number(2), silhouette=own, best_silhouette="best silhouette")]
    columns += each(number(0), by_silhouette="clusters by silhouette", by_gap="by the gap statistic")
    caption = f"How many clusters a class has, of 2 to 10: {study.run.label}, {name_of(kind)}, training 0."
    return show(networks.first(rows, kind), columns, caption, name="chosen", behind=rows)


def modes(study: Study) -> HTML:
    """Are the clusters the planted modes?"""
    columns = [*TRAINING, *each(number(2), ari="ARI, mean over classes", lowest="lowest", highest="highest")]
    what = "Agreement of the clusters with the five planted modes of each class"
    return of_network(networks.modes(study), columns, f"{what} (adjusted Rand index, 1 is equality).")


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
    frame = least.merge(agree, on="label").set_index("label").reindex(shown["label"].unique()).reset_index()
    columns = [CLASS, text("least dominant", "cluster", _letter), text("fewest training images", "fewest", _letter)]
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
    columns = [NETWORK, text("of", "share", _OF_IMAGES), text("place", "rank", _RANKS)]
    columns += each(number(), value="clusters", dealt="dealt")
    columns += [Column("difference", ("difference", "low", "high"), with_interval), *each(p_value, p_value="p, deals")]
    caption = (
        "The clusters at the ends of the hierarchies, beside those of clusters of the same sizes to which images were "
        "dealt at random: small clusters are more often last, whatever they contain. Means over classes and networks, "
        f"{study.run.label}."
    )
    return of_network(training.ranks_in_numbers(study), columns, caption, name="least")


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


def each(format: table.Format | None, **titles: str) -> list[Column]:
    """Columns of one format: name of the frame's column -> title."""
    return [Column(title, name, format) for name, title in titles.items()]


def with_interval(value: float, low: float, high: float) -> str:
    """A value and, behind it, its interval, both with their sign."""
    return f"{signed(2)(value)} {interval(2)(low, high)}"


def _correlations(study: Study, names: Mapping[str, str], caption: str, name: str) -> HTML:
    columns = [NETWORK, text("dominance and", "share", names), *each(signed(2), correlation="correlation")]
    columns += [Column("95 %, permutation", ("low", "high"), interval(2)), *each(p_value, p_value="p, permutation")]
    columns += [Column("classes above 0", ("positive", "classes"), part_of), Column("trainings", "networks")]
    return of_network(training.over_classes(study, names), columns, caption, name=name)


def _letter(cluster: float) -> str:
    return MISSING if pd.isna(cluster) else LETTERS[int(cluster)]
