"""Budgets: how much of an experiment is run. A scale names a recipe and counts, nothing else.

``smoke`` is for tests, ``demo`` builds the book on generated data in minutes, ``laptop`` takes real images
in about an hour a part on two cores, ``paper`` has the papers' own settings. One YAML file each, beside this one.
"""

from dataclasses import dataclass, fields
from pathlib import Path

import yaml

_FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Scale:
    """Budgets of one run. ``None`` for a number of images means: all there are.

    Attributes:
        name: smoke, demo, laptop or paper.
        dataset: data set used when none is named, as ``datasets.load`` takes it.
        recipe: training recipe, a name in ``training.recipes``.
        size: image side in pixels.
        n_train: training images, class-balanced.
        n_test: test images on which accuracy is measured, class-balanced.
        epochs_ce, epochs_scl, epochs_tl: training epochs of each loss.
        width: width of the network's first stage; ``None`` is the architecture's own.
        seeds: number of trainings of each loss (seeds 0, 1, …).
        n_scored: test images that are explained and scored.
        n_quantus: of these, the images also scored by quantus, beside ours.
        flipping_step: pixels removed at each step of pixel flipping.
        saliency_seeds: number of cross-entropy networks in the saliency benchmark and the whole-output part (at most
            ``seeds``).
        n_saliency: images on which its methods are scored (Tables 1 to 3).
        n_transformed: of these, the images that are also mixed, resized, turned and cropped (Table 4).
        n_sensitivity: of these, the images for metrics that explain or perturb an image many times, and for other
            readings of the metrics (normalisation, ties, baseline).
        sensitivity_draws: noisy copies of an image for sensitivity, and of a set of pixels for monotonicity as quantus
            has it (whose own default is 100).
        causal_steps: steps of insertion and deletion; RISE takes as many as the image's side has pixels.
        rise_masks: random masks of RISE.
        lime_samples: perturbed images of LIME.
        n_outputs: test images whose whole output is explained, where it has confusing top classes.
        contrast_steps: counts of removed pixels along a contrastive curve, at most.
        stability_repeats: halves and bootstrap samples of the documents that are clustered again.
        epochs_tuned: epochs of fine-tuning.
        dominance_seeds: trainings of each kind whose hierarchies are compared (at most ``seeds``).
        n_clusters: clusters of each class, P in the dominance paper.
        n_mosaics: mosaics of each pair of clusters, its J.
        n_paired: images of a class that are compared one by one (its Figure 3).
        paired_classes: classes in which that is done.
        n_focus: mosaics of two classes or more, for Focus.
        rarity_trainings: trainings on planted images in which each mode is rare to a known degree.
    """

    name: str
    dataset: str
    recipe: str
    size: int
    n_train: int | None
    n_test: int | None
    epochs_ce: int
    epochs_scl: int
    epochs_tl: int
    width: int | None
    seeds: int
    n_scored: int
    n_quantus: int
    flipping_step: int
    saliency_seeds: int
    n_saliency: int | None
    n_transformed: int
    n_sensitivity: int
    sensitivity_draws: int
    causal_steps: int
    rise_masks: int
    lime_samples: int
    n_outputs: int | None
    contrast_steps: int
    stability_repeats: int
    epochs_tuned: int
    dominance_seeds: int
    n_clusters: int
    n_mosaics: int
    n_paired: int
    paired_classes: int | None
    n_focus: int
    rarity_trainings: int

    def epochs(self, loss: str) -> int:
        """Training epochs of ``loss`` ("ce", "scl" or "tl")."""
        return {"ce": self.epochs_ce, "scl": self.epochs_scl, "tl": self.epochs_tl}[loss]


def names() -> list[str]:
    """The scales there are, smallest first."""
    return ["smoke", "demo", "laptop", "paper"]


def load(name: str, overrides: str = "") -> Scale:
    """Read a scale; ``overrides`` changes single values, for example ``"epochs_ce=1, n_scored=64"``.

    Raises:
        ValueError: if the scale or an overridden name does not exist, or a value does not fit; the message
            lists the choices.
    """
    if name not in names():
        raise ValueError(f"Expected a scale out of {', '.join(names())}. Got {name!r}.")
    values = yaml.safe_load((_FOLDER / f"{name}.yaml").read_text())
    values["name"] = name
    return _validated(values | _parse(overrides))


def _parse(overrides: str) -> dict:
    if not isinstance(overrides, str):
        raise ValueError(f'Expected overrides as text like "epochs_ce=1, n_scored=64". Got {overrides!r}.')
    values = {}
    for item in filter(None, (part.strip() for part in overrides.split(","))):
        name, equals, value = item.partition("=")
        if not equals:
            raise ValueError(f"Expected overrides as name=value pairs separated by commas. Got {item!r}.")
        values[name.strip()] = yaml.safe_load(value)
    return values


def _validated(values: dict) -> Scale:
    known = {field.name: field.type for field in fields(Scale)}
    if unknown := sorted(set(values) - set(known)):
        raise ValueError(f"Unknown setting {', '.join(unknown)}. A scale has: {', '.join(known)}.")
    if missing := sorted(set(known) - set(values)):
        raise ValueError(f"The scale {values['name']} lacks {', '.join(missing)}.")
    for name, kind in known.items():
        value = values[name]
        if kind is str:
            fits = isinstance(value, str)
        else:
            fits = (value is None and kind is not int) or (type(value) is int and value >= 1)
        if not fits:
            expected = "text" if kind is str else "a whole number of at least 1"
            expected += "" if kind in (str, int) else " or null"
            raise ValueError(f"Expected {expected} for {name}. Got {value!r}.")
    return Scale(**values)
