"""Tables of the networks and their clusters, and what all tables of the part share."""

from functools import partial

import pandas as pd
from IPython.display import HTML

from xai_lib.page import record
from xai_lib.page.names import LOSS_NAMES
from xai_lib.page.table import Column, Format, interval, number, plus_minus, printed, show, signed, text
from xai_lib.papers.dominance import experiment
from xai_lib.papers.dominance.analysis import networks
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


def name_of(kind: str) -> str:
    """How pages call a kind of network."""
    architecture = kind.removeprefix("tuned").removeprefix("-")
    if experiment.is_untrained(kind):
        return kind.replace("-", " ").replace("resnet", "ResNet-")
    tuned = f"fine-tuned {architecture.replace('resnet', 'ResNet-')}".strip()
    return LOSS_NAMES.get(kind, tuned)


PERCENT = number(0, times=100)
NETWORK = text("network", "kind", name_of)
TRAINING = (NETWORK, Column("training", "seed"))
CLASS = text("class", "label")
of_network = partial(show, group=["network"])


def fine_tuning(run: Settings) -> HTML:
    """Settings of the fine-tuning, beside what the paper says of its own."""
    rows = [
        {"setting": said, "in print": in_print}
        | {
            name_of(kind): _VALUES.get((name, getattr(recipe, name)), getattr(recipe, name))
            for kind, recipe in run.fine_tunings.items()
        }
        for name, (said, in_print) in _SETTINGS.items()
    ]
    columns = [text(name, name, printed if name == "in print" else None) for name in rows[0]]
    caption = "Fine-tuning. The paper names its ingredients but no numbers; those here are ours."
    return show(pd.DataFrame(rows), columns, caption, name="fine-tuning")


def accuracy(study: Study) -> HTML:
    """Accuracy and mean probability of the true class of each kind of network."""
    columns = [
        NETWORK,
        text("", "metric", {"accuracy": "accuracy (%)", "probability": "probability of the class (%)"}),
        Column("mean ± over trainings", ("mean", "spread"), plus_minus(1, times=100)),
        Column("95 %", ("low", "high"), interval(1, times=100)),
        *each(None, n_seeds="trainings", n_images="images"),
    ]
    caption = f"The networks, on test images: {study.run.label}."
    return of_network(networks.accuracy(study), columns, caption, name="accuracy")


def sizes(study: Study) -> HTML:
    """How large the clusters are."""
    titles = {name: name for name in ("smallest", "median", "largest")} | {"fewest": "fewest training images"}
    n_clusters = study.run.dominance.n_clusters
    caption = f"Evaluation images in a cluster, {n_clusters} clusters a class: {study.run.label}."
    return of_network(networks.sizes(study), [*TRAINING, *each(number(0), **titles)], caption, name="sizes")


def chosen(study: Study, kind: str) -> HTML:
    """How many clusters each class would have."""
    columns = [CLASS, Column(f"silhouette of {study.run.dominance.n_clusters}", "silhouette", number(2))]
    columns += each(number(2), best_silhouette="best silhouette")
    columns += each(number(0), by_silhouette="clusters by silhouette", by_gap="by the gap statistic")
    rows = networks.chosen(study)
    caption = f"How many clusters a class has, of 2 to 10: {study.run.label}, {name_of(kind)}, training 0."
    return finer("chosen", rows, show(networks.first(rows, kind), columns, caption))


def modes(study: Study) -> HTML:
    """Are the clusters the planted modes?"""
    columns = [*TRAINING, *each(number(2), ari="ARI, mean over classes", lowest="lowest", highest="highest")]
    caption = (
        "Agreement of the clusters with the five planted modes of each class (adjusted Rand index, 1 is equality)."
    )
    return of_network(networks.modes(study), columns, caption)


def each(format: Format | None, **titles: str) -> list[Column]:
    """Columns of one format: name of the frame's column -> title."""
    return [Column(title, name, format) for name, title in titles.items()]


def finer(name: str, rows: pd.DataFrame, shown: HTML) -> HTML:
    """Record the numbers behind a table that shows but a part or means of them."""
    record.write_table(name, rows, shown.data)
    return shown


def with_interval(value: float, low: float, high: float) -> str:
    """A value and, behind it, its interval, both with their sign."""
    return f"{signed(2)(value)} {interval(2)(low, high)}"
