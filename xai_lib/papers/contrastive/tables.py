"""Tables of the contrastive paper's notebooks."""

from collections import ChainMap

import pandas as pd
import torch
from IPython.display import HTML, Markdown

from xai_lib import published
from xai_lib.explainers.passes import layer_activations
from xai_lib.models import Classifier
from xai_lib.page.names import LOSS_NAMES, METHOD_NAMES
from xai_lib.page.registered import metric_table
from xai_lib.page.table import MISSING, Column, each, ends, number, part_of, plus_minus, printed, show, signed, text
from xai_lib.papers.contrastive import analysis as results_of
from xai_lib.run.settings import LOSSES, Settings
from xai_lib.statistics.matching import ACCURACY_TOLERANCE, CONFIDENCE_TOLERANCE
from xai_lib.training import recipes

NAMES = ChainMap(LOSS_NAMES, METHOD_NAMES)
# Panels of the figure of distributions: metric -> title.
PANELS = {
    "pixel-flipping": "pixel flipping ↓",
    "pixel-flipping-matched": "pixel flipping, one confidence ↓",
    "continuity": "continuity ↑",
    "contrastivity": "contrastivity ↓",
    "complexity": "complexity ↓",
    "sparseness": "sparseness ↑",
}
METRIC_NAMES = {
    "pixel-flipping": "Faithfulness: PF ↓",
    "pixel-flipping-matched": "PF, at one confidence ↓",
    "pixel-flipping-released": "PF, released ↓",
    "pixel-flipping-printed": "PF, printed formula ↑",
    "continuity": "Continuity: SSIM ↑",
    "continuity-released": "Continuity, released ↑",
    "contrastivity": "Contrastivity: SSIM ↓",
    "contrastivity-empty-kept": "Contrastivity, empty maps kept ↓",
    "complexity": "Complexity: CM ↓",
    "sparseness": "Complexity: sparseness ↑",
    "pointing-game": "Coherence: PG ↑",
    "attribution-localisation": "Coherence: AL, released ↑",
    "attribution-localisation-paper": "Coherence: AL, as printed ↑",
    "accuracy": "accuracy",
    "confidence": "mean confidence",
}
METRIC, LOSS = text("metric", "metric", METRIC_NAMES), text("loss", "loss", NAMES)
METHOD = text("method", "method", NAMES)
_SETTINGS = {  # rows of Table 2: setting of a recipe -> label
    "architecture": "Architecture",
    "width": "Channels of the first stage",
    "epochs": "Epochs",
    "batch_size": "Batch size",
    "optimizer": "Optimizer",
    "learning_rate": "Learning rate (peak)",
    "momentum": "Momentum",
    "nesterov": "Nesterov",
    "weight_decay": "Weight decay",
    "decay_norms_and_biases": "Decay of norms and biases",
    "temperature": "Temperature τ",
    "margin": "Margin α",
    "triplets": "Semi-hard triplets of",
    "projection_out": "Size of the projection",
    "warmup_epochs": "Warm-up epochs",
    "warmup_share": "Warm-up, share of steps",
    "schedule": "Schedule",
    "augmentation": "Augmentation",
    "views": "Views of an image",
}


def splits(run: Settings) -> HTML:
    """How many images of each class each part has."""
    parts = {"training": run.train_split(), "held out of it": run.held_out_split(), "test": run.test_split()}
    rows = []
    for name, split in (parts | {"explained and scored": run.scored_split()}).items():
        counts = torch.bincount(split.labels, minlength=len(split.classes))
        classes = f"{len(split.classes)} ({counts.min()} to {counts.max()} images each)"
        size = "{} × {}".format(*split.images.shape[-2:])
        rows.append({"part": name, "images": f"{len(split):,}", "classes": classes, "size": size})
    columns = [text("part", "part"), Column("images", "images"), text("classes", "classes"), Column("size", "size")]
    return show(pd.DataFrame(rows), columns, f"Images: {run.label}.", name="images")


def layers(classifier: Classifier, size: int) -> HTML:
    """Layers that can be explained, with the grid and the channels of each."""
    rows = []
    for name, layer in classifier.layers().items():
        _, channels, height, width = layer_activations(classifier, torch.zeros(1, 3, size, size), layer).shape
        explained = "explained" if layer is classifier.default_layer() else ""
        rows.append({"layer": name, "channels": channels, "grid": f"{height} × {width}", "explained": explained})
    columns = [text("layer", "layer"), Column("channels", "channels"), Column("grid", "grid"), text("", "explained")]
    return show(pd.DataFrame(rows), columns, "Layers of the backbone.")


def recipe_settings(run: Settings) -> HTML:
    """Table 2: the paper's settings beside this run's; a star marks what differs."""
    rows = []
    for setting, label in _SETTINGS.items():
        row, ours = {"setting": label}, {}
        for loss in LOSSES:
            both = recipes.get("paper/cifar10", loss), run.recipe(loss)
            paper, mine = (getattr(recipe, setting) for recipe in both)
            row[f"{NAMES[loss]}, paper"] = _value(setting, paper)
            ours[f"{NAMES[loss]}, here"] = _value(setting, mine) + (" *" if mine != paper else "")
        rows.append(row | ours)
    frame = pd.DataFrame(rows)
    columns = [text("setting", "setting"), *(Column(name, name) for name in frame.columns[1:])]
    caption = "Settings of training, after Table 2 (CIFAR-10). A star marks what differs from the paper."
    return show(frame, columns, caption, name="settings")


def accuracy(run: Settings) -> HTML:
    """Table 3: accuracy and mean confidence in per cent, ours beside the published accuracy."""
    columns = [text("quantity", "metric", METRIC_NAMES), LOSS]
    columns += [Column("here (%)", ("mean", "spread"), plus_minus(2, times=100)), ends(2, times=100)]
    columns += each(printed, printed="paper, CIFAR-10 (%)")
    caption = f"Accuracy and mean confidence on test images: {run.label}."
    return show(results_of.accuracy(run), columns, caption, name="accuracy")


def sentences_on_accuracy(run: Settings) -> Markdown:
    """What the table of accuracy means for the comparisons to come, in words."""
    gaps = results_of.accuracy(run).pivot(index="metric", columns="loss", values="mean")
    gaps = gaps.sub(gaps["ce"], axis=0)
    parts = [
        f"{NAMES[loss]} differs from CE by {signed(1, times=100)(gaps.loc['accuracy', loss])} percentage points of "
        f"accuracy and by {signed()(gaps.loc['confidence', loss])} in mean confidence."
        for loss in ("scl", "tl")
    ]
    return Markdown(
        f"{' '.join(parts)} Up to {100 * ACCURACY_TOLERANCE:.0f} point and {CONFIDENCE_TOLERANCE} count as matched; "
        "beyond that, a verdict on explanations needs an adjustment."
    )


def empty_maps(run: Settings) -> HTML:
    """Share of empty maps by method and loss, in per cent."""
    heads = {"predicted": "of the predicted class (%)", "other": "of a random other class (%)"}
    columns = [METHOD, LOSS, *each(number(2, times=100), **heads)]
    return show(results_of.empty_maps(run), columns, f"Empty maps, over all seeds: {run.label}.", name="empty-maps")


def metrics() -> HTML:
    """What the library computes for each property: direction, range, equation."""
    return metric_table(results_of.METRICS, METRIC_NAMES, "Metrics of the paper.")


def results(run: Settings) -> HTML:
    """Table 4: ours, interval, published value."""
    columns = [METRIC, METHOD, LOSS, Column("here", ("mean", "spread"), plus_minus()), ends()]
    columns += [Column("paper, CIFAR-10", ("printed", "erratum"), _with_marks), Column("undefined", "n_undefined")]
    rows = results_of.results(run)
    seeds, images = rows["n_seeds"].max(), rows["n_images"].max()
    caption = (
        f"Explanations scored: {run.label}, {seeds} seed{'s' if seeds > 1 else ''}, up to {images} images each. "
        "Numbers in brackets count the discrepancies listed with the published tables."
    )
    return show(rows, columns, caption, name="results", group=["metric", "method"])


def orders(run: Settings) -> HTML:
    """From best to worst: the losses here and in print."""
    rows = results_of.orders(run)
    columns = [METRIC, METHOD, text("here, best first", "here"), text("paper, best first", "paper")]
    columns += [Column("pairs in the same order", ("agree", "pairs"), part_of)]
    caption = (
        f"Order of the losses: {rows['agree'].sum()} of the {rows['pairs'].sum()} pairs that print tells apart "
        f"stand in the same order here ({run.label}), where a random order would give {rows['pairs'].sum() / 2:g}."
    )
    return show(rows, columns, caption, name="orders")


def quantus(run: Settings) -> HTML:
    """What the authors' tools say, beside ours."""
    rows = results_of.quantus(run)
    columns = [METRIC, METHOD, LOSS, *each(number(), ours="here", quantus="our maps, quantus")]
    columns += each(number(), correlation="rank correlation over images", tools="pytorch-grad-cam's maps, quantus")
    caption = f"Scores by the authors' tools ({rows['n_images'].max()} images per network)."
    return show(rows, columns, caption, name="quantus", group=["metric", "method"])


def _with_marks(value: str, erratum: str) -> str:
    """A printed value with the marks of its errata, as the page of published tables has them."""
    notes = published.errata("contrastive")
    marks = [f"[{mark}]" for mark, note in zip(notes["mark"], notes["text"]) if erratum and note in erratum]
    return " ".join([printed(value), *marks])


def _value(setting: str, value: object) -> str:
    if value is None:
        return "own" if setting == "width" else MISSING
    if setting == "triplets":
        return {"paper": "projections, squared distance", "released": "features, distance"}[value]
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)
