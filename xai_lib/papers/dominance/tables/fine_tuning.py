"""How pages call networks, and the settings of their fine-tuning."""

import pandas as pd
from IPython.display import HTML

from xai_lib.page.names import LOSS_NAMES, network_name
from xai_lib.page.table import printed, show, text
from xai_lib.run.settings import Settings

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
    return LOSS_NAMES.get(kind, network_name(kind))


def fine_tuning(run: Settings) -> HTML:
    """Settings of the fine-tuning, beside what the paper says of its own."""
    rows = pd.DataFrame(_SETTINGS.values(), columns=["setting", "in print"])
    for kind, recipe in run.fine_tunings.items():
        settings = [(name, getattr(recipe, name)) for name in _SETTINGS]
        rows[name_of(kind)] = pd.Series([_VALUES.get(setting, setting[1]) for setting in settings], dtype=object)
    columns = [text(name, name, printed if name == "in print" else None) for name in rows]
    caption = "Fine-tuning. The paper names its ingredients but no numbers; those here are ours."
    return show(rows, columns, caption, name="fine-tuning")
