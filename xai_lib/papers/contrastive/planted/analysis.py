"""How networks do on the planted data: by variant, by mode, and on what was planted to be mistaken."""

import itertools

import numpy as np
import pandas as pd
import torch

from xai_lib import data as datasets
from xai_lib import statistics, training
from xai_lib.data import Split, planted
from xai_lib.run import networks
from xai_lib.run.settings import LOSSES, Settings

# Variants with the same classes, so that accuracy means the same.
ORIGINAL = "as in training"
VARIANTS = (ORIGINAL, "shortcut-absent", "shortcut-swapped", "corrupted")


def outcomes(run: Settings) -> pd.DataFrame:
    """Every answer: loss, seed, variant, index, label, predicted (class names), rare, correct (bool), confidence."""
    parts = []
    for variant in VARIANTS:
        split = _test_images(run, None if variant == ORIGINAL else variant)
        names = np.array(split.classes)
        for loss, seed in itertools.product(LOSSES, run.seeds):
            logits = training.predict(networks.trained(run, loss, seed).classifier, split.to(run.device)).cpu()
            labels, predicted = split.labels.numpy(), logits.argmax(dim=1).numpy()
            rows = {"index": split.index, "label": names[labels], "predicted": names[predicted]}
            rows |= {"rare": split.factors["rare"].to_numpy(), "correct": predicted == labels}
            rows["confidence"] = logits.softmax(dim=1).amax(dim=1)
            parts.append(pd.DataFrame(rows).assign(loss=loss, seed=seed, variant=variant))
    return pd.concat(parts, ignore_index=True)


def questions(found: pd.DataFrame) -> pd.DataFrame:
    """Accuracy where each planting should show: question, loss, and :func:`statistics.summarise`'s columns."""
    ours = found[found["variant"] == ORIGINAL]
    has_rare = ours["label"].isin(set(ours.loc[ours["rare"], "label"]))
    shortcut, swapped = planted.SHORTCUT_CLASS, planted.SWAPPED_CLASS

    parts = {
        "all test images": ours,
        "look-alike classes": ours[ours["label"].isin({name for pair in planted.LOOK_ALIKE_PAIRS for name in pair})],
        "common modes of classes with a rare one": ours[has_rare & ~ours["rare"]],
        "modes that are rare in training": ours[ours["rare"]],
        f"{shortcut}, with the shortcut": ours[ours["label"] == shortcut],
        f"{shortcut}, shortcut absent": found.query("variant == 'shortcut-absent' & label == @shortcut"),
        f"{swapped}, with the shortcut of {shortcut}": found.query("variant == 'shortcut-swapped' & label == @swapped"),
        "corrupted images": found[found["variant"] == "corrupted"],
    }
    rows = pd.concat([part.assign(question=question) for question, part in parts.items()], ignore_index=True)
    rows["value"] = rows["correct"].astype(float)
    summary = statistics.summarise(rows, by=("question", "loss"), ranges=(0.0, 1.0))
    places = {name: place for names in (parts, LOSSES) for place, name in enumerate(names)}
    return summary.sort_values(["question", "loss"], key=lambda names: names.map(places), ignore_index=True)


def mistaken(found: pd.DataFrame) -> pd.DataFrame:
    """The pairs of classes most often taken for each other: pair, share of all mistakes, planted (why, or "")."""
    wrong = found[(found["variant"] == ORIGINAL) & ~found["correct"]]
    pairs = [" – ".join(sorted(pair)) for pair in zip(wrong["label"], wrong["predicted"])]
    shares = pd.Series(pairs, dtype=object).value_counts(normalize=True)
    known = dict.fromkeys(planted.LOOK_ALIKE_PAIRS, "look-alikes") | {planted.CO_OCCURRING_PAIR: "appear together"}
    known = {" – ".join(sorted(pair)): why for pair, why in known.items()}
    why = [known.get(pair, "") for pair in shares.index]
    return pd.DataFrame({"pair": shares.index, "share": shares.to_numpy(), "planted": why})


def confidence(found: pd.DataFrame, run: Settings) -> pd.DataFrame:
    """Mean confidence on known, corrupted and unseen objects: images, loss, mean over networks."""
    unseen, rows = _test_images(run, "out-of-distribution").to(run.device), []
    for loss in LOSSES:
        classifiers = (networks.trained(run, loss, seed).classifier for seed in run.seeds)
        logits = torch.stack([training.predict(classifier, unseen) for classifier in classifiers])
        mine = found[found["loss"] == loss].groupby("variant")["confidence"].mean()
        means = {"known objects": mine[ORIGINAL], "corrupted": mine["corrupted"]}
        means["unseen objects"] = float(logits.softmax(dim=2).amax(dim=2).mean())
        rows += [(images, loss, mean) for images, mean in means.items()]
    return pd.DataFrame(rows, columns=["images", "loss", "confidence"])


def _test_images(run: Settings, variant: str | None) -> Split:
    return datasets.load("planted", "test", n=run.networks.n_test, size=run.networks.size, variant=variant)
