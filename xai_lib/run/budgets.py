"""Budgets: how much of each part of an experiment is run. A scale gives all of them; one file each in ``scales/``.

``smoke`` is for tests, ``demo`` builds the book on drawn images in minutes, ``laptop`` takes real images in about an
hour a part on two cores, ``paper`` has the papers' own settings.
"""

import re
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import yaml

SCALES = ("smoke", "demo", "laptop", "paper")  # smallest first

_MOST = 10**9  # of what is counted
_FOLDER = Path(__file__).with_name("scales")


@dataclass(frozen=True)
class Networks:
    """Budgets of data and training. ``None`` for a number of images means: all there are."""

    recipe: str  # training recipe, a name in `training.recipes`
    # networks for ImageNet's images, names of `pretrained.pretrained` with spaces between them: the first is explained,
    # in the whole-output part as many as `saliency_seeds`; there all others are observers
    published: str
    size: int  # image side in pixels
    n_train: int | None  # training images, class-balanced
    # images like these that no network is trained on, class-balanced: drawn in addition, or taken from the others (at
    # most a fifth of them)
    n_held_out: int
    n_test: int | None  # test images on which accuracy is measured, class-balanced
    # epochs_ce, epochs_scl, epochs_tl: `None` is the recipe's own number
    epochs_ce: int | None  # training epochs of cross entropy
    epochs_scl: int | None  # … of the supervised contrastive loss
    epochs_tl: int | None  # … of the triplet loss
    epochs_tuned: int  # epochs of fine-tuning
    width: int | None  # width of the network's first stage; `None` is the architecture's own
    seeds: int  # number of trainings of each loss (seeds 0, 1, …)
    saliency_seeds: int  # number of cross-entropy networks in the saliency and whole-output parts (at most `seeds`)
    dominance_seeds: int  # trainings of each kind whose hierarchies are compared (at most `seeds`)


@dataclass(frozen=True)
class Explainers:
    """Budgets of explainers that look at many versions of an image."""

    rise_masks: int  # random masks of RISE
    lime_samples: int  # perturbed images of LIME
    score_cam_channels: int | None  # channels of Score-CAM's layer, those that vary most; None for all


VARIANTS = {  # of the contrastive part: what is read otherwise than by default
    "plain-flipping": "pixel flipping at each network's own confidence, as print has it",
    "printed-flipping": "pixel flipping by the printed formula, the area under f(x) − f(x̃)",
    "colour-values": "pixel flipping of single colour values, without the untouched image, as released",
    "clamped-noise": "continuity with the noisy image clamped to [0, 1] after it was standardised, as released",
    "empty-maps-kept": "contrastivity with empty maps counted, as released",
    "printed-localisation": "attribution localisation by the printed formula",
    "text-eigen-cam": "Eigen-CAM by the text's formula instead of the tool's",
    "true-class": "maps of the true class instead of the predicted one",
    "augmented": "maps of the true class, averaged over six augmented views, as released for coherence",
    "released-probe": "the linear probe of the released code",
    "released-triplet": "the triplet loss of the released code",
    "best-test-epoch": "cross entropy's epoch with the best test accuracy, as released",
}
RELEASED = (
    *("plain-flipping", "colour-values", "clamped-noise", "empty-maps-kept"),
    *("released-probe", "released-triplet", "best-test-epoch"),
)


@dataclass(frozen=True)
class Contrastive:
    """The contrastive part: budgets, and how the paper is read; ValueError, with the choices, for no such variant."""

    n_scored: int  # test images that are explained and scored
    n_quantus: int  # of these, the images also explained and scored by the authors' tools, beside ours
    # of these, the images on which other orders of removal and other strengths of noise are tried
    n_further: int
    matched_seeds: int  # trainings of each loss that are compared again, matched in accuracy
    variant_seeds: int  # … and under each variant
    flipping_step: int  # pixels removed at each step of pixel flipping
    variant: str  # "paper", "released" (all of `RELEASED`), or names of `VARIANTS` joined by "+"

    def __post_init__(self) -> None:
        """Refuse variants that do not exist."""
        if unknown := sorted(self.variants - VARIANTS.keys()):
            expected = f"Expected the variant paper, released, or some of {', '.join(VARIANTS)} joined by '+'."
            raise ValueError(f"{expected} Got {unknown}.")

    @property
    def variants(self) -> frozenset[str]:
        """Names of what is read otherwise than by default."""
        return frozenset({"paper": (), "released": RELEASED}.get(self.variant, self.variant.split("+")))


@dataclass(frozen=True)
class Saliency:
    """Budgets of the saliency part."""

    n_saliency: int | None  # images on which methods are scored (Tables 1 to 3); None for all
    n_transformed: int  # of these, the images that are also mixed, resized, turned and cropped (Table 4)
    # of these, the images for metrics that explain or perturb an image many times, and for other readings of the
    # metrics (normalisation, ties, baseline)
    n_sensitivity: int
    sensitivity_draws: int  # noisy copies of an image for sensitivity
    monotonicity_samples: int  # noisy copies of a set of pixels for monotonicity as quantus has it: its default is 100
    weight_draws: int | None  # draws of all new weights for parameter randomisation; None leaves it out
    n_tools: int  # of the images, those also explained and scored by the paper's tools, for the first network
    causal_steps: int  # steps of insertion and deletion; RISE takes as many as the image's side has pixels


@dataclass(frozen=True)
class WholeOutput:
    """Budgets of the whole-output part."""

    # test images whose whole output is explained, where it has confusing top classes; None for all
    n_outputs: int | None
    contrast_steps: int  # counts of removed pixels along a contrastive curve, at most
    # RISE's masks in the first stage of the variant "released", which has 3/5 as many in the second
    released_masks: int
    released_samples: int  # LIME's samples there
    stability_repeats: int  # halves and bootstrap samples of the documents that are clustered again


@dataclass(frozen=True)
class Dominance:
    """Budgets of the dominance part."""

    kinds: str  # networks whose clusters are ranked, of tuned ce scl tl untrained, with spaces between them
    n_clusters: int  # clusters of each class, P in the paper
    n_mosaics: int  # mosaics of each pair of clusters, its J
    n_deals: int  # times that a class's images are dealt to its clusters at random, as a control
    n_paired: int  # images of a class that are compared one by one (its Figure 3)
    paired_classes: int | None  # classes in which that is done; None for all
    n_focus: int  # mosaics of two classes or more, for Focus
    rarity_trainings: int  # trainings on planted images in which each mode is rare to a known degree


BUDGETS = {
    "networks": Networks,
    "explainers": Explainers,
    "contrastive": Contrastive,
    "saliency": Saliency,
    "whole_output": WholeOutput,
    "dominance": Dominance,
}


def load(scale: str, overrides: str = "") -> tuple[str, dict[str, Any]]:
    """The data set and the budgets of a scale (of :data:`SCALES`), by the names of :data:`BUDGETS`.

    ``overrides`` are single values, for example ``"epochs_ce=1, n_scored=64"``. ValueError if a scale or a name does
    not exist, or a value does not fit; the message lists the choices.
    """
    if scale not in SCALES:
        raise ValueError(f"Expected a scale out of {', '.join(SCALES)}. Got {scale!r}.")
    written = _overridden(yaml.safe_load((_FOLDER / f"{scale}.yaml").read_text()), overrides)
    return written["dataset"], {name: kind(**written[name]) for name, kind in BUDGETS.items()}


def _overridden(found: dict[str, Any], overrides: str) -> dict[str, Any]:
    room_of = {field.name: (room, field.type) for room, kind in BUDGETS.items() for field in fields(kind)}
    for item in filter(None, (part.strip() for part in overrides.split(","))):
        name, equals, value = (part.strip() for part in item.partition("="))
        if not equals:
            raise ValueError(f"Expected overrides as name=value pairs separated by commas. Got {item!r}.")
        if name == "dataset":
            found[name] = value
        elif name not in room_of:
            raise ValueError(f"Unknown setting {name}. A scale has: dataset, {', '.join(room_of)}.")
        else:
            room, kind = room_of[name]
            found[room][name] = value if kind is str else _number(name, kind, value)
    return found


def _number(name: str, kind: object, text: str) -> int | None:
    if text == "null" and kind is not int:
        return None
    if not re.fullmatch("[0-9]{1,10}", text) or not 1 <= int(text) <= _MOST:
        choices = f"a whole number from 1 to {_MOST:,}" + ("" if kind is int else " or null")
        raise ValueError(f"Expected {choices} for {name}. Got {text!r}.")
    return int(text)
