"""Tables of the contrastive paper's notebooks."""

import math
from collections import ChainMap

import pandas as pd
import torch
from IPython.display import HTML, Markdown

from xai_lib import metrics as registry
from xai_lib.explainers.passes import layer_activations
from xai_lib.models import Classifier
from xai_lib.page.names import LOSS_NAMES, METHOD_NAMES
from xai_lib.page.table import MISSING, blank_repeats, interval, number, p_value, plus_minus, show, signed
from xai_lib.page.verdicts import verdict_rule as verdict_rule
from xai_lib.papers.contrastive import analysis as results_of
from xai_lib.run.settings import LOSSES, Settings
from xai_lib.statistics.matching import ACCURACY_TOLERANCE, CONFIDENCE_TOLERANCE
from xai_lib.training import recipes

NAMES = ChainMap(LOSS_NAMES, METHOD_NAMES)
ARROWS = {"higher": "↑", "lower": "↓"}
# Panels of the figure of distributions: metric -> title.
PANELS = {
    "pixel-flipping": "pixel flipping ↓",
    "pixel-flipping-normalised": "pixel flipping, normalised ↓",
    "continuity": "continuity ↑",
    "contrastivity": "contrastivity ↓",
    "complexity": "complexity ↓",
    "sparseness": "sparseness ↑",
}
_METRIC_NAMES = {
    "pixel-flipping": "Faithfulness: PF ↓",
    "pixel-flipping-normalised": "PF, confidence-normalised ↓",
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
    "warmup_epochs": "Warm-up epochs",
    "warmup_share": "Warm-up, share of steps",
    "schedule": "Schedule",
    "augmentation": "Augmentation",
    "views": "Views of an image",
}


def splits(run: Settings) -> HTML:
    """How many images of each class each part has."""
    parts = {"training": run.train_split(), "test": run.test_split(), "explained and scored": run.scored_split()}
    rows = []
    for name, split in parts.items():
        counts = torch.bincount(split.labels, minlength=len(split.classes))
        classes = f"{len(split.classes)} ({counts.min()} to {counts.max()} images each)"
        size = f"{split.images.shape[-2]} × {split.images.shape[-1]}"
        rows.append({"part": name, "images": f"{len(split):,}", "classes": classes, "size": size})
    return show(pd.DataFrame(rows), f"Images: {run.label}.", text=["part", "classes"])


def layers(classifier: Classifier, size: int) -> HTML:
    """Layers that can be explained, with the grid and the channels of each."""
    x = torch.zeros(1, 3, size, size)
    rows = []
    for name, layer in classifier.layers().items():
        _, channels, height, width = layer_activations(classifier, x, layer).shape
        explained = "explained" if layer is classifier.default_layer() else ""
        rows.append({"layer": name, "channels": channels, "grid": f"{height} × {width}", "": explained})
    return show(pd.DataFrame(rows), "Layers of the backbone.", text=["layer", ""])


def recipe_settings(run: Settings) -> HTML:
    """Table 2: the paper's settings beside this run's; a star marks what differs."""
    rows = []
    for setting, label in _SETTINGS.items():
        row = {"setting": label}
        ours = {}
        for loss in LOSSES:
            paper = getattr(recipes.get("paper/cifar10", loss), setting)
            row[f"{NAMES[loss]}, paper"] = _value(setting, paper)
            mine = getattr(run.recipe(loss), setting)
            ours[f"{NAMES[loss]}, here"] = _value(setting, mine) + (" *" if mine != paper else "")
        rows.append(row | ours)
    caption = "Settings of training, after Table 2 (CIFAR-10). A star marks what differs from the paper."
    return show(pd.DataFrame(rows), caption, text=["setting"])


def accuracy(run: Settings) -> HTML:
    """Table 3: accuracy and mean confidence in per cent, ours beside the published accuracy."""
    rows = results_of.accuracy(run)
    percent = {name: 100 * rows[name] for name in ("mean", "spread", "low", "high", "difference")}
    frame = pd.DataFrame(
        {
            "quantity": rows["metric"].map(_METRIC_NAMES),
            "loss": rows["loss"].map(NAMES),
            "here (%)": [plus_minus(*pair, 2) for pair in zip(percent["mean"], percent["spread"])],
            "95 % interval": [interval(*pair, 2) for pair in zip(percent["low"], percent["high"])],
            "paper, CIFAR-10 (%)": rows["printed"].replace("", MISSING),
            "difference": [signed(value, 2) for value in percent["difference"]],
        }
    )
    return show(frame, f"Accuracy and mean confidence on test images: {run.label}.", text=["quantity", "loss"])


def sentences_on_accuracy(run: Settings) -> Markdown:
    """What the table of accuracy means for the comparisons to come, in words."""
    rows = results_of.accuracy(run).set_index(["metric", "loss"])["mean"]
    parts = []
    for loss in ("scl", "tl"):
        gap = {name: rows[name, loss] - rows[name, "ce"] for name in ("accuracy", "confidence")}
        parts.append(
            f"{NAMES[loss]} differs from CE by {signed(100 * gap['accuracy'], 1)} percentage points of accuracy and by "
            f"{signed(gap['confidence'])} in mean confidence."
        )
    return Markdown(
        f"{' '.join(parts)} Up to {100 * ACCURACY_TOLERANCE:.0f} point and {CONFIDENCE_TOLERANCE} count as matched; "
        "beyond that, a verdict on explanations needs an adjustment."
    )


def empty_maps(run: Settings) -> HTML:
    """Share of empty maps by method and loss, in per cent."""
    rows = results_of.empty_maps(run)
    frame = pd.DataFrame(
        {
            "method": rows["method"].map(NAMES),
            "loss": rows["loss"].map(NAMES),
            "of the predicted class (%)": [number(100 * value, 2) for value in rows["predicted"]],
            "of a random other class (%)": [number(100 * value, 2) for value in rows["other"].astype(float)],
        }
    )
    return show(frame, f"Empty maps, over all seeds: {run.label}.", text=["method", "loss"])


def metrics() -> HTML:
    """What the library computes for each property: direction, range, equation."""
    rows = []
    for name in results_of.METRICS:
        if name in registry.names():
            about = registry.about(name)
            low, high = about.range
            limits = f"{low:g} to {'∞' if math.isinf(high) else f'{high:g}'}"
            rows.append({"metric": _METRIC_NAMES[name], "name in the library": name, "better": about.better,
                         "range": limits, "where": about.equation})  # fmt: skip
    return show(pd.DataFrame(rows), "Metrics of the paper.", text=["metric", "name in the library", "better", "where"])


def results(run: Settings) -> HTML:
    """Table 4: ours, interval, published value, difference."""
    rows = results_of.results(run)
    frame = pd.DataFrame(
        {
            "metric": rows["metric"].map(_METRIC_NAMES),
            "method": rows["method"].map(NAMES),
            "loss": rows["loss"].map(NAMES),
            "here": [plus_minus(*pair) for pair in zip(rows["mean"], rows["spread"])],
            "95 % interval": [interval(*pair) for pair in zip(rows["low"], rows["high"])],
            "paper, CIFAR-10": rows["printed"].replace("", MISSING),
            "difference": [signed(value) for value in rows["difference"]],
            "undefined": rows["n_undefined"],
        }
    )
    seeds, images = rows["n_seeds"].max(), rows["n_images"].max()
    caption = f"Explanations scored: {run.label}, {seeds} seed{'s' if seeds > 1 else ''}, up to {images} images each."
    return show(blank_repeats(frame, ["metric", "method"]), caption, text=["metric", "method", "loss"])


def orders(run: Settings) -> HTML:
    """From best to worst: the losses here and in print."""
    rows = results_of.orders(run)
    frame = pd.DataFrame(
        {
            "metric": rows["metric"].map(_METRIC_NAMES),
            "method": rows["method"].map(NAMES),
            "here, best first": rows["here"],
            "paper, best first": rows["paper"],
            "pairs in the same order": [f"{agree} of {pairs}" for agree, pairs in zip(rows["agree"], rows["pairs"])],
        }
    )
    caption = (
        f"Order of the losses: {rows['agree'].sum()} of the {rows['pairs'].sum()} pairs that print tells apart "
        f"stand in the same order here ({run.label})."
    )
    return show(frame, caption, text=["metric", "method", "here, best first", "paper, best first"])


def quantus(run: Settings) -> HTML:
    """The same maps scored by quantus, beside ours."""
    rows = results_of.quantus(run)
    frame = pd.DataFrame(
        {
            "metric": rows["metric"].map(_METRIC_NAMES),
            "method": rows["method"].map(NAMES),
            "loss": rows["loss"].map(NAMES),
            "here": [number(value) for value in rows["ours"]],
            "quantus": [number(value) for value in rows["quantus"]],
            "rank correlation over images": [number(value) for value in rows["correlation"]],
        }
    )
    caption = f"The same maps scored by quantus ({rows['n_images'].max()} images a network)."
    return show(blank_repeats(frame, ["metric", "method"]), caption, text=["metric", "method", "loss"])


def verdicts(run: Settings) -> HTML:
    """Every claim with difference, interval, corrected p-value and verdict."""
    rows = results_of.verdicts(run)
    frame = pd.DataFrame(
        {
            "claim": rows["text"],
            "section": rows["section"],
            "difference as claimed": [signed(value) for value in rows["difference"]],
            "95 % interval": [interval(*pair) for pair in zip(rows["low"], rows["high"])],
            "p (Holm)": [p_value(value) for value in rows["p_holm"]],
            "images won (%)": [number(100 * value, 0) for value in rows["superiority"]],
            "verdict": rows["reason"],
        }
    )
    caption = f"Verdicts: {run.label}. A difference above zero supports the claim."
    return show(frame, caption, text=["section", "verdict"], long=["claim"])


def _value(setting: str, value: object) -> str:
    if value is None:
        return "own" if setting == "width" else MISSING
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)
