"""How each network is trained or fine-tuned: Table 2 of the contrastive paper, and a small recipe for processors."""

from dataclasses import asdict, dataclass, replace

from xai_lib.data import augmentation
from xai_lib.data.augmentation import Augmentation

LOSSES = ("ce", "scl", "tl")
STARTS = ("ce", "imagenet")

_AUGMENTATIONS = {
    "ce": augmentation.CE,
    "scl": augmentation.SCL,
    "light": augmentation.LIGHT,
    "imagenet-ce": augmentation.IMAGENET_CE,
    "imagenet-scl": augmentation.IMAGENET_SCL,
}


@dataclass(frozen=True)
class Recipe:
    """Every setting of one training; ValueError names one that does not exist, is below 1, or is missing."""

    loss: str  # "ce" (cross entropy), "scl" (supervised contrastive) or "tl" (triplet)
    architecture: str  # a name that `models.build` knows
    epochs: int  # passes over the training images
    batch_size: int  # images a step; every image gives `views` augmented views
    learning_rate: float  # at its peak
    weight_decay: float  # coefficient of the optimizer's own weight decay
    augmentation: str  # "ce", "scl" (both of §4.2), "light", "imagenet-ce" or "imagenet-scl"
    width: int | None = None  # channels of the network's first stage; `None` is the architecture's own
    optimizer: str = "sgd"  # "sgd", "adamw" or "radam"
    momentum: float | None = 0.9  # of SGD; the other optimizers leave it out
    nesterov: bool = False  # of SGD
    decay_norms_and_biases: bool = True  # whether normalisation parameters and biases decay as well
    schedule: str = "cosine"  # or "one-cycle": see `optimisation.learning_rate`
    warmup_epochs: int = 0  # epochs of linear warm-up, of "cosine"
    warmup_share: float = 0.0  # share of all steps that warms up, of "one-cycle"
    views: int = 1  # augmented views of each image in a batch
    temperature: float | None = None  # τ of the supervised contrastive loss
    margin: float | None = None  # α of the triplet loss
    # "paper" (projected, normalised embeddings) or "released" (pooled features, plain distance)
    triplets: str | None = None
    projection_hidden: int | None = None  # width of the projection head; `None` is the width of the features
    projection_out: int | None = None  # width of the projected embeddings

    def __post_init__(self) -> None:
        for name, choices in _CHOICES.items():
            if getattr(self, name) not in choices:
                raise ValueError(f"Expected {name} out of {', '.join(choices)}. Got {getattr(self, name)!r}.")
        if min(self.epochs, self.batch_size, self.views) < 1:
            raise ValueError(
                "Expected epochs, batch_size and views of at least 1. "
                f"Got {self.epochs}, {self.batch_size} and {self.views}."
            )
        needed = {"scl": ("temperature", "projection_out"), "tl": ("margin", "triplets", "projection_out"), "ce": ()}
        for name in needed[self.loss]:
            if getattr(self, name) is None:
                raise ValueError(f"The loss {self.loss!r} needs {name}. Got None.")

    @property
    def augment(self) -> Augmentation:
        """The augmentation by that name, with its numbers."""
        return _AUGMENTATIONS[self.augmentation]


@dataclass(frozen=True, kw_only=True)
class FineTuning(Recipe):
    """Cross entropy that goes on from a trained network (dominance paper §4); ValueError as :class:`Recipe`."""

    # "ce" (the network trained here by cross-entropy with the same seed) or "imagenet" (published weights under a head
    # of random weights)
    start: str
    label_smoothing: float  # share of a label that is spread evenly over all classes, in [0, 1)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.start not in STARTS:
            raise ValueError(f"Expected start out of {', '.join(STARTS)}. Got {self.start!r}.")
        if self.loss != "ce":
            raise ValueError(f"Expected the loss 'ce': only cross entropy is fine-tuned. Got {self.loss!r}.")
        if not 0 <= self.label_smoothing < 1:
            raise ValueError(f"Expected label_smoothing of at least 0 and below 1. Got {self.label_smoothing!r}.")


_CHOICES = {
    "loss": LOSSES,
    "optimizer": ("sgd", "adamw", "radam"),
    "schedule": ("cosine", "one-cycle"),
    "augmentation": tuple(_AUGMENTATIONS),
}

# Contrastive paper, Table 2; augmentation §4.2 (for the triplet loss: that of cross entropy, from the released code).
_CIFAR10 = Recipe("ce", "resnet18", 200, 128, 0.1, 5e-4, "ce")
_CIFAR10_CONTRASTIVE = replace(
    _CIFAR10, epochs=500, batch_size=256, weight_decay=1e-4, warmup_epochs=10, projection_out=128
)
_S50 = Recipe("ce", "resnet50", 160, 512, 1e-3, 1e-4, "imagenet-ce", optimizer="adamw", momentum=None, warmup_epochs=5)
_S50_CONTRASTIVE = replace(_S50, optimizer="radam", projection_out=128)
_SCL = {"loss": "scl", "temperature": 0.07, "views": 2}
_TL = {"loss": "tl", "margin": 0.3, "triplets": "paper"}

_ONE_CYCLE = {"schedule": "one-cycle", "warmup_share": 0.25, "decay_norms_and_biases": False}
_SMALL = Recipe("ce", "resnet8", 10, 256, 0.4, 5e-4, "ce", width=32, nesterov=True, **_ONE_CYCLE)
_SMALL_SCL = replace(_SMALL, **_SCL, epochs=6, augmentation="light", projection_out=128)
_SMALL_TL = replace(_SMALL, **_TL | {"margin": 0.1}, epochs=8, learning_rate=0.2, projection_out=128)

# A published network's architecture, for images of 96 pixels: from nothing with the fine-tuning's optimizer.
_LITE = replace(_SMALL, architecture="efficientnet-lite0", optimizer="adamw", momentum=None, nesterov=False)
_LITE = replace(_LITE, epochs=2, batch_size=128, learning_rate=2e-3, weight_decay=0.05)

_RECIPES = {
    "paper/cifar10": {
        "ce": _CIFAR10,
        "scl": replace(_CIFAR10_CONTRASTIVE, **_SCL, learning_rate=0.5, augmentation="scl"),
        "tl": replace(_CIFAR10_CONTRASTIVE, **_TL),
    },
    "paper/imagenet-s50": {
        "ce": _S50,
        "scl": replace(_S50_CONTRASTIVE, **_SCL, augmentation="imagenet-scl"),
        "tl": replace(_S50_CONTRASTIVE, **_TL),
    },
    "small": {"ce": _SMALL, "scl": _SMALL_SCL, "tl": _SMALL_TL},
    "efficientnet-lite0": {
        "ce": _LITE,
        "scl": replace(_LITE, **_SCL, augmentation="light", projection_out=128),
        "tl": replace(_LITE, **_TL | {"margin": 0.1}, projection_out=128),
    },
    # For a few thousand images: smaller batches, since networks sit on a plateau for their first 200 steps.
    "small/few-images": {
        "ce": replace(_SMALL, batch_size=64, learning_rate=0.2),
        "scl": replace(_SMALL_SCL, batch_size=64, learning_rate=0.2),
        "tl": replace(_SMALL_TL, batch_size=64, learning_rate=0.1),
    },
}

# Dominance paper §4: AdamW, label smoothing, linear warm-up, then a cosine. It gives no numbers: these are ours.
_TUNED = _ONE_CYCLE | {"optimizer": "adamw", "momentum": None, "nesterov": False, "warmup_share": 0.1}
_TUNED |= {"learning_rate": 1e-3, "weight_decay": 0.05, "label_smoothing": 0.1, "start": "ce"}
_TUNED_IMAGENET = _TUNED | {"learning_rate": 1e-4, "epochs": 20, "start": "imagenet"}
_FINE_TUNINGS = {
    "paper/cifar10": {
        "tuned-resnet18": _TUNED_IMAGENET | {"architecture": "resnet18-224"},
        "tuned-resnet50": _TUNED_IMAGENET | {"architecture": "resnet50-224"},
    },
    "paper/imagenet-s50": {},
    "small": {"tuned": _TUNED},
    "efficientnet-lite0": {"tuned": _TUNED | {"learning_rate": 5e-4, "epochs": 2, "start": "imagenet"}},
    "small/few-images": {"tuned": _TUNED},
}


def names() -> list[str]:
    """The recipes there are."""
    return list(_RECIPES)


def get(name: str, loss: str) -> Recipe:
    """The recipe ``name`` for ``loss``; ValueError, which lists the choices, if either does not exist.

    Example:
        >>> recipe = get("paper/cifar10", "scl")
        >>> recipe.architecture, recipe.epochs, recipe.temperature, replace(recipe, epochs=3).epochs
        ('resnet18', 500, 0.07, 3)
    """
    for what, choices, given in (("recipe", _RECIPES, name), ("loss", LOSSES, loss)):
        if given not in choices:
            raise ValueError(f"Expected a {what} out of {', '.join(choices)}. Got {given!r}.")
    return _RECIPES[name][loss]


def fine_tunings(name: str) -> dict[str, FineTuning]:
    """The fine-tunings that go with the recipe ``name``, by name; what they do not set is the recipe's for "ce".

    The dominance paper (§4) names the optimizer, the schedule and label smoothing, and no number: rates, decay,
    smoothing, warm-up and epochs are ours. ValueError if there is no such recipe; the message lists the choices.
    """
    base = asdict(get(name, "ce"))
    return {tuning: FineTuning(**base | changes) for tuning, changes in _FINE_TUNINGS[name].items()}
